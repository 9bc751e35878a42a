"""The runner of an AG-UI endpoint, behind the port: any framework that serves AG-UI 1.0 is an agent."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from tenure.core.grant import HISTORY, RECALLS, Capabilities, Descriptor
from tenure.core.output import Output, failed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.runners.agui.wire import Endpoint
from tenure.runners.agui.work import Work

CAN = Capabilities(
    tools=True, approvals=True, resume=True, undo=True, attachments=True, multimodal=True, steering=False
)


class AguiRunner:
    """One endpoint. It keeps connections between runs, and nothing of what was said."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        forward_state: bool = True,
        forward_gateway: bool = False,
        description: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._forward_state = forward_state
        self._forward_gateway = forward_gateway
        self._descriptor = Descriptor(
            runner="agui",
            capabilities=CAN,
            permissions=(HISTORY, RECALLS) if forward_gateway else (HISTORY,),
            description=description,
        )

    @property
    def descriptor(self) -> Descriptor:
        """What AG-UI 1.0 can carry: no steering, as a run there takes no further messages."""
        return self._descriptor

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt. Closing or cancelling it closes the request."""
        work = Work(
            self._endpoint,
            context,
            forward_state=self._forward_state,
            forward_gateway=self._forward_gateway,
        )
        try:
            async with aclosing(work.outputs()) as outputs:
                async for output in outputs:
                    yield output
        except TenureError as refusal:
            if refusal.code is not Code.RUNNER_UNAVAILABLE:
                raise
            yield failed(refusal.detail, retryable=refusal.facts.get("retryable") is True)
