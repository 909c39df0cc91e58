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
from types import CoroutineType
from typing import Any

from menwei.deadlines import Deadlines

_abandoned: set[asyncio.Task[Any]] = set()
"""Keeps tasks that outlived their time from being collected while they run (asyncio holds tasks weakly)."""


class NotAwaitable(TypeError):
    """A method that must be `async def` is not; the text says so and holds nothing of its answer but the type."""


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
        value = await _awaitable(call())
    except BaseException as error:  # here and in `_told` every ending of foreign code becomes a value
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
                _leave_behind(task)
    return [
        task.result() if task.done() and not task.cancelled() else Ended(late=True, seconds=budget)
        for task in tasks
    ]


class Patience:
    """So many seconds for each of many calls, one like the other: the doors' commands, the lights at the readers."""

    __slots__ = ("_beside", "_within", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._within: Deadlines[asyncio.Future[Any]] = Deadlines(seconds, self._time_up)
        self._beside: Deadlines[_Beside] = Deadlines(seconds, self._left_alone)

    async def within(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """The value of one call. Raises `TimeoutError` when time was up, `RuntimeError` for a stray `CancelledError`
        or `SystemExit`, else what the call raised."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[Any] = loop.create_future()
        task = loop.create_task(self._told(call, over))
        self._within.add(over, over)
        try:
            return await over
        finally:
            if not task.done():
                _leave_behind(task)

    def beside(
        self, call: Callable[[], Awaitable[Any]], failed: Callable[[Exception], None]
    ) -> asyncio.Task[None]:
        """Start a call whose answer nobody waits for. `failed` is told, once, what `within` would have raised.

        The task is kept here until it is done; it is cancelled when time is up.
        """
        beside = _Beside(failed)
        beside.task = asyncio.get_running_loop().create_task(self._unwatched(call, beside))
        self._beside.add(beside.task, beside)
        return beside.task

    def close(self) -> None:
        """At the end of the program: what runs beside is cancelled and nobody is told. Whoever waits still waits."""
        for beside in self._beside.close():
            beside.failed = None
            _leave_behind(beside.task)

    async def _told(self, call: Callable[[], Awaitable[Any]], over: asyncio.Future[Any]) -> None:
        """Foreign code in a task of its own: `over` hears how it ended, in the step that ends this task."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            value = await _awaitable(call())
        except BaseException as error:
            if not over.done():
                over.set_exception(_plain(error))
            return
        if over.done():
            return
        if clock() - started > self.seconds:
            over.set_exception(self._no_answer())
        else:
            over.set_result(value)

    async def _unwatched(self, call: Callable[[], Awaitable[Any]], beside: _Beside) -> None:
        try:
            await _awaitable(call())
        except BaseException as error:
            beside.tell(_plain(error))

    def _time_up(self, over: asyncio.Future[Any]) -> None:
        over.set_exception(self._no_answer())

    def _left_alone(self, beside: _Beside) -> None:
        beside.tell(self._no_answer())
        _leave_behind(beside.task)

    def _no_answer(self) -> TimeoutError:
        return TimeoutError(f"no answer within {self.seconds:g} s")


class _Beside:
    """A call that nobody waits for, and who is told when it fails."""

    __slots__ = ("failed", "task")

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self.failed: Callable[[Exception], None] | None = failed
        self.task: asyncio.Task[None]

    def tell(self, error: Exception) -> None:
        failed, self.failed = self.failed, None
        if failed is not None:
            failed(error)


async def within(budget: float, call: Callable[[], Awaitable[Any]]) -> Any:
    """The value of one call, within `budget` seconds; raises what `Patience.within` raises."""
    patience = Patience(budget)
    try:
        return await patience.within(call)
    finally:
        patience._within.close()


def _awaitable(answer: Any) -> Awaitable[Any]:
    if type(answer) is not CoroutineType and not inspect.isawaitable(answer):
        raise NotAwaitable(
            f"the answer is {type(answer).__name__}, not awaitable: the method must be `async def`"
        )
    return answer


def _plain(error: BaseException) -> Exception:
    """What is raised for this ending of foreign code. A future takes no `StopIteration`, and nobody expects one."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    stray = RuntimeError(f"{type(error).__name__} from foreign code")
    stray.__cause__ = error
    return stray


def _leave_behind(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_abandoned.discard)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
