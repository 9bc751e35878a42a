"""The bug zoo's house for several hosts: leases, takeovers, claims, and what they tell each other."""

from functools import partial
from typing import Any

from tenure.core.event import RunInterrupting
from tenure.host.executions import Executions
from tenure.host.leases import Leases
from tenure.host.order import Order
from tenure.host.relay import Relay
from tenure.ports.acts import Lease, Wake
from tenure.ports.store import Block
from tenure.stores.postgres.store import PostgresStore
from tenure.stores.relational import locks, statements
from tenure.stores.relational.acts import recovery, runs, slots, starts
from tests.simulation.shore import SharedTx
from tests.simulation.zoo import Bug, Patch, answers, returns, sql, swap

BUGS: list[Bug] = []


def bug(plant: Bug) -> Bug:
    BUGS.append(plant)
    return plant


# --- one writer


@bug
def writes_without_asking_whether_its_host_stands(patch: Patch) -> None:
    patch.setattr(SharedTx, "stands", returns(None))


@bug
def gives_a_host_up_and_leaves_its_row(patch: Patch) -> None:
    sql(patch, "host_expire", "DELETE FROM host WHERE", "UPDATE host SET draining = 1 WHERE")


@bug
def takes_up_what_another_host_holds(patch: Patch) -> None:
    for name in ("run_orphans", "run_orphaned"):
        sql(patch, name, "AND NOT EXISTS (SELECT 1 FROM host h WHERE h.incarnation = r.owner)", "")


# --- leases


@bug
def judges_leases_by_the_clocks_of_hosts(patch: Patch) -> None:
    def now(_: Any, at: Any) -> Any:
        return at

    patch.setattr(SharedTx, "now", now)


@bug
def gives_others_up_right_after_an_outage(patch: Patch) -> None:
    def eager(renew: Any) -> Any:
        async def renewed(self: Any, lease: Lease) -> None:
            self._failing, self._since = False, -1e9
            await renew(self, lease)

        return renewed

    swap(patch, Leases, "_renew", eager)
    patch.setattr(Leases, "_is_broken", returns(False))


@bug
def goes_on_when_its_lease_is_over(patch: Patch) -> None:
    patch.setattr(Leases, "_check", returns(None))
    patch.setattr(Leases, "firm", returns(True))


@bug
def keeps_its_executions_in_its_next_life(patch: Patch) -> None:
    patch.setattr(Executions, "halt", returns(None))


@bug
def never_gives_anybody_up(patch: Patch) -> None:
    patch.setattr(recovery, "give_up", returns(0))


# --- claims


@bug
def claims_what_it_saw_a_moment_ago(patch: Patch) -> None:
    async def claim(self: Any, lease: Lease, room: int, at: Any) -> Wake:
        def look(db: Any) -> list[str]:
            return [row[0] for row in db.db.execute("SELECT id FROM run WHERE state = 'queued' ORDER BY no")]

        def take(tx: Any, run_id: str) -> Any:
            run = runs.run_row(tx, run_id)
            assert run is not None
            with_it = runs.session_of(tx, run.session_no)
            return starts.claim_one(tx, with_it, run, at, lease, self._rules)

        found = await self._lane.peek(look)
        begun = [await self._lane.write(partial(take, run_id=each), locks.host(lease)) for each in found[:1]]
        return Wake(tuple(begun), len(found))

    patch.setattr(PostgresStore, "claim", claim)
    sql(patch, "run_claim", statements.SNIPPETS["run.claim"], "finished_at IS NULL")


@bug
def claims_beyond_the_limit(patch: Patch) -> None:
    patch.setattr(slots.Slots, "room", returns(True))


# --- what other hosts wrote


@bug
def hands_on_what_comes_early(patch: Patch) -> None:
    def take(self: Any, block: Block) -> list[Block]:
        self.head = max(self.head, block.last)
        if self.delivered is None or block.last <= self.delivered:
            return []
        self.delivered = block.last
        return [block]

    patch.setattr(Order, "take", take)


@bug
def believes_in_hints_alone(patch: Patch) -> None:
    patch.setattr(Relay, "_poll", answers(None))


def _deaf_to(patch: Patch, type_: type[object]) -> None:
    def without(block: Any) -> Any:
        def made(self: Any, *rest: Any) -> Block:
            found: Block = block(self, *rest)
            found.entries = tuple(entry for entry in found.entries if type(entry.event) is not type_)
            return found

        return made

    swap(patch, Relay, "_block", without)


@bug
def stops_no_run_that_was_stopped_at_another_host(patch: Patch) -> None:
    _deaf_to(patch, RunInterrupting)
