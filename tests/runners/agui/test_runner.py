"""What the AG-UI runner makes of an endpoint's events, and what it tells the endpoint."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ag_ui.core import (
    ActivitySnapshotEvent,
    AssistantMessage,
    CustomEvent,
    DataSource,
    DocumentPart,
    Event,
    FunctionCall,
    ImagePart,
    Interrupt,
    MessagesSnapshotEvent,
    RawEvent,
    ReasoningEncryptedValueEvent,
    RunAgentInput,
    RunFinishedCancelledOutcome,
    StateDeltaEvent,
    StateSnapshotEvent,
    StepStartedEvent,
    TextMessageChunkEvent,
    TextMessageStartEvent,
    TextPart,
    Tool,
    ToolCall,
    ToolCallChunkEvent,
    ToolCallResultEvent,
    ToolMessage,
    UserMessage,
)

from tenure.core.effect import CallStatus
from tenure.core.output import Output, Said, StateUpdate, Text, ToolCompleted, ToolStarted, Verdict, completed
from tenure.core.run import RunState
from tenure.core.view import TranscriptItem
from tenure.errors import Code, TenureError
from tenure.ports.runner import GatewayAccess
from tenure.runners.agui.patch import Operation, PatchFault, patched
from tenure.runners.agui.runner import AguiRunner
from tenure.runners.agui.wire import Endpoint as Reached
from tenure.runners.agui.work import STOPPED
from tenure.testing import FakeRun
from tests.runners.agui.endpoint import (
    Answer,
    Endpoint,
    Plain,
    Script,
    answering,
    asks,
    broken,
    calls,
    finished,
    says,
    started,
)

pytestmark = pytest.mark.anyio

SECRET = "Bearer hush-hush-key"


@asynccontextmanager
async def reaching(script: Script | Plain) -> AsyncGenerator[tuple[AguiRunner, Endpoint, Reached], None]:
    """A runner, the endpoint that plays the script, and how the runner reaches it."""
    async with answering(script) as endpoint:
        reached = Reached("remote", endpoint.url + "?token=in-the-address", {"Authorization": SECRET}, 5)
        try:
            yield AguiRunner(reached), endpoint, reached
        finally:
            await reached.close()


async def outputs_of(runner: AguiRunner, run: FakeRun) -> list[Output]:
    async with asyncio.timeout(10):
        return [output async for output in runner.run(run)]


async def performed(script: Script | Plain, run: FakeRun | None = None) -> list[Output]:
    """All outputs of one run at a scripted endpoint."""
    async with reaching(script) as (runner, _, _):
        return await outputs_of(runner, run or FakeRun("hi"))


def playing(*events: Event | bytes) -> Script:
    """A script that sends these and finishes."""

    async def play(ask: RunAgentInput) -> Answer:
        for event in events:
            yield event
        yield finished(ask)

    return play


def line(number: int, role: str, content: str) -> TranscriptItem:
    return TranscriptItem(
        message_id=f"msg_{number}", role=role, content=content, run_id=None, status="completed", seq=number
    )


# what the endpoint is told


async def test_the_endpoint_is_told_transcript_message_tools_and_state() -> None:
    def search(q: str) -> str:
        """Search it."""
        return q

    run = FakeRun(
        "and now?",
        said=[line(7, "summary", "we met"), line(8, "user", "hello"), line(9, "assistant", "hi there")],
        tools={"mcp:wiki/search": search, "mcp_wiki_search": search},
        state={"conversation": {"mood": "fine"}},
    )
    async with reaching(playing()) as (runner, endpoint, _):
        assert await outputs_of(runner, run) == [completed()]

    parameters = {"type": "object"}
    assert endpoint.headers["authorization"] == SECRET
    assert endpoint.asked == [
        RunAgentInput(
            thread_id=run.session_id,
            run_id=run.run_id,
            protocol_version="1.0",
            state={"mood": "fine"},
            messages=[
                UserMessage(id="msg_7", content="(What was said before, in short:)\nwe met"),
                UserMessage(id="msg_8", content="hello"),
                AssistantMessage(id="msg_9", content="hi there"),
                UserMessage(id=run.message.id, content="and now?"),
            ],
            tools=[
                Tool(name="mcp_wiki_search", description="Search it.", parameters=parameters),
                Tool(name="mcp_wiki_search_2", description="Search it.", parameters=parameters),
            ],
            context=[],
            forwarded_props={},
        )
    ]


async def test_files_go_along_by_value_while_there_is_room() -> None:
    files = {"note.txt": b"buy bread", "dot.png": b"\x89PNG", "plan.pdf": b"%PDF", "big.bin": b"x" * 2**24}
    run = FakeRun("look", files=files)
    async with reaching(playing()) as (runner, endpoint, _):
        assert await outputs_of(runner, run) == [completed()]

    png = DataSource(value=base64.b64encode(files["dot.png"]).decode(), mime_type="image/png")
    pdf = DataSource(value=base64.b64encode(files["plan.pdf"]).decode(), mime_type="application/pdf")
    assert endpoint.asked[0].messages[-1].content == [
        TextPart(text="look"),
        TextPart(text="note.txt:\nbuy bread"),
        ImagePart(source=png, metadata={"name": "dot.png"}),
        DocumentPart(source=pdf, metadata={"name": "plan.pdf"}),
        TextPart(text="(The file big.bin of 16777216 bytes is too large to be sent along.)"),
    ]


@pytest.mark.parametrize("forwards", [False, True])
async def test_the_gateway_goes_to_endpoints_that_are_to_have_it(forwards: bool) -> None:
    run = FakeRun("hi")
    run.gateway = GatewayAccess("http://host/mcp/run", "tgw_1")
    async with answering(playing()) as endpoint:
        reached = Reached("remote", endpoint.url, {}, 5)
        await outputs_of(AguiRunner(reached, forward_gateway=forwards), run)
        await reached.close()

    given = {"gateway": {"url": "http://host/mcp/run", "token": "tgw_1"}} if forwards else {}
    assert endpoint.asked[0].forwarded_props == given


async def test_an_event_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.runners.agui.wire.MOST_EVENT", 10_000)
    run = FakeRun("hi")

    assert await performed(playing(*[b"data: " + b"x" * 3_000] * 5), run) == []
    assert [code for code, _ in run.warnings] == ["stream_cut"]


async def test_a_checkpoint_of_another_version_fails_the_run_and_says_what_to_do() -> None:
    run = FakeRun("hi", attempt=2, resumed=True)
    await run.checkpoints.save(b"{}")

    with pytest.raises(TenureError, match=r"can't be read by this version\. Send the message again\."):
        await performed(playing(), run)


async def test_a_host_tool_is_called_and_the_next_request_tells_what_came_of_it() -> None:
    async def script(ask: RunAgentInput) -> Answer:
        yield started(ask)
        if len(ask.messages) == 1:
            for event in [*says("Let me see. "), *calls("mcp_wiki_search", '{"q": "ants"}')]:
                yield event
            yield ReasoningEncryptedValueEvent(subtype="tool-call", entity_id="c1", encrypted_value="sealed")
        else:
            for event in says("Six legs.", message_id="m2"):
                yield event
        yield finished(ask)

    def search(q: str) -> dict[str, str]:
        return {"found": q}

    run = FakeRun("ants?", tools={"mcp:wiki/search": search})
    async with reaching(script) as (runner, endpoint, _):
        outputs = await outputs_of(runner, run)

    call = ToolCall(
        id="c1",
        function=FunctionCall(name="mcp_wiki_search", arguments='{"q": "ants"}'),
        encrypted_value="sealed",
    )
    assert outputs == [Text("Let me see. "), Text("Six legs."), completed()]
    assert run.tools.made == [("mcp:wiki/search", {"q": "ants"})]
    assert [ask.run_id for ask in endpoint.asked] == [run.run_id, f"{run.run_id}.1.2"]
    assert endpoint.asked[1].parent_run_id == run.run_id
    assert endpoint.asked[1].messages[1:] == [
        AssistantMessage(id="m1", content="Let me see. ", tool_calls=[call]),
        ToolMessage(id="result_c1", content='{"found": "ants"}', tool_call_id="c1"),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("note", '{"text": "x"}', "The call of note was not approved: no."),
        ("note", '["x"]', "The arguments of note are no JSON object. Correct them."),
        ("other", "{}", "This run may not call the tool 'other': its grant holds: note."),
    ],
)
async def test_a_call_that_comes_to_nothing_is_told_to_the_endpoint(
    name: str, arguments: str, told: str
) -> None:
    def refuse(text: str) -> None:
        raise TenureError(Code.DENIED, "The call of note was not approved: no.")

    async def script(ask: RunAgentInput) -> Answer:
        if len(ask.messages) == 1:
            for event in calls(name, arguments):
                yield event
        yield finished(ask)

    async with reaching(script) as (runner, endpoint, _):
        outputs = await outputs_of(runner, FakeRun("go", tools={"note": refuse}))

    assert outputs[-1] == completed()
    assert endpoint.asked[1].messages[-1] == ToolMessage(
        id="result_c1", content=told, tool_call_id="c1", error=told
    )


async def test_a_spent_budget_ends_the_run_and_isnt_told_to_the_endpoint() -> None:
    def refuse() -> None:
        raise TenureError(Code.CAPACITY, "The budget is spent.")

    async with reaching(playing(*calls("note", "{}"))) as (runner, endpoint, _):
        with pytest.raises(TenureError, match="budget is spent"):
            await outputs_of(runner, FakeRun("go", tools={"note": refuse}))

    assert len(endpoint.asked) == 1


async def test_an_endpoint_that_never_has_enough_is_ended() -> None:
    outputs = await performed(playing(*calls("note", "{}")), FakeRun("go", tools={"note": lambda: "again"}))

    assert outputs == [
        Verdict(status=RunState.FAILED, reason="The endpoint asked for more 100 times in one run.")
    ]


# what it says


async def test_texts_of_two_messages_stand_apart_and_those_of_others_are_left_out() -> None:
    outputs = await performed(
        playing(
            *says("one"),
            TextMessageStartEvent(message_id="u", role="user"),
            *says("what they said", message_id="u")[1:],
            *says("two", message_id="m2"),
        )
    )

    assert outputs == [Text("one"), Text("\n\n"), Text("two"), completed()]


async def test_chunks_say_and_call_like_whole_sequences() -> None:
    outputs = await performed(
        playing(
            TextMessageChunkEvent(message_id="m1", delta="hel"),
            TextMessageChunkEvent(delta="lo"),
            ToolCallChunkEvent(tool_call_id="c1", tool_call_name="look", delta='{"at":'),
            ToolCallChunkEvent(delta=" 1}"),
            ToolCallResultEvent(message_id="t1", tool_call_id="c1", content='["a", 2]'),
        )
    )

    assert outputs == [
        Text("hel"),
        Text("lo"),
        ToolStarted(call_id="c1", tool="look", arguments={"at": 1}),
        ToolCompleted(call_id="c1", status="ok", result=["a", 2]),
        completed(),
    ]


async def test_a_call_of_its_own_is_told_while_it_is_under_way() -> None:
    told = asyncio.Event()

    async def script(ask: RunAgentInput) -> Answer:
        for event in calls("look", "{}", call_id="eff_1"):
            yield event
        await told.wait()
        yield ToolCallResultEvent(message_id="t1", tool_call_id="eff_1", content="seen")
        yield finished(ask)

    async with reaching(script) as (runner, _, _), asyncio.timeout(10):
        outputs: list[Output] = []
        async for output in runner.run(FakeRun("hi")):
            outputs.append(output)
            told.set()

    assert outputs == [
        ToolStarted(call_id="call_eff_1", tool="look"),
        ToolCompleted(call_id="call_eff_1", status="ok", result="seen"),
        completed(),
    ]


async def test_a_message_that_is_only_listed_is_said_whole() -> None:
    listed = MessagesSnapshotEvent(
        messages=[
            UserMessage(id="u1", content="hi"),
            AssistantMessage(id="m1", content="streamed"),
            AssistantMessage(id="m2", content="listed"),
        ]
    )

    outputs = await performed(playing(*says("streamed"), listed))

    assert outputs == [Text("streamed"), Said("listed"), completed()]


async def test_what_isnt_known_is_passed_over_and_what_cant_be_read_is_warned_of() -> None:
    run = FakeRun("hi")
    outputs = await performed(
        playing(
            StepStartedEvent(step_name="think"),
            CustomEvent(name="x", value=1),
            RawEvent(event={"a": 1}),
            ActivitySnapshotEvent(message_id="a1", activity_type="plan", content={}),
            b": comment\n\n",
            b'data: {"type": "THINKING_START"}\n\n',
            b'data: {"type": "TEXT_MESSAGE_CONTENT"}\r\n\r\n',
            b"data: nonsense\n\n",
            b"event: x\rdata: [1]\r\r",
            *says("fine"),
        ),
        run,
    )

    assert outputs == [Text("fine"), completed()]
    assert [code for code, _ in run.warnings] == ["event_malformed"] * 3
    assert "TEXT_MESSAGE_CONTENT.messageId: missing" in run.warnings[0][1]


async def test_text_and_events_may_be_cut_anywhere_on_the_wire() -> None:
    whole = b"".join(
        f"data: {event.model_dump_json(by_alias=True)}\r\n\r\n".encode() for event in says("három ", "🎈")
    )

    outputs = await performed(playing(*(whole[n : n + 3] for n in range(0, len(whole), 3))))

    assert outputs == [Text("három "), Text("🎈"), completed()]


async def test_a_run_that_the_endpoint_cancelled_is_cancelled() -> None:
    async def script(ask: RunAgentInput) -> Answer:
        yield finished(ask, outcome=RunFinishedCancelledOutcome().model_dump())

    assert await performed(script) == [Verdict(status=RunState.CANCELLED, reason="cancelled by the endpoint")]


async def test_an_error_of_the_endpoint_is_the_reason_without_our_secrets() -> None:
    async def script(ask: RunAgentInput) -> Answer:
        yield broken(f"the model said no to {SECRET}", "model_error")

    [verdict] = await performed(script)

    assert verdict == Verdict(status=RunState.FAILED, reason="the model said no to […] (model_error)")


# state


async def test_state_of_the_endpoint_is_kept_in_the_conversation() -> None:
    run = FakeRun("hi", state={"conversation": {"mood": "fine", "old": 1}})
    outputs = await performed(
        playing(
            StateSnapshotEvent(snapshot={"mood": "fine", "old": 1, "steps": []}),
            StateDeltaEvent.model_validate({"delta": [{"op": "add", "path": "/steps/-", "value": "a"}]}),
            StateDeltaEvent.model_validate(
                {"delta": [{"op": "add", "path": "/steps/-", "value": "b"}, {"op": "remove", "path": "/old"}]}
            ),
        ),
        run,
    )

    assert outputs == [
        StateUpdate("conversation", "steps", []),
        StateUpdate("conversation", "steps", ["a", "b"]),
        completed(),
    ]
    assert await run.state.get("conversation", "old") is None
    assert run.warnings == []


@pytest.mark.parametrize(
    ("kept", "events"),
    [
        ({}, [StateSnapshotEvent(snapshot=[1]), StateSnapshotEvent(snapshot=2)]),
        ({}, [StateDeltaEvent.model_validate({"delta": [{"op": "remove", "path": "/none"}]})] * 2),
    ],
)
async def test_state_that_cant_be_kept_is_warned_of_once(kept: dict[str, Any], events: list[Event]) -> None:
    run = FakeRun("hi", state={"conversation": kept})

    assert await performed(playing(*events), run) == [completed()]
    assert [code for code, _ in run.warnings] == ["state_ignored"]


@pytest.mark.parametrize(
    ("document", "operation", "outcome"),
    [
        ({"a": 1}, Operation("replace", "", value=2), 2),
        ({"a": [1, 3]}, Operation("add", "/a/1", value=2), {"a": [1, 2, 3]}),
        ({"a/b": {"~": 1}}, Operation("remove", "/a~1b/~0"), {"a/b": {}}),
        ({"a": 1}, Operation("move", "/b", from_="/a"), {"b": 1}),
        ({"a": [1]}, Operation("copy", "/b", from_="/a"), {"a": [1], "b": [1]}),
        ({"a": 1}, Operation("test", "/a", value=1), {"a": 1}),
    ],
)
def test_a_patch_does_what_it_says(document: object, operation: Operation, outcome: object) -> None:
    assert patched(document, [operation]) == outcome


@pytest.mark.parametrize(
    "operation",
    [
        Operation("replace", "/b", value=1),
        Operation("add", "/a/5", value=1),
        Operation("add", "/a/x/y", value=1),
        Operation("remove", "/a/-"),
        Operation("test", "/a", value=2),
        Operation("move", "/a/0", from_="/a"),
    ],
)
def test_a_patch_that_doesnt_fit_changes_nothing(operation: Operation) -> None:
    document = {"a": [1]}

    with pytest.raises(PatchFault):
        patched(document, [Operation("add", "/a/0", value=0), operation])

    assert document == {"a": [1]}


# people are asked


async def answers(run: FakeRun, *interrupts: Interrupt) -> list[object]:
    """What an endpoint is answered that asks these."""

    async def script(ask: RunAgentInput) -> Answer:
        yield asks(ask, *interrupts) if not ask.resume else finished(ask)

    async with reaching(script) as (runner, endpoint, _):
        assert (await outputs_of(runner, run))[-1] == completed()
    return [entry.model_dump(exclude_none=True) for entry in endpoint.asked[1].resume or []]


BOOLEAN = Interrupt(id="i1", reason="confirm", message="Go on?", response_schema={"type": "boolean"})
FREE = Interrupt(id="i2", reason="", message="Name?", response_schema={"properties": {"name": {}}})


async def test_a_question_without_a_call_is_asked_in_the_endpoints_words() -> None:
    run = FakeRun("hi")

    assert await answers(run, BOOLEAN, FREE) == [
        {"interrupt_id": "i1", "status": "resolved", "payload": True},
        {"interrupt_id": "i2", "status": "resolved", "payload": {"approved": True}},
    ]
    assert run.own.asked == [("confirm", {"message": "Go on?"}), ("question", {"message": "Name?"})]
    assert [*run.own.settled.values()] == [(CallStatus.OK, None)] * 2


async def test_a_no_is_told_as_the_schema_has_it() -> None:
    run = FakeRun("hi")
    run.own.judge = lambda tool, arguments: False

    assert await answers(run, BOOLEAN, FREE, Interrupt(id="i3", reason="plain")) == [
        {"interrupt_id": "i1", "status": "resolved", "payload": False},
        {"interrupt_id": "i2", "status": "cancelled"},
        {
            "interrupt_id": "i3",
            "status": "resolved",
            "payload": {"approved": False, "reason": "denied by ada."},
        },
    ]
    assert run.own.settled == {}


# when it goes wrong


@pytest.mark.parametrize(
    ("answer", "says", "retryable"),
    [
        (
            Plain("401 Unauthorized", f"{SECRET}?"),
            "refused us (401). Set what it asks for in agents.remote.headers. It says: […]?",
            False,
        ),
        (Plain("404 Not Found"), "has no AG-UI agent there (404). Correct agents.remote.url.", False),
        (
            Plain("422 Unprocessable Entity", "no field x"),
            "doesn't take the input of AG-UI 1.0 (422). Look at what it says. It says: no field x",
            False,
        ),
        (
            Plain("503 Service Unavailable"),
            "failed (503). Look at its log, then send the message again.",
            True,
        ),
        (
            Plain("307 Temporary Redirect", "", "Location: http://elsewhere/b?c=d\r\n"),
            "redirects to http://elsewhere/b. Put that into agents.remote.url.",
            False,
        ),
        (
            Plain("200 OK", "<html>", "Content-Type: text/html\r\n"),
            "answers with text/html, not a stream of events. Correct agents.remote.url. It says: <html>",
            False,
        ),
    ],
)
async def test_an_endpoint_that_refuses_says_what_to_do(answer: Plain, says: str, retryable: bool) -> None:
    async with reaching(answer) as (runner, endpoint, reached):
        outputs = await outputs_of(runner, FakeRun("hi"))

        reason = f"The endpoint http://127.0.0.1:{endpoint.port}/agent {says}"
        assert outputs == [Verdict(status=RunState.FAILED, reason=reason, retryable=retryable)]
        assert reached.fault == reason
        assert len(endpoint.asked) == 1


async def test_an_endpoint_that_isnt_there_says_what_to_do_and_is_well_when_it_is_back() -> None:
    async with answering(playing()) as endpoint:
        gone, url = endpoint.port, endpoint.url
    reached = Reached("remote", url, {}, 5)

    [verdict] = await outputs_of(AguiRunner(reached), FakeRun("hi"))

    assert isinstance(verdict, Verdict)
    assert verdict.retryable
    assert verdict.reason.startswith(f"http://127.0.0.1:{gone}/agent can't be reached: ")
    assert verdict.reason.endswith(". Start the endpoint, or correct agents.remote.url.")
    assert reached.fault == verdict.reason
    await reached.close()


@pytest.mark.parametrize("end", [b"", None])
async def test_an_answer_that_ends_too_early_has_no_verdict_and_keeps_what_was_said(
    end: bytes | None,
) -> None:
    async def script(ask: RunAgentInput) -> Answer:
        for event in says("half a"):
            yield event
        if end is not None:
            yield end

    run = FakeRun("hi")

    assert await performed(script, run) == [Text("half a")]
    assert [code for code, _ in run.warnings] == ["stream_cut"]


async def test_a_stop_closes_the_request_at_once() -> None:
    async def script(ask: RunAgentInput) -> Answer:
        for event in says("wait"):
            yield event
        await asyncio.Event().wait()

    run = FakeRun("hi")
    async with reaching(script) as (runner, endpoint, _), asyncio.timeout(4):
        outputs: list[Output] = []
        async for output in runner.run(run):
            outputs.append(output)
            run.stop()
        await endpoint.left.wait()

    assert outputs == [Text("wait"), STOPPED]


async def test_a_stop_reaches_an_endpoint_that_never_answers() -> None:
    async def script(ask: RunAgentInput) -> Answer:
        run.stop()
        await asyncio.Event().wait()
        yield finished(ask)

    run = FakeRun("hi")

    assert await performed(script, run) == [STOPPED]


async def test_a_cancelled_run_closes_its_request() -> None:
    async def script(ask: RunAgentInput) -> Answer:
        for event in says("wait"):
            yield event
        await asyncio.Event().wait()

    async with reaching(script) as (runner, endpoint, _), asyncio.timeout(5):
        outputs = runner.run(FakeRun("hi"))
        assert await anext(outputs) == Text("wait")
        await outputs.aclose()

        await endpoint.left.wait()


def test_nothing_shows_the_keys() -> None:
    reached = Reached("remote", "https://ada:hidden@there/x?key=hidden-too", {"X-Key": "hidden-three"}, 5)

    assert "hidden" not in f"{reached!r} {reached.place} {reached.masked('hidden hidden-too hidden-three')}"
    assert json.dumps(reached.place) == '"https://there/x"'
