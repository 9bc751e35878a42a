"""What people allow for the rest of a session: calls of one tool, by whoever the first of them was of."""

import msgspec

from tenure.core.origin import Origin, speaker
from tenure.stores.relational.acts.rows import RunRow, SessionRow
from tenure.stores.relational.tx import Tx


def author_key(user: str, origin: str | None) -> str | None:
    """For whom a tool is allowed, by sender and origin of a message; None if nobody knows who that is."""
    who = speaker(user, msgspec.json.decode(origin, type=Origin) if origin else Origin())
    return None if who is None else msgspec.json.encode(who).decode()


def remembered_as(tool: str, *, own: bool) -> str:
    """Under which name a tool is remembered: an agent's own is never taken for the host's of that name."""
    return f"own:{tool}" if own else tool


def is_allowed(tx: Tx, session: SessionRow, run: RunRow, tool: str) -> bool:
    """Whether a person allowed the tool for whoever the run's message is of."""
    row = tx.one("call_origin", no=session.no, id=run.message_id)
    author = author_key(run.author, None if row is None else row[0])
    if author is None:
        return False
    return tx.one("remembered_get", no=session.no, tool=tool, author=author) is not None
