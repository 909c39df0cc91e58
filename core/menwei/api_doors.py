"""Doors and access points: what they are, what goes on at them now, and commands."""

from __future__ import annotations

from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from aiohttp_sse import EventSourceResponse
from pydantic import Field, StringConstraints

from menwei.doors import COMMANDS
from menwei.entryview import EntryView, live, place, shown, view
from menwei.journal import Position
from menwei.model import DoorAlarm, DoorMode, DoorState
from menwei.permissions import DoorView
from menwei.routes import NOT_BLANK, WHOLE, Call, Model, Problem, Role, Route
from menwei.streams import Streams
from menwei.supervisor import DeviceState

WATCHERS = frozenset({Role.COMMITTEE, Role.GUARD, Role.INSTALLER, Role.OPERATOR})
ACTORS = frozenset({Role.COMMITTEE, Role.GUARD, Role.INSTALLER, Role.OPERATOR})
"""Which mode each of them may command is the line's to say (`doors.COMMANDS`)."""
LIVE_READERS = frozenset({Role.COMMITTEE, Role.GUARD, Role.OPERATOR})
READER_CHOOSERS = WATCHERS | {Role.REGISTRAR}

GLANCE = 600.0
"""Seconds a guard may look back: enough to come back from a round, too little for a history."""
DAY = 86_400.0
RESUMED = 500
"""Entries a stream catches up with; whoever was away for longer loads the page anew."""
RECENT = 50


class DoorOut(Model):
    """One door now. `commands` are the modes this caller may bring it into."""

    id: str
    name: str
    mode: DoorMode
    state: DoorState
    alarm: DoorAlarm
    device: str
    device_state: DeviceState
    online: bool
    access_points: tuple[str, ...]
    commands: tuple[DoorMode, ...]


class DoorList(Model):
    doors: tuple[DoorOut, ...]


class AccessPointOut(Model):
    """One side of a door. `place` names it with its door; `readers` are named "device/reader"."""

    id: str
    door: str
    name: str
    place: str
    readers: tuple[str, ...]
    security_levels: tuple[str, ...]


class AccessPointList(Model):
    access_points: tuple[AccessPointOut, ...]


class Command(Model):
    """Bring a door into a mode. `Accessed` opens it once for its release time."""

    mode: DoorMode
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NOT_BLANK)]


class Commanded(Model):
    """The device obeyed. `position` is where the command stands in the journal."""

    message: str
    position: str | None


class Recent(Model):
    """The latest passages and alarms, newest first, and the position to follow from."""

    entries: tuple[EntryView, ...]
    position: str


class Since(Model):
    """Where to resume. The Last-Event-ID header, which browsers send, counts more."""

    after: Annotated[str, StringConstraints(pattern=r"^\d{1,10}\.\d{1,10}$")] | None = None


class Newest(Model):
    limit: Annotated[int, Field(ge=1, le=RECENT), WHOLE] = RECENT


def door_out(call: Call, door: DoorView) -> DoorOut:
    role = call.who.role
    return DoorOut(
        id=door.id,
        name=door.name,
        mode=door.mode,
        state=door.state,
        alarm=door.alarm,
        device=door.device,
        device_state=_device_state(call, door.device),
        online=door.online,
        access_points=call.house.site.doors[door.id].access_points,
        commands=tuple(mode for mode in DoorMode if mode in COMMANDS.get(role, ())),
    )


def _device_state(call: Call, device: str) -> DeviceState:
    try:
        return call.house.supervisor.state(device)
    except KeyError:  # the config was reloaded and the supervisor is about to follow
        return DeviceState.PENDING


def one_door(call: Call) -> DoorView:
    """The door the path names. Raises `Problem` 404."""
    try:
        return call.house.doors.view(call.path["door"])
    except KeyError:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_door", "path.door") from None


async def list_doors(call: Call) -> DoorList:
    return DoorList(doors=tuple(door_out(call, door) for door in call.house.doors.views()))


async def get_door(call: Call) -> DoorOut:
    return door_out(call, one_door(call))


async def command(call: Call) -> Commanded:
    door = one_door(call)
    result = await call.house.line.command(door.id, call.body.mode, call.who, call.body.reason)
    if not result.ok:
        status = HTTPStatus.FORBIDDEN if result.says == "command.not_your_role" else HTTPStatus.CONFLICT
        raise Problem(status, result.says)
    return Commanded(message=call.t(result.says), position=str(result.position) if result.position else None)


async def list_access_points(call: Call) -> AccessPointList:
    found = (
        AccessPointOut(
            id=point.id,
            door=point.door,
            name=point.name,
            place=place(call, point.door, point.id),
            readers=tuple(f"{device}/{reader}" for device, reader in point.readers),
            security_levels=tuple(entry.level.name for entry in point.levels),
        )
        for point in call.house.site.access_points.values()
    )
    return AccessPointList(access_points=tuple(found))


async def recent(call: Call) -> Recent:
    position = call.house.journal.head
    since = call.house.clock.now() - (GLANCE if call.who.role == Role.GUARD else DAY)
    entries = await call.house.journal.read(
        before=following(position),
        kinds=shown(call.house),
        limit=call.query.limit,
        newest_first=True,
        since=since,
    )
    views = (view(call, entry) for entry in entries)
    return Recent(entries=tuple(found for found in views if found.shown), position=str(position))


def following(position: Position) -> Position:
    """The position right after, to say "up to and including" where a bound is exclusive."""
    return Position.unpack(position.packed + 1)


def _resume_from(call: Call, head: Position) -> Position:
    left_off = call.request.headers.get("Last-Event-ID") or call.query.after
    if not left_off:
        return head
    try:
        return min(Position.parse(left_off), head)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "web.field.invalid", "query.after", field="after") from None


async def _send(call: Call, response: EventSourceResponse, entry: EntryView) -> None:
    await response.send(entry.model_dump_json(), id=entry.position, event="entry")


class Events:
    """The live stream. `streams` bounds how many there are and ends them at shutdown."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def __call__(self, call: Call) -> web.StreamResponse:
        """Everything that happens, from where the caller left off. Entries are pulled from the journal as fast as the
        client takes them, so a slow one costs no memory; one that takes nothing at all is cut off. The event
        `signed-out` is the last one: its caller is nobody any more."""
        journal, kinds = call.house.journal, live(call.house)
        head = journal.head
        after = _resume_from(call, head)
        with self._streams.open(call.who.name):
            missed = (
                await journal.read(
                    after, following(head), kinds, limit=RESUMED + 1, since=call.house.clock.now() - GLANCE
                )
                if after < head
                else []
            )
            response = EventSourceResponse(send_timeout=30, ping_interval=15)
            await response.prepare(call.request)
            async with response:
                try:
                    await response.send("", event="hello", id=str(after), retry=2000)
                    if len(missed) > RESUMED:
                        await response.send("", event="gap", id=str(head))
                        missed = []
                    for entry in missed:
                        await _send(call, response, view(call, entry))
                    async with aclosing(call.following(journal.follow(after=head, kinds=kinds))) as batches:
                        async for batch in batches:
                            for entry in batch:
                                await _send(call, response, view(call, entry))
                    if not await call.still():
                        await response.send("", event="signed-out")
                except (ConnectionResetError, TimeoutError):
                    pass  # the client went away; it resumes by itself
            return response


def routes(streams: Streams) -> list[Route]:
    doors = ("doors",)
    return [
        Route("GET", "/api/doors", list_doors, WATCHERS, summary="api.doors.list", tags=doors, response=DoorList),
        Route("GET", "/api/doors/{door}", get_door, WATCHERS, summary="api.doors.get", tags=doors, response=DoorOut),
        Route(
            "POST", "/api/doors/{door}/command", command, ACTORS, summary="api.doors.command", tags=doors,
            body=Command, response=Commanded, statuses=(409,), destructive=True,
        ),
        Route(
            "GET", "/api/access-points", list_access_points, READER_CHOOSERS, summary="api.access_points", tags=doors,
            response=AccessPointList,
        ),
        Route("GET", "/api/recent", recent, LIVE_READERS, summary="api.recent", tags=doors, query=Newest, response=Recent),
        Route(
            "GET", "/api/events", Events(streams), LIVE_READERS, summary="api.events", tags=doors, query=Since,
            media="text/event-stream", statuses=(429,),
        ),
    ]  # fmt: skip
