"""Replay one seed and tell its story: `python -m tests.simulation SEED [KIND]`."""

import sys

from tests.simulation import fleets
from tests.simulation.schedule import KINDS, run


def main(seed: int, kind: str = "client") -> int:
    several = fleets.FLEETS.get(kind)
    outcome = run(seed, KINDS[kind]) if several is None else fleets.run(seed, several)
    print("\n".join(outcome.log))  # noqa: T201 - the story is this command's output
    print(f"seed {seed}: {outcome.steps} steps, trace {outcome.trace}")  # noqa: T201
    if outcome.faults:
        print("\n".join(outcome.journals))  # noqa: T201
    for fault in outcome.faults:
        print(f"FAULT {fault}")  # noqa: T201
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
