"""What the journeys over several hosts say and hear: plain HTTP, by a client of each host."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec

from tenure.core.evidence import Connection, Observed
from tenure.core.invariants import Violation
from tenure.host.clock import RandomIds
from tenure.host.doctor import examine
from tenure.stores.postgres.tables import examined
from tests.cluster.servers import HostProcess

PATIENCE_S = 30.0
PAUSE_S = 0.03
NOTHING_SEEN: Mapping[str, Observed] = {}


class Seen(msgspec.Struct):
    """An event as a client got it: what the journeys look at, and the line itself."""

    seq: int
    type: str
    run_id: str | None
    data: dict[str, Any]
    line: bytes = b""


@asynccontextmanager
async def clients(*of: HostProcess) -> AsyncGenerator[list[httpx.AsyncClient]]:
    """A client of each host."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client(host)) for host in of]


def client(host: HostProcess) -> httpx.AsyncClient:
    """A client of one host, with the administrator's key."""
    headers = {"Authorization": f"Bearer {host.key}"}
    return httpx.AsyncClient(base_url=host.url, headers=headers, timeout=PATIENCE_S)


async def opened(http: httpx.AsyncClient) -> str:
    """A session with *scripted*."""
    answer = await http.post("/v1/sessions", json={"agent": "scripted"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def say(
    http: httpx.AsyncClient, session_id: str, text: str, when_busy: str = "queue"
) -> dict[str, Any]:
    """Send a message; its receipt."""
    body = {"content": text, "when_busy": when_busy}
    answer = await http.post(f"/v1/sessions/{session_id}/messages", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def events(http: httpx.AsyncClient, session_id: str, after: int = 0) -> AsyncGenerator[Seen]:
    """The session's events from a cursor on, for as long as somebody asks for more."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    async with http.stream("GET", f"/v1/sessions/{session_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line.startswith('data: {"seq":'):
                seen = msgspec.json.decode(line[6:], type=Seen)
                seen.line = line[6:].encode()
                yield seen


async def until(stream: AsyncIterator[Seen], kind: str, within_s: float = PATIENCE_S) -> list[Seen]:
    """Everything up to the first event of a kind."""
    seen: list[Seen] = []
    with anyio.fail_after(within_s):
        async for event in stream:
            seen.append(event)
            if event.type == kind:
                return seen
    raise AssertionError(f"the stream ended before a {kind}")


async def first(http: httpx.AsyncClient, session_id: str, kind: str) -> Seen:
    """The first event of a kind, as soon as it is there."""
    stream = events(http, session_id)
    try:
        return (await until(stream, kind))[-1]
    finally:
        await stream.aclose()


async def journal(http: httpx.AsyncClient, session_id: str) -> list[Seen]:
    """All events of a session so far."""
    found: list[Seen] = []
    while True:
        after = found[-1].seq if found else 0
        answer = await http.get(f"/v1/sessions/{session_id}/events?limit=1000&after={after}")
        page = msgspec.json.decode(answer.content, type=dict[str, Any])["data"]
        if not page:
            return found
        found += msgspec.convert(page, type=list[Seen])


async def contents(http: httpx.AsyncClient, session_id: str) -> list[str]:
    """The contents of the transcript, oldest first."""
    page = (await http.get(f"/v1/sessions/{session_id}/messages")).json()
    return [item["content"] for item in page["data"]]


async def becomes(fact: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    with anyio.fail_after(within_s):
        while not fact():  # noqa: ASYNC110
            await anyio.sleep(PAUSE_S)


async def answers(
    http: httpx.AsyncClient, path: str, status: int, within_s: float = PATIENCE_S
) -> httpx.Response:
    """Wait until a GET is answered with this status."""
    with anyio.fail_after(within_s):
        while True:
            try:
                answer = await http.get(path)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            await anyio.sleep(PAUSE_S)


async def living(http: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """The hosts there are, by name."""
    answer = await http.get("/v1/stats")
    assert answer.status_code == 200, answer.text
    return {host["name"]: host for host in answer.json()["hosts"]}


async def owner_first(http: httpx.AsyncClient, of: Sequence[HostProcess]) -> list[HostProcess]:
    """The hosts, the one with the most live runs first."""
    there = await living(http)
    return sorted(of, key=lambda host: -there[host.name]["live_runs"])


async def findings(database: str, observed: Mapping[str, Observed] = NOTHING_SEEN) -> list[Violation]:
    """What the doctor says about a database, given what clients saw."""
    async with examined(database, RandomIds()) as store:
        return await examine(store, observed)


def watched(session_id: str, seen: Iterable[Seen], after: int = 0) -> dict[str, Observed]:
    """What one reader of one session saw over one connection."""
    shown = Connection(after, tuple(event.line for event in seen))
    return {session_id: Observed(readers=((shown,),))}


def calls_made(root: Path) -> list[str]:
    """The calls that the tool `once` made on any host, each by its id."""
    made = [path.read_text("utf-8") for path in root.rglob("log.txt")]
    return re.findall(r"eff_[0-9a-f]+", "".join(made))


def attempts(seen: Iterable[Seen]) -> list[int]:
    """The attempts that began, in order."""
    return [event.data.get("attempt", 1) for event in seen if event.type in ("run.started", "run.retried")]
