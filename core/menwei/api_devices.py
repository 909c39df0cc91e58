"""Devices, what was discovered, adoption, plugins and repairs: the installer's side. Nothing here is about people."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from menwei.adoption import AdoptionError, NewDoor
from menwei.announcement import config_id
from menwei.loader import PluginState
from menwei.model import DoorForm
from menwei.routes import NOT_BLANK, Call, Model, Problem, Role, Route
from menwei.supervisor import DeviceState

INSTALLERS = frozenset({Role.COMMITTEE, Role.INSTALLER, Role.OPERATOR})

IdText = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]


class DeviceOut(Model):
    """One device of the config. `text` is the driver's own words about its state, English."""

    id: str
    driver: str
    state: DeviceState
    text: str
    model: str
    version: str
    locks: tuple[str, ...]
    readers: tuple[str, ...]
    doors: tuple[str, ...]


class DeviceList(Model):
    devices: tuple[DeviceOut, ...]


class DiscoveredOut(Model):
    """A device somebody could adopt. `proposed` is an id for it in the config."""

    id: str
    driver: str
    title: str
    address: str
    finder: str
    properties: dict[str, str]
    proposed: str


class DiscoveredList(Model):
    devices: tuple[DiscoveredOut, ...]


class SideIn(Model):
    """One side of a door to make; `reader` is the device's name for the reader there."""

    id: IdText
    reader: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class DoorIn(Model):
    """A door to make: `lock` is the device's name for its lock ("" when it has one), `form` how it is built."""

    id: IdText
    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NOT_BLANK)]
    lock: Annotated[str, StringConstraints(max_length=64)] = ""
    form: DoorForm | None = None
    access_points: Annotated[tuple[SideIn, ...], Field(max_length=16)] = ()


class Adopt(Model):
    """Take a discovered device (`device`, as discovery names it) into the site under `id`.

    `doors` are written with it. Shorter, for a device with one lock: `door_name` makes one door of the same id.
    `settings` come on top of what was discovered, such as a password.
    """

    device: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    id: IdText
    door_name: Annotated[str, StringConstraints(max_length=100, strip_whitespace=True)] | None = None
    reader: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    doors: Annotated[tuple[DoorIn, ...], Field(max_length=64)] = ()
    settings: dict[str, str | int | bool] = Field(default_factory=dict)


class AdoptTest(Model):
    """Test the connection to a discovered device; `settings` as for adopting."""

    device: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    settings: dict[str, str | int | bool] = Field(default_factory=dict)


class Tested(Model):
    """What the device said of itself. `locks` and `readers` are its own names for them."""

    model: str
    version: str
    locks: tuple[str, ...]
    readers: tuple[str, ...]


class AdoptedOut(Model):
    """What the device said of itself in the connection test, and the doors that were made."""

    id: str
    model: str
    version: str
    locks: tuple[str, ...]
    readers: tuple[str, ...]
    doors: tuple[str, ...]


class PluginOut(Model):
    """`state` is None for a plugin that is installed and not configured. `asked`, `allowed`: permissions."""

    name: str
    version: str
    state: PluginState | None
    error: str
    asked: tuple[str, ...]
    allowed: tuple[str, ...]


class PluginList(Model):
    plugins: tuple[PluginOut, ...]


class RepairOut(Model):
    key: str
    severity: str
    text: str


class RepairList(Model):
    repairs: tuple[RepairOut, ...]


async def list_devices(call: Call) -> DeviceList:
    house = call.house
    found = []
    for id, driver in house.drivers().items():
        state, text = house.supervisor.states().get(id, (DeviceState.PENDING, ""))
        info = house.supervisor.info(id) if id in house.supervisor.states() else None
        found.append(
            DeviceOut(
                id=id,
                driver=driver,
                state=state,
                text=text,
                model=info.model if info else "",
                version=info.version if info else "",
                locks=info.locks if info else (),
                readers=info.readers if info else (),
                doors=tuple(door.name for door in house.site.doors.values() if door.device == id),
            )
        )
    return DeviceList(devices=tuple(found))


async def list_discovered(call: Call) -> DiscoveredList:
    known = set(call.house.drivers())
    found = (
        DiscoveredOut(
            id=device.id,
            driver=device.driver,
            title=device.title,
            address=device.address,
            finder=device.finder,
            properties=dict(device.properties),
            proposed=config_id(device.id),
        )
        for device in call.house.discovery.devices.values()
    )
    own = _own_ids(call)
    return DiscoveredList(
        devices=tuple(
            device
            for device in found
            if device.proposed not in known and (device.driver, config_id(device.id)) not in own
        )
    )


def _own_ids(call: Call) -> set[tuple[str, str]]:
    """Driver and the device's own id of every device that is in use, whatever the config calls it: it goes on
    announcing itself."""
    states, drivers = call.house.supervisor.states(), call.house.drivers()
    infos = {id: call.house.supervisor.info(id) for id in drivers if id in states}
    return {(drivers[id], config_id(info.id)) for id, info in infos.items() if info is not None}


def _doors(body: Adopt) -> list[NewDoor]:
    doors = [
        NewDoor(
            door.id, door.name, door.lock, {side.id: side.reader for side in door.access_points}, door.form
        )
        for door in body.doors
    ]
    if body.door_name:
        points = {f"{body.id}-in": body.reader} if body.reader else {}
        doors.append(NewDoor(body.id, body.door_name, "", points))
    return doors


@contextmanager
def _refusing(call: Call) -> Iterator[None]:
    """What discovery and the device refuse, as an answer to the caller."""
    try:
        yield
    except KeyError:
        raise Problem(HTTPStatus.NOT_FOUND, "web.not_discovered", "body.device") from None
    except AdoptionError as error:
        raise Problem(HTTPStatus.CONFLICT, "web.not_adopted", why=error.text(call.language)) from None


async def try_connection(call: Call) -> Tested:
    """Recorded too: it sends what was typed as a password to the device."""
    with _refusing(call):
        info = await call.house.probe(call.body.device, call.body.settings)
    await call.house.audit(call.who, "device.test", {"device": call.body.device})
    return Tested(model=info.model, version=info.version, locks=info.locks, readers=info.readers)


async def adopt(call: Call) -> AdoptedOut:
    body: Adopt = call.body
    with _refusing(call):
        adopted = await call.house.adopt(body.device, body.id, _doors(body), body.settings)
    await call.house.audit(call.who, "device.adopt", {"device": adopted.id, "doors": list(adopted.doors)})
    return AdoptedOut(
        id=adopted.id,
        model=adopted.info.model,
        version=adopted.info.version,
        locks=adopted.info.locks,
        readers=adopted.info.readers,
        doors=adopted.doors,
    )


async def list_plugins(call: Call) -> PluginList:
    # In a thread: it reads the manifests of everything installed.
    rows = await asyncio.to_thread(call.house.plugin_rows, call.language)
    return PluginList(
        plugins=tuple(
            PluginOut(
                name=row.name,
                version=row.version,
                state=row.state,
                error=row.error,
                asked=row.asked,
                allowed=row.allowed,
            )
            for row in rows
        )
    )


async def list_repairs(call: Call) -> RepairList:
    found = (
        RepairOut(key=repair.key, severity=repair.severity, text=call.t(repair.message, **repair.values))
        for repair in call.house.repairs()
    )
    return RepairList(repairs=tuple(found))


def routes() -> list[Route]:
    tags = ("devices",)
    shared: dict[str, Any] = {"roles": INSTALLERS, "tags": tags}
    return [
        Route("GET", "/api/devices", list_devices, summary="api.devices", response=DeviceList, **shared),
        Route("GET", "/api/discovery", list_discovered, summary="api.discovery", response=DiscoveredList, **shared),
        Route(
            "POST", "/api/adopt", adopt, summary="api.adopt", body=Adopt, response=AdoptedOut, statuses=(404, 409), **shared
        ),
        Route(
            "POST", "/api/adopt/test", try_connection, summary="api.adopt.test", body=AdoptTest, response=Tested,
            statuses=(404, 409), **shared,
        ),
        Route("GET", "/api/plugins", list_plugins, summary="api.plugins", response=PluginList, **shared),
        Route("GET", "/api/repairs", list_repairs, summary="api.repairs", response=RepairList, **shared),
    ]  # fmt: skip
