"""For drivers whose library blocks: a thread that watches one device and tells the event loop.

A library that waits in the kernel, in another program or in a port cannot be cancelled from outside. So its thread asks
`stopping` whenever it comes round, and one that hangs is left behind: a daemon thread whose reports are dropped, known to
`left_behind` until it ends after all, so that the same port is not opened a second time meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Event = TypeVar("Event")


class DeviceThread(threading.Thread, Generic[Event]):
    """Watches one device, from `start` until `stop` or until it is lost. A driver subclasses it and writes `serve`.

    `kind` and `place` name the thread; `place` is what it may hang in (a port, a reader's name). `on_event` is called in
    the event loop that made the thread. `ended` is done when the thread has ended: with None after `stop` or when `serve`
    returned, else with what `serve` raised.
    """

    def __init__(
        self, kind: str, place: str, monotonic: Callable[[], float], on_event: Callable[[Event], None]
    ) -> None:
        super().__init__(name=f"{kind} {place}", daemon=True)
        self.place = place
        self.stopping = threading.Event()
        self._abandoned = threading.Event()
        self._monotonic = monotonic
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._alive_at = monotonic()

    # --------------------------------------------------------------------------------------------- in the event loop

    def silent_for(self) -> float:
        """Seconds since the thread last said `alive`: long when the device or its library does not answer."""
        return self._monotonic() - self._alive_at

    async def stop(self, patience: float) -> bool:
        """Ask the thread to end and wait `patience` seconds for it; nothing is told from now on. False when it is left
        behind."""
        self.stopping.set()
        await asyncio.wait({self.ended}, timeout=patience)
        if not self.ended.done():
            self._abandoned.set()
        return self.ended.done()

    @classmethod
    def left_behind(cls, place: str) -> bool:
        """Whether an earlier thread of this class still hangs in `place`."""
        return any(
            isinstance(thread, cls) and thread.place == place and thread._abandoned.is_set()
            for thread in threading.enumerate()
        )

    def finishing(self) -> None:
        """The thread has ended, however; called before `ended` is done. For what waits for the device's answers."""

    def _deliver(self, event: Event) -> None:
        if not self.stopping.is_set():
            self._on_event(event)

    def _finish(self, error: BaseException | None) -> None:
        self.finishing()
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
            return
        self.ended.set_exception(error)
        self.ended.exception()  # whoever waits gets it; after `stop` nobody does, and asyncio need not complain

    # ------------------------------------------------------------------------------------------------- in the thread

    def serve(self) -> None:
        """All of the thread's work, for the subclass to write. It ends when `stopping` is set, raises when the device is
        lost, and says `alive` each time it comes round."""
        raise NotImplementedError

    def alive(self) -> float:
        """The thread has come round; the moment, on the monotonic clock."""
        self._alive_at = now = self._monotonic()
        return now

    def tell(self, event: Event) -> None:
        """Hand an event to `on_event`, in the loop; dropped once `stopping` is set."""
        if not self.stopping.is_set():
            self.in_loop(self._deliver, event)

    def in_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call something in the event loop; dropped when the loop is closed, for nobody is left to hear."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def run(self) -> None:
        error: BaseException | None = None
        try:
            self.serve()
        except BaseException as ending:  # handed to the loop, whatever it is
            error = ending
        self.in_loop(self._finish, error)


async def in_a_thread(call: Callable[[], T], patience: float, name: str) -> T:
    """A blocking call in a thread of its own, called `name`. Raises what it raises, and `TimeoutError` when it takes
    longer than `patience` seconds; the thread is then left behind.

    Not `asyncio.to_thread`: at the end of the program the loop would wait for a call that hangs.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not ended.done():
            settle()

    def work() -> None:
        try:
            value = call()
        except BaseException as error:  # handed to the loop, whatever it is
            settle = partial(ended.set_exception, error)
        else:
            settle = partial(ended.set_result, value)
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to tell
            loop.call_soon_threadsafe(finish, settle)

    threading.Thread(target=work, name=name, daemon=True).start()
    done, _ = await asyncio.wait({ended}, timeout=patience)
    if not done:
        ended.cancel()
        raise TimeoutError(f"no answer within {patience:g} s")
    return ended.result()


__all__ = ["DeviceThread", "in_a_thread"]
