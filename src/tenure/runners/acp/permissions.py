"""What a person is asked when an ACP agent asks for permission, and what the agent is answered.

A person lets one call be made: what is remembered is the host's to remember. Where an agent takes leave only
for good, the person is shown that with the arguments, and decides about exactly that.
"""

import re
from collections.abc import Mapping, Sequence
from typing import cast, get_args

from acp.schema import AllowedOutcome, DeniedOutcome, PermissionOption, RequestPermissionResponse, ToolKind

from tenure.runners.acp.memory import GATEWAY

CANCELLED = RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
"""The answer that chooses none of the options."""

_GRANTING = ("allow_once", "allow_always")
_DENYING = ("reject_once", "reject_always")
_KINDS = frozenset(cast("tuple[str, ...]", get_args(ToolKind)))
_NAME = re.compile(r"[A-Za-z_][\w.:/-]{0,99}")
MOST_NAME = 100
LASTING: Mapping[str, object] = {"lasting_permission": True}
"""What people are shown beside the arguments where the agent takes leave only for good."""
HOST_TOOLS = f"mcp__{GATEWAY}__"
"""How agents' own names of the host's tools begin."""


def answer(options: Sequence[PermissionOption], *, granted: bool) -> RequestPermissionResponse:
    """The option that says what the person decided and as little beyond it as can be; CANCELLED if none does.

    `allow_always` is taken only where the agent offers nothing narrower, and the person was shown that;
    `reject_always` is on the safe side. Of several options of one kind the first is taken.
    """
    for kind in _GRANTING if granted else _DENYING:
        for option in options:
            if option.kind == kind:
                chosen = AllowedOutcome(outcome="selected", option_id=option.option_id)
                return RequestPermissionResponse(outcome=chosen)
    return CANCELLED


def can_grant(options: Sequence[PermissionOption]) -> bool:
    """Whether the agent can be answered that the call may be made."""
    return any(option.kind in _GRANTING for option in options)


def lasts(options: Sequence[PermissionOption]) -> bool:
    """Whether the agent, once answered that the call may be made, asks about none of its kind again."""
    return can_grant(options) and all(option.kind != _GRANTING[0] for option in options)


def tool_name(kind: str | None, title: str, meta: Mapping[str, object] | None) -> str:
    """The name of a tool that stays the same from call to call, since a person may have it remembered.

    Its kind, such as `execute`; where that says nothing, the name that the agent's adapter knows it by, or
    its title: a name that covers too little is safe, one that covers too much isn't. A title that is the name
    of a kind says nothing either: what is remembered of that kind isn't meant for it.
    """
    if kind not in (None, "other"):
        return kind
    titled = title.strip()[:MOST_NAME]
    return own_name(meta) or ("other" if titled in _KINDS else titled) or "other"


def own_name(meta: Mapping[str, object] | None) -> str | None:
    """The name that an agent's adapter knows a tool by. It isn't the model's to choose, as a title may be."""
    match cast("dict[str, object]", meta or {}):
        case {"claudeCode": {"toolName": str(name)}} | {"toolName": str(name)} | {"tool_name": str(name)}:
            return name if _NAME.fullmatch(name) else None
        case _:
            return None


def is_of_host(name: str | None) -> bool:
    """Whether a tool, by its own name, is one that the agent reaches through the run gateway."""
    return name is not None and name.startswith(HOST_TOOLS)
