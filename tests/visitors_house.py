"""A house with the visitors plugin as the program would load it, and a clock that tests move. Only devices are
stand-ins; what a door does is decided and recorded by the real line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from menwei import Actor, CredentialIdentifier, IdentifierType
from menwei.model import LevelInForce, Outcome, Request, Verdict
from menwei.pending import CodeTries
from menwei.rights import PutProfile
from menwei.site import security_level
from menwei_visitors.service import Visitors
from menwei_visitors.words import Pass
from rights_support import profile
from tenancy_house import TenancyHouse, at, card, copy_migrated, wall

GUARD = Actor("zhang", "guard")
OPTIONS: Mapping[str, Any] = {
    "profiles": ("gate",),
    "ways": {"B1-1-": ("unit-1",), "B1-2-": ()},
    "courier_profiles": ("unit-1",),
}
FLAT = "B1-1-302"


class VisitorsHouse(TenancyHouse):
    """Doors that accept a card, a typed code or a QR code."""

    async def load_visitors(self, plugins: tuple[str, ...] = ("console", "visitors"), **options: Any) -> None:
        await self.load(plugins, **{**OPTIONS, **options})
        async with self.rights.store.transaction() as tx:
            gate = PutProfile(profile("gate", ({"gate-in"}, "always")))
            await self.rights.apply(tx, [gate], actor=self.ACTOR)
        either = (LevelInForce(security_level("Card or PIN or QRCode")),)
        points = {name: replace(point, levels=either) for name, point in self.site.access_points.items()}
        self.site = replace(self.site, access_points=points)
        self.line.points = points

    @property
    def visitors(self) -> Visitors:
        found: Visitors = self.services.find(Visitors)
        return found

    async def invite(self, flat: str = FLAT, **more: Any) -> Pass:
        async with self.visitors.transaction() as tx:
            return await self.visitors.invite(tx, GUARD, flat, **more)

    async def courier(self, **more: Any) -> Pass:
        async with self.visitors.transaction() as tx:
            return await self.visitors.courier(tx, GUARD, **more)

    async def end(self, number: int, **more: Any) -> None:
        async with self.visitors.transaction() as tx:
            await self.visitors.end(tx, GUARD, number, **more)

    def digits(self, given: Pass) -> str:
        return self.visitors.digits_of(given)

    def qr(self, given: Pass) -> CredentialIdentifier:
        return CredentialIdentifier(IdentifierType.QRCODE, "menwei", self.visitors.qr_of(given))

    async def show(self, shown: CredentialIdentifier, point: str = "gate-in") -> Verdict:
        """Present something at a door, now: the real line decides, records and releases."""
        self.line.repeats._last.clear()  # the card is taken away in between
        return await self.line.request(Request(point, (shown,), self.clock.now(), self.clock.monotonic()))

    async def type(self, digits: str, point: str = "gate-in") -> Verdict:
        return await self.show(CredentialIdentifier(IdentifierType.PIN, "code", digits), point)

    async def passes(self, digits: str, point: str = "gate-in") -> bool:
        return (await self.type(digits, point)).outcome is Outcome.GRANTED

    def forgive(self) -> None:
        """Nobody has tried codes so far: for tests of something else that type wrong ones."""
        self.line.codes = CodeTries()


@asynccontextmanager
async def visitors_house(folder: Path, **options: Any) -> AsyncIterator[VisitorsHouse]:
    await copy_migrated(folder, VisitorsHouse, VisitorsHouse.load_visitors)
    async with await VisitorsHouse.open(folder) as house:
        await house.load_visitors(**options)
        yield house


__all__ = ["FLAT", "GUARD", "VisitorsHouse", "at", "card", "visitors_house", "wall"]
