"""Servers with agents that nobody here wrote, an ACP program and one of pydantic-ai, which die at work.

`House` is their home over several lives of a server, `AgentLoad` those who talk to them and decide, and
`faults` what an outside book says against the journal.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx

from tenure.core.evidence import Acknowledged
from tenure.core.ledger import CHANGED
from tests.crash.desk import BOOK
from tests.crash.load import GONE, Load, Session
from tests.crash.server import NO_MORE, PROGRAM, Server
from tests.runners.acp.processes import AGENT, a_mark, marked

ROOT = Path(__file__).parents[2]
PAUSE_S = 0.02
ENDS = ("completed", "cancelled")
"""How the runs of these agents end, whatever happens to their server."""

TABLES = """
[agents.acp]
runner = "acp"
command = {command}
inherit = ["LIFE"]
tools = ["confirm", "once"]
max_attempts = 100

[agents.desk]
runner = "pydantic-ai"
target = "tests.crash.desk:desk"
deps = "tests.crash.desk:folder"
tools = ["confirm", "once"]
max_attempts = 100
"""


class House:
    """A home with both agents, or one of them, and the servers that live and die on it."""

    def __init__(self, folder: Path, models: str, agents: Sequence[str] = ("acp", "desk")) -> None:
        self.agents = tuple(agents)
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        (folder / "kept").mkdir()
        self._models = models
        self._marks: list[str] = []
        self._servers: list[Server] = []
        command = json.dumps([sys.executable, "-S", AGENT, "--http", "--store", str(folder / "kept")])
        tables = TABLES.format(command=command).split("\n\n")
        (self.home / "tenure.toml").write_text(
            "\n\n".join(table for table in tables if any(f"[agents.{name}]" in table for name in agents))
        )

    def server(
        self, crash_at: str | None = None, env: Mapping[str, str] = NO_MORE, program: Sequence[str] = PROGRAM
    ) -> Server:
        """The next life of the server; call `ready` on it."""
        self._marks.append(a_mark())
        env = {"LIFE": self._marks[-1], "MODELS": self._models, "PYTHONPATH": str(ROOT), **env}
        self._servers.append(Server(self.home, crash_at=crash_at, env=env, program=program))
        return self._servers[-1]

    def close(self) -> None:
        """End whatever servers still live."""
        for server in self._servers:
            server.close()

    async def no_orphans(self) -> None:
        """Wait until nothing lives any more that a server, or a program of its, has started."""
        with anyio.fail_after(15):
            while any(marked(mark) for mark in self._marks):  # noqa: ASYNC110
                await anyio.sleep(PAUSE_S)


# --- what is said to the agents


def own(command: str, **more: Any) -> dict[str, Any]:
    """A call of the ACP agent's own that asks for leave, and is written into the book when it is made."""
    asked = {"id": command, "ask": ["allow_once", "reject_once"], "input": {"command": command}}
    return {**asked, "append": BOOK, **more}


ONCE = 'once {"path": "log.txt"}'


def acp_scripts(n: str) -> list[str]:
    """Work for the ACP agent. Its own calls have `n` in their arguments: no two messages share one."""
    first, second = own(f"{n}a"), own(f"{n}b")
    return [
        f"SLOW 6 10\nTOOL {json.dumps(first)}\nSLOW 4 10",
        f"TOOL {json.dumps(first)}\nMCP {ONCE}\nTOOL {json.dumps(second)}\nSLOW 3 10",
        f"SLOW 3 10\nTOOLS {json.dumps([first, second])}\nSAY both",
        f"SLOW 4 15\nMCP {ONCE}\nSLOW 4 15\nMCP {ONCE}\nSLOW 2 10",
        f'MCP confirm {{"text": "{n}"}}\nSAY confirmed',
        "THINK so\nSLOW 25 10",
        "DETACH\nSAY a process of its own lives on",
        "SAY quick",
    ]


def desk_scripts(n: str) -> list[str]:
    """The same for the model of the pydantic-ai agent."""
    first, second = (f'TOOL wipe {{"command": "{n}{letter}"}}' for letter in "ab")
    return [
        f"SLOW 6 10\n{first}\nTHEN\nSLOW 4 10",
        f"{first}\nTHEN\nTOOL {ONCE}\nTHEN\n{second}\nTHEN\nSLOW 3 10",
        f"SLOW 3 10\n{first}\nTOOL {ONCE}\n{second}\nTHEN\nSAY all",
        f"SLOW 4 15\nTOOL {ONCE}\nTHEN\nSLOW 4 15\nTOOL {ONCE}\nTHEN\nSLOW 2 10",
        f'TOOL confirm {{"text": "{n}"}}\nTHEN\nSAY confirmed',
        "THINK so\nSLOW 25 10",
        "SAY quick",
    ]


SCRIPTS = {"acp": acp_scripts, "desk": desk_scripts}


class AgentLoad(Load):
    """Clients who send, stop and follow, and people who decide what the agents ask."""

    def __init__(self, seed: int, agents: Sequence[str]) -> None:
        super().__init__(seed, agents)
        self._numbers = count()
        self.decided: set[str] = set()

    def script(self, agent: str) -> str:
        """The next piece of work."""
        return self.draw.choice(SCRIPTS[agent](f"c{next(self._numbers)}"))

    def _works(self, http: httpx.AsyncClient) -> list[Coroutine[None, None, None]]:
        return [*super()._works(http), self._decide(http)]

    async def _decide(self, http: httpx.AsyncClient) -> None:
        """Decide until the server is gone; some questions stay open for a while."""
        with suppress(GONE):
            while True:
                for approval in await pending(http):
                    if self.draw.random() < 0.5:
                        await self._answer(http, approval)
                await asyncio.sleep(PAUSE_S)

    async def _answer(self, http: httpx.AsyncClient, approval: dict[str, Any]) -> None:
        decision = self.draw.choice(("approve", "approve", "approve", "deny"))
        answer = await http.post(f"/v1/approvals/{approval['id']}", json={"decision": decision})
        if answer.status_code == 409:
            return
        assert answer.status_code == 200, answer.text
        self.decided.add(approval["id"])
        session = next(one for one in self.sessions if one.id == approval["session_id"])
        session.acknowledged.append(Acknowledged(None, "approval.resolved", approval["id"]))
        self._count()

    async def to_rest(self, http: httpx.AsyncClient) -> list[str]:
        """Decide whatever is asked until every session is idle and nothing waits in it.

        Tells of those that aren't in the end.
        """
        restless = list(self.sessions)
        with anyio.move_on_after(60):
            while restless:
                for approval in await pending(http):
                    await self._answer(http, approval)
                restless = [session for session in restless if not await is_idle(http, session.id)]
                await asyncio.sleep(PAUSE_S)
        return [f"The session {session.id} of {session.agent} never comes to rest." for session in restless]


async def pending(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """All questions that nobody has answered."""
    return (await http.get("/v1/approvals?status=pending&limit=1000")).json()["data"]


async def is_idle(http: httpx.AsyncClient, session_id: str) -> bool:
    """Whether nothing runs and nothing waits in a session."""
    info = (await http.get(f"/v1/sessions/{session_id}")).json()
    page = (await http.get(f"/v1/sessions/{session_id}/messages")).json()
    return info["status"] == "idle" and not page["waiting"]


async def journal(http: httpx.AsyncClient, session_id: str) -> list[dict[str, Any]]:
    """All events of a session."""
    events: list[dict[str, Any]] = []
    while True:
        after = events[-1]["seq"] if events else 0
        page = (await http.get(f"/v1/sessions/{session_id}/events?limit=1000&after={after}")).json()["data"]
        if not page:
            return events
        events += page


# --- the books


def book_of(home: Path, session_id: str) -> list[str]:
    """What the agent of a session did by itself, in order."""
    kept = [path.read_text("utf-8") for path in home.rglob(BOOK) if session_id in str(path)]
    return [json.loads(line)["command"] for line in "".join(kept).splitlines()]


def log_of(home: Path, session_id: str) -> list[str]:
    """The calls of the host's tool `once` that were made in a session."""
    made = [path.read_text("utf-8") for path in home.rglob("log.txt") if session_id in str(path)]
    return re.findall(r"eff_[0-9a-f]+", "".join(made))


def faults(home: Path, session: Session, events: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Everything that the books, or the order of the journal itself, say against what was promised."""
    for event in events:
        if event["type"] == "run.finished" and event["data"]["status"] not in ENDS:
            yield f"A run of {session.agent} ended {event['data']}."
    yield from _calls_of_the_host(log_of(home, session.id), events)
    yield from _calls_of_its_own(Counter(book_of(home, session.id)), events)
    yield from _questions(events)


def _calls_of_the_host(made: Sequence[str], events: Sequence[dict[str, Any]]) -> Iterator[str]:
    known = {e["data"]["call_id"] for e in events if e["type"] == "tool.call.started"}
    ended: dict[str, str] = {}
    for event in events:
        if event["type"] == "tool.call.completed":
            ended[event["data"]["call_id"]] = event["data"]["status"]
    once = {
        e["data"]["call_id"]
        for e in events
        if e["type"] == "tool.call.started" and e["data"]["tool"] == "once"
    }
    for call_id, times in Counter(made).items():
        if times > 1:
            yield f"The call {call_id} was made {times} times."
        if call_id not in known:
            yield f"The call {call_id} was made and stands in no journal."
    for call_id in known - ended.keys():
        yield f"Nobody was told how the call {call_id} ended."
    for call_id in once:
        if ended.get(call_id) == "ok" and call_id not in made:
            yield f"The call {call_id} is said to have been made, and wasn't."
        if ended.get(call_id) == "denied" and call_id in made:
            yield f"The call {call_id} was denied, and was made."


def _calls_of_its_own(made: Counter[str], events: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Each time that the agent acts by itself, a person has let it: that often, and no more."""
    asked: dict[str, str] = {}
    let: Counter[str] = Counter()
    for event in events:
        data = event["data"]
        match event["type"]:
            case "approval.requested" if data.get("own", False):
                asked[data["approval_id"]] = data["arguments"].get("command", "?")
            case "approval.resolved" if data["decision"] == "granted" and data["approval_id"] in asked:
                let[asked[data["approval_id"]]] += 1
            case _:
                pass
    for command, times in made.items():
        if times > let[command]:
            yield f"The agent did {command} {times} times, and was let {let[command]} times."


def _questions(events: Sequence[dict[str, Any]]) -> Iterator[str]:
    """No question is asked while the same one is open, nor once a person has said no; a yes holds."""
    last: dict[tuple[object, ...], str] = {}
    about: dict[str, tuple[object, ...]] = {}
    for event in events:
        data = event["data"]
        match event["type"]:
            case "approval.requested":
                what = (event["run_id"], data["tool"], data.get("own", False), json.dumps(data["arguments"]))
                before = last.get(what)
                if data["tool"] != "once" and (
                    before in ("open", "denied") or (before == "granted" and data.get("reason") != CHANGED)
                ):
                    yield f"{what} was asked about once more; it was {before}."
                last[what], about[data["approval_id"]] = "open", what
            case "approval.resolved":
                last[about[data["approval_id"]]] = data["decision"]
            case _:
                pass
