"""The agent behind the works of the console: it says so many pieces a second, or a piece of Markdown at once.

The measured server hosts it by `TENURE_MODULES`. A message is `RATE pieces per_second` or `TALK pieces`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import tenure

END = "THE END"
STEP_S = 0.005
PARAGRAPH = 60
TEXT = """\
Here is a **paragraph** with `code` and a [link](https://example.org), about as long as models say them.

- one point, in some words
- and another

```python
def more(x):
    return x + 1
```

"""


@tenure.agent("paced")
async def paced(run: tenure.Run) -> AsyncIterator[str]:
    """Speak as the message says."""
    verb, *numbers = run.message.text.split()
    pieces = int(numbers[0])
    if verb == "TALK":
        for piece in _talk(pieces):
            yield piece
    else:
        async for piece in _at_a_rate(pieces, int(numbers[1])):
            yield piece
    yield f"\n\n{END}"


def _talk(pieces: int) -> Iterator[str]:
    size = max(1, len(TEXT) // pieces + 1)
    cut = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    yield from cut
    yield from ["more "] * (pieces - len(cut))


async def _at_a_rate(pieces: int, rate: int) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    start, said = loop.time(), 0
    while said < pieces:
        await asyncio.sleep(STEP_S)
        due = min(pieces, int((loop.time() - start) * rate))
        for number in range(said, due):
            yield f"word{number} of " + ("\n\n" if number % PARAGRAPH == PARAGRAPH - 1 else "")
        said = due
