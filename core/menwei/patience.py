"""Waiting for code that is not ours: drivers and policies.

`asyncio.timeout` is void against a coroutine that swallows cancellation, and a `SystemExit` inside a task ends the
whole loop. So foreign code runs in a task of its own whose every ending becomes a value, and it is left behind when
its time is up.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

_abandoned: set[asyncio.Task[Any]] = set()
"""Keeps tasks that outlived their time from being collected while they run (asyncio holds tasks weakly)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended: with `value`, or with `error`, after `seconds` of its own; `late` when its time was up."""

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    late: bool = False


async def _kept(call: Callable[[], Awaitable[Any]], budget: float) -> Ended:
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        awaitable = call()
        if not inspect.isawaitable(awaitable):
            raise TypeError(f"the answer is {type(awaitable).__name__}, not awaitable: the method must be `async def`")
        value = await awaitable
    except BaseException as error:  # the one place that turns every ending of foreign code into a value
        return Ended(error=error, seconds=clock() - started)
    seconds = clock() - started
    return Ended(value=value, seconds=seconds, late=seconds > budget)


async def all_within(budget: float, calls: Sequence[Callable[[], Awaitable[Any]]]) -> list[Ended]:
    """Run the calls together and return how each ended, in order, after `budget` seconds at the latest.

    Never raises what a call raised. What has not ended by then is cancelled and left behind.
    """
    if not calls:
        return []
    tasks = [asyncio.create_task(_kept(call, budget)) for call in calls]
    try:
        await asyncio.wait(tasks, timeout=budget)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
                _abandoned.add(task)
                task.add_done_callback(_abandoned.discard)
    return [task.result() if task.done() and not task.cancelled() else Ended(late=True, seconds=budget) for task in tasks]


async def within(budget: float, call: Callable[[], Awaitable[Any]]) -> Any:
    """The value of one call, within `budget` seconds. Raises `TimeoutError` when time was up, `RuntimeError` for a
    stray `CancelledError` or `SystemExit`, else what the call raised."""
    (ended,) = await all_within(budget, [call])
    if ended.error is not None:
        if isinstance(ended.error, Exception):
            raise ended.error
        raise RuntimeError(f"{type(ended.error).__name__} from foreign code") from ended.error
    if ended.late:
        raise TimeoutError(f"no answer within {budget:g} s")
    return ended.value
