"""Each benchmark runs on the real server and counts right, at sizes that take a moment. Nothing is timed."""

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest

from benchmarks import browser, console, lookups, page, recalls, start, w1, w1p, w2, w3, w4, w6, w7
from benchmarks.__main__ import WORKS, arguments
from benchmarks.client import END, Address, Arrival, arrivals, stream
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import batch, fan_out, fdatasync_p50

T = TypeVar("T")
PLACE = Path(tempfile.gettempdir())


def test_w1_counts_every_event_of_every_run() -> None:
    figures = measured(w1.run(PLACE, 1, w1.Size(sessions=2, runs=2, deltas=5, alone=2, floor=2_000)))

    assert [figure.unit for figure in figures] == ["events/s", "runs/s", "µs", "ms", "ms", "ms", "ms"]
    assert all(figure.value > 0 for figure in figures)


def test_w1p_hears_every_word_after_it_was_said() -> None:
    figures = measured(w1p.run(PLACE, 1, w1p.Size(runs=(3,), words=5)))

    late, latest = figures[0].value, figures[1].value
    assert 0 <= late <= latest


def test_w2_brings_every_event_to_every_subscriber() -> None:
    size = w2.Size(subscribers=4, burst=50, paced=5)

    figures = measured(w2.run(PLACE, 1, size))

    assert [figure.unit for figure in figures] == ["deliveries/s", "µs", "deliveries/s", "µs", "ms"]


def test_w3_finds_no_gap_and_no_repeat_in_random_cuts() -> None:
    size = w3.Size(cuts=30, sessions=3, words=20, burst=30, journals=(300,), samples=2, floor=2_000)

    figures = measured(w3.run(PLACE, 1, size))

    assert [figure.value for figure in figures[:3]] == [0, 0, 0]


def test_look_ups_do_each_command_to_a_run_of_its_own() -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(lookups.run(Path(folder), 1, lookups.Size(few=4, many=6, commands=2)))

    assert [figure.name.partition(" p50")[0] for figure in figures] == [
        "steering admitted",
        "steering taken",
        "grant looked up",
        "approval asked for",
        "approval decided",
        "interrupt written",
    ]


def test_w3_would_notice_a_gap_a_repeat_and_a_changed_event() -> None:
    seen = [Arrival(0.0, seq, b"e%d" % seq) for seq in (5, 6, 6, 9)]

    assert (w3.gaps(3, seen), w3.repeats(3, seen)) == (2, 1)
    assert w3.changed({5: b"e5", 6: b"another", 9: b"e9"}, seen) == 2


def test_w4_finds_no_task_for_an_idle_session() -> None:
    figures = measured(w4.run(PLACE, 1, w4.Size(stages=(20,), seconds=0.1, woken=2)))

    assert (figures[0].unit, figures[0].value) == ("", 0)


def test_w5_sees_every_recall_fire_once_and_its_run_end() -> None:
    size = recalls.Size(pending=30, due=6, seconds=0.3, watched=2, idle_s=0.1, created=4, lead_s=1.0)

    figures = {figure.name: figure for figure in measured(recalls.run(PLACE, 1, size))}

    assert figures["recalls that did not fire exactly once and end"].value == 0
    assert figures["recall late p50, 20/s, 30 more wait"].value > 0
    assert figures["disk for each that waits"].value > 0


def test_w6_sees_every_interrupt_end_its_run() -> None:
    figures = measured(w6.run(PLACE, 1, w6.Size(active=2, commands=3, crowd=3)))

    assert all(figure.value > 0 for figure in figures)


def test_w7_finds_everything_again_after_a_kill() -> None:
    figures = measured(w7.run(PLACE, 1, w7.Size(runs=5, step_ms=10, bursts=2, senders=1, load_s=0.5)))

    assert [figure.value for figure in figures[:3]] == [0, 0, 0]
    assert figures[0].bar == Target(most=0)


def test_a_stream_asked_for_on_a_line_that_is_cut_ends_with_no_frame() -> None:
    assert measured(_asked_on_a_cut_line()) == (2, 0)


async def _asked_on_a_cut_line() -> tuple[int, int]:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n\nid: 1\n\nid: 2" + END)
        writer.close()

    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1], "key")
        asked = await stream(address)
        asked.send(address.request("GET", "/"))
        await asked.whole()
        first = asked.count
        asked.cut()
        asked.send(address.request("GET", "/"))
        await asked.whole()
        return first, asked.count


def test_w7_would_notice_that_an_acknowledged_message_is_gone() -> None:
    promise = w7.Promise("ses_1", "msg_1", 2)
    there = b'{"seq":2,"at":"","type":"message.admitted","run_id":null,"data":{"message_id":"msg_1"}}'

    assert w7.kept({2: there}, promise)
    assert not w7.kept({1: there}, promise)
    assert not w7.kept({2: there.replace(b"msg_1", b"msg_2")}, promise)


def test_start_names_what_a_beginning_costs() -> None:
    figures = measured(start.run(PLACE, 1, start.Size(tries=1)))

    assert [figure.unit for figure in figures] == ["ms", "MiB", "ms", "ms"]


@pytest.mark.skipif(browser.lacking() is not None, reason="no browser, or the console isn't built")
def test_the_console_shows_every_piece_of_a_burst() -> None:
    size = console.Size(messages=2, pieces=20, rates=(500,), seconds=0.5)

    figures = {figure.name: figure for figure in measured(console.run(PLACE, 1, size))}

    assert figures.pop("pieces not shown, 500 pieces/s").value == 0
    assert all(figure.value > 0 for figure in figures.values())


def test_the_floors_write_and_deliver() -> None:
    written = batch(PLACE, 4_000)
    delivered = measured(fan_out(3, 10, 4))

    assert min(*written, *delivered, fdatasync_p50(PLACE, 3)) > 0


def test_frames_are_found_whole_however_the_reads_were_cut() -> None:
    body = b'id: 1\ndata: {"seq":1}\n\nevent: up_to_date\ndata: {}\n\nid: 2\ndata: {"seq":2}\n\n'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b"%x\r\n%b\r\n" % (len(body), body)

    for cut in range(1, len(raw)):
        found = list(arrivals([(0.0, raw[:cut]), (1.0, raw[cut:])]))

        assert [(each.seq, each.envelope) for each in found] == [(1, b'{"seq":1}'), (2, b'{"seq":2}')]


def test_a_target_is_met_by_its_bound_or_by_its_share_of_the_floor() -> None:
    bound = Target(least=100, of_floor=0.5)

    assert bound.met(100, 0.1, 1000)
    assert bound.met(10, 0.5, 20)
    assert not bound.met(99, 0.4, 247)


def test_a_slow_disk_stretches_only_what_contains_a_commit() -> None:
    assert Target(most=3, syncs=True).met(5, None, 0.42)
    assert not Target(most=3, syncs=True).met(5, None, 0.1)
    assert not Target(most=3).met(5, None, 0.42)


def test_a_ratio_is_taken_within_each_round() -> None:
    figure = Figure(work="W", name="", unit="", values=(1, 8, 9), floors=(1, 2, 90))

    assert (figure.value, figure.floor, figure.ratio) == (8, 2, 1)


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert [quantile([3, 1, 2], share) for share in (0, 0.5, 1)] == [1, 2, 3]


def test_the_page_says_when_a_goal_is_not_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "reference" / "benchmarks.md")
    figure = Figure(work="W1", name="events", unit="events/s", values=(50, 70), goal=Target(least=100))

    page.write([figure], page.Conditions([("memory", "1 GiB")], 2, 0.25))

    text = page.PAGE.read_text()
    assert "Goals not met: 1 of 1." in text
    assert "| W1 | events | 60 events/s | 50 – 70 |  |  | ≥ 100 | **no** |  |  |" in text
    assert "| others | took 25% of the machine meanwhile |" in text


def test_half_a_table_is_never_published(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments(["w1", "--write"])

    assert "--write needs all works" in capsys.readouterr().err


def test_an_unknown_work_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments(["w9"])

    assert f"unknown work 'w9'; there are {', '.join(WORKS)}" in capsys.readouterr().err


def measured(work: Awaitable[T]) -> T:
    """What a work hands back, run as `python -m benchmarks` does, but within a minute."""

    async def within() -> T:
        async with asyncio.timeout(50):
            return await work

    return asyncio.run(within())
