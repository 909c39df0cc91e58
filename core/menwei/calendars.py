"""iCalendar text and public holidays as plain dates and spans: what the schedule compiler needs of two libraries.

Both are imported when a schedule first uses them: most sites use neither, and they would double the start-up time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from menwei.problems import printable

EVENTS = 200
"""Events in one calendar. A timetable has a dozen; each is expanded over 400 days at every compile."""

OCCURRENCES = 50_000
"""Spans that one calendar may become: a hundred a day for more than a year."""

_TOO_OFTEN = re.compile(r"FREQ\s*=\s*(SECONDLY|MINUTELY|HOURLY)", re.IGNORECASE)


class CalendarError(ValueError):
    """A calendar or a country's holidays cannot be used; `key` and `values` are a message."""

    def __init__(self, key: str, **values: str) -> None:
        self.key = key
        self.values: Mapping[str, str] = values
        super().__init__(key)


def holidays_of(country: str, years: Iterable[int]) -> set[date]:
    """Public holidays by ISO 3166 code. Days that are worked in exchange are not known here. Raises `CalendarError`."""
    try:
        import holidays
    except ImportError:
        raise CalendarError("schedule.holidays_missing") from None
    try:
        found: set[date] = set(holidays.country_holidays(country, years=list(years)))
    except NotImplementedError:
        raise CalendarError("schedule.holidays_unknown", country=printable(country)) from None
    return found


def spans(text: str, zone: ZoneInfo, begin: date, end: date) -> list[tuple[datetime, datetime]]:
    """The spans of a calendar's events that touch [begin, end): RRULE, RDATE, EXDATE and moved or cancelled occurrences
    are worked out. Without a zone in the calendar they are of the site's wall clock, and so are whole days.

    Raises `CalendarError` for text that is no calendar, has too many events or repeats more than daily.
    """
    from icalendar import Calendar
    from recurring_ical_events import of

    unfolded = re.sub(r"\r?\n[ \t]", "", text)
    if match := _TOO_OFTEN.search(unfolded):
        raise CalendarError("schedule.ical_too_often", frequency=match[1].upper())
    if unfolded.upper().count("BEGIN:VEVENT") > EVENTS:
        raise CalendarError("schedule.ical_too_many", limit=str(EVENTS))
    if text.lstrip().upper().startswith("BEGIN:VEVENT"):  # events alone, as an installer writes them
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//menwei//\r\n{text.strip()}\r\nEND:VCALENDAR\r\n"
    try:
        calendar = Calendar.from_ical(text)
        if calendar.name != "VCALENDAR":
            raise CalendarError("schedule.ical_unreadable", detail="BEGIN:VCALENDAR")
        if not calendar.walk("VEVENT"):
            raise CalendarError("schedule.ical_no_events")
        if broken := [detail for event in calendar.walk("VEVENT") for detail in event.errors]:
            raise CalendarError("schedule.ical_unreadable", detail=printable(": ".join(map(str, broken[0]))))
        found = []
        for event in of(calendar).between(begin - timedelta(days=2), end + timedelta(days=2)):
            if str(event.get("STATUS", "")).upper() == "CANCELLED":
                continue
            found.append((_moment(event.start), _moment(event.end)))
            if len(found) > OCCURRENCES:
                raise CalendarError("schedule.ical_too_many", limit=str(OCCURRENCES))
    except CalendarError:
        raise
    except Exception as error:  # two libraries with no common base of their errors; the installer is told
        raise CalendarError(
            "schedule.ical_unreadable", detail=printable(str(error) or type(error).__name__)
        ) from error
    return [span for start, stop in found if (span := _alike(start, stop, zone))[0] < span[1]]


def _moment(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def _alike(start: datetime, stop: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both ends with a zone, or both without."""
    if (start.tzinfo is None) == (stop.tzinfo is None):
        return start, stop
    return start if start.tzinfo else start.replace(tzinfo=zone), stop if stop.tzinfo else stop.replace(
        tzinfo=zone
    )
