"""Local days as instants: a visitor's right ends with the day, whatever the clocks do at midnight."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_of(at: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


def end_of(day: date, zone: ZoneInfo) -> float:
    """The first moment that is no longer `day` at the site. Where the clocks skip midnight, the moment they skip it;
    where they show it twice, the first time."""
    midnight = datetime.combine(day + timedelta(days=1), time())
    before, after = (midnight.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if after >= before:  # fold 1 is earlier only where this wall time does not exist (PEP 495)
        return before
    low, high = int(after), int(before)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if day_of(middle, zone) <= day else (low, middle)
    return float(low)
