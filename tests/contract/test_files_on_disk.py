"""The folders of sessions on a real disk: what is kept is durable, and nothing leads out of a folder."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tenure.core.artifact import Blob
from tenure.errors import Code, TenureError
from tenure.ports.files import Incoming
from tenure.stores import folders as module
from tenure.stores.folders import HEAP, DiskFolders

pytestmark = pytest.mark.anyio

T = TypeVar("T")

SESSION, HEIR = "ses_" + "1" * 32, "ses_" + "2" * 32


@pytest.fixture
def folders(tmp_path: Path) -> DiskFolders:
    """Folders in a home."""
    return DiskFolders(tmp_path / "sessions")


async def kept(folders: DiskFolders, *parts: bytes, session: str = SESSION) -> Blob:
    """Keep some bytes."""
    incoming = folders.receive(session)
    return await whole(incoming, *parts)


async def whole(incoming: Incoming, *parts: bytes) -> Blob:
    """Write all of it, and keep it."""
    for part in parts:
        await incoming.write(part)
    blob = await incoming.finish()
    await incoming.keep()
    return blob


async def read(folders: DiskFolders, sha256: str, session: str = SESSION) -> bytes | None:
    """All bytes with this hash."""
    outgoing = await folders.read(session, sha256)
    if outgoing is None:
        return None
    parts: list[bytes] = []
    while part := await outgoing.read(HEAP):
        parts.append(part)
    outgoing.close()
    outgoing.close()
    return b"".join(parts)


def names(path: Path) -> list[str]:
    """What lies somewhere below a path."""
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


async def test_nothing_is_made_before_it_is_used(folders: DiskFolders, tmp_path: Path) -> None:
    assert await folders.taken(SESSION) == []
    await folders.discard(SESSION, "0" * 64)
    folders.unplace(SESSION, "a.txt")
    folders.receive(SESSION)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, HEAP - 1, HEAP, 3 * HEAP + 1])
async def test_bytes_are_kept_under_their_hash(folders: DiskFolders, size: int) -> None:
    data = bytes(size)
    blob = await kept(folders, data[: size // 2], data[size // 2 :])

    assert blob == Blob(hashlib.sha256(data).hexdigest(), size)
    assert await read(folders, blob.sha256) == data
    assert await folders.blobs(SESSION) == [blob.sha256]


async def test_bytes_are_durable_with_their_folder_before_they_are_kept(
    folders: DiskFolders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    order: list[str] = []

    def spy(name: str, real: Callable[..., T]) -> None:
        def spied(*args: object, **kwargs: object) -> T:
            done = real(*args, **kwargs)
            if name == "fsync":
                target = os.readlink(f"/proc/self/fd/{args[0]}")
                order.append(f"fsync {Path(target).name.split('-')[0]}")
            else:
                order.append(name)
            return done

        monkeypatch.setattr(module.os, name, spied)

    spy("fsync", os.fsync)
    spy("replace", os.replace)
    await kept(folders, b"hello")

    assert order == [
        f"fsync {tmp_path.name.split('-')[0]}",
        "fsync sessions",
        f"fsync {SESSION}",
        "fsync unfinished",
        "replace",
        "fsync blobs",
    ]


async def test_what_is_dropped_leaves_nothing(folders: DiskFolders) -> None:
    incoming = folders.receive(SESSION)
    await incoming.write(bytes(HEAP))
    await incoming.write(b"more")
    await incoming.drop()
    await incoming.drop()
    sealed = folders.receive(SESSION)
    await sealed.write(b"x")
    await sealed.finish()
    await sealed.drop()

    assert await folders.blobs(SESSION) == []


async def test_bytes_on_their_way_to_a_session_that_is_deleted_meanwhile_are_refused(
    folders: DiskFolders, tmp_path: Path
) -> None:
    incoming = folders.receive(SESSION)
    await incoming.write(bytes(HEAP))
    await folders.remove(SESSION)
    await incoming.write(bytes(HEAP))
    await incoming.finish()
    with pytest.raises(TenureError) as refused:
        await incoming.keep()
    await incoming.drop()

    assert (refused.value.code, refused.value.facts) == (Code.NOT_FOUND, {"id": SESSION})
    assert names(tmp_path / "sessions") == []


async def test_dropping_after_keeping_changes_nothing(folders: DiskFolders) -> None:
    incoming = folders.receive(SESSION)
    await incoming.write(b"x")
    blob = await incoming.finish()
    await incoming.keep()
    await incoming.drop()

    assert await read(folders, blob.sha256) == b"x"


async def test_what_an_earlier_life_left_unfinished_is_freed_and_what_is_coming_in_is_not(
    folders: DiskFolders, tmp_path: Path
) -> None:
    earlier = DiskFolders(tmp_path / "sessions").receive(SESSION)
    await earlier.write(bytes(HEAP))
    now = folders.receive(SESSION)
    await now.write(bytes(HEAP))
    await folders.blobs(SESSION)
    left = os.listdir(tmp_path / "sessions" / SESSION / "blobs")
    blob = await now.finish()
    await now.keep()

    assert len(left) == 1
    assert await folders.blobs(SESSION) == [blob.sha256]


async def test_files_and_folders_are_their_owners_alone(folders: DiskFolders, tmp_path: Path) -> None:
    blob = await kept(folders, b"secret")
    await folders.place(SESSION, blob.sha256, "a.txt")
    rights = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o077 for name in names(tmp_path)}

    assert len(rights) == 6
    assert set(rights.values()) == {0}


async def test_a_placed_file_is_a_copy_and_never_replaces_what_is_there(folders: DiskFolders) -> None:
    blob = await kept(folders, b"as kept")
    folder = folders.folder(SESSION)
    (folder / "mine.txt").write_bytes(b"mine")
    await folders.place(SESSION, blob.sha256, "mine.txt")
    await folders.place(SESSION, blob.sha256, "copy.txt")
    (folder / "copy.txt").write_bytes(b"changed")

    assert await read(folders, blob.sha256) == b"as kept"
    assert (folder / "mine.txt").read_bytes() == b"mine"
    assert sorted(await folders.taken(SESSION)) == ["copy.txt", "mine.txt"]


async def test_a_link_in_place_of_a_folder_is_not_followed(folders: DiskFolders, tmp_path: Path) -> None:
    blob = await kept(folders, b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_bytes(b"precious")
    (tmp_path / "sessions" / SESSION / "files").symlink_to(outside)

    with pytest.raises(OSError, match="Not a directory"):
        await folders.place(SESSION, blob.sha256, "b.txt")
    folders.unplace(SESSION, "a.txt")
    await folders.remove(SESSION)

    assert names(outside) == ["a.txt"]
    assert await folders.sessions() == []


async def test_a_link_in_place_of_bytes_is_not_read(folders: DiskFolders, tmp_path: Path) -> None:
    blob = await kept(folders, b"x")
    path = tmp_path / "sessions" / SESSION / "blobs" / blob.sha256
    path.unlink()
    path.symlink_to("/etc/passwd")

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        await folders.read(SESSION, blob.sha256)


@pytest.mark.parametrize("name", ["link", "folder"])
async def test_only_plain_files_are_taken_out_of_a_folder(
    folders: DiskFolders, tmp_path: Path, name: str
) -> None:
    (tmp_path / "target").write_bytes(b"x")
    folder = folders.folder(SESSION)
    (folder / "link").symlink_to(tmp_path / "target")
    (folder / "folder").mkdir()
    folders.unplace(SESSION, name)

    assert (folder / name).is_symlink() or (folder / name).is_dir()


@pytest.mark.sources("M11")
async def test_everything_of_a_session_goes_whatever_a_run_did_to_it(
    folders: DiskFolders, tmp_path: Path
) -> None:
    await kept(folders, b"x")
    deep = folders.folder(SESSION) / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "c").write_bytes(b"x")
    (deep / "link").symlink_to(tmp_path)
    deep.chmod(0o500)
    deep.parent.chmod(0o000)
    await folders.remove(SESSION)
    await folders.remove(SESSION)

    assert names(tmp_path) == ["sessions"]


@pytest.mark.parametrize("given", ["", "..", "ses_1", "../" + SESSION, SESSION + "\n", SESSION + "/x"])
def test_an_id_that_could_lead_elsewhere_is_stopped(folders: DiskFolders, given: str) -> None:
    with pytest.raises(ValueError, match="is no id of a session"):
        folders.folder(given)


@pytest.mark.parametrize("given", ["", "..", "../../tenure.db", "0" * 63, "0" * 64 + "\n", "A" * 64])
async def test_a_hash_that_could_lead_elsewhere_is_stopped(folders: DiskFolders, given: str) -> None:
    with pytest.raises(ValueError, match="is no hash"):
        await folders.discard(SESSION, given)


async def test_whatever_else_lies_in_the_home_is_left_alone(folders: DiskFolders, tmp_path: Path) -> None:
    await kept(folders, b"x")
    (tmp_path / "sessions" / "notes").mkdir()

    assert await folders.sessions() == [SESSION]
    assert await DiskFolders(tmp_path / "nowhere").sessions() == []


async def test_a_fork_shares_bytes_without_a_copy(folders: DiskFolders, tmp_path: Path) -> None:
    blob = await kept(folders, b"shared")
    await folders.share(SESSION, HEIR, [blob.sha256, "0" * 64])
    await folders.share(SESSION, HEIR, [blob.sha256])
    links = (tmp_path / "sessions" / HEIR / "blobs" / blob.sha256).stat().st_nlink
    await folders.remove(SESSION)

    assert links == 2
    assert await read(folders, blob.sha256, HEIR) == b"shared"
    assert await folders.blobs(HEIR) == [blob.sha256]


async def test_an_open_file_is_read_to_its_end_whoever_frees_it(folders: DiskFolders) -> None:
    blob = await kept(folders, b"hello")
    outgoing = await folders.read(SESSION, blob.sha256)
    assert outgoing is not None
    await folders.discard(SESSION, blob.sha256)
    outgoing.skip(1)
    rest = await outgoing.read(100)
    outgoing.close()

    assert (outgoing.size, rest) == (5, b"ello")
    assert await folders.read(SESSION, blob.sha256) is None


@pytest.mark.parametrize("call", ["fsync", "write", "replace"])
async def test_a_full_disk_is_a_refusal_and_leaves_nothing(
    folders: DiskFolders, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    await kept(folders, b"there already")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    incoming = folders.receive(SESSION)
    with monkeypatch.context() as patched:
        patched.setattr(module.os, call, full)
        with pytest.raises(TenureError) as refused:
            await whole(incoming, bytes(HEAP))
    await incoming.drop()

    assert refused.value.code is Code.STORE_FULL
    assert len(await folders.blobs(SESSION)) == 1


# --- a directory that several hosts share


def old(path: Path) -> None:
    """Nothing changed here for more than an hour."""
    for each in (path, *path.rglob("*")):
        os.utime(each, (0, 0))


async def test_what_another_host_is_about_to_name_is_not_freed(tmp_path: Path) -> None:
    one, other = (DiskFolders(tmp_path, mark=f"{name}-") for name in "ab")
    blob = await kept(one, b"hello")
    await other.discard(SESSION, blob.sha256)
    young = await other.blobs(SESSION)
    old(tmp_path)
    await other.discard(SESSION, blob.sha256)

    assert (young, await other.blobs(SESSION)) == ([blob.sha256], [])


async def test_what_another_host_receives_is_freed_once_it_must_be_dead(tmp_path: Path) -> None:
    one, other = (DiskFolders(tmp_path, mark=f"{name}-") for name in "ab")
    for folders in (one, other):
        await folders.receive(SESSION).write(b"x" * HEAP)
    before = [await other.sessions(), await other.blobs(SESSION), len(names(tmp_path / SESSION / "blobs"))]
    old(tmp_path)
    after = [await other.sessions(), await other.blobs(SESSION), len(names(tmp_path / SESSION / "blobs"))]

    assert (before, after) == ([[], [], 2], [[SESSION], [], 1])


async def test_bytes_that_come_again_while_they_are_freed_stay(tmp_path: Path) -> None:
    one, other = (DiskFolders(tmp_path, mark=f"{name}-") for name in "ab")
    await kept(one, b"hello")
    old(tmp_path)
    blob = await kept(one, b"hello")
    await other.discard(SESSION, blob.sha256)

    assert await read(other, blob.sha256) == b"hello"
