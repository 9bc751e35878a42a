"""Writes the corpus into a server, in every place where the console shows what others wrote; for `test_xss`.

What is said stands as it is, names are cut to what the server takes. Beside each payload stands its marker
(`n17`), so that a test can tell that the text around it is still shown.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

import httpx

from tests.console.browsing import BOUND_S
from tests.console.corpus import Payload

T = TypeVar("T")

LONGEST_NAME = 200


def marked(payload: Payload) -> str:
    """A payload with its marker in a paragraph before it."""
    return f"n{payload.number}\n\n{payload.text}"


def names_of(payloads: Iterable[Payload]) -> list[str]:
    """Payloads as names, with their markers: on one line, and as many in one as it may be long."""
    names: list[str] = []
    for payload in payloads:
        name = " ".join(f"n{payload.number} {payload.text}".split())[:LONGEST_NAME]
        if names and len(names[-1]) + len(name) < LONGEST_NAME:
            names[-1] += f" {name}"
        else:
            names.append(name)
    return names


def ordered(verb: str, payload: Payload) -> str:
    """An order of the scripted agent. Orders end with the line, so other line breaks are carriage returns."""
    return f"{verb} {marked(payload)}".replace("\n", "\r")


def many(make: Callable[[T], object], things: Iterable[T]) -> None:
    """Do it for each, a few at a time."""
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(make, things))


def made(answer: httpx.Response) -> str:
    """The id of what was made."""
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def a_session(api: httpx.Client, title: str = "Corpus", **fields: object) -> str:
    """A session with the scripted agent; its id."""
    return made(api.post("/v1/sessions", json={"agent": "scripted", "title": title, **fields}))


def send(api: httpx.Client, session: str, text: str) -> None:
    """Say something in a session, and go on."""
    answer = api.post(f"/v1/sessions/{session}/messages", json={"content": text})
    assert answer.is_success, answer.text


def send_and_wait(api: httpx.Client, session: str, text: str) -> str:
    """Say something in a session, until its run has ended; what was streamed meanwhile."""
    answer = api.post(
        f"/v1/sessions/{session}/messages", json={"content": text}, headers={"accept": "text/event-stream"}
    )
    assert answer.is_success and '"run.finished"' in answer.text, answer.text
    return answer.text


def spoken(api: httpx.Client, payloads: Sequence[Payload]) -> str:
    """A session in which a person and the agent say all of them, and the agent does something else with each.

    The queue takes a hundred messages, so that many payloads at the most.
    """
    session = a_session(api)
    confirm_always(api, session)
    many(
        lambda one: send(api, session, "\n".join((marked(one), ordered("SAY", one), *also(one)))),
        payloads,
    )
    send_and_wait(api, session, "SAY the end")
    return session


def also(payload: Payload) -> tuple[str, ...]:
    """What else the agent does with a payload: it thinks it, calls a tool with it, or fails for its sake."""
    match payload.number % 4:
        case 0:
            return (ordered("REASON", payload),)
        case 1:
            return (f"TOOL confirm {json.dumps({'text': marked(payload)})}",)
        case 2:
            name = "/".join(payload.text.split())[:100]
            return (f"TOOL {name} {json.dumps({payload.text[:80]: [marked(payload)]})}",)
        case _:
            return (ordered("FAIL", payload),)


def confirm_always(api: httpx.Client, session: str) -> None:
    """Let the tool `confirm` be used in a session without asking any more."""
    decide(api, asked(api, session, "begin"), decision="approve", remember="session")


def asked(api: httpx.Client, session: str, text: str) -> str:
    """A question of the agent's that waits; its id."""
    send(api, session, f"ASK {text}")
    until = monotonic() + BOUND_S
    while monotonic() < until:
        if found := api.get("/v1/approvals", params={"session_id": session}).json()["data"]:
            return str(found[0]["id"])
    raise AssertionError(f"Nothing was asked in {session}.")


def decide(api: httpx.Client, approval: str, **decision: object) -> None:
    """Answer a question."""
    answer = api.post(f"/v1/approvals/{approval}", json=decision)
    assert answer.is_success, answer.text


def name_everything(api: httpx.Client, names: Sequence[str]) -> None:
    """Sessions, labels, reasons, schedules, keys and users that are called so. Each has some of the names."""
    titles = list(enumerate(names))

    def session(one: tuple[int, str]) -> None:
        at, title = one
        labels = {names[at - 1]: names[at - 2]} if at % 4 == 0 else {}
        made = a_session(api, title, labels=labels)
        if at % 4 == 1:
            send(api, made, f"FAIL {title}")

    many(session, titles)
    many(lambda one: schedule(api, one[1], names[one[0] - 1]), titles[::4])
    many(lambda one: key(api, one[1], names[one[0] - 1]), titles[1::4])


def schedule(api: httpx.Client, name: str, message: str) -> str:
    """A schedule for tomorrow and every day after it; its id."""
    body = {"agent": "scripted", "name": name, "message": message, "every_s": 86_400}
    return made(api.post("/v1/schedules", json=body))


def key(api: httpx.Client, user: str, name: str) -> str:
    """A key of somebody; its id."""
    return made(api.post("/v1/keys", json={"user": user, "role": "member", "name": name}))


def belongings(api: httpx.Client, names: Sequence[str]) -> str:
    """A session with files, state and messages that wait behind a run, all of them called so."""
    session = a_session(api, names[0], labels=dict(zip(names[1:5], names[5:9], strict=True)))
    for name in names[:30]:
        answer = api.post(f"/v1/sessions/{session}/files", params={"name": name}, content=b"x")
        assert answer.is_success, answer.text
    keys = ((f"n{at}{''.join(name.split())[:60]}", name) for at, name in enumerate(names))
    orders = (f"SET conversation {key} {json.dumps(name)}" for key, name in keys)
    send_and_wait(api, session, "\n".join(orders))
    send(api, session, "SLOW 10000 1000")
    for name in names[:60]:
        send(api, session, name)
    return session


def said_elsewhere(api: httpx.Client, names: Sequence[str]) -> str:
    """A session that events of an outside platform made, their actors called so."""
    sessions: set[str] = set()
    for at, name in enumerate(names[:40]):
        event = {
            "event_id": str(at),
            "conversation_id": names[0],
            "source": name,
            "actor": {"id": name, "name": name},
            "input": {"text": f"SAY {name}"},
        }
        answer = api.post("/v1/events", json=event)
        assert answer.is_success, answer.text
        sessions.add(answer.json()["session_id"])
    (session,) = sessions
    return session
