"""What an act writes to rows that acts of other sessions write to as well: at its end, in one order for all.

So nobody holds such a row for longer than the commit takes, and no two acts wait for each other. Used by
`tx`; until then reads of slots count what is still to be written.
"""

from collections.abc import Callable, Mapping

from tenure.stores.relational.tx import Moved

Do = Callable[..., int]
STRIPES = 16
"""So many runs are started at once by all hosts, at most; those of one author one after the other."""


class _Slots:
    """What becomes of one author's slots."""

    __slots__ = ("comes", "live", "queued", "served")

    def __init__(self) -> None:
        self.live = self.queued = 0
        self.comes = self.served = False

    def move(self, live: int, queued: int) -> None:
        self.live += live
        self.queued += queued
        self.comes = self.comes or queued > 0
        self.served = self.served or queued < 0 < live

    @property
    def matters(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.live or self.queued or self.comes or self.served)


class Late:
    """What is to be written at the end of one act."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], _Slots] = {}
        self._spent: list[Mapping[str, object]] = []
        self._schedules: dict[tuple[str, str], int] = {}

    def move_slots(self, tenant: str, author: str, live: int, queued: int) -> None:
        """A run of the author began or ceased to hold a slot, or to wait for one."""
        self._slots.setdefault((tenant, author), _Slots()).move(live, queued)

    def moved(self, tenant: str, author: str) -> Moved:
        """What this act did to all slots, and to those of one author."""
        own = self._slots.get((tenant, author))
        live = sum(each.live for each in self._slots.values())
        queued = sum(each.queued for each in self._slots.values())
        return Moved(live, queued, 0 if own is None else own.live)

    def keep(self, name: str, values: Mapping[str, object]) -> bool:
        """Take a statement that has to wait for the end. False if it is none of those."""
        match name:
            case "spent_of_day":
                self._spent.append(values)
            case "schedule_quota_move":
                whose = str(values["tenant"]), str(values["owner"])
                self._schedules[whose] = self._schedules.get(whose, 0) + int(str(values["open"]))
            case _:
                return False
        return True

    def write(self, do: Do) -> None:
        """Write it all: quotas of schedules, slots, days, each in the order of their keys."""
        for (tenant, owner), more in sorted(self._schedules.items()):
            do("schedule_quota_moved", tenant=tenant, owner=owner, open=more)
        for (tenant, author), moved in sorted(self._slots.items(), key=lambda item: item[0]):
            if moved.matters:
                do(
                    "slot_move",
                    tenant=tenant,
                    author=author,
                    live=moved.live,
                    queued=moved.queued,
                    comes=int(moved.comes),
                    served=int(moved.served),
                )
        if self._spent:
            columns = {f"{name}s": [each[name] for each in self._spent] for name in self._spent[0]}
            do("spent_of_days", **columns)
