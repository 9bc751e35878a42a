"""Questions about the server, who asks it, and keys."""

from collections.abc import AsyncGenerator

from tenure.client.calls.asking import Asking, Listed, get, path_to, post
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.command import (
    CreateKey,
    Drain,
)
from tenure.core.principal import Role
from tenure.core.view import (
    AgentInfo,
    HostInfo,
    KeyInfo,
    NewKey,
    Stats,
    WhoAmI,
)


class HostCalls(Asking):
    """The server, its agents and its keys."""

    @once
    async def whoami(self) -> WhoAmI:
        """The principal behind the key, and the id of the store's history."""
        return await self._line.ask(get("whoami"), WhoAmI)

    @once
    async def stats(self) -> Stats:
        """Live figures of the server."""
        return await self._line.ask(get("stats"), Stats)

    @once
    async def hosts(self) -> tuple[HostInfo, ...]:
        """The hosts that share the store; the one that answered is marked."""
        return (await self._line.ask(get("stats"), Stats)).hosts

    @once
    async def agents(self) -> tuple[AgentInfo, ...]:
        """The catalogue of agents."""
        return (await self._line.ask(get("agents"), Listed[AgentInfo])).data

    @once
    async def drain(self, *, idempotency_key: str | None = None) -> None:
        """Take the server out of service. Only the bootstrap admin may."""
        await self._line.send(post(Drain(), idempotency_key, "drain"))

    # keys

    @once
    async def create_key(
        self,
        user: str,
        role: Role,
        *,
        name: str = "",
        tenant: str | None = None,
        expires_at: str | None = None,
    ) -> NewKey:
        """Make an API key; its secret is in the answer and nowhere else. `expires_at` is RFC 3339."""
        ask = CreateKey(user=user, role=role, name=name, tenant=tenant, expires_at=expires_at)
        return await self._line.ask(post(ask, None, "keys"), NewKey)

    @many
    def keys(self) -> AsyncGenerator[KeyInfo, None]:
        """Every key that the caller may see, without its secret."""
        return self._pages(KeyInfo, "keys")

    @once
    async def key(self, key_id: str) -> KeyInfo:
        """One key, without its secret."""
        return await self._line.ask(get("keys", key_id), KeyInfo)

    @once
    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key: it opens nothing any more, and its open streams end."""
        await self._line.send(Request("DELETE", path_to("keys", key_id)), gone=True)
