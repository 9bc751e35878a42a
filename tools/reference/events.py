"""The page of events: every type that can stand in a journal, with its fields."""

from tenure.core.entry import VERSIONS
from tenure.core.event import EVENTS
from tools.reference.markdown import code, document, table
from tools.reference.reserved import NOTE, mentioned
from tools.reference.shapes import Struct, about, fields, within

INTRO = """\
A journal is a list of entries, numbered from 1 without a gap. Every entry is one line of JSON with the
same envelope, whichever way it reaches you:

```json
{
  "seq": 12,
  "at": "2026-11-20T20:10:00.123456Z",
  "type": "message.delta",
  "run_id": "run_0193f2c4a5b87d6e9f00112233445566",
  "data": {"message_id": "msg_0193f2c4a5b97d6e9f00112233445566", "text": "Good morning"}
}
```

`seq` is the number, and the cursor: who has seen 12 asks for what comes after 12. `at` is when the host
accepted the entry; it is information and decides nothing. `run_id` names the run that an entry belongs
to, or is null. `data` holds the fields below. A field with a default is left out while it holds that
default, unless the type says *always whole*. Readers skip types and fields that they don't know: newer
servers may add some."""


def page() -> str:
    """The whole page."""
    summary = table(
        ["type", "what happened"],
        [[f"[{code(name)}](#{anchor(name)})", about(cls)] for name, cls in EVENTS.items()],
    )
    inner = sorted({s for cls in EVENTS.values() for s in within(cls)}, key=lambda s: s.__name__)
    return document(
        "Events",
        INTRO,
        summary,
        *(_section(name, cls) for name, cls in EVENTS.items()),
        "## Shapes within events",
        *(f"### {cls.__name__}\n\n{about(cls)}\n\n{_table(cls)}" for cls in inner),
    )


def anchor(name: str) -> str:
    """Where the heading of an event type is found on the page."""
    return name.replace(".", "")


def _section(name: str, cls: Struct) -> str:
    whole = "" if cls.__struct_config__.omit_defaults else " *Always whole.*"
    version = f" Schema version {VERSIONS[name]}." if name in VERSIONS else ""
    note = "" if cls.__name__ in mentioned() else f"{NOTE}\n\n"
    return f"## {name}\n\n{about(cls)}{whole}{version}\n\n{note}{_table(cls)}"


def _table(cls: Struct) -> str:
    rows = [[code(field.name), field.holds, field.default or "always there"] for field in fields(cls)]
    return table(["field", "holds", "default"], rows)
