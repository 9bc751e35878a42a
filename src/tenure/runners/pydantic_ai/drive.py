"""Drives one attempt of a pydantic-ai agent from its first model call to its verdict.

It runs in a task of its own and speaks through an `Outlet`. At its safe points, before each step of the run,
it lets everything be heard, takes steering, and looks whether it is to stop.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.exceptions import RunCancelled
from pydantic_ai.messages import (
    DeferredToolRequestsEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelResponse,
    PartEndEvent,
    PartStartEvent,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.result import AgentStream
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import DeferredToolResults, RunContext
from pydantic_ai.usage import UsageLimits

from tenure.core.output import ToolStarted, Verdict, completed
from tenure.core.run import RunState
from tenure.ports.runner import RunContext as HostContext
from tenure.runners.pydantic_ai.approvals import Approvals, deferred
from tenure.runners.pydantic_ai.events import Narration, jsonable, result, spent, status_of
from tenure.runners.pydantic_ai.faults import RUN_ERRORS, RunError, verdict
from tenure.runners.pydantic_ai.history import past
from tenure.runners.pydantic_ai.keeping import Waiting
from tenure.runners.pydantic_ai.outlet import Outlet
from tenure.runners.pydantic_ai.patience import Patience
from tenure.runners.pydantic_ai.prompts import Prompt, prompt
from tenure.runners.pydantic_ai.record import Record, Run, completed_by, to_ask, unanswered
from tenure.runners.pydantic_ai.toolset import HostToolset

STOPPED = Verdict(status=RunState.CANCELLED, reason="interrupted")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's table says of all its runs. `secrets` are words that no reason may hold.

    `retries` is how often a failing call of a model is repeated, `request_limit` how many calls a run may
    make; `instructions` are added to the agent's own.
    """

    name: str = "NAME"
    description: str = ""
    retries: int = 3
    request_limit: int | None = None
    instructions: str | None = None
    secrets: tuple[str, ...] = ()


class Drive:
    """One attempt."""

    def __init__(
        self, agent: AbstractAgent[Any, Any], terms: Terms, context: HostContext, outlet: Outlet
    ) -> None:
        self._agent = agent
        self._terms = terms
        self._context = context
        self._outlet = outlet
        self._has_budget = context.grant.budget is not None
        self._narration = Narration()
        self._approvals = Approvals(context.own, self._before_asking)
        self._tools = HostToolset(context.tools, self._before_host_call)
        self._record = Record(context, self._tools, self._narration)
        self._held: dict[str, FunctionToolCallEvent] = {}
        self._heard: ModelResponse | None = None
        self._answered = False
        self._asking_model = False

    async def go(self, deps: object) -> None:
        """Work from the beginning, or from where the last attempt waited for people, to the verdict."""
        ended = False
        try:
            ending = STOPPED if self._context.stopping else await self._worked(deps)
            ended = True
        finally:
            if not ended:
                await self._broke_off()
        self._outlet.put(ending)

    async def _broke_off(self) -> None:
        """Code of the agent's own raised, or a stop was forced: later runs are to know what was done so far.

        A run that the host only lets go stays kept as it waits.
        """
        task = asyncio.current_task()
        is_cancelled = task is not None and task.cancelling() > 0
        if self._context.stopping or not is_cancelled:
            await self._record.keep_broken(self._heard)

    async def _worked(self, deps: object) -> Verdict:
        history = await past(self._context)
        kept = await self._record.resumed()
        if kept is None:
            said = await prompt(self._context.message.content, self._context.files)
            ending = await self._ended(history, said, None, deps)
            return await self._kept(ending)
        for output in self._narration.resumed(kept):
            self._outlet.put(output)
        if unanswered(kept) is None:
            # It had said all when its budget was asked about, unless somebody steered it at the last moment.
            said = await self._steering()
            if not said:
                return completed()
            ending = await self._ended([*history, *kept.messages], said, None, deps)
        else:
            self._answered = True
            waiting = to_ask(kept)
            if waiting != kept.waiting:
                await self._before_asking(waiting)
            answers = completed_by(await self._approvals.ask(waiting), kept, self._tools)
            ending = await self._ended([*history, *kept.messages], None, answers, deps)
        return await self._kept(ending)

    async def _kept(self, ending: Verdict) -> Verdict:
        """The run is over: what it cost at last is told, and it is kept for those that come after it."""
        if self._heard is not None:
            self._account(self._heard)
        await self._record.keep()
        return ending

    # --- the run

    async def _ended(
        self,
        history: Sequence[ModelMessage],
        said: Prompt | None,
        answers: DeferredToolResults | None,
        deps: object,
    ) -> Verdict:
        """Run the agent, and say how it ended."""
        try:
            async with self._started(history, said, answers, deps) as run:
                self._record.began(run)
                await self._steps(run)
                await self._conclude(run)
        except RunCancelled:
            return STOPPED
        except RUN_ERRORS as error:
            return self._failed(error)
        return completed()

    def _failed(self, error: RunError) -> Verdict:
        return verdict(error, self._terms.name, self._terms.secrets)

    @asynccontextmanager
    async def _started(
        self,
        history: Sequence[ModelMessage],
        said: Prompt | None,
        answers: DeferredToolResults | None,
        deps: object,
    ) -> AsyncGenerator[Run, None]:
        patience = Patience(self._terms.retries, self._context.run_id, self._context.warn)
        async with self._agent.iter(
            said,
            message_history=history,
            deferred_tool_results=answers,
            conversation_id=self._context.session_id,
            instructions=self._terms.instructions,
            deps=deps,
            model_settings=_settings,
            usage_limits=UsageLimits(request_limit=self._terms.request_limit),
            toolsets=[self._tools],
            capabilities=[ReinjectSystemPrompt[Any](), self._approvals, patience],
            infer_name=False,
        ) as run:
            stopper = asyncio.create_task(self._stop(run))
            try:
                yield run
            finally:
                stopper.cancel()

    async def _stop(self, run: Run) -> None:
        """Once the run is asked to stop, break off what the model is saying. Tools may finish first."""
        await self._context.stopped()
        if self._asking_model:
            run.cancel()

    def _ask_model(self, run: Run) -> None:
        """From now on a stop breaks off the model, and so does one that came at the last moment."""
        self._asking_model = True
        if self._context.stopping:
            run.cancel()

    async def _steps(self, run: Run) -> None:
        async for node in run:
            if Agent.is_model_request_node(node):
                await self._safe_point(run, takes=True)
                self._record.sent()
                self._ask_model(run)
                if streams(run.ctx.deps.model):
                    async with node.stream(run.ctx) as stream:
                        await self._hear(stream)
            elif Agent.is_call_tools_node(node):
                self._asking_model = False
                # An answer without calls is the last one, unless something steers the run on.
                await self._safe_point(run, takes=not node.model_response.tool_calls)
                await self._answer(run, node.model_response)
                async with node.stream(run.ctx) as events:
                    async for event in events:
                        await self._tell(run, event)

    async def _hear(self, stream: AgentStream[Any, Any]) -> None:
        """What a model says, as it says it."""
        try:
            async for event in stream:
                for output in self._narration.of(event):
                    await self._outlet.say(output)
        finally:
            self._heard = stream.response

    async def _answer(self, run: Run, response: ModelResponse) -> None:
        """A model has answered, and its calls begin. What it cost may let people be asked, so it is kept."""
        heard, self._heard = self._heard, None
        answered, self._answered = self._answered, False
        self._record.step()
        self._narration.output_tool = None
        if answered:
            return
        self._record.hold(deferred(response.tool_calls, run.ctx.deps.tool_manager.get_tool_def))
        self._approvals.step()
        if heard is None:
            await self._whole(response)
        if self._has_budget:
            await self._before_asking(())
        self._account(response)

    async def _whole(self, response: ModelResponse) -> None:
        """What a model says that can't be listened to."""
        for index, part in enumerate(response.parts):
            for event in (PartStartEvent(index=index, part=part), PartEndEvent(index=index, part=part)):
                for output in self._narration.of(event):
                    await self._outlet.say(output)

    def _account(self, response: ModelResponse) -> None:
        usage = spent(response, response.model_name or "unknown")
        if usage is not None:
            self._outlet.put(usage)

    async def _safe_point(self, run: Run, *, takes: bool) -> None:
        """Between two steps. What is taken to steer the run goes into its next call of a model."""
        await self._outlet.heard()
        if self._context.stopping:
            run.cancel()
        elif takes and (said := await self._steering()):
            run.enqueue(*said, priority="asap")

    async def _steering(self) -> list[UserContent]:
        """What people sent to steer the run, in order."""
        said: list[UserContent] = []
        for message in await self._context.steering.take():
            if self._record.take(message):
                content = await prompt(message.content, self._context.files)
                said += [content] if isinstance(content, str) else content
        return said

    async def _tell(self, run: Run, event: object) -> None:
        """Say what an event means, unless the host tells of it itself."""
        match event:
            case FunctionToolCallEvent(part=call) if call.tool_call_id not in self._approvals:
                definition = run.ctx.deps.tool_manager.get_tool_def(call.tool_name)
                if definition is not None and definition.defer:
                    self._held[call.tool_call_id] = event
                    return
            case DeferredToolRequestsEvent(requests=requests):
                for call in (*requests.approvals, *requests.calls):
                    for output in self._narration.deferred(call.tool_call_id):
                        await self._outlet.say(output)
            case FunctionToolResultEvent():
                await self._ended_call(event)
                return
            case _:
                pass
        for output in self._narration.of(event, journaled=self._is_journaled(event)):
            if isinstance(output, ToolStarted):
                await self._begin(output)
            else:
                await self._outlet.say(output)

    async def _begin(self, call: ToolStarted) -> None:
        """An own call begins, unless its budget has to be asked about first, which the host does."""
        if self._has_budget:
            await self._before_asking(())
        self._outlet.put(call)
        await self._outlet.heard()

    async def _ended_call(self, event: FunctionToolResultEvent) -> None:
        """A call has its result. One that people were asked about is settled with the host."""
        part = event.part
        self._record.came_to(part)
        if event.content is not None:
            self._record.came_to(UserPromptPart(event.content))
        begun = self._held.pop(part.tool_call_id, None)
        if part.tool_call_id in self._approvals:
            await self._outlet.heard()
            await self._approvals.settle(part.tool_call_id, status_of(part), jsonable(part.content))
            return
        for output in (
            *(() if begun is None else self._narration.of(begun)),
            *self._narration.of(event, journaled=self._is_journaled(event)),
        ):
            await self._outlet.say(output)
        if self._tools.under_way:
            await self._before_asking(())

    def _is_journaled(self, event: object) -> bool:
        match event:
            case FunctionToolCallEvent(part=part) | FunctionToolResultEvent(part=part):
                return part.tool_name in self._tools or part.tool_call_id in self._approvals
            case _:
                return False

    async def _conclude(self, run: Run) -> None:
        """Say the result, if it came by way of a tool; one that is text was said already."""
        if run.result is not None and self._narration.output_tool is not None:
            await self._outlet.say(result(run.result.output))

    # --- before people may be asked

    async def _before_asking(self, waiting: tuple[Waiting, ...]) -> None:
        await self._outlet.heard()
        await self._record.keep_step(waiting)

    async def _before_host_call(self) -> None:
        """A call of a host's tool stands behind what was said, and may wait for people."""
        await self._before_asking(())


def _settings(context: RunContext[Any]) -> ModelSettings:
    """Every repeated call is the host's to count, so the provider's own client makes one at a time."""
    model = context.model
    counted = isinstance(model, Model) and "max_retries" not in model.unsupported_settings
    return ModelSettings(max_retries=0) if counted else ModelSettings()


def streams(model: object) -> bool:
    """Whether a model can be listened to while it speaks."""
    if isinstance(model, FunctionModel):
        return model.stream_function is not None
    kind = type(cast("Model[Any]", model))
    return isinstance(model, Model) and kind.request_stream is not Model[Any].request_stream
