"""The shape of config.yaml and adopted.yaml: what may stand there, with its limits and defaults.

These models say what one value may be; `config.py` reads the files, says where a mistake stands and checks names
against each other. A driver's, a policy's and a plugin's own keys stay a plain map here: their models are the
plugin's, see `Loaded.check_plugin_options`.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from menwei.durations import DURATION_SCHEMA, seconds
from menwei.forms import FORMS
from menwei.loopback import is_loopback
from menwei.model import IdentifierType
from menwei.schedules import ScheduleSpec, SpecialDays

RESERVED = {"devices": ("driver",), "policies": ("policy",), "plugins": ("allow",)}
"""Keys of a section's entries that are ours; the others belong to the driver, policy or plugin."""


def zone(value: str) -> str:
    known = zoneinfo.available_timezones()
    if value in known:
        return value
    near = difflib.get_close_matches(value[:60], known, 1)
    raise PydanticCustomError(
        "config.time_zone", "an IANA time zone is expected", {"near": near[0] if near else ""}
    )


def reference(value: str) -> str:
    device, slash, part = value.partition("/")
    if not (device and slash and part and part.strip() == part):
        raise PydanticCustomError("config.reference", "device/name is expected")
    return value


def level(value: str) -> str:
    level_groups(value)
    return value


def level_groups(text: str) -> tuple[frozenset[IdentifierType], ...]:
    """The meaning of a security level's words: `Card`, `Card and PIN`, `Card and PIN or QRCode` ("and" binds first).
    Raises `PydanticCustomError`."""
    kinds = {kind.lower(): kind for kind in IdentifierType}
    groups = []
    for group in re.split(r"\s+or\s+", text.strip(), flags=re.IGNORECASE):
        words = re.split(r"\s+and\s+", group, flags=re.IGNORECASE)
        for word in words:
            if word.lower() not in kinds:
                near = difflib.get_close_matches(word[:60].capitalize(), IdentifierType, 1)
                raise PydanticCustomError(
                    "config.security_level",
                    "a security level is expected",
                    {"near": str(near[0]) if near else ""},
                )
        groups.append(frozenset(kinds[word.lower()] for word in words))
    return tuple(dict.fromkeys(groups))


def all_interfaces(value: object) -> object:
    return [] if value == "all" else value


def address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise PydanticCustomError("config.address", "an IP address is expected") from None
    return value


def one_or_more(value: object) -> object:
    """Where a list is meant, one thing may stand without brackets."""
    return value if isinstance(value, list) or value is None else [value]


def levels(value: object) -> object:
    if isinstance(value, str):
        return [{"level": value}]
    return (
        [{"level": entry} if isinstance(entry, str) else entry for entry in value]
        if isinstance(value, list)
        else value
    )


def no_hours(value: object) -> object:
    return [] if value == "none" else value


def empty_map(value: object) -> object:
    """`simulator:` with nothing behind it is an empty section."""
    return {} if value is None else value


ID = r"^[a-z0-9][a-z0-9-]*$"
NAME = r"^[a-z0-9][a-z0-9_-]*$"

Id = Annotated[str, StringConstraints(pattern=ID, max_length=64)]
"""Sites, devices, doors, access points: these stand in addresses and topics."""
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=64)]
"""Plugins, policies, schedules, profiles."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Moment = Annotated[float, Field(gt=0, le=3600), BeforeValidator(seconds), DURATION_SCHEMA]
"""A door's times: more than an hour of an open lock is a mode, not a time."""
Span = Annotated[float, Field(gt=0, le=3650 * 86_400), BeforeValidator(seconds), DURATION_SCHEMA]
Zone = Annotated[str, AfterValidator(zone)]
Reference = Annotated[str, StringConstraints(max_length=200), AfterValidator(reference)]
"""`device/lock` or `device/reader`; the name behind the first slash is the device's own and may hold spaces."""
Level = Annotated[str, StringConstraints(max_length=200), AfterValidator(level)]
Address = Annotated[str, AfterValidator(address)]


@dataclass(frozen=True, slots=True)
class Also:
    """For editors: what may stand here in short, beside the full form (None: one item of the list)."""

    short: dict[str, Any] | None = None

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = handler(core)
        return {"anyOf": [full, full["items"] if self.short is None else self.short]}


OR_ONE = Also()
OR_NOTHING = Also({"type": "null"})


class Section(BaseModel):
    """A part of the file. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteSection(Section):
    """The place: its id stands in every journal entry and never changes."""

    id: Id = "site"
    name: Text = "Menwei"
    time_zone: Zone = "Asia/Shanghai"
    language: Literal["zh-CN", "en"] = "zh-CN"


class Tls(Section):
    certificate: Text
    key: Text

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Certificate and key; `folder` is the configuration's."""
        return folder / self.certificate, folder / self.key


class Web(Section):
    """Where the console and the API listen. Anything but this machine itself needs `tls`."""

    host: Text = "127.0.0.1"
    port: int = Field(default=8460, ge=1, le=65535)
    tls: Tls | None = None

    def on_loopback(self) -> bool:
        return is_loopback(self.host)


class JournalSection(Section):
    """`required` keeps doors shut while the journal cannot be written; `passages` is how long they are kept."""

    required: bool = False
    passages: Span = 30 * 86_400.0


class Discovery(Section):
    """Addresses of the interfaces on which devices are looked for; `all` (an empty list here) means every one."""

    interfaces: Annotated[
        list[Address],
        BeforeValidator(all_interfaces),
        Also({"const": "all"}),
    ] = ["127.0.0.1"]


class OpenSection(Section):
    """A section with options of a driver, policy or plugin beside ours; they may be secrets and are not shown."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)


class PluginSection(OpenSection):
    """One plugin to load: what it is allowed, and its own options."""

    allow: list[Name] = []


class PolicySection(OpenSection):
    """One instance of a policy class, `plugin.class`, and its own options."""

    policy: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*\.[A-Za-z0-9_-]+$", max_length=130)
    ]


class DeviceSection(OpenSection):
    """One device: the driver's name, and its own options (address, secret …)."""

    driver: Text


class LevelEntry(Section):
    level: Level
    schedule: Name | None = None


class AccessPointSection(Section):
    """One side of a door."""

    name: Text | None = None
    readers: Annotated[list[Reference], BeforeValidator(one_or_more), OR_ONE] = []
    cameras: Annotated[list[Id], BeforeValidator(one_or_more), OR_ONE] = []
    security_level: Annotated[
        list[LevelEntry],
        BeforeValidator(levels),
        Field(min_length=1),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
                ]
            }
        ),
    ] = [LevelEntry(level="Card")]
    policies: list[Name] = []
    from_: Id | None = Field(default=None, alias="from")
    to: Id | None = None
    pin_timeout: Moment = 10.0
    decides: Literal["host", "controller"] = "host"


class DoorSection(Section):
    """A door, its lock and its times. Its form, where one is named, fills in what is left out."""

    name: Text | None = None
    form: Literal["gate", "turnstile", "unit_door", "flat_lock"] | None = None
    lock: Reference
    release_time: Moment = 5.0
    extended_release_time: Moment | None = None
    open_time: Moment = 30.0
    extended_open_time: Moment | None = None
    pre_alarm_time: Moment | None = None
    contact: bool = True
    exit_button: Literal["seen", "unseen", "none"] = "unseen"
    call_button: Literal["seen", "unseen", "none"] = "none"
    fire_input: Literal["seen", "unseen", "none"] = "unseen"
    without_power: Literal["unlocked", "locked"] = "unlocked"
    access_points: dict[Id, Annotated[AccessPointSection, BeforeValidator(empty_map), OR_NOTHING]] = {}
    policies: list[Name] = []

    @model_validator(mode="before")
    @classmethod
    def _as_its_form(cls, data: Any) -> Any:
        form = data.get("form") if isinstance(data, dict) else None
        facts = next((facts for known, facts in FORMS.items() if known == form), None)
        return data if facts is None else {**facts.defaults(), **data}


Hours = Annotated[str, StringConstraints(max_length=200)]


class SpecialDaysSection(Section):
    """Days with hours of their own, instead of the ordinary ones."""

    days: Annotated[
        list[Annotated[str, StringConstraints(max_length=40)]], BeforeValidator(one_or_more), OR_ONE
    ] = []
    holidays: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,3}$")] | None = None
    hours: Annotated[
        list[Hours],
        BeforeValidator(no_hours),
        Also({"const": "none"}),
    ]


class ScheduleSection(Section):
    """When: hours of the week, or an iCalendar text, or both; and days that differ."""

    weekly: Annotated[list[Hours], BeforeValidator(one_or_more), OR_ONE] = []
    ical: str = Field(default="", max_length=200_000)
    special_days: Annotated[list[SpecialDaysSection], BeforeValidator(one_or_more), OR_ONE] = []

    def spec(self) -> ScheduleSpec:
        return ScheduleSpec(
            weekly=tuple(self.weekly),
            ical=self.ical,
            special_days=tuple(
                SpecialDays(days=tuple(entry.days), holidays=entry.holidays or "", hours=tuple(entry.hours))
                for entry in self.special_days
            ),
        )


class RuleSection(Section):
    """These access points, in this schedule."""

    access_points: list[Id]
    schedule: Name = "always"


class Settings(Section):
    """The whole file. An empty one is a site that can discover and adopt."""

    site: SiteSection = SiteSection()
    web: Web = Web()
    data: Text = "./var"
    journal: JournalSection = JournalSection()
    discovery: Discovery = Discovery()
    plugins: dict[Name, Annotated[PluginSection, BeforeValidator(empty_map), OR_NOTHING]] = {}
    policies: dict[Name, PolicySection] = {}
    devices: dict[Id, DeviceSection] = {}
    doors: dict[Id, DoorSection] = {}
    schedules: dict[Name, ScheduleSection] = {}
    profiles: dict[Name, list[RuleSection]] = {}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Settings:
        """Checks the merged data of the files. Raises pydantic's `ValidationError`."""
        return cls.model_validate(data)


__all__ = ["RESERVED", "Settings", "ValidationError", "level_groups", "seconds"]
