"""What an ACP agent tells, as outputs: whatever the order, and whatever it leaves out."""

from typing import Any

import pytest
from acp.schema import PromptResponse, RequestPermissionRequest, SessionNotification, Usage

from tenure.core.effect import CallStatus
from tenure.core.output import Artifact, Reasoning, Spent, Text, ToolCompleted, ToolStarted
from tenure.core.output import Usage as Used
from tenure.ports.runner import Permit
from tenure.runners.acp.updates import HOLD_BLIND_S, HOLD_S, Call, Item, Odd, Settle, Telling, Unask

STARTED = ToolStarted(call_id="c1", tool="execute", arguments={"title": "List", "command": "ls"})
ENDED = ToolCompleted(call_id="c1", status=CallStatus.OK, result="a.txt")
LISTED = [{"type": "content", "content": {"type": "text", "text": "a.txt"}}]


def told(telling: Telling, kind: str, /, *, now: float = 0.0, **more: Any) -> list[Item]:
    """What one update, as it stands on the wire, becomes."""
    raw: dict[str, Any] = {"sessionId": "s", "update": {"sessionUpdate": kind, **more}}
    return telling.take(SessionNotification.model_validate(raw).update, now)


def asked(telling: Telling, **call: Any) -> tuple[Call, list[Item]]:
    """A person is asked about a call."""
    raw: dict[str, Any] = {"sessionId": "s", "toolCall": {"toolCallId": "c1", **call}, "options": []}
    return telling.asked(RequestPermissionRequest.model_validate(raw).tool_call, 0.0)


def begun(telling: Telling, **more: Any) -> list[Item]:
    """A call begins."""
    call = {"toolCallId": "c1", "title": "List", "kind": "execute", "rawInput": {"command": "ls"}}
    shown: dict[str, Any] = {**call, **more}
    return told(telling, "tool_call", **shown)


def progress(telling: Telling, **more: Any) -> list[Item]:
    """A call goes on."""
    shown: dict[str, Any] = {"toolCallId": "c1", **more}
    return told(telling, "tool_call_update", **shown)


@pytest.fixture
def telling() -> Telling:
    return Telling("scripted")


# words


def test_chunks_are_text_and_thoughts_are_reasoning(telling: Telling) -> None:
    said = told(telling, "agent_message_chunk", content={"type": "text", "text": "hi"})
    thought = told(telling, "agent_thought_chunk", content={"type": "text", "text": "hm"})

    assert (said, thought) == ([Text("hi")], [Reasoning("hm")])


def test_messages_of_other_ids_are_set_apart(telling: Telling) -> None:
    chunks = [("m1", "one"), ("m1", " more"), ("m2", "two"), (None, " more")]

    said = [
        item
        for message, text in chunks
        for item in told(
            telling, "agent_message_chunk", content={"type": "text", "text": text}, messageId=message
        )
    ]

    assert said == [Text("one"), Text(" more"), Text("\n\n"), Text("two"), Text(" more")]


@pytest.mark.parametrize(
    ("content", "item"),
    [
        (
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            Artifact("image.png", b"hi", "image/png"),
        ),
        (
            {"type": "resource_link", "name": "a", "uri": "file:///s/a.txt"},
            Text("[a](file:///s/a.txt)"),
        ),
        (
            {
                "type": "resource",
                "resource": {"uri": "file:///s/a.txt", "text": "hi", "mimeType": "text/plain"},
            },
            Artifact("a.txt", b"hi", "text/plain"),
        ),
        (
            {"type": "resource", "resource": {"uri": "file:///s/a.bin", "blob": "aGk="}},
            Artifact("a.bin", b"hi", None),
        ),
        (
            {"type": "audio", "data": "no base64!", "mimeType": "audio/wav"},
            Odd("payload_invalid", "The agent sent audio as something that isn't base64."),
        ),
    ],
)
def test_what_is_no_text_is_said_as_a_link_or_kept_as_a_file(
    telling: Telling, content: dict[str, Any], item: Item
) -> None:
    assert told(telling, "agent_message_chunk", content=content) == [item]


def test_a_plan_is_a_thought_that_is_told_when_it_changes(telling: Telling) -> None:
    entries = [
        {"content": "look", "priority": "high", "status": "completed"},
        {"content": "fix", "priority": "high", "status": "in_progress"},
        {"content": "tell", "priority": "low", "status": "pending"},
    ]

    first = told(telling, "plan", entries=entries)
    again = told(telling, "plan", entries=entries)

    assert first == [Reasoning("Plan:\n- [x] look\n- [~] fix\n- [ ] tell\n")]
    assert again == []


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("user_message_chunk", {"content": {"type": "text", "text": "echo"}}),
        ("available_commands_update", {"availableCommands": []}),
        ("current_mode_update", {"currentModeId": "plan"}),
        ("session_info_update", {"title": "A title"}),
        ("usage_update", {"used": 5, "size": 10}),
        ("agent_message_chunk", {"content": {"type": "text", "text": ""}}),
    ],
)
def test_what_isnt_said_to_people_becomes_nothing(telling: Telling, kind: str, more: dict[str, Any]) -> None:
    assert told(telling, kind, **more) == []


def test_an_update_that_doesnt_fit_is_warned_of_once_and_an_unknown_one_never(telling: Telling) -> None:
    malformed = telling.take({"sessionUpdate": "tool_call", "toolCallId": 7}, 0.0)
    again = telling.take({"sessionUpdate": "tool_call"}, 0.0)
    unknown = telling.take({"sessionUpdate": "compaction_update"}, 0.0)

    assert [type(item) for item in malformed] == [Odd]
    assert (again, unknown) == ([], [])


# calls


def test_a_call_is_shown_when_it_ends(telling: Telling) -> None:
    first = begun(telling, status="pending")
    going = progress(telling, status="in_progress")
    last = progress(telling, status="completed", content=LISTED)

    assert (first, going, last) == ([], [], [STARTED, ENDED])


def test_a_call_that_goes_on_is_shown_once_it_was_quiet(telling: Telling) -> None:
    begun(telling)

    due_at = telling.next_due
    early, due, again = telling.due(HOLD_S / 2), telling.due(HOLD_S), telling.due(HOLD_S)
    last = progress(telling, status="completed", content=LISTED)

    assert due_at == HOLD_S
    assert (early, due, again) == ([], [STARTED], [])
    assert (telling.next_due, last) == (None, [ENDED])


def test_a_call_whose_input_is_still_written_is_held_longer(telling: Telling) -> None:
    begun(telling, rawInput={})

    assert telling.due(HOLD_S) == []
    told(telling, "tool_call_update", now=HOLD_S, toolCallId="c1", rawInput={"command": "ls"})
    assert telling.next_due == 2 * HOLD_S < HOLD_BLIND_S
    assert telling.due(2 * HOLD_S) == [STARTED]


def test_a_call_that_is_told_of_only_at_its_end_is_shown_whole(telling: Telling) -> None:
    ended = progress(telling, title="List", kind="execute", rawInput={"command": "ls"}, status="completed")

    assert ended == [STARTED, ToolCompleted(call_id="c1", status=CallStatus.OK, result=None)]


def test_a_call_that_failed_is_an_error(telling: Telling) -> None:
    begun(telling)

    [_, ended] = progress(telling, status="failed", rawOutput={"error": "no such file"})

    assert ended == ToolCompleted(call_id="c1", status=CallStatus.ERROR, result={"error": "no such file"})


def test_changes_and_places_are_shown_beside_the_input(telling: Telling) -> None:
    change = {"type": "diff", "path": "/s/a.txt", "oldText": None, "newText": "hi"}
    [started, ended] = begun(
        telling,
        title="Write a.txt",
        kind="edit",
        rawInput={"title": "its own"},
        locations=[{"path": "/s/a.txt", "line": 3}, {"path": "/s/b.txt"}],
        content=[change],
        status="completed",
    )

    changes = [{"path": "/s/a.txt", "old": None, "new": "hi"}]
    assert started == ToolStarted(
        call_id="c1",
        tool="edit",
        arguments={"title": "its own", "locations": ["/s/a.txt:3", "/s/b.txt"], "changes": changes},
    )
    assert ended == ToolCompleted(call_id="c1", status=CallStatus.OK, result=changes)


def test_what_no_journal_holds_is_replaced(telling: Telling) -> None:
    [said] = told(telling, "agent_message_chunk", content={"type": "text", "text": "a\0b"})
    begun(telling, rawInput={"a\0": ["b\0"]})
    [started, ended] = progress(telling, status="completed", rawOutput={"c": "d\0"})

    assert said == Text("a\N{REPLACEMENT CHARACTER}b")
    assert isinstance(started, ToolStarted)
    assert started.arguments == {
        "title": "List",
        "a\N{REPLACEMENT CHARACTER}": ["b\N{REPLACEMENT CHARACTER}"],
    }
    assert isinstance(ended, ToolCompleted) and ended.result == {"c": "d\N{REPLACEMENT CHARACTER}"}


def test_what_a_terminal_put_out_is_the_result_of_the_call_that_shows_it(telling: Telling) -> None:
    begun(telling, content=[{"type": "terminal", "terminalId": "term_1"}])
    telling.showed("term_1", "a.tx")
    telling.showed("term_1", "a.txt")

    assert progress(telling, status="completed") == [STARTED, ENDED]


@pytest.mark.parametrize(
    ("metas", "output"),
    [
        (
            [
                {"terminal_output_delta": {"terminal_id": "term_1", "data": "a."}},
                {"terminal_output_delta": {"terminal_id": "term_1", "data": "txt"}},
            ],
            "a.txt",
        ),
        (
            [
                {"terminal_output": {"terminal_id": "term_1", "data": "a."}},
                {"terminal_output": {"terminal_id": "term_1", "data": "a.txt"}},
            ],
            "a.txt",
        ),
    ],
)
def test_what_an_agents_own_terminal_put_out_is_the_result_too(
    telling: Telling, metas: list[dict[str, Any]], output: str
) -> None:
    begun(telling, content=[{"type": "terminal", "terminalId": "term_1"}])
    progress(telling, _meta=metas[0])

    [_, ended] = progress(telling, status="completed", _meta=metas[1])

    assert isinstance(ended, ToolCompleted) and ended.result == output


def test_a_terminal_that_nothing_is_known_of_is_named(telling: Telling) -> None:
    [_, ended] = begun(telling, content=[{"type": "terminal", "terminalId": "term_1"}], status="completed")

    assert isinstance(ended, ToolCompleted) and ended.result == [{"terminal": "term_1"}]


def test_an_id_that_is_used_again_names_another_call(telling: Telling) -> None:
    begun(telling, status="completed")
    late = progress(telling, status="completed")

    [started, _] = begun(telling, status="completed")

    assert late == []
    assert isinstance(started, ToolStarted) and started.call_id == "c1#2"


def test_an_id_of_the_hosts_kind_is_given_another_name(telling: Telling) -> None:
    [started, _] = begun(telling, toolCallId="eff_1", status="completed")

    assert isinstance(started, ToolStarted) and started.call_id == "call_eff_1"


def test_a_call_that_never_ends_is_shown_when_the_turn_is_over(telling: Telling) -> None:
    begun(telling)

    assert telling.finish() == [STARTED]


def test_what_no_journal_can_hold_is_replaced_in_a_call(telling: Telling) -> None:
    nested: Any = "deep"
    for _ in range(200):
        nested = [nested]
    call: dict[str, Any] = {
        "toolCallId": "c\0",
        "title": "my\0tool",
        "kind": "other",
        "rawInput": {"a\0": nested},
    }
    told(telling, "tool_call", **call)
    [shown] = telling.finish()

    assert isinstance(shown, ToolStarted)
    assert (shown.call_id, shown.tool) == ("c\ufffd", "my\ufffdtool")
    assert str(shown.arguments) == "{'a\ufffd': " + "[" * 63 + "'[…]'" + "]" * 63 + "}"


def test_an_id_that_is_used_thousands_of_times_names_each_call(telling: Telling) -> None:
    calls = [begun(telling, status="completed") for _ in range(20_000)]

    last = calls[-1][0]
    assert isinstance(last, ToolStarted) and last.call_id == "c1#20000"


def test_calls_that_are_held_back_are_counted_by_the_bytes_that_told_of_them(telling: Telling) -> None:
    for call_id, size in (("c1", 400), ("c1", 300), ("c2", 100)):
        raw = {"sessionUpdate": "tool_call_update", "toolCallId": call_id}
        told_of = SessionNotification.model_validate({"sessionId": "s", "update": raw}).update
        telling.take(told_of, 0.0, size)
    held = telling.held_size
    telling.due(9.0)
    telling.due(9.0)

    assert (held, telling.held_size) == (500, 0)


# calls that people are asked about


def test_a_call_that_was_asked_about_is_settled_and_not_shown(telling: Telling) -> None:
    begun(telling)
    call, first = asked(telling)

    telling.answered(call, Permit("eff_1", granted=True, arguments=call.arguments))
    assert (call.name, call.arguments) == (STARTED.tool, STARTED.arguments)

    due, ended = telling.due(9.0), progress(telling, status="completed", content=LISTED)

    assert (first, due, ended) == ([], [], [Settle("eff_1", CallStatus.OK, "a.txt")])


def test_a_call_that_was_shown_before_it_was_asked_about_ends_twice(telling: Telling) -> None:
    begun(telling)
    telling.due(HOLD_S)
    call, _ = asked(telling)
    telling.answered(call, Permit("eff_1", granted=True, arguments=call.arguments))

    ended = progress(telling, status="completed", content=LISTED)

    assert ended == [Settle("eff_1", CallStatus.OK, "a.txt"), ENDED]


def test_a_denied_call_that_fails_says_no_more(telling: Telling) -> None:
    call, _ = asked(telling, title="List", kind="execute", rawInput={"command": "ls"})
    telling.answered(call, Permit("eff_1", granted=False, arguments=call.arguments))

    assert progress(telling, status="failed") == []


def test_a_call_made_though_it_was_denied_is_shown_and_warned_of(telling: Telling) -> None:
    call, _ = asked(telling, title="List", kind="execute", rawInput={"command": "ls"})
    telling.answered(call, Permit("eff_1", granted=False, arguments=call.arguments))

    [odd, started, ended] = progress(telling, status="completed", content=LISTED)

    assert isinstance(odd, Odd) and odd.code == "not_permitted"
    assert (started, ended) == (STARTED, ENDED)


def test_a_call_made_without_waiting_is_shown_and_its_question_withdrawn(telling: Telling) -> None:
    asked(telling, title="List", kind="execute", rawInput={"command": "ls"})

    [unask, odd, started, ended] = progress(telling, status="completed", content=LISTED)

    assert unask == Unask("c1")
    assert isinstance(odd, Odd) and odd.code == "not_permitted"
    assert (started, ended) == (STARTED, ENDED)


def test_a_call_made_with_other_input_than_was_approved_is_warned_of(telling: Telling) -> None:
    call, _ = asked(telling, title="List", kind="execute", rawInput={"command": "ls"})
    telling.answered(call, Permit("eff_1", granted=True, arguments=call.arguments))

    [odd, settled] = progress(telling, status="completed", rawInput={"command": "rm -r /"})

    assert isinstance(odd, Odd) and odd.code == "changed_after_approval"
    assert settled == Settle("eff_1", CallStatus.OK, None)


def test_a_call_whose_input_only_grew_is_what_was_approved(telling: Telling) -> None:
    call, _ = asked(telling, title="List", kind="execute", rawInput={"command": "ls"})
    telling.answered(call, Permit("eff_1", granted=True, arguments=call.arguments))

    ended = progress(telling, status="completed", rawInput={"command": "ls", "cwd": "/s"})

    assert ended == [Settle("eff_1", CallStatus.OK, None)]


# what it costs


@pytest.mark.parametrize("amount", [-1.0, float("inf"), float("nan")])
def test_what_is_no_cost_is_not_booked(telling: Telling, amount: float) -> None:
    items = told(telling, "usage_update", used=1, size=2, cost={"amount": amount, "currency": "USD"})

    assert (items, telling.cost) == ([], 0.0)


def test_a_sum_of_costs_is_booked_by_what_was_added(telling: Telling) -> None:
    sums = [0.5, 0.5, 0.75]

    spent = [
        item
        for amount in sums
        for item in told(telling, "usage_update", used=1, size=2, cost={"amount": amount, "currency": "USD"})
    ]

    assert spent == [Spent(Used(model="scripted", cost=0.5)), Spent(Used(model="scripted", cost=0.25))]
    assert telling.cost == 0.75


def test_a_sum_goes_on_where_an_earlier_run_left_it() -> None:
    telling = Telling("scripted", 0.5)

    [spent] = told(telling, "usage_update", used=1, size=2, cost={"amount": 0.75, "currency": "USD"})

    assert spent == Spent(Used(model="scripted", cost=0.25))


def test_another_currency_is_warned_of_once_and_not_booked(telling: Telling) -> None:
    cost = {"amount": 1.0, "currency": "EUR"}

    items = [item for _ in range(2) for item in told(telling, "usage_update", used=1, size=2, cost=cost)]

    assert [item.code for item in items if isinstance(item, Odd)] == ["cost_currency"]
    assert len(items) == 1


def test_tokens_that_an_agent_counts_apart_are_booked_too(telling: Telling) -> None:
    answer = answered(
        total_tokens=140,
        input_tokens=10,
        output_tokens=20,
        cached_read_tokens=70,
        cached_write_tokens=30,
        thought_tokens=10,
    )

    assert telling.spent(answer) == [Spent(Used(model="scripted", input_tokens=110, output_tokens=30))]


def test_tokens_that_an_agent_counts_in_are_booked_once(telling: Telling) -> None:
    answer = answered(total_tokens=30, input_tokens=10, output_tokens=20, cached_read_tokens=8)

    assert telling.spent(answer) == [Spent(Used(model="scripted", input_tokens=10, output_tokens=20))]


def test_tokens_that_an_agent_tells_beside_the_protocol_are_booked(telling: Telling) -> None:
    for _ in range(2):
        meta = {"usage": {"inputTokens": 10, "outputTokens": 5}}
        told(telling, "agent_message_chunk", content={"type": "text", "text": ""}, _meta=meta)

    spent = telling.spent(PromptResponse(stop_reason="end_turn"))
    again = telling.spent(PromptResponse(stop_reason="end_turn"))

    assert spent == [Spent(Used(model="scripted", input_tokens=10, output_tokens=5))] * 2
    assert again == []


def test_tokens_of_each_model_that_an_answer_tells_are_booked(telling: Telling) -> None:
    count = {"input_tokens": 10, "output_tokens": 5}
    meta = {"quota": {"token_count": count, "model_usage": [{"model": "small", "token_count": count}]}}

    spent = telling.spent(PromptResponse.model_validate({"stopReason": "end_turn", "_meta": meta}))

    assert spent == [Spent(Used(model="small", input_tokens=10, output_tokens=5))]


def answered(**usage: int) -> PromptResponse:
    """An answer that tells what the turn took."""
    return PromptResponse(stop_reason="end_turn", usage=Usage.model_validate(usage))
