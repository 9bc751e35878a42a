"""Files in a host: what is sent lies in the folder, what runs make is kept, nothing outlives its session."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tenure.core.artifact import MAX_FILE_BYTES, Attached, Attachment, FileInfo, FileKind, created
from tenure.core.command import SendMessage
from tenure.core.content import FilePart, TextPart
from tenure.core.event import (
    ArtifactCreated,
    ArtifactFailed,
    MessageDelta,
    RunFinished,
)
from tenure.core.limits import Limits
from tenure.core.output import Artifact, Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.host.files import ATTACHMENTS, guess
from tenure.ports.files import Fetched
from tenure.ports.runner import RunContext
from tenure.ports.store import Stamp
from tenure.stores.folders import DiskFolders
from tests.host.rooms import ADA, Rooms, Talk, agent, end, in_virtual_time, said, talk_with, warnings
from tests.simulation.lane import at_once


async def quiet(run: RunContext) -> AsyncIterator[Output]:
    """Says what lies in its folder."""
    yield Text(", ".join(sorted(os.listdir(run.files.folder))))
    yield completed()


async def send_file(talk: Talk, name: str, data: bytes = b"hello") -> FileInfo:
    """Upload a file, as the HTTP face does."""
    files = talk.rooms.host.files

    async def upload() -> FileInfo:
        incoming = files.folders.receive(talk.session_id)
        await incoming.write(data)
        return (await files.upload(talk.by, talk.session_id, incoming, name=name)).value

    return await talk.rooms.there(upload())


async def attach(talk: Talk, *attachments: Attachment, key: str | None = None) -> list[Attached]:
    """Let attachments come with an event."""
    files = talk.rooms.host.files
    return await talk.rooms.there(files.attach(talk.session_id, talk.by, attachments, key))


async def blobs(talk: Talk) -> list[str]:
    """The hashes of the bytes that are on disk for the session."""
    return await talk.rooms.disk.folders.blobs(talk.session_id)


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _stamp(rooms: Rooms) -> Stamp:
    return Stamp(rooms.host.clock.now(), ADA)


def folder(talk: Talk) -> Path:
    return talk.rooms.disk.folders.folder(talk.session_id)


# --- what is sent


@pytest.mark.sources("O25", "D-O17")
@in_virtual_time
async def test_what_was_sent_lies_in_the_folder_before_the_run_begins(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    first = await send_file(talk, "a.txt", b"first")
    second = await send_file(talk, "a.txt", b"second")
    events = await talk.say()

    assert said(events) == "a (2).txt, a.txt"
    assert {path.name: path.read_bytes() for path in folder(talk).iterdir()} == {
        first.name: b"first",
        second.name: b"second",
    }


@in_virtual_time
async def test_a_message_may_refer_to_files_of_its_session_only(rooms: Rooms) -> None:
    async def read(run: RunContext) -> AsyncIterator[Output]:
        assert isinstance(run.message.content, tuple)
        for part in run.message.content:
            yield Text(part.text if isinstance(part, TextPart) else repr(await run.files.read(part.file_id)))
        yield completed()

    talk = await talk_with(rooms, read)
    other = await rooms.open()
    info, elsewhere = await send_file(talk, "a.txt"), await send_file(other, "b.txt")
    events = await talk.say(SendMessage(content=(TextPart("see "), FilePart(info.id))))
    with pytest.raises(TenureError) as refused:
        await talk.send(SendMessage(content=(FilePart(elsewhere.id),)))

    assert said(events) == "see b'hello'"
    assert refused.value.code is Code.INVALID
    assert refused.value.facts == {"field": "content", "file_id": elsewhere.id}


@in_virtual_time
async def test_the_same_bytes_lie_on_disk_once_until_the_last_file_of_them_goes(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    one, two = await send_file(talk, "one"), await send_file(talk, "two")
    kept = [await blobs(talk)]
    for info in (one, two):
        await rooms.there(rooms.host.files.delete(ADA, talk.session_id, info.id))
        kept.append(await blobs(talk))

    assert kept == [[one.sha256], [one.sha256], []]
    assert list(folder(talk).iterdir()) == []


@in_virtual_time
async def test_bytes_that_are_uploaded_while_their_last_file_is_deleted_stay(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    old = await send_file(talk, "old")
    rooms.lane.delay = 0.01
    deleting = asyncio.ensure_future(rooms.there(rooms.host.files.delete(ADA, talk.session_id, old.id)))
    new = await send_file(talk, "new")
    await deleting
    _, outgoing = await rooms.there(rooms.host.files.open(talk.session_id, new.id))
    data = await outgoing.read(100)
    outgoing.close()

    assert data == b"hello"
    assert await blobs(talk) == [new.sha256]


@in_virtual_time
async def test_an_upload_that_is_refused_leaves_nothing(rooms: Rooms) -> None:
    await rooms.up(agent(quiet), limits=Limits(files_per_session=1))
    talk = await rooms.open()
    kept = await send_file(talk, "kept", b"1")
    for data in (b"2", b"1"):
        with pytest.raises(TenureError) as refused:
            await send_file(talk, "more", data)
        assert refused.value.code is Code.CAPACITY

    assert await blobs(talk) == [kept.sha256]
    assert os.listdir(folder(talk)) == ["kept"]


@in_virtual_time
async def test_links_that_an_agent_left_in_the_folder_lead_nowhere(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    outside = folder(talk).parent / "outside"
    outside.write_bytes(b"precious")
    (folder(talk) / "a.txt").symlink_to(outside)
    (folder(talk) / "b.txt").symlink_to(outside)
    a = await send_file(talk, "a.txt", b"new")
    b = await send_file(talk, "c.txt", b"new")
    (folder(talk) / "c.txt").unlink()
    (folder(talk) / "c.txt").symlink_to(outside)
    await talk.say()
    await rooms.there(rooms.host.files.delete(ADA, talk.session_id, b.id))

    assert a.name == "a (2).txt"
    assert outside.read_bytes() == b"precious"
    assert (folder(talk) / "a (2).txt").read_bytes() == b"new"


@in_virtual_time
async def test_what_an_agent_writes_into_its_folder_changes_no_file(rooms: Rooms) -> None:
    async def scribble(run: RunContext) -> AsyncIterator[Output]:
        (run.files.folder / "a.txt").write_bytes(b"scribbled")
        yield completed()

    talk = await talk_with(rooms, scribble)
    info = await send_file(talk, "a.txt", b"as sent")
    await talk.say()
    _, outgoing = await rooms.there(rooms.host.files.open(talk.session_id, info.id))
    data = await outgoing.read(100)
    outgoing.close()

    assert data == b"as sent"
    assert (folder(talk) / "a.txt").read_bytes() == b"scribbled"


# --- what runs make


@in_virtual_time
async def test_an_artifact_stands_where_it_was_put_out(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("Here: ")
        yield Artifact("report.csv", b"a,b\n1,2\n")
        yield Text("and ")
        kept = await run.files.save("notes.bin", b"\x00\x01")
        yield Text(f"{kept.name} of {kept.size}")
        yield completed()

    talk = await talk_with(rooms, work)
    events = await talk.say()
    shown = [type(e.event).__name__ for e in events][1:]
    report, notes = (e.event for e in events if isinstance(e.event, ArtifactCreated))

    assert shown == [
        "MessageDelta",
        "ArtifactCreated",
        "MessageDelta",
        "ArtifactCreated",
        "MessageDelta",
        "MessageCompleted",
        "RunFinished",
    ]
    assert said(events) == "Here: and notes.bin of 2"
    assert report == ArtifactCreated(
        artifact_id=report.artifact_id,
        name="report.csv",
        media_type="text/csv",
        size=8,
        sha256=hash_of(b"a,b\n1,2\n"),
    )
    assert (notes.name, notes.media_type) == ("notes.bin", "application/octet-stream")
    infos = await rooms.host.store.files.all(talk.session_id)
    assert [created(info) for info in infos] == [report, notes]
    assert {info.kind for info in infos} == {FileKind.ARTIFACT}


@in_virtual_time
async def test_an_artifact_that_cannot_be_kept_is_told_and_costs_the_run_nothing(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Artifact("one", b"1")
        yield Artifact("two", b"2")
        try:
            await run.files.save("three", b"3")
        except TenureError as refused:
            yield Text(refused.code.value)
        yield completed()

    await rooms.up(agent(work), limits=Limits(files_per_session=1))
    talk = await rooms.open()
    events = await talk.say()
    (failed,) = [e.event for e in events if isinstance(e.event, ArtifactFailed)]

    assert (failed.name, "limit of 1 files" in failed.reason) == ("two", True)
    assert said(events) == "capacity"
    assert end(events) == ("completed", "")
    assert await blobs(talk) == [hash_of(b"1")]


@pytest.mark.parametrize(
    "odd",
    [
        Artifact(3, b""),  # pyright: ignore[reportArgumentType]
        Artifact("a", "text"),  # pyright: ignore[reportArgumentType]
        Artifact("a", b"", 3),  # pyright: ignore[reportArgumentType]
    ],
    ids=["name", "data", "media type"],
)
@in_virtual_time
async def test_an_artifact_of_the_wrong_kind_is_warned_of(rooms: Rooms, odd: Artifact) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield odd
        yield completed()

    talk = await talk_with(rooms, work)
    events = await talk.say()

    assert (warnings(events), end(events)) == (["payload_invalid"], ("completed", ""))


@in_virtual_time
async def test_saving_text_or_too_much_is_refused_with_the_reason(rooms: Rooms) -> None:
    refusals: list[Code] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        for data in ("text", b"x" * (MAX_FILE_BYTES + 1)):
            try:
                await run.files.save("a", data)  # pyright: ignore[reportArgumentType]
            except TenureError as refused:
                refusals.append(refused.code)
        yield completed()

    talk = await talk_with(rooms, work)
    await talk.say()

    assert refusals == [Code.INVALID, Code.TOO_LARGE]
    assert await blobs(talk) == []
    refusals.clear()


@in_virtual_time
async def test_an_attempt_after_a_crash_makes_its_artifacts_no_second_time(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Artifact("report.csv", b"same")
        yield Text("half")
        if run.attempt == 1:
            await asyncio.sleep(3_600)
        yield completed()

    talk = await talk_with(rooms, work)
    await talk.send()
    await talk.until(MessageDelta)
    rooms.crash()
    await rooms.up(agent(work))
    await talk.until(RunFinished)

    assert [info.name for info in await rooms.host.store.files.all(talk.session_id)] == ["report.csv"]


# --- crashes, and the end of a session


@in_virtual_time
async def test_bytes_of_an_act_that_a_crash_undid_are_swept_away(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    kept = await send_file(talk, "kept", b"kept")
    rooms.lane.delay = 5.0
    lost = asyncio.ensure_future(send_file(talk, "lost", b"lost"))
    half = rooms.host.files.folders.receive(talk.session_id)
    await half.write(b"x" * 2_000_000)
    await asyncio.sleep(1.0)
    before = await blobs(talk)
    rooms.crash()
    lost.cancel()
    rooms.disk.folders = DiskFolders(folder(talk).parents[1], at_once)
    await rooms.up(agent(quiet))
    await talk.say()

    assert before == sorted([kept.sha256, hash_of(b"lost")])
    assert os.listdir(folder(talk).parent / "blobs") == [kept.sha256]
    assert [info.name for info in await rooms.host.store.files.all(talk.session_id)] == ["kept"]


@pytest.mark.sources("M11")
@in_virtual_time
async def test_a_deleted_session_leaves_no_folder_even_if_its_run_lingers_there(rooms: Rooms) -> None:
    async def lingering(run: RunContext) -> AsyncIterator[Output]:
        path = run.files.folder
        yield Text("at work")
        try:
            await asyncio.sleep(3_600)
        finally:
            path.mkdir(parents=True, exist_ok=True)
            (path / "late.txt").write_bytes(b"late")

    talk = await talk_with(rooms, lingering)
    await send_file(talk, "a.txt")
    await talk.send()
    await talk.until(MessageDelta)
    root = folder(talk).parent
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(200)

    assert not root.exists()


@in_virtual_time
async def test_a_crash_between_tombstone_and_cleaning_leaves_no_folder(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    other = await rooms.open()
    await send_file(talk, "a.txt")
    stays = await send_file(other, "b.txt")
    root = folder(talk).parent
    rooms.host.store.on_commit(lambda block: None)  # the host dies before it learns of its own commit
    await rooms.there(rooms.host.store.delete_session(_stamp(rooms), talk.session_id))
    there = root.exists()
    rooms.crash()
    await rooms.up(agent(quiet))
    await other.say()

    assert there
    assert not root.exists()
    assert await blobs(other) == [stays.sha256]


class Stubborn(DiskFolders):
    """Folders that can't be removed so often."""

    def __init__(self, root: Path, times: int) -> None:
        super().__init__(root, at_once)
        self.times = times

    async def remove(self, session_id: str) -> None:
        """Fail, or do it."""
        if self.times:
            self.times -= 1
            raise PermissionError("It is stubborn.")
        await super().remove(session_id)


@pytest.mark.sources("M11")
@in_virtual_time
async def test_a_folder_that_cannot_be_removed_is_tried_again_and_stops_nothing(rooms: Rooms) -> None:
    rooms.disk.folders = stubborn = Stubborn(rooms.disk.root, 2)
    talk = await talk_with(rooms, quiet)
    await send_file(talk, "a.txt")
    root = folder(talk).parent
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    other = await rooms.open()
    events = await other.say()
    await asyncio.sleep(300)

    assert end(events) == ("completed", "")
    assert stubborn.times == 0
    assert not root.exists()


@in_virtual_time
async def test_a_run_of_a_deleted_session_gets_no_folder(rooms: Rooms) -> None:
    seen: list[Code] = []

    async def late(run: RunContext) -> AsyncIterator[Output]:
        yield Text("at work")
        try:
            await asyncio.sleep(3_600)
        finally:
            try:
                assert run.files.folder
            except TenureError as refused:
                seen.append(refused.code)

    talk = await talk_with(rooms, late)
    await talk.send()
    await talk.until(MessageDelta)
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(30)

    assert seen == [Code.NOT_FOUND]
    seen.clear()


# --- what comes with outside events


class Web:
    """A few files at addresses."""

    async def fetch(self, url: str, most: int) -> Fetched:
        """What is there, or a refusal."""
        if "gone" in url:
            raise TenureError(Code.UNSUPPORTED, "The server of the url answered 404.")
        await asyncio.sleep(1.0)
        return Fetched(url.encode(), "image/png")


def by_value(name: str | None, data: bytes, mime_type: str | None = None) -> Attachment:
    return Attachment(name=name, content=base64.b64encode(data).decode(), mime_type=mime_type)


@pytest.mark.sources("O25", "O26", "D-O17")
@in_virtual_time
async def test_attachments_become_files_and_two_of_one_name_stay_two(rooms: Rooms) -> None:
    rooms.fetch = Web()
    talk = await talk_with(rooms, quiet)
    attached = await attach(
        talk,
        by_value("photo.jpg", b"one"),
        by_value("photo.jpg", b"two", mime_type="image/x-own"),
        Attachment(name="../photo.jpg", url="https://files.example/p"),
    )
    events = await talk.say()

    assert [(one.name, one.error, one.file and (one.file.media_type, one.file.by)) for one in attached] == [
        ("photo.jpg", None, ("image/jpeg", "ada")),
        ("photo (2).jpg", None, ("image/x-own", "ada")),
        ("photo (3).jpg", None, ("image/png", "ada")),
    ]
    assert said(events) == "photo (2).jpg, photo (3).jpg, photo.jpg"
    assert (folder(talk) / "photo (2).jpg").read_bytes() == b"two"


@pytest.mark.sources("O26")
@in_virtual_time
async def test_an_attachment_that_fails_fails_alone_and_the_journal_tells(rooms: Rooms) -> None:
    rooms.fetch = Web()
    await rooms.up(agent(quiet), limits=Limits(files_per_session=2))
    talk = await rooms.open()
    attached = await attach(
        talk,
        by_value("good.txt", b"good"),
        Attachment(name="garbage", content="§§§"),
        Attachment(name="padded", content="QQ==QQ=="),
        Attachment(name="empty"),
        Attachment(name="path", path="/etc/passwd"),
        Attachment(name="gone", url="https://gone.example/"),
        by_value("also good.txt", b"2"),
        by_value("no room.txt", b"3"),
        Attachment(name="large", content="A" * (MAX_FILE_BYTES // 3 * 4 + 100)),
    )
    events = await talk.say()
    failures = [e.event for e in await talk.journal() if isinstance(e.event, ArtifactFailed)]

    assert [one.name for one in attached if one.file is not None] == ["good.txt", "also good.txt"]
    assert [failed.name for failed in failures] == [
        "garbage",
        "padded",
        "empty",
        "path",
        "gone",
        "no room.txt",
        "large",
    ]
    assert [one.error for one in attached if one.error] == [failed.reason for failed in failures]
    assert "isn't base64" in failures[0].reason
    assert "answered 404" in failures[4].reason
    assert said(events) == "also good.txt, good.txt"
    assert sorted(await blobs(talk)) == sorted([hash_of(b"good"), hash_of(b"2")])


@in_virtual_time
async def test_an_event_brings_a_limited_number_of_files(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    attached = await attach(talk, *(by_value(f"{n}.txt", b"%d" % n) for n in range(ATTACHMENTS + 2)))

    assert [one.file is not None for one in attached] == [True] * ATTACHMENTS + [False] * 2
    assert attached[-1].error == f"At most {ATTACHMENTS} files come with one event."


@in_virtual_time
async def test_an_event_that_comes_again_brings_the_same_files(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    first = await attach(talk, by_value("a", b"1"), by_value("a", b"2"), key="event 1")
    again = await attach(talk, by_value("a", b"1"), by_value("a", b"2"), key="event 1")
    other = await attach(talk, by_value("a", b"1"), key="event 2")

    assert again == first
    assert [one.name for one in other] == ["a (3)"]
    assert len(await rooms.host.store.files.all(talk.session_id)) == 3


@in_virtual_time
async def test_a_host_without_a_way_out_fetches_nothing(rooms: Rooms) -> None:
    talk = await talk_with(rooms, quiet)
    (attached,) = await attach(talk, Attachment(name="a", url="https://files.example/a"))

    assert attached.error == "This host fetches no files. Send the file by value."


# --- media types


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "text/csv"),
        ("a.PNG", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("a.json", "application/json"),
        ("a", "application/octet-stream"),
        ("a.unheard", "application/octet-stream"),
    ],
)
def test_a_name_tells_the_media_type(name: str, kind: str) -> None:
    assert guess(name) == kind
