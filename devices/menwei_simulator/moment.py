"""The time of a story: the house's clock, which is put forward, and the moments it is put to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from datetime import time as clock_time
from zoneinfo import ZoneInfo


class HouseClock:
    """The machine's clock and what it is put ahead. It never goes back, as the house would not believe it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += max(seconds, 0.0)

    def to(self, at: float) -> None:
        """It shows `at`, or later if it did so already."""
        self.forward(at - self())


@dataclass(frozen=True, slots=True)
class Moment:
    """A wall time of the site, so many years and days after the day on which the story began."""

    clock: str
    days: int = 0
    years: int = 0

    def instant(self, began: float, zone: ZoneInfo) -> float:
        day = datetime.fromtimestamp(began, zone).date()
        if self.years:
            leap = (day.month, day.day) == (2, 29)
            day = day.replace(year=day.year + self.years, day=28 if leap else day.day)
        wall = datetime.combine(
            day.fromordinal(day.toordinal() + self.days), clock_time.fromisoformat(self.clock)
        )
        return wall.replace(tzinfo=zone).timestamp()
