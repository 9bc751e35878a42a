"""Longer chaos than the tests have, by hand.

python -m tests.cluster.chaos FIRST [LAST] [--minutes N] [--lease S] [--only PRANK,…] [--keep FOLDER]
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import anyio

from tests.cluster.chaos.judgement import Judgement, chaos
from tests.cluster.chaos.monkey import Monkey
from tests.postgres.fixtures import Database, fresh
from tests.postgres.server import PostgresServer


def tell(seed: int, began: float, found: Judgement) -> None:
    """Print what came of one seed."""
    took = sorted(found.takeovers)
    print(f"seed {seed}: {time.monotonic() - began:.0f} s, {len(found.deeds)} deeds, {found.events} frames,")  # noqa: T201
    print(f"  {found.accepted} acknowledged, {found.calls} calls, answers {dict(found.answers)}")  # noqa: T201
    print(f"  takeovers after {', '.join(f'{each:.1f}' for each in took) or 'none'} s")  # noqa: T201
    print(f"  deeds: {', '.join(f'{deed.at:g} {deed.what} {deed.whom}' for deed in found.deeds)}")  # noqa: T201
    print(*found.faults[:40], sep="\n  FAULT ", flush=True)  # noqa: T201


async def one(
    seed: int, root: Path, server: PostgresServer, database: Database, given: argparse.Namespace
) -> Judgement:
    """The chaos of one seed."""

    async def play(monkey: Monkey) -> None:
        await monkey.play(given.minutes * 60)

    return await chaos(
        seed, root, database, server, play, lease_s=given.lease, count=given.hosts, sessions=given.sessions,
        pranks=given.only.split(",") if given.only else (),
    )  # fmt: skip


def main() -> int:
    """Chaos for each seed; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, nargs="?")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", default="", help="a folder for the homes and logs")
    given = parser.parse_args()
    broken = 0
    with PostgresServer(owners=[os.getpid()]) as server:
        for seed in range(given.first, (given.last or given.first) + 1):
            with fresh(server) as database, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                root, began = Path(given.keep or folder) / str(seed), time.monotonic()
                found = anyio.run(one, seed, root, server, database, given)
                tell(seed, began, found)
                broken += bool(found.faults)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
