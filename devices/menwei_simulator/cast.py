"""The doors and people a story of `menwei demo` plays with, and those of the street.

The names are the demonstration's own; like every name they are sealed in the store and stand in no journal entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class DemoDoor:
    """One door: its controller's id (before the run's suffix), its own id and the message key of its name, with the
    number in it. `lock` and `reader` are the controller's names; `leaving` is the reader on the inner side, "" without.
    """

    id: str
    controller: str
    name: str
    number: str = ""
    lock: str = "1"
    reader: str = "in"
    leaving: str = ""

    @property
    def inside(self) -> str:
        """The access point through which people come in."""
        return f"{self.id}-in"

    @property
    def outside(self) -> str:
        """The access point through which people leave, where it has a reader."""
        return f"{self.id}-out"

    @property
    def readers(self) -> tuple[str, ...]:
        return (self.reader, self.leaving) if self.leaving else (self.reader,)

    def from_inside(self) -> DemoDoor:
        """The same door for somebody who stands at the inner reader."""
        return replace(self, reader=self.leaving)


GATE = DemoDoor("gate", "sim-gate", "simulator.demo.door.gate")
UNIT_1 = DemoDoor("unit-1", "sim-unit-1", "simulator.demo.door.unit-1")
UNIT_2 = DemoDoor("unit-2", "sim-unit-2", "simulator.demo.door.unit-2")
FLAT = DemoDoor("flat-501", "sim-flat-501", "simulator.demo.door.flat-501")
DOORS = (GATE, UNIT_1, UNIT_2, FLAT)


@dataclass(frozen=True, slots=True)
class Member:
    """One person of a story. `card` is FORMAT:VALUE, or a UID alone. `since` and `until` are days from now, None without
    end; `lost`: the card was reported so. `key` stands in the store as the external id."""

    key: str
    name: str
    card: str
    profiles: tuple[str, ...] = ()
    since: float = -30.0
    until: float | None = None
    pin: str | None = None
    duress: str | None = None
    lost: bool = False

    def card_body(self, now: float) -> dict[str, Any]:
        """What the API is asked for: the card with its validity."""
        format, value = card_of(self.card)
        body: dict[str, Any] = {"format": format, "value": value, "profiles": list(self.profiles)}
        body["valid_from"] = _day(now, self.since)
        if self.until is not None:
            body["valid_to"] = _day(now, self.until)
        return body | {
            word: pin for word, pin in (("pin", self.pin), ("duress_pin", self.duress)) if pin is not None
        }


@dataclass(frozen=True, slots=True)
class Entered:
    """A member as the store knows them."""

    member: Member
    holder: int
    credential: int


def card_of(text: str) -> tuple[str, str]:
    """Format and value of `idcard:0102…`, or of a UID alone."""
    format, _, value = text.rpartition(":")
    return format or "uid", value


def _day(now: float, days: float) -> str:
    return (datetime.fromtimestamp(now, UTC) + timedelta(days=days)).isoformat(timespec="seconds")


TENANT = Member("demo-tenant", "林晓", "04A10B1C", ("residents",), until=0.9)
"""Her lease ends within a day: one day on, the same card is refused."""
NIGHT_OWL = Member("demo-night", "王建国", "04B20C2D", ("residents",), pin="2468", duress="2469")
OWNER = Member("demo-owner", "刘芳", "04C30D3E", ("residents", "flat-501"))
FORMER = Member("demo-former", "陈静", "04D40E4F", ("residents",), until=-1.0)
LOSER = Member("demo-lost", "赵敏", "04E50F5A", ("residents",), lost=True)
WORKER = Member("demo-worker", "李师傅", "04F6106B", ("renovation",))
CAST = (TENANT, NIGHT_OWL, OWNER, FORMER, LOSER, WORKER)

STRANGERS_CARD = "047788AA"
"""A card nobody entered."""
WRONG_PIN = "1357"
