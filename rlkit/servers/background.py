"""An event loop in a thread of its own, while the caller sleeps in a queue, so that Ctrl-C gets through at once.

What the caller does between two batches, such as grading and writing, holds up no reply and lets no deadline pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

_CLOSING_S = 5.0

Put = Callable[[Any], None]


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def stream(
    work: Callable[[Put], Coroutine[Any, Any, None]],
    quiet_s: float | None = None,
    say_quiet: Callable[[], None] = lambda: None,
) -> Iterator[list[Any]]:
    """Run a coroutine and yield what it puts, as soon as there is anything; end, or raise, as it does.

    Args:
        work: called with the function by which it hands things over.
        quiet_s: seconds without anything after which `say_quiet` is called, each time; None for never.
        say_quiet: called in the caller's thread.
    """
    came: SimpleQueue[Any] = SimpleQueue()
    loop = asyncio.new_event_loop()
    main = loop.create_task(work(came.put))
    thread = threading.Thread(target=_run_loop, args=(loop, main, came), daemon=True)
    thread.start()
    try:
        yield from _drain(came, quiet_s, say_quiet)
    finally:
        with contextlib.suppress(RuntimeError):
            # The loop may have ended by itself.
            loop.call_soon_threadsafe(main.cancel)
        thread.join(_CLOSING_S)


def _run_loop(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None], came: SimpleQueue[Any]) -> None:
    error: BaseException | None = None
    try:
        loop.run_until_complete(main)
    except BaseException as caught:
        # Whatever it is, the caller waits for it.
        error = caught
    finally:
        came.put(_End(error))
        loop.close()


def _drain(came: SimpleQueue[Any], quiet_s: float | None, say_quiet: Callable[[], None]) -> Iterator[list[Any]]:
    while True:
        batch: list[Any] = []
        try:
            batch.append(came.get(timeout=quiet_s))
            while True:
                batch.append(came.get_nowait())
        except Empty:
            if not batch:
                say_quiet()
                continue
        end = batch.pop() if isinstance(batch[-1], _End) else None
        if batch:
            yield batch
        if end is not None:
            if end.error is not None:
                raise end.error
            return
