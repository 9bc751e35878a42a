"""The runner suite itself: what a runner with everything passes, and which faults it finds."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from tenure.core.grant import Capabilities
from tenure.runners.contract import Act, RunnerContract, Stage
from tenure.testing import runners
from tests.runners.performer import (
    ABLE,
    Deed,
    Keeper,
    Leaky,
    Performer,
    ask,
    careless,
    count_file,
    deaf,
    forgetful,
    late,
    read_file,
    remember,
    resume,
    talkative,
)

pytestmark = pytest.mark.anyio

DEEDS: dict[Act, Deed] = {
    Act.ASK: ask,
    Act.EDIT: ask,
    Act.RESUME: resume,
    Act.REMEMBER: remember,
    Act.ATTACH: read_file,
    Act.SEE: count_file,
}

ELSEWHERE = {
    act: "shown by the runners in test_contract.py"
    for act in Act
    if act not in DEEDS and act is not Act.CLOSE
}


def performing(deed: Deed, can: Capabilities = ABLE) -> Stage:
    runner = Performer(deed, can)
    return Stage(runner, made=lambda: runner.made)


class TestPerformer(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {**ELSEWHERE, Act.CLOSE: "it keeps nothing between runs"}

    def stage(self, act: Act) -> Stage:
        return performing(DEEDS[act])


class TestKeeper(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {**ELSEWHERE, **dict.fromkeys(DEEDS, "shown by the performer")}

    def stage(self, act: Act) -> Stage:
        keeper = Keeper()
        return Stage(keeper, residence=keeper, left=keeper.left)


class Troupe(RunnerContract):
    """A suite over one stage, whose cases are called by hand."""

    def __init__(self, stage: Stage, **lacks: str) -> None:
        self._only = stage
        self.lacks = {Act[name]: reason for name, reason in lacks.items()}  # pyright: ignore[reportAttributeAccessIssue]

    def stage(self, act: Act) -> Stage:
        return self._only


async def test_a_capability_that_no_act_shows_is_a_fault() -> None:
    boastful = Troupe(performing(ask), ASK="it never asks", USE="it calls no tools", RESUME="it starts over")

    for ability in ("approvals", "resume"):
        with pytest.raises(AssertionError, match=f"{ability} is shown by"):
            await boastful.test_an_ability_is_declared_exactly_if_an_act_shows_it(ability)


async def test_an_act_without_its_capability_is_a_fault() -> None:
    shy = Troupe(performing(ask, Capabilities()))

    with pytest.raises(AssertionError, match="approvals is shown by"):
        await shy.test_an_ability_is_declared_exactly_if_an_act_shows_it("approvals")


async def test_a_call_made_before_the_answer_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        await Troupe(performing(careless)).test_nothing_is_made_before_the_answer()


async def test_a_call_made_after_a_denial_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        await Troupe(performing(deaf)).test_a_denied_call_is_neither_made_nor_settled()


async def test_a_call_other_than_the_approved_one_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        await Troupe(performing(deaf)).test_what_is_made_is_what_was_approved()


async def test_starting_over_where_it_should_go_on_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        await Troupe(performing(forgetful)).test_the_next_attempt_goes_on_and_does_nothing_twice()


async def test_a_checkpoint_that_is_kept_after_the_question_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="finds no checkpoint"):
        await Troupe(performing(late)).test_a_checkpoint_is_kept_before_the_question()


async def test_a_word_after_the_verdict_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="more came after the verdict"):
        await Troupe(performing(talkative)).test_failure_is_told_with_its_reason_and_never_completes()


async def test_a_task_left_behind_by_a_cancelled_run_is_a_fault() -> None:
    leaky = Leaky()

    with pytest.raises(AssertionError):
        await Troupe(Stage(leaky)).test_a_cancelled_run_leaves_no_task_behind()
    for task in leaky.left:
        task.cancel()


async def test_a_process_left_behind_is_a_fault() -> None:
    keeper = Keeper(leaks=True)
    leaking = Troupe(Stage(keeper, residence=keeper, left=keeper.left))

    with pytest.raises(AssertionError):
        await leaking.test_nothing_is_left_after_closing()
    for session_id in [*keeper.processes]:
        await keeper.forget(session_id)


def test_the_suite_stands_where_users_look_for_their_tests() -> None:
    assert runners.RunnerContract is RunnerContract
    assert set(runners.__all__) >= {"Act", "RunnerContract", "Stage"}
