"""Gathering: hints that wait to be sent, put together. Both adapters send from it."""

from tenure.ports.signals import Hint


def sum_of(hints: "list[Hint]") -> Hint:
    """One hint that says what all of them say: of each session the highest head."""
    heads: dict[str, int] = {}
    for hint in hints:
        for session_id, head in hint.heads.items():
            heads[session_id] = max(head, heads.get(session_id, 0))
    return Hint(
        heads=heads,
        work=any(hint.work for hint in hints),
        timers=any(hint.timers for hint in hints),
        hosts=any(hint.hosts for hint in hints),
        missed=any(hint.missed for hint in hints),
    )
