"""The last steps of a move into a database, in its own words: what isn't in rows, and the index of titles."""

from collections.abc import Sequence

from tenure.core.moment import Micros
from tenure.ports.tables import Outline, Table
from tenure.stores.relational.acts.recovery import end_life
from tenure.stores.relational.tx import Tx

RESTORED = "restored"
"""The name of a life that holds what the hosts of the source held, and that nobody ever led."""

SOME = 500
"""So many rows are read or written at once."""

NAMED = """SELECT DISTINCT s.id, f.sha256 FROM file f JOIN session s ON s.no = f.session_no
WHERE s.state <> 'deleted' ORDER BY 1, 2"""
"""The bytes that sessions name. The same on every database, as the following are."""
TITLED = "SELECT no FROM session WHERE title IS NOT NULL AND state <> 'deleted' ORDER BY no"
HELD = "SELECT 1 FROM run WHERE owner IS NOT NULL LIMIT 1"
HISTORY = "SELECT value FROM meta WHERE name = 'history'"
LIVES = "SELECT incarnation FROM host ORDER BY incarnation"


def listed(columns: Sequence[str]) -> str:
    """Columns, as every database reads them."""
    return ", ".join(f'"{column}"' for column in columns)


def all_rows(table: Table, columns: Sequence[str]) -> str:
    """The query for all rows of a table in the order of its key. The names are those of our own schema."""
    order = ", ".join(f'"{column}" NULLS LAST' for column in table.key)
    return f'SELECT {listed(columns)} FROM "{table.name}" ORDER BY {order}'  # noqa: S608


def highest(table: str, column: str) -> str:
    """The query for the highest number in a table."""
    return f'SELECT coalesce(max("{column}"), 0) FROM "{table}"'  # noqa: S608


def arrive(tx: Tx, outline: Outline, titled: Sequence[int], *, held: bool) -> None:
    """Give the store its history, end all lives of the source, and put titles into the index.

    With `held`, live runs belong to a life that has run out: whoever starts first takes them up. The
    numbers that the source has given out are taken already.
    """
    tx.do("meta_put", name="history", value=outline.history)
    for incarnation in outline.lives:
        end_life(tx, incarnation, drained=False)
    if held:
        nowhere = {"name": RESTORED, "version": "", "slots": 0, "lease": 0, "now": Micros(0)}
        heir, due = tx.insert("host_join", **nowhere), outline.numbers.get("host", 0) + 1
        if heir != due:
            raise RuntimeError(f"The life {heir} was to hold all runs, but they are held by {due}.")
    for no in titled:
        tx.add_title(no)
