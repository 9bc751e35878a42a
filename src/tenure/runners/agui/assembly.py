"""From an agent's table to its runner."""

import httpx

from tenure.agent_tables import AguiAgent
from tenure.core.grant import Policy
from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.runners.agui.runner import AguiRunner
from tenure.runners.agui.wire import Endpoint


def agui_agent(name: str, table: AguiAgent) -> Made:
    """The runner of one table. Raises ConfigError for an address or a header that HTTP can't carry."""
    headers = {key: value.get_secret_value() for key, value in table.headers.items()}
    for key, value in headers.items():
        if not (key.isascii() and value.isascii() and key.isprintable() and value.isprintable()):
            raise ConfigError(
                f"agents.{name}.headers.{key!r} holds what no header can. Use printable ASCII characters."
            )
    endpoint = Endpoint(name, table.url, headers, table.connect_s)
    try:
        host = httpx.URL(table.url).host
    except httpx.InvalidURL as misfit:
        raise ConfigError(f"agents.{name}.url can't be read: {misfit}. Correct it.") from misfit
    if not host:
        raise ConfigError(f"agents.{name}.url names no host. Write http://HOST:PORT/PATH.")
    runner = AguiRunner(
        endpoint,
        forward_state=table.forward_state,
        forward_gateway=table.forward_gateway,
        description=f"The agent at {endpoint.place}.",
    )
    return Made(runner=runner, policy=Policy(), residence=endpoint)
