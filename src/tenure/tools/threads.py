"""A thread per call of a tool that waits without `async`.

A pool would be filled by tools that hang, and would keep the server from ending; these threads don't.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises. When the caller is cancelled, the thread goes on and isn't heard."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def tell(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def run() -> None:
        try:
            result = context.run(work)
        except Exception as error:
            settle = _raised(done, error)
        except (KeyboardInterrupt, SystemExit, GeneratorExit) as left:
            settle = _raised(done, RuntimeError(f"{type(left).__name__}: {left}"))
        else:
            settle = _returned(done, result)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, settle)

    threading.Thread(target=run, name="tenure-tool", daemon=True).start()
    return await done


def _raised(done: "asyncio.Future[T]", error: Exception) -> Callable[[], None]:
    # A future takes no StopIteration: it would look like the end of whoever awaits it.
    told = RuntimeError("StopIteration") if isinstance(error, StopIteration) else error
    return lambda: done.set_exception(told)


def _returned(done: "asyncio.Future[T]", result: T) -> Callable[[], None]:
    return lambda: done.set_result(result)
