"""Quiet hours: a small policy for the demonstration, and an example of what one looks like."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from menwei import PASS, Answer, Config, Passage, Policy, Refuse

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of day such as 12:30 is expected")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("an IANA time zone is expected") from error
    return text


def minutes(clock: str) -> int:
    """Minutes since midnight of `12:30`."""
    hours, _, rest = clock.partition(":")
    return int(hours) * 60 + int(rest)


class QuietHoursConfig(Config):
    """`from` and `to` on the wall clock of `time_zone`, over midnight too; `to` is exclusive."""

    from_: Annotated[str, AfterValidator(_clock), Field(alias="from", description="Beginning, e.g. 12:00.")]
    to: Annotated[str, AfterValidator(_clock), Field(description="End, exclusive, e.g. 14:00.")]
    time_zone: Annotated[str, AfterValidator(_zone), Field(description="The site's time zone.")] = (
        "Asia/Shanghai"
    )
    profiles: Annotated[
        tuple[str, ...], Field(description="Whom it concerns: cards with one of these access profiles.")
    ]


class QuietHours(Policy):
    """Keeps noisy work out of a building at certain hours: cards of the named profiles are refused then.

    Asked for every passage at a door that names it. Should it fail, the core refuses the passage and names it.
    """

    name: ClassVar[str] = "quiet_hours"
    Config: ClassVar[type[Config]] = QuietHoursConfig

    async def check(self, passage: Passage) -> Answer:
        settings: QuietHoursConfig = self.config
        if not set(passage.credential.profiles) & set(settings.profiles):
            return PASS
        local = datetime.fromtimestamp(passage.at, ZoneInfo(settings.time_zone))
        now, begin, end = local.hour * 60 + local.minute, minutes(settings.from_), minutes(settings.to)
        quiet = begin <= now < end if begin < end else now >= begin or now < end
        return (
            Refuse("simulator.says.quiet_hours", detail=f"{settings.from_}-{settings.to}") if quiet else PASS
        )
