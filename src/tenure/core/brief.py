"""What is left out of a brief journal: the pieces of what stands whole in it. Stores and the client go by it.

A message that is said piece by piece ends with an event that holds all of it, and so does reasoning. A brief
journal keeps the first piece of each message, because the transcript has the message from there on; and
every piece of what isn't whole yet. Folding it gives the transcript that the whole journal gives.
"""

from tenure.core.entry import entry
from tenure.core.event import MessageDelta
from tenure.core.moment import Micros

_SAMPLE = entry(Micros(0), MessageDelta("", "")).line

SPOKEN = b'"message.delta","'
"""How the type of a piece of a message stands in a stored line, cut to the size of the other."""
THOUGHT = b'"reasoning.delta"'
"""The same of a piece of reasoning."""
TYPE_AT = _SAMPLE.index(SPOKEN)
"""Where the type stands in a stored line: its moment always takes the same room."""
TYPE_SIZE = len(SPOKEN)

_AT = TYPE_AT - 1
"""The same in a line without its opening brace."""
_COMPLETED = b'"message.completed"'
_ENDS = (_COMPLETED, b'"reasoning.completed"', b'"tool.call.started"', b'"run.started"', b'"run.retried"')


def is_spoken(rest: bytes) -> bool:
    """Whether a line, without its opening brace, is a piece of a message."""
    return rest.startswith(SPOKEN, _AT)


def is_thought(rest: bytes) -> bool:
    """Whether it is a piece of reasoning."""
    return rest.startswith(THOUGHT, _AT)


def is_completed(rest: bytes) -> bool:
    """Whether it is a message of the agent, whole or cut off."""
    return rest.startswith(_COMPLETED, _AT)


def ends_speech(rest: bytes, run_id: str) -> bool:
    """Whether nothing that this run was saying goes on behind the line."""
    return rest.startswith(_ENDS, _AT) and b'"%b"' % run_id.encode() in rest[: rest.find(b',"data":')]
