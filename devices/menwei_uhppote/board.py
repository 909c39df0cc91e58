"""The functions of one board, each a request with its answer understood. No state but where the board is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Any, Final, TypeVar

from uhppoted import decode, encode
from uhppoted.structs import TimeProfile, TimeSegment, Weekdays

from menwei import NotReady
from menwei_uhppote.events import LogEntry, Status, log_entry, status
from menwei_uhppote.wire import NoAnswer, ask

T = TypeVar("T")


class Control(IntEnum):
    """How a door is controlled (the library's `DoorMode`). NORMALLY_CLOSED is never set: it also takes the exit button
    away, and leaving is free."""

    NORMALLY_OPEN = 1
    NORMALLY_CLOSED = 2
    CONTROLLED = 3


@dataclass(frozen=True, slots=True)
class DoorControl:
    """`delay` is the release time in seconds, 1 to 255; the exit button uses it too."""

    control: int
    delay: int


@dataclass(frozen=True, slots=True)
class CardRecord:
    """One card as the board holds it. Days are None where they are no dates; `permissions` by door: 0 never, 1 always,
    else a time profile. `plain`: without a PIN of its own and without first-card rights, as all that we write."""

    number: int = field(repr=False)
    first_day: date | None
    last_day: date | None
    permissions: tuple[int, int, int, int]
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Identity:
    serial: int
    version: str
    released: str
    mac: str
    address: str


class Board:
    """Every method takes `deadline` on the clock `now` and raises `NoAnswer` (a `TimeoutError`) then."""

    def __init__(
        self, serial: int, address: tuple[str, int], now: Callable[[], float] = time.monotonic
    ) -> None:
        self.serial = serial
        self.address = address
        self.now = now

    async def identity(self, deadline: float) -> Identity:
        return await self._ask(encode.get_controller_request(self.serial), identity, deadline)

    async def status(self, deadline: float) -> Status:
        return await self._ask(encode.get_status_request(self.serial), status, deadline)

    async def event(self, index: int, deadline: float) -> LogEntry:
        """The entry with this index, or one of kind NOTHING or OVERWRITTEN; 0 is the first, 2**32-1 the last."""
        special = index in (0, 0xFFFFFFFF)

        def read(packet: bytes) -> LogEntry | None:
            entry = log_entry(packet)
            return entry if special or entry.index in (index, 0) else None

        return await self._ask(encode.get_event_request(self.serial, index), read, deadline)

    async def control(self, door: int, deadline: float) -> DoorControl:
        def read(packet: bytes) -> DoorControl | None:
            answer = decode.get_door_control_response(packet)
            return DoorControl(answer.mode, answer.delay) if answer.door == door else None

        return await self._ask(encode.get_door_control_request(self.serial, door), read, deadline)

    async def set_control(self, door: int, wanted: DoorControl, deadline: float) -> None:
        """Raises `NotReady` when the board sets something else."""

        def read(packet: bytes) -> DoorControl | None:
            answer = decode.set_door_control_response(packet)
            return DoorControl(answer.mode, answer.delay) if answer.door == door else None

        request = encode.set_door_control_request(self.serial, door, wanted.control, wanted.delay)
        if (got := await self._ask(request, read, deadline)) != wanted:
            raise NotReady(f"door {door}: asked for {wanted}, the board set {got}")

    async def open(self, door: int, deadline: float) -> None:
        """Release the door, once. When the answer is lost, the board is asked whether the relay is on before it is told
        again: a second release would be a longer one. Raises `NotReady` when the board refuses."""
        request = encode.open_door_request(self.serial, door)
        while True:
            try:
                opened = await self._ask(
                    request, lambda packet: decode.open_door_response(packet).opened, deadline, repeat=False
                )
            except NoAnswer:
                if (await self.status(deadline)).unlocked[door - 1]:
                    return
                continue
            if not opened:
                raise NotReady(f"the board refused to release door {door}")
            return

    async def set_time(self, now: datetime, deadline: float) -> None:
        def read(packet: bytes) -> bool | None:
            return decode.set_time_response(packet).datetime is not None or None

        # Not repeated: a second one would arrive with a time that is over.
        await self._ask(encode.set_time_request(self.serial, now), read, deadline, repeat=False)

    async def listener(self, deadline: float) -> tuple[str, int]:
        def read(packet: bytes) -> tuple[str, int]:
            answer = decode.get_listener_response(packet)
            return str(answer.address), int(answer.port)

        return await self._ask(encode.get_listener_request(self.serial), read, deadline)

    async def set_listener(self, address: tuple[str, int], deadline: float) -> None:
        request = encode.set_listener_request(self.serial, IPv4Address(address[0]), address[1], 0)
        await self._true(request, lambda packet: decode.set_listener_response(packet).ok, deadline)

    async def record_special_events(self, deadline: float) -> None:
        """Door contacts and exit buttons are in the log from now on."""
        request = encode.record_special_events_request(self.serial, True)
        await self._true(
            request, lambda packet: decode.record_special_events_response(packet).updated, deadline
        )

    async def cards(self, deadline: float) -> int:
        """How many cards the board itself would admit."""
        read: Callable[[bytes], int] = lambda packet: int(decode.get_cards_response(packet).cards)  # noqa: E731
        return await self._ask(encode.get_cards_request(self.serial), read, deadline)

    async def card(self, number: int, deadline: float) -> CardRecord | None:
        """None when the board does not hold it."""
        return _one_of(await self._ask(encode.get_card_request(self.serial, number), _card, deadline))

    async def card_at(self, place: int, deadline: float) -> CardRecord | None:
        """The card at a place of the board's list, from 1; None where one was deleted, or behind the last."""
        request = encode.get_card_by_index_request(self.serial, place)
        return _one_of(await self._ask(request, _card_at, deadline))

    async def put_card(self, card: CardRecord, deadline: float) -> bool:
        """False when the board refuses it."""
        request = encode.put_card_request(
            self.serial, card.number, card.first_day, card.last_day, *card.permissions, 0
        )
        read: Callable[[bytes], bool] = lambda packet: bool(decode.put_card_response(packet).stored)  # noqa: E731
        return await self._ask(request, read, deadline)

    async def delete_card(self, number: int, deadline: float) -> bool:
        """False when the board did not hold it."""
        read: Callable[[bytes], bool] = lambda packet: bool(decode.delete_card_response(packet).deleted)  # noqa: E731
        return await self._ask(encode.delete_card_request(self.serial, number), read, deadline)

    async def profile(self, number: int, deadline: float) -> TimeProfile | None:
        """None when the board has none of this number, or one that makes no sense."""

        def read(packet: bytes) -> tuple[TimeProfile | None] | None:
            answer = decode.get_time_profile_response(packet)
            return (_profile(answer),) if answer.profile_id in (number, 0) else None

        request = encode.get_time_profile_request(self.serial, number)
        (found,) = await self._ask(request, read, deadline)
        return found

    async def set_profile(self, profile: TimeProfile, deadline: float) -> None:
        request = encode.set_time_profile_record_request(self.serial, profile)
        await self._true(request, lambda packet: decode.set_time_profile_response(packet).stored, deadline)

    async def _true(self, request: bytes, read: Callable[[bytes], bool], deadline: float) -> None:
        if not await self._ask(request, read, deadline):
            raise NotReady(f"the board refused function 0x{request[1]:02x}")

    async def _ask(
        self, request: bytes, read: Callable[[bytes], T | None], deadline: float, *, repeat: bool = True
    ) -> T:
        until = asyncio.get_running_loop().time() + deadline - self.now()
        return await ask(self.address, self.serial, bytes(request), read, until, repeat=repeat)


NO_CARD: Final = frozenset({0, 0xFFFFFFFF})
"""The number in an answer that is no card: there is none; it was deleted."""


def _card(packet: bytes) -> CardRecord:
    return _record(decode.get_card_response(packet))


def _card_at(packet: bytes) -> CardRecord:
    return _record(decode.get_card_by_index_response(packet))


def _record(answer: Any) -> CardRecord:
    doors = (answer.door_1, answer.door_2, answer.door_3, answer.door_4)
    plain = not int(answer.pin) and not any(answer.firstcard.values())
    return CardRecord(answer.card_number, answer.start_date, answer.end_date, doors, plain)


def _one_of(record: CardRecord) -> CardRecord | None:
    return None if record.number in NO_CARD else record


def _profile(answer: Any) -> TimeProfile | None:
    if not answer.profile_id or answer.start_date is None or answer.end_date is None:
        return None
    days = (
        answer.monday, answer.tuesday, answer.wednesday, answer.thursday, answer.friday, answer.saturday, answer.sunday,
    )  # fmt: skip
    spans = [
        (getattr(answer, f"segment_{place}_start"), getattr(answer, f"segment_{place}_end"))
        for place in (1, 2, 3)
    ]
    if any(begin is None or end is None for begin, end in spans):
        return None
    segments = {
        place: TimeSegment(begin, end) for place, (begin, end) in enumerate(spans, start=1) if begin < end
    }
    return TimeProfile(
        answer.profile_id,
        answer.start_date,
        answer.end_date,
        Weekdays(*days),
        segments,
        answer.linked_profile_id,
    )


def identity(packet: bytes) -> Identity:
    """The answer to get-controller. Raises `ValueError` for what is none."""
    answer = decode.get_controller_response(packet)
    return Identity(
        serial=answer.controller,
        version=answer.version,
        released=str(answer.date or ""),
        mac=answer.mac_address,
        address=str(answer.ip_address),
    )
