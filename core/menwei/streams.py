"""The live streams that are open: bounded, and ended at shutdown so that nobody waits for a browser."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from menwei.routes import Problem

MOST = 200
"""In one house: every guard, committee member and wall display several times over."""
MOST_EACH = 12
"""For one name: browsers keep a few tabs open, a program gone mad opens thousands."""


class Streams:
    """Counts open streams by caller."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._names: Counter[str] = Counter()

    @contextmanager
    def open(self, name: str) -> Iterator[None]:
        """Around one stream. Raises `Problem` 429 when there are too many."""
        if len(self._tasks) >= MOST or self._names[name] >= MOST_EACH:
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "web.too_many", seconds=5)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._names[name] += 1
        try:
            yield
        finally:
            self._tasks.discard(task)
            self._names[name] -= 1
            if not self._names[name]:  # names may be strangers', of whom there is no end
                del self._names[name]

    async def end(self, patience: float) -> None:
        """Ends every stream; called at shutdown. Browsers come back by themselves."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
