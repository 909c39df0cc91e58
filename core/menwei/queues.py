"""What waits at the access points: one queue each, worked off one request after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from menwei.access import Line
from menwei.model import Request


class Queues:
    """One queue per access point: requests there are worked off one after the other, and those who wait are few."""

    LENGTH = 16

    def __init__(self, line: Line, overflow: Callable[[str], None]) -> None:
        self._line = line
        self._overflow = overflow
        self._waiting: dict[str, asyncio.Queue[Request]] = {
            point: asyncio.Queue(self.LENGTH) for point in line.points
        }

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
        """Give what still waits to the queues that replace these; what has no access point any more is dropped."""
        for queue in self._waiting.values():
            while not queue.empty():
                request = queue.get_nowait()
                if request.access_point in successor._waiting:
                    successor.submit(request)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for queue in self._waiting.values():
                tasks.create_task(self._work(queue))

    async def _work(self, queue: asyncio.Queue[Request]) -> None:
        while True:
            request = await queue.get()
            try:
                await self._line.request(request)
            except Exception as error:
                # A fault of ours shuts this request out, never the door for everybody after it.
                self._line.failed(request, error)


__all__ = ["Queues"]
