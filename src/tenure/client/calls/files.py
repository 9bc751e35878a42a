"""Questions about the files of a session."""

import secrets
from collections.abc import AsyncGenerator

from tenure.client.calls.asking import Asking, get, path_to
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.artifact import FileInfo


class FileCalls(Asking):
    """Files: upload, list, download, delete."""

    @once
    async def upload_file(
        self,
        session_id: str,
        name: str,
        data: bytes,
        *,
        media_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> FileInfo:
        """Send a file of at most 32 MiB. Refer to it by its id, in a message's `FilePart`.

        Without a media type the server tells it by the name. The answer has the name that the file got.
        """
        headers = [("Idempotency-Key", idempotency_key or secrets.token_hex(16))]
        headers.append(("Content-Type", media_type or ""))
        request = Request(
            "POST",
            path_to("sessions", session_id, "files"),
            query=(("name", name),),
            headers=tuple(headers),
            body=data,
        )
        return await self._line.ask(request, FileInfo)

    @many
    def files(self, session_id: str) -> AsyncGenerator[FileInfo, None]:
        """Every file of a session, oldest first."""
        return self._pages(FileInfo, "sessions", session_id, "files")

    @once
    async def download_file(self, session_id: str, file_id: str) -> bytes:
        """The bytes of a file."""
        return (await self._line.send(get("sessions", session_id, "files", file_id))).body

    @once
    async def delete_file(self, session_id: str, file_id: str) -> None:
        """Delete a file."""
        request = Request("DELETE", path_to("sessions", session_id, "files", file_id))
        await self._line.send(request, gone=True)
