"""What is stored in rows is what the journal folds to."""

import msgspec

from tenure.core.evidence import StoredFile
from tenure.core.invariants.case import Case, Faults
from tenure.core.message import ReplyState, Role
from tenure.core.run import SLOT_STATES, RunState
from tenure.core.transcript import Filed, Item, Transcript
from tenure.errors import IllegalTransition


def _fold(case: Case) -> Transcript:
    """The transcript as far as the journal makes sense; other rules tell where it doesn't."""
    transcript = Transcript()
    for recorded in case.journal:
        try:
            transcript.add(recorded)
        except (IllegalTransition, LookupError):
            continue
    return transcript


def message_rows(case: Case) -> Faults:
    expected = _fold(case).items
    stored = {item.message_id: item for item in case.stored.messages}
    for message_id in sorted(expected.keys() | stored.keys()):
        kept, due = stored.get(message_id), expected.get(message_id)
        if kept is None:
            yield f"The message {message_id} has no row.", ()
        elif due is None:
            yield f"The message {message_id} has a row, but the journal doesn't know it.", ()
        elif _comparable(kept) != _comparable(due):
            yield f"The row of {message_id} is {kept}, but the journal folds to {due}.", ()


def _comparable(item: Item) -> Item:
    if item.status == ReplyState.STREAMING:
        return msgspec.structs.replace(item, content="")
    if item.role is Role.USER and item.entered_seq is None:
        # The row of a waiting message knows the run that waits for a slot; the journal doesn't yet.
        return msgspec.structs.replace(item, run_id=None)
    return item


def summary_rows(case: Case) -> Faults:
    expected = tuple(_fold(case).summaries)
    if case.stored.summaries != expected:
        yield f"The rows of summaries are {case.stored.summaries}, but the journal folds to {expected}.", ()


def run_rows(case: Case) -> Faults:
    folded = _fold(case).runs
    stored = {run.run_id: run for run in case.stored.runs}
    for run_id, state in folded.items():
        row = stored.get(run_id)
        if row is None:
            yield f"The run {run_id} has no row.", ()
        elif row.state not in _ROWS_OF[state]:
            yield f"The run {run_id} is stored as {row.state}, but folds to {state}.", ()
    for run_id in stored.keys() - folded.keys():
        if stored[run_id].state != RunState.QUEUED:
            yield f"The run {run_id} is {stored[run_id].state}, but never started.", ()


_ROWS_OF: dict[RunState, tuple[RunState, ...]] = {
    **{state: (state,) for state in RunState},
    # A run that lost its host waits for a slot again; the journal learns of it as the next attempt.
    RunState.RUNNING: (RunState.RUNNING, RunState.QUEUED),
    # A run that was answered may wait for a slot; the journal learns of it when it goes on.
    RunState.WAITING: (RunState.WAITING, RunState.QUEUED),
}


def file_rows(case: Case) -> Faults:
    folded = _fold(case)
    stored = {file.file_id: file for file in case.stored.files}
    for file_id, filed in folded.files.items():
        row = stored.get(file_id)
        if row is None:
            if file_id not in folded.inherited_files:
                yield f"The file {file_id} has no row.", ()
        elif row != _row_of(filed):
            yield f"The row of {file_id} is {row}, but the journal folds to {filed}.", ()
    for file_id in stored:
        if file_id not in folded.files:
            yield f"The file {file_id} has a row, but the journal doesn't know it.", ()


def _row_of(filed: Filed) -> StoredFile:
    file = filed.file
    return StoredFile(
        file.artifact_id, file.name, file.media_type, file.size, file.sha256, file.by, filed.run_id
    )


def owners(case: Case) -> Faults:
    for run in case.stored.runs:
        if run.state in SLOT_STATES and not run.owned:
            yield f"The run {run.run_id} is {run.state}, but no living host holds it.", ()
