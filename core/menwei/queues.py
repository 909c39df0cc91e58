"""What waits at the access points: one queue each, worked off one request after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from menwei.access import Line
from menwei.model import Request

log = structlog.get_logger(__name__)


class Queues:
    """One queue per access point: requests there are worked off one after the other, and those who wait are few."""

    LENGTH = 16

    def __init__(self, line: Line, overflow: Callable[[str], None]) -> None:
        self._line = line
        self._overflow = overflow
        self._waiting: dict[str, asyncio.Queue[Request]] = {
            point: asyncio.Queue(self.LENGTH) for point in line.points
        }
        self._replaced = False
        self._free: set[asyncio.Task[None]] = set()

    def submit(self, request: Request) -> None:
        """Take a request in; returns at once. A full queue refuses and says so (a reader gone mad)."""
        try:
            self._waiting[request.access_point].put_nowait(request)
        except asyncio.QueueFull:
            self._overflow(request.access_point)

    @property
    def idle(self) -> bool:
        """Whether no request waits for its turn. One that is being decided waits no more."""
        return all(queue.empty() for queue in self._waiting.values())

    def hand_over(self, successor: Queues) -> None:
        """Give what still waits to the queues that replace these, and end; what has no access point any more is dropped.

        What is being decided is decided to its end: whoever stands there has perhaps been granted already. `run` returns
        when the last of them is done.
        """
        self._replaced = True
        for queue in self._waiting.values():
            while not queue.empty():
                request = queue.get_nowait()
                if request.access_point in successor._waiting:
                    successor.submit(request)
        for worker in self._free:
            worker.cancel()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for queue in self._waiting.values():
                tasks.create_task(self._work(queue))

    async def _work(self, queue: asyncio.Queue[Request]) -> None:
        while not self._replaced:
            request = await self._next(queue)
            try:
                await self._line.request(request)
            except Exception as error:
                self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> None:
        """A fault of ours shuts this request out, never the door for everybody after it: not even one in telling of it."""
        try:
            self._line.failed(request, error)
        except Exception as another:
            log.error(
                "a fault of the line could not be told", access_point=request.access_point, exc_info=another
            )

    async def _next(self, queue: asyncio.Queue[Request]) -> Request:
        worker = asyncio.current_task()
        assert worker is not None
        self._free.add(worker)
        try:
            return await queue.get()
        finally:
            self._free.discard(worker)


__all__ = ["Queues"]
