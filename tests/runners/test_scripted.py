"""The demo agent *scripted*: every order of a message, and what it makes of bad ones."""

import asyncio

import pytest

from tenure.core.grant import HISTORY, RECALLS, Capabilities, Descriptor
from tenure.core.output import Output, Reasoning, Text, Verdict, completed, failed
from tenure.core.run import RunState
from tenure.core.scheduling import Recall
from tenure.ports.runner import GatewayAccess
from tenure.runners.demo.scripted import DEAF_S, ScriptedRunner
from tenure.runners.rehearsal import FakeRun, spoken
from tests.runners.virtual import Spoken, in_virtual_time, timeline

SLOW_FORM = "each at most 10,000,000, for example: SLOW 20 100"
BURST_FORM = "each at most 10,000,000, for example: BURST 100 50"


def outputs_of(message: str) -> list[Output]:
    """What *scripted* puts out for a message."""
    return [output for _, output in timeline(ScriptedRunner(), FakeRun(message))]


def test_descriptor_names_the_runner_and_what_it_can() -> None:
    assert ScriptedRunner().descriptor == Descriptor(
        runner="scripted",
        capabilities=Capabilities(tools=True, steering=True, approvals=True),
        permissions=(HISTORY, RECALLS),
        description="Obeys the lines of a message, for example: SAY text, SLOW 20, FAIL reason.",
    )


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello there",
        "say hello",
        "SAYING nothing",
        "RECALLED 5 wake up\nTOKENS",
    ],
)
def test_message_without_a_known_order_is_answered_ok(message: str) -> None:
    assert outputs_of(message) == [Text("ok"), completed()]


def test_orders_are_obeyed_in_order_and_other_lines_left_out() -> None:
    message = "please\n  SAY one \r\nnow\nREASON hm\nSAY two\nBURST 1 3\nTOKENS later"

    assert outputs_of(message) == [
        Text("one "),
        Reasoning("hm"),
        Text("two"),
        Text("b0 "),
        completed(),
    ]


def test_token_says_where_the_run_gateway_is_or_that_there_is_none() -> None:
    run = FakeRun("TOKEN")
    run.gateway = GatewayAccess("http://127.0.0.1:8321/mcp/run", "tnr_run_x")

    said = [output for _, output in timeline(ScriptedRunner(), run)]

    assert said == [Text('{"url":"http://127.0.0.1:8321/mcp/run","token":"tnr_run_x"}'), completed()]
    assert outputs_of("TOKEN") == [
        Text("This host has no run gateway. It needs a server with the extra mcp installed. "),
        completed(),
    ]


@pytest.mark.parametrize(
    ("order", "seconds", "text"),
    [
        ("RECALL 5 SAY wake up", 5, "SAY wake up"),
        ("RECALL 0.25  SLOW 3 10 ", 0.25, "SLOW 3 10"),
        ("RECALL 0.001 x", 0.001, "x"),
    ],
)
def test_recall_has_its_text_obeyed_later_and_says_the_id(order: str, seconds: float, text: str) -> None:
    run = FakeRun(f"{order}\nSAY on", apis=(HISTORY, RECALLS))

    said = [output for _, output in timeline(ScriptedRunner(), run)]

    (made,) = run.recalls.made.items()
    assert made == (f"sch_{1:032x}", Recall(message=text, in_s=seconds))
    assert said == [Text(f"recall sch_{1:032x} "), Text("on"), completed()]


def test_recall_that_is_refused_says_why() -> None:
    why = f"forbidden: The grant of run run_{1:032x} doesn't hold the right recalls. "

    assert outputs_of("RECALL 1 SAY hello\nSAY on") == [Text(why), Text("on"), completed()]


@pytest.mark.parametrize(
    "wrong", ["", "5", "soon SAY hello", "0 SAY hello", "-1 SAY x", "1e9 x", "٣ x", "nan x"]
)
def test_recall_that_makes_no_sense_says_what_it_needs(wrong: str) -> None:
    got = repr(wrong) if wrong else "nothing"
    needs = "RECALL needs seconds, from 0.001 to 31,536,000, and what is to be done then, "

    (said, *rest) = outputs_of(f"RECALL {wrong}\nSAY on")

    assert said == Text(f"{needs}for example: RECALL 1.5 SAY hello; got {got}. ")
    assert rest == [Text("on"), completed()]


def test_slow_says_word_k_at_start_plus_k_gaps_without_drift() -> None:
    said = timeline(ScriptedRunner(), FakeRun("SLOW 100 33"))

    assert said == [
        *(Spoken(round(k * 0.033, 6), Text(f"w{k} ")) for k in range(100)),
        Spoken(round(99 * 0.033, 6), completed()),
    ]


def test_slow_leaves_100_ms_between_words_by_default() -> None:
    assert [at for at, _ in timeline(ScriptedRunner(), FakeRun("SLOW 3"))] == [0, 0.1, 0.2, 0.2]


def test_slow_makes_up_for_a_reader_that_was_late() -> None:
    async def read_late() -> list[float]:
        loop, times = asyncio.get_running_loop(), list[float]()
        async for _ in ScriptedRunner().run(FakeRun("SLOW 5 100")):
            times.append(round(loop.time(), 6))
            if len(times) == 2:
                await asyncio.sleep(0.25)
        return times

    assert in_virtual_time(read_late()) == [0, 0.1, 0.35, 0.35, 0.4, 0.4]


def test_slow_stops_at_its_next_word_and_what_follows_isnt_obeyed() -> None:
    said = timeline(ScriptedRunner(), FakeRun("SLOW 50 100\nSAY unheard"), stop_at=0.25)

    assert said == [
        Spoken(0, Text("w0 ")),
        Spoken(0.1, Text("w1 ")),
        Spoken(0.2, Text("w2 ")),
        Spoken(0.3, Verdict(status=RunState.CANCELLED, reason="interrupted")),
    ]


def test_burst_says_different_deltas_of_100_bytes_at_once() -> None:
    said = timeline(ScriptedRunner(), FakeRun("BURST 1000"))

    texts = [output.text for at, output in said if isinstance(output, Text) and at == 0]
    assert len(set(texts)) == 1_000
    assert {len(text.encode()) for text in texts} == {100}


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_burst_says_deltas_of_the_given_size(size: int) -> None:
    said = outputs_of(f"BURST 12 {size}")

    assert [len(spoken([output]).encode()) for output in said[:-1]] == [size] * 12


def test_seq_numbers_its_deltas_as_given() -> None:
    assert outputs_of("SEQ 0, 1,1,x,,5") == [
        *(Text(f"#{n} ", sequence=n) for n in ["0", "1", "1", "x", "", "5"]),
        completed(),
    ]


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("FAIL out of luck \nSAY unheard", failed("out of luck")),
        ("FAIL", failed("The message asked for it.")),
    ],
)
def test_fail_ends_the_run_with_its_reason(message: str, verdict: Verdict) -> None:
    assert outputs_of(message) == [verdict]


def test_crash_raises_after_what_was_said() -> None:
    async def crash() -> list[Output]:
        said: list[Output] = []
        outputs = ScriptedRunner().run(FakeRun("SAY before\nCRASH\nSAY after"))
        said.append(await anext(outputs))
        with pytest.raises(RuntimeError, match="asked for a CRASH"):
            await anext(outputs)
        return said

    assert in_virtual_time(crash()) == [Text("before")]


def test_vanish_ends_without_a_verdict() -> None:
    assert outputs_of("SAY before\nVANISH\nSAY after") == [Text("before")]


def test_hang_ignores_a_stop_and_every_cancellation_for_a_minute_and_then_yields_to_it() -> None:
    async def hang() -> tuple[bool, float, bool]:
        loop = asyncio.get_running_loop()
        run = FakeRun("HANG")
        task = asyncio.create_task(drain(run))
        await asyncio.sleep(5)
        run.stop()
        for _ in range(5):
            await asyncio.sleep(5)
            task.cancel()
        deaf = not task.done()
        await asyncio.wait([task])
        return deaf, loop.time(), task.cancelled()

    first_cancel = 10
    assert in_virtual_time(hang()) == (True, first_cancel + DEAF_S, True)


def test_hang_that_nobody_cancels_doesnt_return() -> None:
    async def hang() -> bool:
        task = asyncio.create_task(drain(FakeRun("HANG")))
        done, _ = await asyncio.wait([task], timeout=86_400)
        task.cancel()
        await asyncio.wait([task])
        return bool(done)

    assert in_virtual_time(hang()) is False


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("SLOW x", f"SLOW needs a number of words and perhaps of milliseconds, {SLOW_FORM}; got 'x'. "),
        ("BURST", f"BURST needs a number of deltas and perhaps of bytes, {BURST_FORM}; got nothing. "),
        ("SAY", "SAY needs a text, for example: SAY hello. "),
        ("REASON ", "REASON needs a text, for example: REASON let me see. "),
        ("SEQ", "SEQ needs numbers with commas between them, for example: SEQ 0,1,1,x,5. "),
    ],
)
def test_bad_arguments_are_told_and_the_next_order_obeyed(message: str, complaint: str) -> None:
    assert outputs_of(f"{message}\nSAY on") == [Text(complaint), Text("on"), completed()]


@pytest.mark.parametrize("arguments", ["-1", "1.5", "1 2 3", "1 x", "٣", "10000001", "9" * 5_000])
def test_slow_and_burst_take_no_strange_numbers(arguments: str) -> None:
    for verb in ("SLOW", "BURST"):
        said = spoken(outputs_of(f"{verb} {arguments}"))
        assert said.startswith(f"{verb} needs a number")


async def drain(run: FakeRun) -> None:
    """Take everything an attempt puts out."""
    async for _ in ScriptedRunner().run(run):
        pass
