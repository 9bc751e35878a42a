"""Sessions for the tests of the console: made by the API, watched on pages."""

import time
from typing import Any

import httpx

BOUND_S = 10.0


def a_session(api: httpx.Client, *messages: str, agent: str = "scripted", title: str | None = None) -> str:
    """Open a session and say these messages in it, each queued behind the one before."""
    made = api.post("/v1/sessions", json={"agent": agent, "title": title})
    assert made.status_code == 201, made.text
    session = str(made.json()["id"])
    for message in messages:
        said(api, session, message)
    return session


def said(api: httpx.Client, session: str, content: str, when_busy: str = "queue") -> dict[str, Any]:
    """Say something. Returns the receipt."""
    body = {"content": content, "when_busy": when_busy}
    answer = api.post(f"/v1/sessions/{session}/messages", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def transcript(api: httpx.Client, session: str) -> list[tuple[str, str]]:
    """Who said what, oldest first. Files count as nothing."""
    page = api.get(f"/v1/sessions/{session}/messages").json()
    return [(item["role"], text_of(item["content"])) for item in page["data"]]


def waiting(api: httpx.Client, session: str) -> list[str]:
    """What waits, in the order of the queue."""
    return [
        text_of(item["content"]) for item in api.get(f"/v1/sessions/{session}/messages").json()["waiting"]
    ]


def text_of(content: str | list[dict[str, str]]) -> str:
    """The text of a message."""
    return (
        content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content).strip()
    )


def until_status(api: httpx.Client, session: str, status: str) -> dict[str, Any]:
    """The session, once it has this status."""
    end = time.monotonic() + BOUND_S
    while (info := api.get(f"/v1/sessions/{session}").json())["status"] != status:
        assert time.monotonic() < end, f"still {info['status']}"
    return dict(info)
