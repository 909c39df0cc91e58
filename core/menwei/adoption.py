"""Taking a device into the site: test the connection, then write it into `adopted.yaml` beside `config.yaml`.

The installer's own files are never touched. `adopted.yaml` is edited as text, so that comments and the order of a
person who edited it stay, and the result is read back and checked before it takes the old one's place. Secrets go to
`secrets.yaml` in the data folder, which only the program's user can read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from menwei.adopted_file import Adopted as AdoptedFile
from menwei.adopted_file import AdoptionError, Secret
from menwei.announcement import clean, config_id
from menwei.config import Loaded, load
from menwei.context import AuthFailed, NotReady
from menwei.manifest import Failure
from menwei.model import DeviceInfo, DoorForm
from menwei.patience import within
from menwei.plugin import Driver
from menwei.reports import Discovered
from menwei.settings import ID

PROBE_TIME = 10.0
"""Seconds for the connection test: a person waits for it, and a device that needs longer is not well connected."""


@dataclass(frozen=True, slots=True)
class NewDoor:
    """A door to write with the device: `lock` is the device's name for it ("" when it has only one), `access_points`
    maps access point ids to the device's names of their readers, `form` says how it is built, None: not said."""

    id: str
    name: str
    lock: str = ""
    access_points: Mapping[str, str] = field(default_factory=dict)
    form: DoorForm | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was written: the device's id, what it said of itself, the ids of the doors, the names of the secrets."""

    id: str
    info: DeviceInfo
    path: Path
    doors: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


def doors_from_options(
    doors: Sequence[str], access_points: Sequence[str], forms: Sequence[str] = ()
) -> tuple[NewDoor, ...]:
    """The doors of a command line: `--door gate=小区门` or `--door gate:2=小区门` (lock 2), `--access-point gate-in=in`
    or `--access-point in:gate=in` (of the door gate; else the door whose id it begins with, or the only one),
    `--form gate=turnstile`.

    Raises `AdoptionError` for what does not read so.
    """
    made: dict[str, NewDoor] = {}
    for text in doors:
        id, lock, name = _option(text, "--door gate=小区门")
        made[id] = NewDoor(id, name, lock, {})
    points: dict[str, dict[str, str]] = {id: {} for id in made}
    for text in access_points:
        id, door, reader = _option(text, "--access-point gate-in=in")
        if not door:
            begun = [known for known in made if id == known or id.startswith(known + "-")]
            door = max(begun, key=len, default=next(iter(made)) if len(made) == 1 else "")
        if door not in made:
            raise AdoptionError("adopt.which_door", access_point=id, doors=", ".join(made) or "–")
        points[door][id] = reader
    built = {}
    for text in forms:
        id, _, form = _option(text, "--form gate=gate")
        if id not in made:
            raise AdoptionError("adopt.form_of_no_door", door=clean(id, 60), doors=", ".join(made) or "–")
        if form not in set(DoorForm):
            raise AdoptionError("adopt.no_form", form=clean(form, 60), forms=", ".join(DoorForm))
        built[id] = DoorForm(form)
    return tuple(
        NewDoor(door.id, door.name, door.lock, points[door.id], built.get(door.id)) for door in made.values()
    )


def _option(text: str, example: str) -> tuple[str, str, str]:
    left, equals, right = text.partition("=")
    id, _, part = left.partition(":")
    if not (equals and id.strip() and right.strip()):
        raise AdoptionError("adopt.option", value=clean(text, 60), example=example)
    return id.strip(), part.strip(), right.strip()


async def probe(
    device: Discovered,
    driver: type[Driver],
    settings: Mapping[str, Any] | None = None,
    probe_time: float = PROBE_TIME,
) -> DeviceInfo:
    """Test the connection to a discovered device and write nothing: what it says of itself, its locks and readers.
    Raises `AdoptionError`."""
    return await _probe(driver, _checked(driver, {**device.config, **(settings or {})}), probe_time)


async def adopt(
    device: Discovered | Mapping[str, Any],
    driver: type[Driver],
    config: Path,
    *,
    id: str = "",
    settings: Mapping[str, Any] | None = None,
    doors: Sequence[NewDoor] = (),
    probe_time: float = PROBE_TIME,
    read: Callable[..., Loaded] = load,
) -> Adoption:
    """Test the connection to a device and write it, with its doors, into `adopted.yaml` beside `config`.

    `device` is what discovery found, or the driver's settings written by hand; `settings` come on top (a password).
    `id` is the device's id in the config, by default made from the discovered one. Nothing is written unless the
    device answered and the whole config is in order with it, as `read` reads it. Raises `AdoptionError`, which says why
    in a sentence for the installer.
    """
    if isinstance(device, Discovered):
        id, given = id or config_id(device.id), {**device.config, **(settings or {})}
    else:
        given = {**device, **(settings or {})}
    for wanted in (id, *(new for door in doors for new in (door.id, *door.access_points))):
        if not re.fullmatch(ID, wanted) or len(wanted) > 64:
            raise AdoptionError("adopt.bad_id", id=clean(wanted, 80))
    options = _checked(driver, given)
    file = AdoptedFile(config, read)
    await asyncio.to_thread(file.refuse_known, {"devices": [id], "doors": [door.id for door in doors]})
    info = await _probe(driver, options, probe_time)
    written = {door.id: _door(id, door, info) for door in doors}
    plain, secrets = _plain(options.model_dump(exclude_unset=True, by_alias=True), (id,))
    entry = {"driver": driver.name, **plain}
    await asyncio.to_thread(file.add, {"devices": {id: entry}, "doors": written}, secrets)
    return Adoption(id, info, file.path, tuple(written), tuple(secrets))


async def forget(config: Path, id: str) -> tuple[str, ...]:
    """Take a device out of `adopted.yaml`, with the doors it locks and its secrets; returns the ids of those doors.

    Raises `AdoptionError` when it is not in that file, or when the config still speaks of what would go.
    """
    file = AdoptedFile(config)
    return await asyncio.to_thread(file.remove_device, id)


def _checked(driver: type[Driver], given: Mapping[str, Any]) -> BaseModel:
    try:
        return driver.Config.model_validate(dict(given))
    except ValidationError as error:
        failures = [
            Failure("adopt.setting", {"name": ".".join(map(str, fault["loc"])), "detail": fault["msg"]})
            for fault in error.errors(include_input=False)  # the input may be a password
        ]
        raise AdoptionError.of(failures) from None


async def _probe(driver: type[Driver], options: BaseModel, seconds: float) -> DeviceInfo:
    try:
        info = await within(seconds, lambda: driver.probe(options))
    except NotReady as error:
        raise AdoptionError("adopt.not_ready", detail=clean(str(error))) from error
    except AuthFailed as error:
        raise AdoptionError("adopt.auth_failed", detail=clean(str(error))) from error
    except TimeoutError as error:
        raise AdoptionError("adopt.timeout", seconds=f"{seconds:g}") from error
    except Exception as error:
        detail = clean(f"{type(error).__name__}: {error}")
        raise AdoptionError("adopt.probe_broken", driver=driver.name, detail=detail) from error
    if not isinstance(info, DeviceInfo):
        raise AdoptionError(
            "adopt.probe_broken", driver=driver.name, detail=f"probe() returned {type(info).__name__}"
        )
    return info


def _door(device: str, door: NewDoor, info: DeviceInfo) -> dict[str, Any]:
    """The entry of one door. Raises `AdoptionError` when the device has no such lock or reader."""
    lock = door.lock or (info.locks[0] if len(info.locks) == 1 else "")
    if lock not in info.locks:
        raise AdoptionError("adopt.which_lock", door=door.id, lock=clean(lock), locks=_names(info.locks))
    points = {}
    for point, reader in door.access_points.items():
        if reader not in info.readers:
            raise AdoptionError(
                "adopt.which_reader", access_point=point, reader=clean(reader), readers=_names(info.readers)
            )
        points[point] = {"readers": [f"{device}/{reader}"]}
    form = {} if door.form is None else {"form": str(door.form)}
    entry: dict[str, Any] = {"name": door.name, **form, "lock": f"{device}/{lock}"}
    return {**entry, "access_points": points} if points else entry


def _names(names: Sequence[str]) -> str:
    return ", ".join(clean(name, 64) for name in names) or "–"


def _plain(value: Any, path: tuple[str, ...]) -> tuple[Any, dict[str, str]]:
    """Settings as YAML can hold them, with each secret replaced by a reference; and those secrets by name."""
    if isinstance(value, SecretStr | SecretBytes):
        secret = value.get_secret_value()
        name = ".".join(path)
        return Secret(name), {name: secret if isinstance(secret, str) else secret.decode()}
    if isinstance(value, Mapping):
        found = {str(key): _plain(item, (*path, str(key))) for key, item in value.items()}
        return {key: item for key, (item, _) in found.items()}, {
            k: v for _, more in found.values() for k, v in more.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item, (*path, str(index))) for index, item in enumerate(value)]
        return [item for item, _ in items], {k: v for _, more in items for k, v in more.items()}
    return (value if value is None else to_jsonable_python(value)), {}


__all__ = ["Adoption", "AdoptionError", "NewDoor", "adopt", "doors_from_options", "forget", "probe"]
