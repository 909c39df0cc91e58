"""What the desk of a story asks of the tenancy and of the visitors, over their API and in no other way."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from menwei.cli_client import Api
from menwei_simulator.cast import DemoDoor, Entered, Member, card_of
from menwei_simulator.scene import Playing

TENANCY, VISITORS = "/api/tenancy", "/api/visitors"
CONSENT = "2026-1"
"""The version of the text that cohabitants consent to."""
DESK = DemoDoor("desk", "sim-desk", "simulator.demo.door.desk")
"""No door: a reader on the registration's desk, where cards are touched to be entered."""


def today(playing: Playing, years: int = 0) -> date:
    """The site's day, so many years on."""
    day = datetime.fromtimestamp(playing.clock(), playing.house.site.zone).date()
    return date(day.year + years, day.month, min(day.day, 28))


async def move_in(playing: Playing, contract: str, flat: str, until: date | None = None) -> int:
    """A household has the lease of a flat, by the flat's external id; the household's number."""
    body = {"flat": flat, "last_day": until.isoformat() if until else None}
    made = await playing.desk.put(f"{TENANCY}/synced-households/{contract}", body)
    return int(made["id"])


async def join(playing: Playing, household: int, who: Member, role: str, kind: str = "") -> int:
    """Somebody belongs to a household, and passes with their card of that kind ("": not yet); the member's number."""
    body = {"role": role, "name": who.name, "external_id": who.key}
    made = await playing.desk.post(f"{TENANCY}/households/{household}/members", body)
    if kind:
        await give(playing.desk, made["id"], who.card, kind)
    await known(playing, household, made["id"], who)
    return int(made["id"])


async def give(service: Api, member: int, card: str, kind: str = "key-card", label: str = "") -> int:
    """A member passes with this card too; the credential's number."""
    format, value = card_of(card)
    body = {"format": format, "value": value, "kind": kind, "label": label}
    made = await service.post(f"{TENANCY}/members/{member}/passes", body)
    return int(made["id"])


async def collect(playing: Playing, household: int, member: int, who: Member) -> None:
    """A cohabitant consents and touches their card at the desk."""
    body = {"consent": CONSENT, "kind": "citizen-card"}
    await playing.at_desk(DESK.controller, f"{TENANCY}/members/{member}/collect", body, who.card)
    await known(playing, household, member, who)


async def known(playing: Playing, household: int, member: int, who: Member) -> None:
    """From now on the story knows a member's numbers."""
    found = await playing.desk.get(f"{TENANCY}/households/{household}")
    one: dict[str, Any] = next(one for one in found["members"] if one["id"] == member)
    credential = one["passes"][0]["credential"] if one["passes"] else 0
    playing.people[who.key] = Entered(who, one["holder"], credential)


async def courier(playing: Playing) -> str:
    """A courier pass for today; its code."""
    return str((await playing.desk.post(f"{VISITORS}/couriers", {}))["code"])
