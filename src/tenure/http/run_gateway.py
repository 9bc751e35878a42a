"""The door of the run gateway: whoever has a token speaks MCP with the run that is live now."""

from starlette.types import ASGIApp

from tenure.errors import Code, TenureError
from tenure.http.call import Call, NoBody, NoQuery

MOST_BYTES = 12 * 1024 * 1024
"""The size of the largest request: a file of 8 MiB in base64, and room for the rest."""


async def run_gateway(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One message of the Model Context Protocol, over streamable HTTP, with the token of a run.

    Any revision from 2024-11-05 to 2026-07-28. The tools are those of the grant, and what the run has of its
    own. A GET or DELETE is answered 405, as the protocol has it for servers that keep no sessions.
    """
    assert call.attempt is not None, "the front let nobody in"
    if call.site.run_face is None:
        raise TenureError(
            Code.UNSUPPORTED,
            "This host has no run gateway, which needs the extra mcp. Have the operator install it: "
            "pip install 'tenure[mcp]'.",
        )
    return await call.site.run_face.serve(call.site.host, call.attempt)
