"""The bytes of files on their way from one store to another, through the port that both keep them behind."""

from collections.abc import AsyncIterator

from tenure.errors import ConfigError
from tenure.ports.files import Folders
from tenure.ports.tables import Named

PIECE = 1 << 18


async def pieces(folders: Folders, named: Named) -> AsyncIterator[bytes]:
    """The bytes of a file. Raises LookupError if they aren't there."""
    outgoing = await folders.read(named.session_id, named.sha256)
    if outgoing is None:
        raise LookupError(named.sha256)
    try:
        while piece := await outgoing.read(PIECE):
            yield piece
    finally:
        outgoing.close()


class Carrier:
    """Puts bytes into the folders of sessions. What several sessions name is written once, and shared."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._whose: dict[str, str] = {}

    async def keep(self, named: Named, pieces: AsyncIterator[bytes]) -> None:
        """Take the bytes of one file. Raises ConfigError if they aren't what their hash says."""
        owner = self._whose.setdefault(named.sha256, named.session_id)
        if owner != named.session_id:
            await self._folders.share(owner, named.session_id, [named.sha256])
            return
        incoming = self._folders.receive(named.session_id)
        try:
            async for piece in pieces:
                await incoming.write(piece)
            blob = await incoming.finish()
            if blob.sha256 != named.sha256:
                raise ConfigError(
                    f"A file of {named.session_id} isn't what its hash {named.sha256} says. Nothing was kept."
                )
            await incoming.keep()
        except LookupError:
            del self._whose[named.sha256]
            raise
        finally:
            await incoming.drop()
