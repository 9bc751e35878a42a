"""The named statements of `sql/*.sql`, with the guards that the state tables give them.

A statement begins with `-- name: purpose`. `{run.claim}` stands for the states from which a run can be
claimed, `{run.live}` and `{run.slot}` for sets of states: the SQL never spells a rule of its own.
"""

import re
from collections.abc import Iterator
from importlib.resources import files

from tenure.core.approval import APPROVAL
from tenure.core.effect import EFFECT
from tenure.core.machine import G, Machine, S
from tenure.core.message import MESSAGE
from tenure.core.run import FAULTS, LIVE_RUNS, RUN, SLOT_STATES
from tenure.core.schedule import OCCURRENCE, SCHEDULE
from tenure.core.session import SESSION

_HEADING = re.compile(r"^-- (\w+): .+$", re.MULTILINE)
_SNIPPET = re.compile(r"\{(\w+\.\w+)\}")


def _guards(machine: Machine[S, G]) -> Iterator[tuple[str, str]]:
    signals = {s for state in machine.states for s in machine.signals(state)}
    for signal in signals:
        yield f"{machine.noun}.{signal}", machine.guard("state", signal)


SNIPPETS: dict[str, str] = {
    **dict(_guards(RUN)),
    **dict(_guards(MESSAGE)),
    **dict(_guards(SESSION)),
    **dict(_guards(APPROVAL)),
    **dict(_guards(EFFECT)),
    **dict(_guards(SCHEDULE)),
    **dict(_guards(OCCURRENCE)),
    "run.live": RUN.among("state", LIVE_RUNS),
    "run.slot": RUN.among("state", SLOT_STATES),
    "run.fault": RUN.among("state", FAULTS),
}


def load(text: str) -> dict[str, str]:
    """Name -> statement, snippets filled in. Raises KeyError for a snippet that no table has."""
    parts = _HEADING.split(text)
    named = zip(parts[1::2], parts[2::2], strict=True)
    return {name: _SNIPPET.sub(lambda m: SNIPPETS[m[1]], sql).strip() for name, sql in named}


def dialect(package: str) -> dict[str, str]:
    """The statements that all databases share, and those of one database's own `sql` folder.

    Raises RuntimeError if a name is used twice.
    """
    named: dict[str, str] = {}
    for folder in ("tenure.stores.relational", package):
        for file in sorted(files(folder).joinpath("sql").iterdir(), key=lambda f: f.name):
            for name, sql in load(file.read_text("utf-8")).items():
                if name in named:
                    raise RuntimeError(f"The statement {name} of {file.name} stands in another file too.")
                named[name] = sql
    return named
