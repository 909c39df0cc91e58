"""Waiting in tests: for what must happen, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WITHIN = 60.0
"""Seconds for anything that must happen: generous, for a machine with much else to do."""


async def until(condition: Callable[[], object], seconds: float = WITHIN) -> None:
    """Returns when `condition` holds; raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while not condition():  # nobody tells when
            await asyncio.sleep(0.01)
