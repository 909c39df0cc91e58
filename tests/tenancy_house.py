"""A house with the tenancy plugin as the program would load it, real store, journal and rights, and a clock that tests
move. Only devices are stand-ins."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog

from menwei import Actor, Context, CredentialIdentifier, IdentifierType, RightsError
from menwei.background import Services
from menwei.clock import TrustedClock
from menwei.decide import Presented, decide, resolve
from menwei.granting import PluginSite, grants
from menwei.loader import LoadedPlugin, load
from menwei.messages import Messages
from menwei.model import DoorMode, Outcome, Verdict
from menwei.rights import PutProfile, Rights
from menwei.snapshot import Snapshot
from menwei_tenancy.service import Tenancy
from menwei_tenancy.terms import Role
from menwei_tenancy.words import Acting, Touch
from rights_support import profile
from small_house import FIRST_PASSWORD, SmallHouse

SHANGHAI = ZoneInfo("Asia/Shanghai")
COMMITTEE = Acting(Actor("admin", "committee"))


def at(text: str, zone: ZoneInfo = SHANGHAI) -> float:
    """A wall time of the zone as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def wall(instant: float, zone: ZoneInfo = SHANGHAI) -> str:
    return datetime.fromtimestamp(instant, zone).isoformat(" ", "minutes")[:16]


def card(value: str, format: str = "uid") -> CredentialIdentifier:
    return CredentialIdentifier(IdentifierType.CARD, format, value)


@cache
def words(packages: tuple[str, ...]) -> Messages:
    made = Messages(strict=True)
    for package in packages:
        made.add(package)
    return made


House = TypeVar("House", bound="TenancyHouse")


class TenancyHouse(SmallHouse):
    """`time` is the machine's clock; it goes forward only, as the trusted clock does."""

    def __init__(self, time: float | None = None) -> None:
        super().__init__()
        self.time = at("2026-03-02 10:00") if time is None else time
        self.clock = TrustedClock(wall=lambda: self.time, monotonic=lambda: 0.0)
        self.services = Services()

    plugins: dict[str, LoadedPlugin]

    def service(self, cls: type[Any]) -> Any:
        return self.services.find(cls)

    async def load(
        self, names: tuple[str, ...] = ("tenancy",), zone: ZoneInfo | None = None, **options: Any
    ) -> None:
        """Load plugins as `house.Menwei` does, with all they ask for allowed. Each takes of `options` what it knows."""
        from dataclasses import replace

        if zone is not None:
            self.site = replace(self.site, zone=zone)
        self.plugins = load(names)
        self.messages = words(tuple(plugin.package for plugin in self.plugins.values()))
        for plugin in self.plugins.values():
            assert not plugin.error, plugin.error
            module: ModuleType = sys.modules[plugin.package]
            if plugin.schema is not None:
                folder = Path(next(iter(module.__path__))) / "migrations"
                await self.rights.store.migrate(plugin.name, plugin.schema, folder)

        def options_of(_plugin: LoadedPlugin, cls: type[Any]) -> Any:
            return cls.Config(
                **{key: value for key, value in options.items() if key in cls.Config.model_fields}
            )

        self.services.make(self.plugins, options_of, self.context, self.rights)
        async with self.rights.store.transaction() as tx:
            stored = [
                profile("unit-1", ({"unit-in"}, "always")),
                profile("flat-302", ({"gate-out"}, "always")),
            ]
            await self.rights.apply(tx, [PutProfile(one) for one in stored], actor=self.ACTOR)

    def context(self, plugin: LoadedPlugin) -> Context:
        assert plugin.manifest is not None
        allowed = plugin.manifest.permissions.asked()
        keys = self.line.hashes
        return Context(
            plugin.name, structlog.get_logger(plugin.name), self.clock, granted=grants(plugin, allowed, self, keys),  # type: ignore[arg-type]
            view=PluginSite(self), find_service=lambda cls: self.services.find_for(plugin, cls),  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def tenancy(self) -> Tenancy:
        found: Tenancy = self.services.find(Tenancy)
        return found

    # ------------------------------------------------------------------------------------------- short ways for tests

    async def places(self, *, landlord: int | None = None) -> int:
        """Building 1, unit 1, flat 302; its number."""
        tenancy = self.tenancy
        async with tenancy.transaction() as tx:
            await tenancy.places.put_building(tx, COMMITTEE, "B1", "1号楼")
            await tenancy.places.put_unit(tx, COMMITTEE, "B1-1", "B1", "1单元", ["unit-1"])
            return await tenancy.places.put_flat(
                tx, COMMITTEE, "B1-1-302", "B1-1", "302室", ["flat-302"], landlord
            )

    async def do(self, part: str, what: str, *words: Any, acting: Acting = COMMITTEE, **more: Any) -> Any:
        """One function of the service in a transaction of its own: `do("households", "check_out", 7)`."""
        async with self.tenancy.transaction() as tx:
            return await getattr(getattr(self.tenancy, part), what)(tx, acting, *words, **more)

    async def ask(self, part: str, what: str, *words: Any, acting: Acting = COMMITTEE, **more: Any) -> Any:
        async with self.tenancy.read() as reading:
            return await getattr(getattr(self.tenancy, part), what)(reading, acting, *words, **more)

    async def collect(self, member: int, touched: CredentialIdentifier, **more: Any) -> int:
        return int(
            await self.do("passes", "collect", member, "2026-1", Touch(touched, self.clock.now()), **more)
        )

    async def living(self, flat: int, role: Role = Role.LESSEE, **lease: Any) -> tuple[int, int]:
        """Somebody of this role in a household of the flat: (household, member)."""
        household = await self.do("households", "move_in", flat, **lease)
        return household, await self.do("households", "add_member", household, role, name="林")

    def decided(
        self,
        touched: CredentialIdentifier,
        when: float | None = None,
        point: str = "gate-in",
        view: Snapshot | None = None,
    ) -> Verdict:
        """What the door decides, by the very functions of the decision line."""
        view = self.rights.snapshot if view is None else view
        found = resolve(view, self.line.hashes, [touched])
        assert isinstance(found, Presented)
        access_point = self.site.access_points[point]
        moment = self.clock.now() if when is None else when
        return decide(view, self.line.times, found, access_point, DoorMode.LOCKED, moment)

    async def cohabiting(self, **lease: Any) -> tuple[int, int]:
        flat = await self.places()
        household, _ = await self.living(flat, **lease)
        return household, await self.do("households", "add_member", household, Role.COHABITANT, name="王")

    def opens(self, touched: CredentialIdentifier, when: float | None = None, **where: Any) -> bool:
        return self.decided(touched, when, **where).outcome is Outcome.GRANTED

    async def told(self, kind: str) -> list[dict[str, Any]]:
        entries = await self.journal.read(kinds={kind}, personal=True)
        return [{**entry.data, "door": entry.door, "personal": entry.personal} for entry in entries]


_migrated: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""The folder of a house just founded, with its plugins' tables; made once a process, as `small_house.empty_house` is."""


async def copy_migrated(folder: Path, cls: type[House], load: Callable[[House], Awaitable[None]]) -> None:
    """In a folder without a house one of this class is founded, whose plugins `load` loads; all but the first are copies."""
    if (folder / "store.db").exists():
        return
    if cls.__name__ not in _migrated:
        template = tempfile.TemporaryDirectory(prefix="menwei-house-")
        async with await cls.open(Path(template.name)) as house:
            await load(house)
            (Path(template.name) / FIRST_PASSWORD).write_text(house.first_password)
        _migrated[cls.__name__] = template
    for name in ("machine.key", "store.db", FIRST_PASSWORD):
        shutil.copy(Path(_migrated[cls.__name__].name) / name, folder / name)


@asynccontextmanager
async def tenancy_house(
    folder: Path, zone: ZoneInfo | None = None, time: float | None = None, **options: Any
) -> AsyncIterator[TenancyHouse]:
    await copy_migrated(folder, TenancyHouse, TenancyHouse.load)
    house = await TenancyHouse.open(folder) if time is None else await _open_at(folder, time)
    async with house:
        await house.load(zone=zone, **({"profiles": ["residents"]} | options))
        yield house


async def _open_at(folder: Path, time: float) -> TenancyHouse:
    class Then(TenancyHouse):
        def __init__(self) -> None:
            super().__init__(time)

    return await Then.open(folder)


__all__ = [
    "COMMITTEE",
    "SHANGHAI",
    "Acting",
    "Rights",
    "RightsError",
    "TenancyHouse",
    "Touch",
    "at",
    "card",
    "copy_migrated",
    "tenancy_house",
    "wall",
]
