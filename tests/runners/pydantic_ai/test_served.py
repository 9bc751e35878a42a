"""A table, a real server, a real client: from a message to a scripted model and back, over a restart."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from tenure.agent_tables import PydanticAIAgent
from tenure.client import Client
from tenure.core.approval import ApprovalState
from tenure.core.event import (
    MessageDelta,
    RunFinished,
    RunResumed,
    RunRetried,
    RunWaiting,
    ToolCallCompleted,
    UsageRecorded,
)
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted
from tests.models.server import models_aside

MODULE = """
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

support = Agent(OpenAIChatModel("scripted", provider=OpenAIProvider(base_url={url!r}, api_key="any")))


@support.tool_plain(requires_approval=True)
def wipe(path: str) -> str:
    with Path({trail!r}).open("a") as trail:
        trail.write(f"{{path}}\\n")
    return f"wiped {{path}}"
"""


@pytest.mark.sources("P7", "P4")
@pytest.mark.usefixtures("fresh_imports")
def test_an_own_call_waits_through_a_restart_of_the_server_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home, trail = tmp_path / "home", tmp_path / "trail"
    home.mkdir(mode=0o700)
    with models_aside() as models:
        Path("desk_served.py").write_text(MODULE.format(url=models.v1, trail=str(trail)))
        table = PydanticAIAgent(runner="pydantic-ai", target="desk_served:support", tools=("confirm",))
        server = Hosted(home, agents={"support": table}).start()
        with Client(server.place.url, server.place.key) as client:
            session = client.open_session("support").id
            client.send(session, 'SAY First\nUSAGE 7 3\nTOOL wipe {"path": "old"}\nTHEN\nSAY then done')
            events_of(client.follow(session, until=lambda e: isinstance(e.event, RunWaiting)))
        server.stop()
        server.start()
        with Client(server.place.url, server.place.key) as client:
            (question,) = client.approvals(status=ApprovalState.PENDING, session_id=session)
            client.approve(question.id, arguments={"path": "older"})
            events = [e.event for e in events_of(client.follow(session, until=is_finished))]
        server.stop()

    assert (question.tool, question.own) == ("wipe", True)
    assert trail.read_text() == "older\n"
    assert "".join(e.text for e in events if isinstance(e, MessageDelta)) == "Firstthen done"
    assert [e.mode for e in events if isinstance(e, RunResumed)] == ["resume"]
    assert not [e for e in events if isinstance(e, RunRetried)]
    assert [e.result for e in events if isinstance(e, ToolCallCompleted)] == ["wiped older"]
    spent = [(e.input_tokens, e.output_tokens) for e in events if isinstance(e, UsageRecorded)]
    assert spent == [(7, 3), (10, 5)]
    assert [e.status for e in events if isinstance(e, RunFinished)] == ["completed"]


@pytest.mark.usefixtures("fresh_imports")
def test_a_model_of_a_table_calls_the_hosts_tools_and_remembers_it(tmp_path: Path) -> None:
    with models_aside(key="sk-right") as models:
        table = PydanticAIAgent(
            runner="pydantic-ai",
            model="openai-chat:scripted",
            base_url=models.v1,
            api_key=SecretStr("sk-right"),
            tools=("confirm",),
        )
        wrong = table.model_copy(update={"api_key": SecretStr("sk-wrong"), "retries": 0})
        server = Hosted(tmp_path, agents={"clerk": table, "lost": wrong}).start()
        with Client(server.place.url, server.place.key) as client:
            lost = client.open_session("lost").id
            client.send(lost, "hello")
            failed = events_of(client.follow(lost, until=is_finished))[-1].event
            session = client.open_session("clerk").id
            client.send(session, 'TOOL confirm {"text": "shall I?"}')
            events_of(client.follow(session, until=lambda e: isinstance(e.event, RunWaiting)))
            (question,) = client.approvals(status=ApprovalState.PENDING, session_id=session)
            client.approve(question.id)
            events_of(client.follow(session, until=is_finished))
            head = client.session(session).head_seq
            client.send(session, "SAY bye")
            events_of(client.follow(session, after=head, until=is_finished))
        server.stop()

    assert isinstance(failed, RunFinished)
    assert (failed.status, "[agents.lost]" in failed.reason, "sk-wrong" in failed.reason) == (
        "failed",
        True,
        False,
    )
    assert [role for role, _ in models.requests[-1].said] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    assert question.own is False
