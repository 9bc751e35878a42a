"""Files in an agent's hands: rehearsed without a host, and on a small one."""

import gc
from collections.abc import AsyncIterator

import pytest

import tenure
from tenure.core.event import ArtifactCreated
from tenure.core.output import Output, completed
from tenure.errors import Code, TenureError
from tenure.testing import FakeRun, hosting, rehearse, spoken

pytestmark = pytest.mark.anyio


@tenure.agent("keeper")
async def keeper(run: tenure.Run) -> AsyncIterator[str | Output]:
    """Keeps what it is told, and what lies in its folder."""
    (run.files.folder / "draft.txt").write_text(run.message.text)
    kept = await run.files.save("notes.txt", run.message.text.encode())
    again = await run.files.save("notes.txt", b"more")
    yield f"{kept.name}, {again.name}: {(await run.files.read(kept.artifact_id)).decode()}"
    yield tenure.Artifact("report.csv", b"a,b\n")


async def test_a_rehearsed_run_has_a_folder_and_keeps_what_it_saves() -> None:
    run = FakeRun("hello")
    outputs = await rehearse(keeper, run)

    assert spoken(outputs) == "notes.txt, notes (2).txt: hello"
    assert outputs[1:] == [tenure.Artifact("report.csv", b"a,b\n"), completed()]
    assert run.files.saved == {"notes.txt": b"hello", "notes (2).txt": b"more"}
    assert [info.name for info in await run.files.infos()] == ["notes.txt", "notes (2).txt"]
    assert (run.files.folder / "draft.txt").read_text() == "hello"


async def test_the_folder_of_a_rehearsed_run_goes_with_it() -> None:
    run = FakeRun()
    folder = run.files.folder
    there = folder.is_dir()
    del run
    gc.collect()

    assert (there, folder.exists()) == (True, False)


async def test_a_rehearsed_run_reads_only_what_it_saved() -> None:
    with pytest.raises(TenureError) as refused:
        await FakeRun().files.read("art_0")

    assert refused.value.code is Code.NOT_FOUND


async def test_an_agent_on_a_small_host_makes_artifacts() -> None:
    async with hosting(keeper) as small:
        session = await small.open("keeper")
        events = await session.say("hello")
        infos = await small.host.store.files.all(session.session_id)

    made = [event.event for event in events if isinstance(event.event, ArtifactCreated)]
    assert [(file.name, file.media_type, file.size) for file in made] == [
        ("notes.txt", "text/plain", 5),
        ("notes (2).txt", "text/plain", 4),
        ("report.csv", "text/csv", 4),
    ]
    assert [info.id for info in infos] == [file.artifact_id for file in made]
