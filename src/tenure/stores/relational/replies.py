"""The text of a message that is still being said, from its deltas."""

from tenure.core.entry import record
from tenure.core.event import MessageDelta


def delta_text(seq: int, line: bytes, message_id: str) -> list[str]:
    """The text that an entry adds to a message: none or one piece."""
    if message_id.encode() not in line:
        return []
    event = record(seq, line).event
    return [event.text] if isinstance(event, MessageDelta) and event.message_id == message_id else []
