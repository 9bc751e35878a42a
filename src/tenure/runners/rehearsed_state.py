"""State without a host, for a rehearsed run: the same rules, kept in a dict and journaled nowhere."""

from collections.abc import Mapping

import msgspec

from tenure.core.grant import StatePolicy
from tenure.core.scope import (
    SCOPES,
    Scope,
    Snapshot,
    check_key,
    check_policy,
    check_ttl,
    encoded,
    expected,
)
from tenure.core.state import StateValue

Given = Mapping[str, Mapping[str, object]]

DEFAULT = StatePolicy()


def state_policy(given: Given) -> StatePolicy:
    """What a rehearsed run may use: the scopes that agents have by default, and those that are given."""
    return StatePolicy(scopes=tuple(s for s in SCOPES if s in DEFAULT.scopes or s in given))


class FakeState:
    """The state of a rehearsed run. `snapshot` is what was given; `get` sees what the agent wrote too."""

    def __init__(self, given: Given, policy: StatePolicy) -> None:
        lines = {Scope(s): {key: encoded(value) for key, value in given[s].items()} for s in given}
        self._policy = policy
        self._lines = {(s, key): (line, 1) for s in lines for key, line in lines[s].items()}
        self._floor = 0
        self._snapshot = Snapshot(lines)

    @property
    def snapshot(self) -> Snapshot:
        """All four scopes as they were given."""
        return self._snapshot

    async def get(self, scope: str, key: str) -> StateValue | None:
        """The value as it is now."""
        place = check_policy(self._policy, scope), check_key(key)
        found = self._lines.get(place)
        if found is None:
            return None
        line, version = found
        return StateValue(scope=place[0], key=place[1], value=msgspec.json.decode(line), version=version)

    async def entries(self, scope: str) -> dict[str, StateValue]:
        """Every value of a scope as it is now, by its key."""
        named = check_policy(self._policy, scope)
        found = [await self.get(scope, key) for s, key in self._lines if s == named]
        return {each.key: each for each in found if each is not None}

    async def set(
        self,
        scope: str,
        key: str,
        value: object,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
    ) -> int:
        """Keep a value; its version. Time doesn't pass here, so nothing expires."""
        place = check_policy(self._policy, scope), check_key(key)
        check_ttl(ttl_s)
        line, version = encoded(value), self._check(place, if_version)
        self._lines[place] = line, (version or self._floor) + 1
        return self._lines[place][1]

    async def delete(self, scope: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete a value. False if there was none."""
        place = check_policy(self._policy, scope), check_key(key)
        version = self._check(place, if_version)
        self._floor = max(self._floor, version + 1) if version else self._floor
        return self._lines.pop(place, None) is not None

    def _check(self, place: tuple[Scope, str], if_version: int | None) -> int:
        """The version that is there, 0 for none. Raises TenureError `stale` if another was expected."""
        version = self._lines.get(place, (b"", 0))[1]
        wanted = expected(if_version)
        if wanted is not None:
            wanted.check(place[1], version)
        return version
