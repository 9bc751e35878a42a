"""Files: uploaded, made by a run, deleted. Names and limits are decided here, under the session's lock."""

from collections.abc import Collection

from tenure.core.artifact import FileInfo, NewFile, check_room, free_name, is_named_after, key_of
from tenure.core.entry import entry
from tenure.core.event import ArtifactCreated, ArtifactDeleted
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.session import SessionState
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Lease, Stamp
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import SessionRow, fenced, not_found, session_of, session_row
from tenure.stores.relational.file_reads import file_info
from tenure.stores.relational.tx import Tx


def upload(
    tx: Tx, stamp: Stamp, session_id: str, file: NewFile, taken: Collection[str], rules: Rules
) -> Answer[FileInfo]:
    """A principal's file. A session that is closed takes none."""
    known = replay(tx, stamp, FileInfo)
    if known is not None:
        return known
    session = session_row(tx, session_id)
    if session.state is not SessionState.OPEN:
        raise TenureError(
            Code.SESSION_CLOSED,
            f"Session {session_id} is closed. Reopen it to send files.",
            session_id=session_id,
        )
    _check_room(tx, session, file, rules)
    event = _created(tx, session, file, taken, by=stamp.by.user)
    tx.record(session.no, session.id, [entry(stamp.at, event)])
    info = _info(tx, session, file.id)
    remember(tx, stamp, info, session.id)
    return Answer(info)


def save(tx: Tx, lease: Lease, run_id: str, at: Micros, file: NewFile, rules: Rules) -> FileInfo:
    """A live run's file. What an earlier attempt of the run made just so isn't made twice."""
    fence = tx.fence(run_id, lease.incarnation)
    if fence is None:
        raise fenced(run_id)
    session = session_of(tx, fence.no)
    blob = file.blob
    before = tx.all("file_same", no=session.no, run_id=run_id, sha256=blob.sha256, media_type=file.media_type)
    for file_id, name in before:
        if is_named_after(name, file.name):
            return _info(tx, session, file_id)
    _check_room(tx, session, file, rules)
    event = _created(tx, session, file, (), by=None)
    tx.record(session.no, session.id, [entry(at, event, run_id)])
    return _info(tx, session, file.id)


def delete(tx: Tx, stamp: Stamp, session_id: str, file_id: str) -> FileInfo:
    """A file goes, also from a closed session. Its id stays in the journal."""
    session = session_row(tx, session_id)
    info = file_info(tx, session_id, file_id)
    if info is None:
        raise not_found("file", file_id)
    event = ArtifactDeleted(artifact_id=file_id, by=stamp.by.user)
    tx.record(session.no, session.id, [entry(stamp.at, event)])
    return info


def inherit(tx: Tx, no: int, heir_no: int, seq: int) -> None:
    """A fork begins with the files that its parent had at `seq` and still has."""
    tx.do("file_inherit", no=no, heir_no=heir_no, seq=seq)


def _check_room(tx: Tx, session: SessionRow, file: NewFile, rules: Rules) -> None:
    files, size = tx.one("file_room", no=session.no)
    check_room(rules.limits, files, size, file.blob.size)


def _created(
    tx: Tx, session: SessionRow, file: NewFile, taken: Collection[str], *, by: str | None
) -> ArtifactCreated:
    names = {key_of(row[0]) for row in tx.all("file_names", no=session.no)}
    names.update(key_of(name) for name in taken)
    return ArtifactCreated(
        artifact_id=file.id,
        name=free_name(file.name, names),
        media_type=file.media_type,
        size=file.blob.size,
        sha256=file.blob.sha256,
        by=by,
    )


def _info(tx: Tx, session: SessionRow, file_id: str) -> FileInfo:
    info = file_info(tx, session.id, file_id)
    if info is None:
        raise RuntimeError(f"The file {file_id} vanished within a transaction.")
    return info
