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


async def _kept(call: Callable[[], Awaitable[Any]], budget: float, tell: Callable[[], None]) -> Ended:
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        awaitable = call()
        if not inspect.isawaitable(awaitable):
            raise TypeError(
                f"the answer is {type(awaitable).__name__}, not awaitable: the method must be `async def`"
            )
        value = await awaitable
    except BaseException as error:  # the one place that turns every ending of foreign code into a value
        return Ended(error=error, seconds=clock() - started)
    finally:
        tell()  # who waits runs after this task has ended: asyncio.wait would get there later, and at twice the cost
    seconds = clock() - started
    return Ended(value=value, seconds=seconds, late=seconds > budget)


async def all_within(budget: float, calls: Sequence[Callable[[], Awaitable[Any]]]) -> list[Ended]:
    """Run the calls together and return how each ended, in order, after `budget` seconds at the latest.

    Never raises what a call raised. What has not ended by then is cancelled and left behind.
    """
    if not calls:
        return []
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    left = len(calls)

    def tell() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            _set(over)

    tasks = [loop.create_task(_kept(call, budget, tell)) for call in calls]
    timer = loop.call_later(budget, _set, over)
    try:
        await over
    finally:
        timer.cancel()
        for task in tasks:
            if not task.done():
                task.cancel()
                _abandoned.add(task)
                task.add_done_callback(_abandoned.discard)
    return [
        task.result() if task.done() and not task.cancelled() else Ended(late=True, seconds=budget)
        for task in tasks
    ]


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def within(budget: float, call: Callable[[], Awaitable[Any]]) -> Any:
    """The value of one call, within `budget` seconds. Raises `TimeoutError` when time was up, `RuntimeError` for a
    stray `CancelledError` or `SystemExit`, else what the call raised."""
    (ended,) = await all_within(budget, [call])
    if (trouble := _trouble(ended, budget)) is not None:
        raise trouble
    return ended.value


def beside(
    budget: float, call: Callable[[], Awaitable[Any]], failed: Callable[[Exception], None]
) -> asyncio.Task[Any]:
    """Start a call whose answer nobody waits for. `failed` is told, once, what `within` would have raised.

    The task is for the caller to keep until it is done; it is cancelled after `budget` seconds.
    """
    loop = asyncio.get_running_loop()

    def time_up() -> None:
        task.remove_done_callback(done)
        task.cancel()
        failed(TimeoutError(f"no answer within {budget:g} s"))

    def done(task: asyncio.Task[Ended]) -> None:
        timer.cancel()
        if not task.cancelled() and (trouble := _trouble(task.result(), budget)) is not None:
            failed(trouble)

    task = loop.create_task(_kept(call, budget, _nobody_waits))
    timer = loop.call_later(budget, time_up)
    task.add_done_callback(done)
    return task


def _nobody_waits() -> None: ...


def _trouble(ended: Ended, budget: float) -> Exception | None:
    """What `within` raises for this ending."""
    if isinstance(ended.error, Exception):
        return ended.error
    if ended.error is not None:
        stray = RuntimeError(f"{type(ended.error).__name__} from foreign code")
        stray.__cause__ = ended.error
        return stray
    return TimeoutError(f"no answer within {budget:g} s") if ended.late else None
