"""Tools that the host calls for a run: what they are, who may use them, and when a person is asked.

A tool call with effects is the host's business, never the runner's: so it can be asked for, refused,
repeated or not, and told afterwards. What a run was granted of a tool is frozen in its grant.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

import msgspec

from tenure.core.principal import Role

Arguments: TypeAlias = dict[str, object]
"""The arguments of a call by name: any JSON."""


class Replay(StrEnum):
    """What may be done about a call whose outcome nobody knows, because its host died in the middle."""

    SAFE = "safe"
    """It may be repeated, under the same idempotency key."""
    NEVER = "never"
    """It is never repeated; the agent is told that the outcome is unknown."""
    VERIFY = "verify"
    """The tool is asked whether it was done."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"in_": "in"}):
    """What one argument must be for a rule to hold. Everything that is given must be true of it."""

    eq: object = msgspec.UNSET
    ne: object = msgspec.UNSET
    in_: tuple[object, ...] | msgspec.UnsetType = msgspec.UNSET
    not_in: tuple[object, ...] | msgspec.UnsetType = msgspec.UNSET
    gt: float | msgspec.UnsetType = msgspec.UNSET
    ge: float | msgspec.UnsetType = msgspec.UNSET
    lt: float | msgspec.UnsetType = msgspec.UNSET
    le: float | msgspec.UnsetType = msgspec.UNSET
    matches: str | msgspec.UnsetType = msgspec.UNSET

    def holds(self, value: object) -> bool:
        """Whether `value` is as asked for. A comparison that makes no sense for its type holds.

        It holds because then a person is asked, which is the safe side.
        """
        return self._is_member(value) and self._is_within(value) and self._is_like(value)

    def _is_member(self, value: object) -> bool:
        return (
            (self.eq is msgspec.UNSET or _same(value, self.eq))
            and (self.ne is msgspec.UNSET or not _same(value, self.ne))
            and (isinstance(self.in_, msgspec.UnsetType) or any(_same(value, one) for one in self.in_))
            and (
                isinstance(self.not_in, msgspec.UnsetType)
                or not any(_same(value, one) for one in self.not_in)
            )
        )

    def _is_within(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (
            (isinstance(self.gt, msgspec.UnsetType) or value > self.gt)
            and (isinstance(self.ge, msgspec.UnsetType) or value >= self.ge)
            and (isinstance(self.lt, msgspec.UnsetType) or value < self.lt)
            and (isinstance(self.le, msgspec.UnsetType) or value <= self.le)
        )

    def _is_like(self, value: object) -> bool:
        if isinstance(self.matches, msgspec.UnsetType) or not isinstance(value, str):
            return True
        return re.search(self.matches, value) is not None


def _same(one: object, other: object) -> bool:
    """Whether two JSON values are equal. In JSON true isn't 1, as it is in Python."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


CONDITIONS = tuple(field.encode_name for field in msgspec.structs.fields(Condition))
"""What may stand in a condition, as operators and tools write it."""


class ApprovalRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a person must approve a call: always, never, or when all conditions on its arguments hold."""

    always: bool = False
    when: dict[str, Condition] = {}

    def asks(self, arguments: Arguments) -> bool:
        """Whether a call with these arguments needs a person.

        A condition on an argument that was left out holds: what the tool puts in its place isn't known here.
        """
        if self.always or not self.when:
            return self.always
        return all(
            name not in arguments or condition.holds(arguments[name]) for name, condition in self.when.items()
        )


ALWAYS = ApprovalRule(always=True)
NEVER = ApprovalRule()


class ToolTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tool as a grant holds it: its name, whose implementation it is, and on which terms.

    `source` names the implementation, such as `python:shop.tools:send_mail#5c1e0d…`, with a fingerprint of
    its schema; a tool that later comes from elsewhere, or takes other arguments, isn't the granted one.
    `role` is the weakest role whose authority reaches.
    """

    name: str
    source: str
    approval: ApprovalRule = NEVER
    replay: Replay = Replay.NEVER
    role: Role = Role.VIEWER


class ToolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent or a person is told of a tool. `parameters` is a JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, object]


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of an agent's table covers a tool: its name, `*`, or a beginning as in `mcp:x/*`."""
    return pattern == name or (pattern.endswith("*") and name.startswith(pattern[:-1]))


def most_exact(patterns: Iterable[str], name: str) -> str | None:
    """The pattern that says most about a tool: its very name, else the longest beginning. None if none."""
    fitting = [pattern for pattern in patterns if matches(pattern, name)]
    return max(fitting, key=lambda pattern: (pattern == name, len(pattern)), default=None)
