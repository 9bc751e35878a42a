"""How agent code calls the host's tools: `await run.tools.call("send_mail", to="x")`."""

from tenure.core.tool import Arguments, ToolInfo
from tenure.ports.runner import ToolCalls


class RunTools:
    """The tools of the host that a run was granted.

    Each call passes the effect ledger: where a person must approve, the run waits, as long as it takes
    and through restarts; a call that was finished is answered from the ledger if the run starts over.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: ToolCalls) -> None:
        self._calls = calls

    def infos(self) -> tuple[ToolInfo, ...]:
        """What can be called, with descriptions and the schemas of the arguments."""
        return self._calls.infos()

    async def call(self, name: str, /, **arguments: object) -> object:
        """Call a tool and return its result, any JSON.

        Raises TenureError: `forbidden` if the grant doesn't hold the tool, `invalid` for arguments that
        don't fit, `denied` if a person said no or nobody answered in time, `outcome_unknown` if a host
        died during the call and it isn't safe to repeat, and `internal` if the tool failed.
        """
        return await self._calls.call(name, arguments)

    async def call_with(self, name: str, arguments: Arguments, *, key: str | None = None) -> object:
        """The same, with the arguments as a table. A `key` names the call over attempts of the run.

        Under one key a call is made once, whatever the agent asked for in between; the same key with
        other arguments raises TenureError `effect_conflict`.
        """
        return await self._calls.call(name, arguments, key=key)
