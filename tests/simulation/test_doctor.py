"""The doctor over a real store: a sound one gets no finding, and every tampering is named."""

import asyncio

import pytest

from tenure.core.command import OpenSession, SendMessage
from tenure.core.evidence import Acknowledged, Observed
from tenure.core.invariants import Invariant, Violation
from tenure.core.limits import Limits
from tenure.core.principal import Principal, Role
from tenure.host.doctor import examine
from tests.simulation.loop import SimLoop
from tests.simulation.world import World

ADA = Principal(tenant="acme", user="ada", role=Role.MEMBER, key_id="key_1")


def findings(*tampering: str, observed: dict[str, Observed] | None = None) -> list[Violation]:
    """What the doctor finds after two talks, one of them still running, and some SQL."""

    async def main(world: World) -> list[Violation]:
        await world.boot()
        await world.welcome([ADA])
        life = await world.living()
        for script in ("SAY hello", "HANG"):
            opened = await life.host.commands.open_session(ADA, OpenSession(agent="scripted"), None)
            await life.host.commands.send(ADA, opened.value.id, SendMessage(content=script), None)
        await asyncio.sleep(5)
        for statement in tampering:
            world.disk.db.execute(statement)
        return await examine(life.store, observed or {})

    loop = SimLoop(1)
    world = World(loop, 1, Limits())
    try:
        return loop.run(main(world))
    finally:
        loop.close()
        world.close()


def test_a_sound_store_has_no_finding() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("tampering", "invariants"),
    [
        ("UPDATE head SET seq = seq + 1 WHERE session_no = 1", {Invariant.NUMBERS}),
        ("UPDATE message SET content = '\"hullo\"' WHERE role = 'assistant'", {Invariant.TRANSCRIPT}),
        ("DELETE FROM message WHERE role = 'user' AND session_no = 1", {Invariant.TRANSCRIPT}),
        ("UPDATE run SET state = 'failed' WHERE state = 'completed'", {Invariant.RUNS}),
        ("UPDATE run SET grant_digest = 'other' WHERE session_no = 1", {Invariant.GRANT}),
        ("UPDATE session SET queue_held = 1 WHERE no = 1", {Invariant.SESSION_ROW}),
        ("UPDATE slot SET live = live + 1", {Invariant.COUNTERS}),
        ("UPDATE quota SET open = open + 1", {Invariant.COUNTERS}),
        ("DELETE FROM host", {Invariant.OWNERS, Invariant.COUNTERS}),
        ("UPDATE journal SET body = X'7B7D' WHERE pos = 1", {Invariant.ENTRIES, Invariant.BIRTH}),
    ],
)
def test_tampering_is_found(tampering: str, invariants: set[Invariant]) -> None:
    assert {violation.invariant for violation in findings(tampering)} == invariants


def test_a_session_that_clients_know_and_the_store_does_not_is_found() -> None:
    told = Observed(acknowledged=(Acknowledged(1, "session.created"),))
    (violation,) = findings(observed={"ses_gone": told})
    assert (violation.invariant, violation.session_id) == (Invariant.ACKNOWLEDGED, "ses_gone")
