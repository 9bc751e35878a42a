"""The public contract suite of the runner port: what every runner must do, whoever wrote it.

Needs pytest and anyio, so nothing but tests imports it. Subclass `RunnerContract` as `TestMyRunner`,
put your runner on stage for each act, and declare the acts it can't perform: they then show as
skipped, while a gap that isn't declared fails, and so does a capability that no act shows. For readable
failures, let a conftest.py call `pytest.register_assert_rewrite("tenure.runners.contract")`.
"""

from tenure.runners.contract.speaking import (
    SHOWN,
    DescriptorCases,
    EndingCases,
    MixingCases,
    OutputCases,
    StoppingCases,
)
from tenure.runners.contract.staging import (
    AFTER,
    ARGUMENTS,
    BEFORE,
    BULK,
    EDITED,
    FILE,
    FLOOD,
    INPUT_TOKENS,
    NUMBERS,
    OUTPUT_TOKENS,
    OWN_ARGUMENTS,
    OWN_TOOL,
    PATIENCE_S,
    PICTURE,
    PIECES,
    REASON,
    RECALL_S,
    RECALLED,
    REMEMBERED,
    RESULT,
    SAID,
    STEERED,
    STRAY,
    THOUGHT,
    TOOL,
    WHY,
    Act,
    Stage,
    Stages,
)
from tenure.runners.contract.using import (
    ClosingCases,
    ConversationCases,
    OwnCallCases,
    RecallCases,
    ResumeCases,
    ToolCases,
)

__all__ = [
    "AFTER",
    "ARGUMENTS",
    "BEFORE",
    "BULK",
    "EDITED",
    "FILE",
    "FLOOD",
    "INPUT_TOKENS",
    "NUMBERS",
    "OUTPUT_TOKENS",
    "OWN_ARGUMENTS",
    "OWN_TOOL",
    "PATIENCE_S",
    "PICTURE",
    "PIECES",
    "REASON",
    "RECALLED",
    "RECALL_S",
    "REMEMBERED",
    "RESULT",
    "SAID",
    "SHOWN",
    "STEERED",
    "STRAY",
    "THOUGHT",
    "TOOL",
    "WHY",
    "Act",
    "RunnerContract",
    "Stage",
    "Stages",
]


class RunnerContract(
    DescriptorCases,
    EndingCases,
    StoppingCases,
    OutputCases,
    ConversationCases,
    ToolCases,
    RecallCases,
    OwnCallCases,
    ResumeCases,
    MixingCases,
    ClosingCases,
):
    """Every case of the suite. Each drives the runner through its port, as the host does."""
