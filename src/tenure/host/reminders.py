"""Reminders: runs whose answer is the message itself. No agent is asked, and nothing is spent."""

from collections.abc import AsyncGenerator

from tenure.core.content import text_of
from tenure.core.grant import Descriptor
from tenure.core.origin import Origin
from tenure.core.output import Output, Said, completed
from tenure.ports.runner import RunContext


class Reminder:
    """Says what is to be remembered, as it stands, in place of the agent's runner."""

    descriptor = Descriptor(runner="reminder")

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """Say it."""
        yield Said(text_of(context.message.content))
        yield completed()


def is_reminder(origin: Origin) -> bool:
    """Whether the run that began so only says its message."""
    return origin.recall is not None and origin.recall.reminder
