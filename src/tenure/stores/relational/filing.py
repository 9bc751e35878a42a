"""What a relational store knows of files: the port `FileActs` over the store's lane."""

from collections.abc import Sequence

from tenure.core.artifact import FileInfo, NewFile
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.ports.store import Answer, Lease, Page, Stamp
from tenure.stores.relational import file_reads, locks
from tenure.stores.relational.acts import artifacts
from tenure.stores.relational.lane import Lane


class RelationalFiles:
    """Acts and reads about files. It holds no rule."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def upload(
        self, stamp: Stamp, session_id: str, file: NewFile, taken: Sequence[str]
    ) -> Answer[FileInfo]:
        return await self._lane.write(
            lambda tx: artifacts.upload(tx, stamp, session_id, file, taken, self._rules),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def save(self, lease: Lease, run_id: str, at: Micros, file: NewFile) -> FileInfo:
        return await self._lane.write(
            lambda tx: artifacts.save(tx, lease, run_id, at, file, self._rules),
            locks.host(lease),
            locks.session_of_run(run_id),
        )

    async def delete(self, stamp: Stamp, session_id: str, file_id: str) -> FileInfo:
        return await self._lane.write(
            lambda tx: artifacts.delete(tx, stamp, session_id, file_id), locks.session(session_id)
        )

    async def get(self, session_id: str, file_id: str) -> FileInfo | None:
        return await self._lane.peek(lambda db: file_reads.file_info(db, session_id, file_id))

    async def all(self, session_id: str) -> tuple[FileInfo, ...]:
        return await self._lane.peek(lambda db: file_reads.files(db, session_id))

    async def refers(self, session_id: str, sha256: str) -> bool:
        return await self._lane.peek(lambda db: file_reads.refers(db, session_id, sha256))

    async def page(self, session_id: str, cursor: str | None, limit: int) -> Page[FileInfo]:
        return await self._lane.read(lambda db: file_reads.page(db, session_id, cursor, limit))
