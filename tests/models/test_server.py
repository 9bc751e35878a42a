"""The model server itself: what it refuses, what it notices, and how else it can be started."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.models.server import MODEL, Models, model_server, models_aside

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
BOUND_S = 20.0


def body(text: str, *, stream: bool = False) -> dict[str, object]:
    """A chat completion that is asked for."""
    return {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": text}]}


def spoken(answer: httpx.Response) -> object:
    """What a chat completion says."""
    return answer.json()["choices"][0]["message"]["content"]


async def ask(models: Models, text: str, **headers: str) -> httpx.Response:
    """A chat completion."""
    async with httpx.AsyncClient(base_url=models.v1, headers=headers) as client:
        return await client.post("/chat/completions", json=body(text))


async def test_another_key_is_refused_wherever_the_format_has_it() -> None:
    async with model_server(key="right") as models:
        for name, wrong, right in (
            ("authorization", "Bearer wrong", "Bearer right"),
            ("x-api-key", "wrong", "right"),
            ("x-goog-api-key", "wrong", "right"),
        ):
            refused = await ask(models, "SAY hi", **{name: wrong})
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            assert spoken(await ask(models, "SAY hi", **{name: right})) == "hi"
        assert len(models.requests) == 3
        assert "right" not in str([request.headers for request in models.requests])


async def test_a_client_that_doesnt_wait_for_its_answer_is_noticed() -> None:
    async with model_server() as models, httpx.AsyncClient(base_url=models.v1) as client:
        for text in ("SLOW 9 60000", "SAY something\nHANG"):
            async with client.stream("POST", "/chat/completions", json=body(text, stream=True)) as answer:
                async for _ in answer.aiter_lines():
                    break
        assert await asyncio.to_thread(models.wait_dropped, 2)


async def test_words_come_at_the_pace_that_was_told() -> None:
    async with model_server() as models, httpx.AsyncClient(base_url=models.v1) as client:
        began = time.monotonic()
        async with client.stream("POST", "/chat/completions", json=body("SLOW 5 20", stream=True)) as answer:
            words = [line async for line in answer.aiter_lines() if '"content":"w' in line]
        assert (len(words), time.monotonic() - began >= 0.08) == (5, True)


async def test_retry_after_is_told() -> None:
    async with model_server() as models:
        answers = [await ask(models, "FAIL 429 1 0.5\nSAY at last") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [429, 200]
    assert answers[0].headers["retry-after"] == "0.5"


async def test_a_script_that_makes_no_sense_is_a_bad_request_that_says_so() -> None:
    async with model_server() as models:
        answer = await ask(models, "SLOW down")
    assert answer.status_code == 400
    assert "'down'" in answer.json()["error"]["message"]


async def test_the_newest_message_with_directives_counts_and_agents_may_say_more_after_it() -> None:
    messages = [
        {"role": "user", "content": "SAY one"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "> SAY two"},
        {"role": "user", "content": "<reminder>It is Monday.</reminder>"},
    ]
    async with model_server() as models, httpx.AsyncClient(base_url=models.v1) as client:
        answer = await client.post("/chat/completions", json={"messages": messages})
    assert spoken(answer) == "two"


async def test_models_are_listed_tokens_counted_and_the_rest_is_not_found() -> None:
    async with model_server() as models, httpx.AsyncClient(base_url=models.url) as client:
        listed = (await client.get("/v1/models")).json()
        counted = (await client.post("/v1/messages/count_tokens", json={})).json()
        found = [(await client.request(verb, "/")).status_code for verb in ("GET", "HEAD", "POST")]
    assert ([one["id"] for one in listed["data"]], counted["input_tokens"]) == ([MODEL], 10)
    assert found == [404, 404, 404]


def test_it_serves_tests_that_have_no_loop() -> None:
    with models_aside() as models:
        assert spoken(httpx.post(f"{models.v1}/chat/completions", json=body("SAY hi"))) == "hi"
        assert [request.said for request in models.requests] == [[("user", "SAY hi")]]


def test_it_runs_as_a_program_that_tells_its_address_and_what_came() -> None:
    command = [sys.executable, "-m", "tests.models", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            answer = httpx.post(f"{url}/v1/chat/completions", json=body("SAY hi"))
            came = httpx.get(f"{url}/requests").json()["data"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert (spoken(answer), process.wait(BOUND_S)) == ("hi", 0)
    assert [(one["format"], one["turns"]) for one in came] == [("openai-chat", [["user", "SAY hi"]])]
