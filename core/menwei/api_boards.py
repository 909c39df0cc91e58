"""Boards that decide by themselves: how far each is, and a reading on request. Counts only, for installers; who is behind
the cards that a board still admits and should not, for the desk. A card's number is nowhere here."""

from __future__ import annotations

from datetime import datetime, tzinfo
from http import HTTPStatus
from typing import Any

from menwei.api_credentials import DESK
from menwei.api_devices import INSTALLERS
from menwei.boardlog import Merged
from menwei.boardplan import BoardStatus, Drift, Filling, Pushed
from menwei.context import NotReady
from menwei.model import FOREVER, CredentialState
from menwei.routes import Call, Done, Model, Problem, Route

MOST_HOLDERS = 50
"""People that are named; where there are more, the rest are counted."""


class DriftOut(Model):
    """What the last reading that found something found: cards that somebody else added, took away, altered. `mended` is
    when the board held again what it should."""

    time: datetime
    added: int
    missing: int
    changed: int
    mended: datetime | None


class PushedOut(Model):
    """The last cards that were given and taken."""

    time: datetime
    given: int
    taken: int


class LacksOut(Model):
    """What the board cannot hold of what it should: cards beyond its room, cards enrolled before their number was needed,
    schedules with special days, rights that begin or end within a day (it is given them on that day), and why hours had
    no room."""

    overflow: int
    without_number: int
    schedules: tuple[str, ...]
    within_a_day: int
    hours: str


class MergedOut(Model):
    """The newest entry of the board's own log that the journal has: `time` when it happened, `received` when it was
    read."""

    epoch: int
    index: int
    time: datetime
    received: datetime


class BoardOut(Model):
    """`revision` is the newest revision of the rights that the board holds completely, `newest` the newest there is;
    `to_take` are cards that it still admits and should not. `since`: since when it is `online`, or not, in this life of
    the program. `reading`: cards read so far of a reading that goes on. `clock_ahead` in seconds and `unread` entries
    of its log as the driver saw them last, null where it does not know."""

    device: str
    doors: tuple[str, ...]
    online: bool
    since: datetime | None
    revision: int
    newest: int
    held: int
    wanted: int
    capacity: int
    filling: Filling
    to_give: int
    to_take: int
    read_back: datetime | None
    reading: int | None
    drift: DriftOut | None
    pushed: PushedOut | None
    lacks: LacksOut
    clock_ahead: float | None
    unread: int | None
    merged: MergedOut | None
    trouble: str


class BoardList(Model):
    boards: tuple[BoardOut, ...]


class AdmittedOut(Model):
    """Somebody whose card a board still admits and should not. `name` is None while names are sealed; `valid_to` in
    seconds since the epoch, None without end."""

    holder: int
    credential: int
    name: str | None
    label: str
    state: CredentialState
    valid_to: float | None


class AdmittedList(Model):
    """`others` are cards beside these: of people who were removed, of nobody known here, and beyond the most that are
    named."""

    holders: tuple[AdmittedOut, ...]
    others: int


async def list_boards(call: Call) -> BoardList:
    return BoardList(boards=tuple([await _out(call, status) for status in call.house.boards.statuses()]))


async def list_holders(call: Call) -> AdmittedList:
    device = call.path["device"]
    status = next((found for found in call.house.boards.statuses() if found.device == device), None)
    if status is None:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_board", "path.device")
    found = []
    for number in status.revoked[:MOST_HOLDERS]:
        credential = call.house.rights.snapshot.credential(number)
        person = await call.house.people.get(credential.holder, call.key) if credential is not None else None
        if credential is not None and person is not None:
            valid_to = credential.valid_to if credential.valid_to < FOREVER else None
            label = person.labels.get(number, "")
            found.append(
                AdmittedOut(
                    holder=person.id, credential=number, name=person.name, label=label, state=credential.state,
                    valid_to=valid_to,
                )
            )  # fmt: skip
    return AdmittedList(holders=tuple(found), others=max(0, status.to_take - len(found)))


async def look(call: Call) -> Done:
    """The reading goes on by itself; the list tells when it was done."""
    device = call.path["device"]
    try:
        call.house.boards.look(device)
    except KeyError:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_board", "path.device") from None
    await call.house.audit(call.who, "board.look", {"device": device})
    return Done()


async def _out(call: Call, status: BoardStatus) -> BoardOut:
    zone, lacks, trouble = call.house.site.zone, status.lacks, status.trouble
    merged = None
    try:
        merged = await call.house.board_log.last(status.device)
    except NotReady as error:
        trouble = trouble or str(error)
    doors = call.house.site.doors
    return BoardOut(
        device=status.device, doors=tuple(doors[id].name for id in status.doors if id in doors),
        online=status.online, since=_moment(status.since, zone), revision=status.revision,
        newest=call.house.rights.snapshot.revision, held=status.held, wanted=status.wanted, capacity=status.capacity,
        filling=status.filling, to_give=status.to_give, to_take=status.to_take,
        read_back=_moment(status.read_back, zone), reading=status.reading, drift=_drift(status.drift, zone),
        pushed=_pushed(status.pushed, zone),
        lacks=LacksOut(
            overflow=lacks.overflow, without_number=lacks.without_number, schedules=lacks.schedules,
            within_a_day=lacks.within_a_day, hours=lacks.hours,
        ),
        clock_ahead=status.health.clock_ahead, unread=status.health.unread, merged=_merged(merged, zone), trouble=trouble,
    )  # fmt: skip


def _moment(at: float | None, zone: tzinfo) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, zone)


def _drift(drift: Drift | None, zone: tzinfo) -> DriftOut | None:
    if drift is None:
        return None
    at, mended = datetime.fromtimestamp(drift.at, zone), _moment(drift.mended, zone)
    return DriftOut(time=at, added=drift.added, missing=drift.missing, changed=drift.changed, mended=mended)


def _pushed(pushed: Pushed | None, zone: tzinfo) -> PushedOut | None:
    if pushed is None:
        return None
    at = datetime.fromtimestamp(pushed.at, zone)
    return PushedOut(time=at, given=pushed.given, taken=pushed.taken)


def _merged(merged: Merged | None, zone: tzinfo) -> MergedOut | None:
    if merged is None:
        return None
    at, received = datetime.fromtimestamp(merged.at, zone), datetime.fromtimestamp(merged.received, zone)
    return MergedOut(epoch=merged.epoch, index=merged.index, time=at, received=received)


def routes() -> list[Route]:
    shared: dict[str, Any] = {"tags": ("devices",)}
    return [
        Route(
            "GET", "/api/boards", list_boards, INSTALLERS, summary="api.boards", response=BoardList, **shared
        ),
        Route(
            "GET", "/api/boards/{device}/holders", list_holders, DESK, summary="api.boards.holders",
            response=AdmittedList, statuses=(404,), **shared,
        ),
        Route(
            "POST", "/api/boards/{device}/look", look, INSTALLERS, summary="api.boards.look", response=Done,
            statuses=(404,), **shared,
        ),
    ]  # fmt: skip
