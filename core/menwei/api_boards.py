"""Boards that decide by themselves: how far each is, and a reading on request. Counts only: nothing here is about people."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

from menwei.api_devices import INSTALLERS
from menwei.boardplan import BoardStatus
from menwei.routes import Call, Done, Model, Problem, Route


class DriftOut(Model):
    """What the last reading that found something found: cards that somebody else added, took away, altered."""

    time: datetime
    added: int
    missing: int
    changed: int


class BoardOut(Model):
    """`revision` is the newest revision of the rights that the board holds completely, `newest` the newest there is;
    `to_take` are cards that it still admits and should not."""

    device: str
    online: bool
    revision: int
    newest: int
    held: int
    wanted: int
    capacity: int
    to_give: int
    to_take: int
    read_back: datetime | None
    drift: DriftOut | None
    trouble: str


class BoardList(Model):
    boards: tuple[BoardOut, ...]


async def list_boards(call: Call) -> BoardList:
    return BoardList(boards=tuple(_out(call, status) for status in call.house.boards.statuses()))


async def look(call: Call) -> Done:
    """The reading goes on by itself; the list tells when it was done."""
    device = call.path["device"]
    try:
        call.house.boards.look(device)
    except KeyError:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_board", "path.device") from None
    await call.house.audit(call.who, "board.look", {"device": device})
    return Done()


def _out(call: Call, status: BoardStatus) -> BoardOut:
    zone, drift = call.house.site.zone, status.drift
    found = None
    if drift is not None:
        at = datetime.fromtimestamp(drift.at, zone)
        found = DriftOut(time=at, added=drift.added, missing=drift.missing, changed=drift.changed)
    read_back = None if status.read_back is None else datetime.fromtimestamp(status.read_back, zone)
    return BoardOut(
        device=status.device, online=status.online, revision=status.revision,
        newest=call.house.rights.snapshot.revision, held=status.held, wanted=status.wanted, capacity=status.capacity,
        to_give=status.to_give, to_take=status.to_take, read_back=read_back, drift=found, trouble=status.trouble,
    )  # fmt: skip


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": INSTALLERS, "tags": ("devices",)}
    return [
        Route("GET", "/api/boards", list_boards, summary="api.boards", response=BoardList, **shared),
        Route(
            "POST", "/api/boards/{device}/look", look, summary="api.boards.look", response=Done,
            statuses=(404,), **shared,
        ),
    ]  # fmt: skip
