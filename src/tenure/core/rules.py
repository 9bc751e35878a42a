"""The house rules of one host: its limits, and the terms on which each of its agents runs."""

from collections.abc import Mapping

import msgspec

from tenure.core.grant import Terms
from tenure.core.limits import Limits


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the store needs to know to start runs inside its transactions. Data only, never changed."""

    limits: Limits
    terms: Mapping[str, Terms]
