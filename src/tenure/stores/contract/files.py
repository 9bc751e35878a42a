"""Cases: files of sessions. Their names are free, their room is limited, and the journal tells of each."""

import asyncio
import hashlib
from collections.abc import Sequence

import pytest

from tenure.core.artifact import Blob, FileInfo, FileKind, NewFile
from tenure.core.command import CloseSession
from tenure.core.event import ArtifactCreated, ArtifactDeleted
from tenure.core.ids import ARTIFACT
from tenure.core.limits import Limits
from tenure.core.principal import Principal
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Lease
from tenure.stores.contract.stage import ADA, BOB, DIGEST, Cases, Stage, Stages, refusal


def bytes_of(text: str) -> Blob:
    """The hash and size of a text. The bytes themselves are no matter of the store."""
    return Blob(hashlib.sha256(text.encode()).hexdigest(), len(text.encode()))


def file(stage: Stage, name: str, text: str = "hello") -> NewFile:
    """A file that is about to be kept."""
    return NewFile(id=stage.ids.new(ARTIFACT), name=name, media_type="text/plain", blob=bytes_of(text))


async def uploaded(
    stage: Stage,
    session_id: str,
    name: str = "a.txt",
    text: str = "hello",
    *,
    by: Principal = ADA,
    key: str | None = None,
    digest: str = DIGEST,
    taken: Sequence[str] = (),
) -> Answer[FileInfo]:
    """Upload a file."""
    new = file(stage, name, text)
    return await stage.store.files.upload(stage.stamp(by, key, digest), session_id, new, taken)


async def saved(
    stage: Stage, run_id: str, name: str, text: str = "hello", lease: Lease | None = None
) -> FileInfo:
    """Let a run keep a file."""
    return await stage.store.files.save(lease or stage.lease, run_id, stage.at(), file(stage, name, text))


class FileCases(Cases):
    """What was sent, and what runs made."""

    async def test_an_upload_is_a_file_and_an_event(self, stage: Stage) -> None:
        session_id = await stage.open()
        info = (await uploaded(stage, session_id)).value
        (event,) = await stage.events(session_id, 1)

        assert info == FileInfo(
            id=info.id,
            name="a.txt",
            media_type="text/plain",
            size=5,
            sha256=bytes_of("hello").sha256,
            kind=FileKind.UPLOAD,
            by="ada",
            run_id=None,
            created_at=info.created_at,
        )
        assert event == ArtifactCreated(
            artifact_id=info.id,
            name="a.txt",
            media_type="text/plain",
            size=5,
            sha256=info.sha256,
            by="ada",
        )
        assert await stage.store.files.get(session_id, info.id) == info
        assert await stage.store.files.all(session_id) == (info,)

    async def test_an_artifact_carries_its_run(self, stage: Stage) -> None:
        start = await stage.begin()
        info = await saved(stage, start.run_id, "report.csv")
        last = (await stage.journal(start.session_id))[-1]

        assert (info.kind, info.by, info.run_id) == (FileKind.ARTIFACT, None, start.run_id)
        assert last.run_id == start.run_id
        assert last.event == ArtifactCreated(
            artifact_id=info.id, name="report.csv", media_type="text/plain", size=5, sha256=info.sha256
        )

    @pytest.mark.sources("D-O17")
    async def test_files_of_one_name_get_numbers(self, stage: Stage) -> None:
        start = await stage.begin()
        names = [
            (await uploaded(stage, start.session_id, "a.txt", "1")).value.name,
            (await uploaded(stage, start.session_id, "A.TXT", "2")).value.name,
            (await saved(stage, start.run_id, "a.txt", "3")).name,
            (await uploaded(stage, start.session_id, "b", "4", taken=("b", "b (2)"))).value.name,
        ]

        assert names == ["a.txt", "A (2).TXT", "a (3).txt", "b (3)"]

    async def test_what_an_earlier_attempt_made_is_made_once(self, stage: Stage) -> None:
        start = await stage.begin()
        await uploaded(stage, start.session_id, "a.txt", "other")
        first = await saved(stage, start.run_id, "a.txt")
        again = await saved(stage, start.run_id, "a.txt")
        changed = await saved(stage, start.run_id, "a.txt", "new words")

        assert first == again
        assert [f.name for f in await stage.store.files.all(start.session_id)] == [
            "a.txt",
            "a (2).txt",
            "a (3).txt",
        ]
        assert changed.name == "a (3).txt"

    async def test_a_run_that_is_over_makes_no_files(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id, RunState.COMPLETED)
        with pytest.raises(TenureError) as late:
            await saved(stage, start.run_id, "a.txt")

        assert late.value.code is Code.FENCED
        assert await stage.store.files.all(start.session_id) == ()

    async def test_a_host_that_lost_its_lease_makes_no_files(self, stages: Stages, stage: Stage) -> None:
        start = await stage.begin()
        await stages.lapse(stage)
        await stage.store.reap(await stages.lapse(stage), stage.at())
        with pytest.raises(TenureError) as fenced:
            await saved(stage, start.run_id, "a.txt")

        assert fenced.value.code is Code.FENCED

    async def test_a_session_takes_as_many_files_as_its_limit_says(self, stages: Stages) -> None:
        stage = await stages.open(Limits(files_per_session=2))
        start = await stage.begin()
        await uploaded(stage, start.session_id, "a")
        await saved(stage, start.run_id, "b")
        with pytest.raises(TenureError) as upload:
            await uploaded(stage, start.session_id, "c")
        with pytest.raises(TenureError) as artifact:
            await saved(stage, start.run_id, "c")
        elsewhere = await uploaded(stage, await stage.open(), "c")

        expected = (Code.CAPACITY, {"scope": "per_session", "limit": 2, "current": 2})
        assert refusal(upload) == refusal(artifact) == expected
        assert elsewhere.value.name == "c"

    async def test_a_session_takes_as_many_bytes_as_its_limit_says(self, stages: Stages) -> None:
        stage = await stages.open(Limits(files_bytes_per_session=10))
        session_id = await stage.open()
        await uploaded(stage, session_id, "a", "12345")
        with pytest.raises(TenureError) as refused:
            await uploaded(stage, session_id, "b", "123456")
        await uploaded(stage, session_id, "c", "12345")
        await uploaded(stage, session_id, "d", "")

        assert refusal(refused) == (Code.CAPACITY, {"scope": "per_session", "limit": 10, "current": 5})
        assert [f.name for f in await stage.store.files.all(session_id)] == ["a", "c", "d"]

    async def test_racing_uploads_never_pass_the_limit(self, stages: Stages) -> None:
        stage = await stages.open(Limits(files_per_session=5))
        session_id = await stage.open()
        racing = (uploaded(stage, session_id, f"{n}") for n in range(20))
        outcomes = await asyncio.gather(*racing, return_exceptions=True)
        refused = [o.code for o in outcomes if isinstance(o, TenureError)]

        assert refused == [Code.CAPACITY] * 15
        assert len(await stage.store.files.all(session_id)) == 5

    async def test_the_same_upload_twice_is_one_file(self, stage: Stage) -> None:
        session_id = await stage.open()
        first = await uploaded(stage, session_id, key="k")
        again = await uploaded(stage, session_id, key="k")
        with pytest.raises(TenureError) as refused:
            await uploaded(stage, session_id, key="k", digest="1" * 64)

        assert again == Answer(first.value, replayed=True)
        assert refused.value.code is Code.IDEMPOTENCY_CONFLICT
        assert await stage.store.files.all(session_id) == (first.value,)

    async def test_a_deleted_file_is_gone_and_its_bytes_free_unless_another_has_them(
        self, stage: Stage
    ) -> None:
        session_id = await stage.open()
        one = (await uploaded(stage, session_id, "one")).value
        two = (await uploaded(stage, session_id, "two")).value
        gone = await stage.store.files.delete(stage.stamp(BOB), session_id, one.id)
        shared = await stage.store.files.refers(session_id, one.sha256)
        await stage.store.files.delete(stage.stamp(), session_id, two.id)

        assert gone == one
        assert shared
        assert not await stage.store.files.refers(session_id, one.sha256)
        assert await stage.store.files.all(session_id) == ()
        assert (await stage.events(session_id))[-2:] == [
            ArtifactDeleted(artifact_id=one.id, by="bob"),
            ArtifactDeleted(artifact_id=two.id, by="ada"),
        ]

    async def test_a_file_is_deleted_once(self, stage: Stage) -> None:
        session_id = await stage.open()
        info = (await uploaded(stage, session_id)).value
        await stage.store.files.delete(stage.stamp(), session_id, info.id)
        with pytest.raises(TenureError) as refused:
            await stage.store.files.delete(stage.stamp(), session_id, info.id)

        assert refusal(refused) == (Code.NOT_FOUND, {"id": info.id})

    async def test_files_of_another_session_are_not_there(self, stage: Stage) -> None:
        mine, other = await stage.open(), await stage.open(BOB)
        info = (await uploaded(stage, mine)).value
        with pytest.raises(TenureError) as refused:
            await stage.store.files.delete(stage.stamp(BOB), other, info.id)

        assert await stage.store.files.get(other, info.id) is None
        assert not await stage.store.files.refers(other, info.sha256)
        assert refused.value.code is Code.NOT_FOUND

    async def test_a_closed_session_keeps_its_files_and_takes_no_more(self, stage: Stage) -> None:
        session_id = await stage.open()
        info = (await uploaded(stage, session_id)).value
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        with pytest.raises(TenureError) as refused:
            await uploaded(stage, session_id, "b.txt")
        kept = await stage.store.files.all(session_id)
        await stage.store.files.delete(stage.stamp(), session_id, info.id)

        assert refused.value.code is Code.SESSION_CLOSED
        assert kept == (info,)
        assert await stage.store.files.all(session_id) == ()

    async def test_the_files_of_a_deleted_session_are_gone_at_once(self, stage: Stage) -> None:
        session_id = await stage.open()
        info = (await uploaded(stage, session_id)).value
        await stage.store.delete_session(stage.stamp(), session_id)
        hidden = await stage.store.files.get(session_id, info.id), await stage.store.files.all(session_id)
        with pytest.raises(TenureError) as refused:
            await uploaded(stage, session_id, "b.txt")
        while await stage.store.purge(stage.at()):
            pass

        assert hidden == (None, ())
        assert not await stage.store.files.refers(session_id, info.sha256)
        assert refused.value.code is Code.NOT_FOUND
        assert await stage.store.audit(session_id) is None

    async def test_files_are_listed_page_by_page_oldest_first(self, stage: Stage) -> None:
        session_id = await stage.open()
        infos = [(await uploaded(stage, session_id, f"{n}.txt")).value for n in range(5)]
        pages = [await stage.store.files.page(session_id, None, 2)]
        while pages[-1].next_cursor is not None:
            pages.append(await stage.store.files.page(session_id, pages[-1].next_cursor, 2))
        with pytest.raises(TenureError) as refused:
            await stage.store.files.page(session_id, "x", 2)

        assert [page.data for page in pages] == [infos[:2], infos[2:4], infos[4:]]
        assert refused.value.code is Code.BAD_CURSOR

    async def test_files_outlive_the_host(self, stages: Stages, stage: Stage) -> None:
        start = await stage.begin()
        infos = (
            (await uploaded(stage, start.session_id)).value,
            await saved(stage, start.run_id, "made.txt"),
        )
        after = await stages.restart(stage)
        await after.store.reap(after.lease, after.at())

        assert await after.store.files.all(start.session_id) == infos
