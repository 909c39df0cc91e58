"""What waits at the access points: one queue each, worked off one request after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from menwei.access import Line
from menwei.model import Request


class _Queue:
    """What waits at one access point, and its one worker."""

    __slots__ = ("_woken", "requests")

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self._woken: asyncio.Future[None] | None = None

    def put(self, request: Request) -> None:
        self.requests.append(request)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def filled(self) -> asyncio.Future[None]:
        self._woken = asyncio.get_running_loop().create_future()
        return self._woken


class Queues:
    """One queue per access point: requests there are worked off one after the other, and those who wait are few."""

    LENGTH = 16

    def __init__(self, line: Line, overflow: Callable[[str], None]) -> None:
        self._line = line
        self._overflow = overflow
        self._queues = {point: _Queue() for point in line.points}

    def submit(self, request: Request) -> None:
        """Take a request in; returns at once. A full queue refuses and says so (a reader gone mad)."""
        queue = self._queues[request.access_point]
        if len(queue.requests) >= self.LENGTH:
            self._overflow(request.access_point)
            return
        queue.put(request)

    def hand_over(self, successor: Queues) -> None:
        """Give what still waits to the queues that replace these; what has no access point any more is dropped."""
        for queue in self._queues.values():
            while queue.requests:
                request = queue.requests.popleft()
                if request.access_point in successor._queues:
                    successor.submit(request)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for queue in self._queues.values():
                tasks.create_task(self._work(queue))

    async def _work(self, queue: _Queue) -> None:
        while True:
            while not queue.requests:
                await queue.filled()
            request = queue.requests.popleft()
            try:
                await self._line.request(request)
            except (
                Exception
            ) as error:  # a fault of ours shuts this request out, never the door for everybody after it
                self._line.failed(request, error)


__all__ = ["Queues"]
