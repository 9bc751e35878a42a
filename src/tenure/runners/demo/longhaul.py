"""The demo agent that talks for about a minute: reload the page, follow it twice, stop it.

It is an ordinary `@tenure.agent`, written as a user would write one.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from tenure.runners.agent import Run, agent

WORDS = re.findall(r"\S+\s*", Path(__file__).with_name("longhaul.txt").read_text("utf-8"))
WORDS_PER_SECOND = 20


@agent("longhaul", description="Tells of a night train, slowly. Stop it, or leave and come back.")
async def longhaul(run: Run) -> AsyncIterator[str]:
    """Tell the story word by word; when stopped, say where."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for told, word in enumerate(WORDS):
        # Each word has its own instant, so that delays don't add up.
        await asyncio.sleep(start + told / WORDS_PER_SECOND - loop.time())
        if run.stopping:
            yield f"\n\n(Stopped after {told:,} of {len(WORDS):,} words.)"
            return
        yield word
