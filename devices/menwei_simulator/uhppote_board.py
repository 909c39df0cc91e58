"""An own UHPPOTE board as a process of its own, for tests and for the demonstration: this project wrote it, no maker did.

It speaks the layouts of the uhppoted library (its `pack_…` and `unpack_…` functions) and does what the uhppoted
project's simulator does: 64 bytes over UDP, four doors, an event log that survives a power cut in a file, events to one
listener, a clock without a zone, special events only when they are switched on, 3922570474 as the card of a remote
opening. It decides by itself by the cards it was given, their days, doors and time profiles, on its own clock; a card
that was deleted leaves a hole in its list. Unlike a real board it knows no interlock, anti-passback, tasks or keypads.

    python menwei_simulator/uhppote_board.py STATE.json 423187757 127.0.0.1 0

It prints `{"port": …}`, takes one JSON command a line on its standard input, answers each with one line, and ends when
the input is closed. `releases` tells what hosts made its relays do, on this machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from datetime import date, datetime
from datetime import time as day_time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from uhppoted import codec, encode
from uhppoted.decode import (
    unpack_bool,
    unpack_datetime,
    unpack_hhmm,
    unpack_ipv4,
    unpack_optional_date,
    unpack_uint8,
    unpack_uint16,
    unpack_uint32,
)

VERSION = 0x0892
REMOTE_CARD = 3922570474
NOBODY = "0.0.0.0"  # noqa: S104  # as an address in a datagram: none
SWIPE, DOOR, ALARM = 1, 2, 3
NORMALLY_OPEN, NORMALLY_CLOSED, CONTROLLED = 1, 2, 3
ADMITTED, NO_RIGHT, CLOSED, NOT_NOW = 1, 6, 11, 13
DAY_END = day_time(23, 59)
LOG_SIZE = 4096
LIMITS = {codec.OPEN_DOOR: 8, codec.SET_DOOR: 8, codec.GET_DOOR: 8}


class Board:
    """The board's state and what it answers; `tell` sends an event datagram."""

    def __init__(self, file: Path, serial: int) -> None:
        self.file = file
        self.serial = serial
        self.tell: Any = lambda packet, address: None
        self.state: dict[str, Any] = {
            "events": [], "listener": [NOBODY, 0], "special": False, "cards": {}, "offset": 0.0, "profiles": {},
            "doors": {str(n): {"control": CONTROLLED, "delay": 5} for n in range(1, 5)}, "first": 1,
            "open": [False] * 4, "fire": False, "releases": [], "admitted": [], "places": [], "room": 20000,
        }  # fmt: skip
        if file.exists():
            self.state.update(json.loads(file.read_text()))
        self.until = [0.0] * 4
        self.answered = {
            codec.GET_CONTROLLER: self.get_controller, codec.GET_STATUS: self.get_status,
            codec.GET_TIME: self.get_time, codec.SET_TIME: self.set_time, codec.OPEN_DOOR: self.open_door,
            codec.GET_DOOR: self.get_door, codec.SET_DOOR: self.set_door, codec.GET_LISTENER: self.get_listener,
            codec.SET_LISTENER: self.set_listener, codec.GET_EVENT: self.get_event, codec.GET_CARDS: self.get_cards,
            codec.RECORD_SPECIAL_EVENTS: self.special_events, codec.SET_TIME_PROFILE: self.set_profile,
            codec.GET_TIME_PROFILE: self.get_profile, codec.PUT_CARD: self.store_card, codec.GET_CARD: self.get_card,
            codec.GET_CARD_AT_INDEX: self.get_card_at, codec.DELETE_CARD: self.delete_card,
        }  # fmt: skip

    def save(self) -> None:
        new = self.file.with_suffix(".new")
        with new.open("w") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.file)

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.state["offset"])  # noqa: DTZ006 - it knows no zones

    def unlocked(self, door: int) -> bool:
        control = self.state["doors"][str(door)]["control"]
        return control == NORMALLY_OPEN or time.monotonic() < self.until[door - 1]

    # ------------------------------------------------------------------------------------------------- requests

    def answer(self, packet: bytes) -> bytes | None:
        if len(packet) != 64 or packet[0] != codec.SOM or packet[1] not in self.answered:
            return None
        function = packet[1]
        asked = unpack_uint32(packet, 4)
        if asked != self.serial and not (asked == 0 and function == codec.GET_CONTROLLER):
            return None
        if (place := LIMITS.get(function)) and not 1 <= packet[place] <= 4:
            return None
        reply = bytearray(64)
        reply[0], reply[1] = codec.SOM, function
        encode.pack_uint32(self.serial, reply, 4)
        self.answered[function](packet, reply)
        return bytes(reply)

    def get_controller(self, packet: bytes, reply: bytearray) -> None:
        encode.pack_IPv4(IPv4Address("127.0.0.1"), reply, 8)
        encode.pack_IPv4(IPv4Address("255.0.0.0"), reply, 12)
        encode.pack_IPv4(IPv4Address(NOBODY), reply, 16)
        reply[20:26] = bytes.fromhex("001223344556")
        reply[26:28] = VERSION.to_bytes(2, "big")
        reply[28:32] = bytes.fromhex("20200115")

    def get_status(self, packet: bytes, reply: bytearray) -> None:
        self.put_state(reply)
        if self.state["events"]:
            self.put_event(self.state["events"][-1], reply)

    def get_time(self, packet: bytes, reply: bytearray) -> None:
        encode.pack_datetime(self.now(), reply, 8)

    def set_time(self, packet: bytes, reply: bytearray) -> None:
        told = unpack_datetime(packet, 8)
        if told is not None:
            self.state["offset"] = told.timestamp() - time.time()
            self.save()
        encode.pack_datetime(self.now(), reply, 8)

    def open_door(self, packet: bytes, reply: bytearray) -> None:
        door = unpack_uint8(packet, 8)
        facts = self.state["doors"][str(door)]
        if facts["control"] == NORMALLY_CLOSED:
            encode.pack_bool(False, reply, 8)
            return
        at = time.monotonic()
        self.until[door - 1] = at + facts["delay"]
        self.state["releases"].append([door, facts["delay"], at])
        self.add(DOOR, True, door, 1, REMOTE_CARD, 44)
        encode.pack_bool(True, reply, 8)

    def get_door(self, packet: bytes, reply: bytearray) -> None:
        door = unpack_uint8(packet, 8)
        facts = self.state["doors"][str(door)]
        reply[8], reply[9], reply[10] = door, facts["control"], facts["delay"]

    def set_door(self, packet: bytes, reply: bytearray) -> None:
        door, control, delay = packet[8], packet[9], packet[10]
        if control in (NORMALLY_OPEN, NORMALLY_CLOSED, CONTROLLED) and delay >= 1:
            self.state["doors"][str(door)] = {"control": control, "delay": delay}
            self.save()
        self.get_door(packet, reply)

    def get_listener(self, packet: bytes, reply: bytearray) -> None:
        address, port = self.state["listener"]
        encode.pack_IPv4(IPv4Address(address), reply, 8)
        encode.pack_uint16(port, reply, 12)

    def set_listener(self, packet: bytes, reply: bytearray) -> None:
        self.state["listener"] = [str(unpack_ipv4(packet, 8)), unpack_uint16(packet, 12)]
        self.save()
        encode.pack_bool(True, reply, 8)

    def special_events(self, packet: bytes, reply: bytearray) -> None:
        self.state["special"] = unpack_bool(packet, 8)
        self.save()
        encode.pack_bool(True, reply, 8)

    def get_cards(self, packet: bytes, reply: bytearray) -> None:
        encode.pack_uint32(len(self.state["cards"]), reply, 8)

    def store_card(self, packet: bytes, reply: bytearray) -> None:
        number = unpack_uint32(packet, 8)
        first, last = unpack_optional_date(packet, 12), unpack_optional_date(packet, 16)
        room = str(number) in self.state["cards"] or len(self.state["cards"]) < self.state["room"]
        if first is None or last is None or not number or not room:
            encode.pack_bool(False, reply, 8)
            return
        self.put_card(number, str(first), str(last), list(packet[20:24]), packet[24:27].hex())
        encode.pack_bool(True, reply, 8)

    def get_card(self, packet: bytes, reply: bytearray) -> None:
        self.show_card(unpack_uint32(packet, 8), reply)

    def get_card_at(self, packet: bytes, reply: bytearray) -> None:
        places, place = self.state["places"], unpack_uint32(packet, 8)
        if 1 <= place <= len(places):
            number = places[place - 1]
            if number is None:
                encode.pack_uint32(0xFFFFFFFF, reply, 8)
            else:
                self.show_card(number, reply)

    def show_card(self, number: int, reply: bytearray) -> None:
        card = self.state["cards"].get(str(number))
        if card is None:
            return
        encode.pack_uint32(number, reply, 8)
        encode.pack_date(date.fromisoformat(card["first"]), reply, 12)
        encode.pack_date(date.fromisoformat(card["last"]), reply, 16)
        reply[20:24] = bytes(card["doors"])
        reply[24:27] = bytes.fromhex(card["pin"])

    def delete_card(self, packet: bytes, reply: bytearray) -> None:
        encode.pack_bool(self.drop_card(unpack_uint32(packet, 8)), reply, 8)

    def get_event(self, packet: bytes, reply: bytearray) -> None:
        events, index = self.state["events"], unpack_uint32(packet, 8)
        if not events:
            return
        first, last = events[0]["index"], events[-1]["index"]
        index = first if index == 0 else last if index == 0xFFFFFFFF else index
        if index < first:
            encode.pack_uint32(index, reply, 8)
            reply[12] = 0xFF
        elif index <= last:
            self.put_event(events[index - first], reply)

    def set_profile(self, packet: bytes, reply: bytearray) -> None:
        self.state["profiles"][str(packet[8])] = packet[8:37].hex()
        self.save()
        encode.pack_bool(2 <= packet[8] <= 254, reply, 8)

    def get_profile(self, packet: bytes, reply: bytearray) -> None:
        stored = self.state["profiles"].get(str(packet[8]))
        if stored:
            reply[8:37] = bytes.fromhex(stored)

    def put_state(self, reply: bytearray) -> None:
        for door in range(4):
            encode.pack_bool(self.state["open"][door], reply, 28 + door)
            reply[49] |= self.unlocked(door + 1) << door
        reply[50] = 1 if self.state["fire"] else 0
        shown = self.now()
        reply[51:54] = bytes.fromhex(shown.strftime("%y%m%d"))
        reply[37:40] = bytes.fromhex(shown.strftime("%H%M%S"))

    @staticmethod
    def put_event(event: dict[str, Any], reply: bytearray) -> None:
        encode.pack_uint32(event["index"], reply, 8)
        reply[12] = event["kind"]
        encode.pack_bool(event["granted"], reply, 13)
        reply[14], reply[15] = event["door"], event["direction"]
        encode.pack_uint32(event["card"], reply, 16)
        encode.pack_datetime(datetime.fromisoformat(event["at"]), reply, 20)
        reply[27] = event["reason"]

    # --------------------------------------------------------------------------------------------------- events

    def add(self, kind: int, granted: bool, door: int, direction: int, card: int, reason: int) -> None:
        """On the disk before anybody hears of it, as the log of a board that may lose its power."""
        events = self.state["events"]
        event = {
            "index": events[-1]["index"] + 1 if events else self.state["first"], "kind": kind, "granted": granted,
            "door": door, "direction": direction, "card": card, "reason": reason,
            "at": self.now().replace(microsecond=0).isoformat(),
        }  # fmt: skip
        events.append(event)
        del events[:-LOG_SIZE]
        self.save()
        packet = bytearray(64)
        packet[0], packet[1] = codec.SOM, codec.LISTEN_EVENT
        encode.pack_uint32(self.serial, packet, 4)
        self.put_state(packet)
        self.put_event(event, packet)
        address, port = self.state["listener"]
        if port:
            self.tell(bytes(packet), (address, port))

    # ------------------------------------------------------------------------------------------------- commands

    def swipe(self, card: int, door: int = 1, direction: int = 1) -> bool:
        """Whether the board itself opened."""
        reason = self.judge(card, door)
        if reason == ADMITTED:
            self.until[door - 1] = time.monotonic() + self.state["doors"][str(door)]["delay"]
            self.state["admitted"].append([card, door, self.now().isoformat()])
        self.add(SWIPE, reason == ADMITTED, door, direction, card, reason)
        return reason == ADMITTED

    def judge(self, number: int, door: int) -> int:
        """Its own decision, as a reason of its log."""
        card, now = self.state["cards"].get(str(number)), self.now()
        if self.state["doors"][str(door)]["control"] == NORMALLY_CLOSED:
            return CLOSED
        if card is None or not card["first"] <= now.date().isoformat() <= card["last"]:
            return NO_RIGHT
        permission = card["doors"][door - 1]
        if permission in (0, 1):
            return ADMITTED if permission else NO_RIGHT
        return ADMITTED if self.holds(permission, now) else NOT_NOW

    def holds(self, profile: int, now: datetime) -> bool:
        """Whether a time profile, or one that it is linked to, says yes; ends are exclusive, but for 23:59."""
        seen: set[int] = set()
        while profile and profile not in seen and (stored := self.state["profiles"].get(str(profile))):
            seen.add(profile)
            facts = bytes(8) + bytes.fromhex(stored)
            first, last = unpack_optional_date(facts, 9), unpack_optional_date(facts, 13)
            if first and last and first <= now.date() <= last and facts[17 + now.weekday()]:
                for place in (24, 28, 32):
                    begin, end = unpack_hhmm(facts, place), unpack_hhmm(facts, place + 2)
                    if begin is None or end is None or not begin < end or now.time() < begin:
                        continue
                    if now.time() < end or end == DAY_END:
                        return True
            profile = facts[36]
        return False

    def contact(self, door: int, open: bool) -> None:
        if self.state["open"][door - 1] != open:
            self.state["open"][door - 1] = open
            self.save()
            if self.state["special"]:
                self.add(DOOR, True, door, 1, 0, 23 if open else 24)

    def button(self, door: int = 1) -> None:
        self.until[door - 1] = time.monotonic() + self.state["doors"][str(door)]["delay"]
        if self.state["special"]:
            self.add(DOOR, True, door, 1, 0, 20)

    def fire(self, active: bool) -> None:
        self.state["fire"] = active
        self.save()

    def clock(self, off: float) -> None:
        """Wrong by so much from now on."""
        self.state["offset"] = off
        self.save()

    def look(self) -> dict[str, Any]:
        unlocked = [self.unlocked(door) for door in range(1, 5)]
        return {**self.state, "unlocked": unlocked, "shown": self.now().isoformat()}

    def put_card(
        self, card: int, first: str = "2000-01-01", last: str = "2099-12-31", doors: list[int] | None = None, pin: str = "000000"
    ) -> None:  # fmt: skip
        """What the maker's software does, too."""
        if str(card) not in self.state["cards"]:
            self.state["places"].append(card)
        self.state["cards"][str(card)] = {"first": first, "last": last, "doors": doors or [1] * 4, "pin": pin}
        self.save()

    def drop_card(self, card: int) -> bool:
        held = self.state["cards"].pop(str(card), None) is not None
        self.state["places"] = [None if number == card else number for number in self.state["places"]]
        self.save()
        return held

    def limit(self, cards: int) -> None:
        """It has room for so many."""
        self.state["room"] = cards
        self.save()

    def erase(self, first: int = 1) -> None:
        """A factory reset of the log: it begins anew."""
        self.state["events"], self.state["first"] = [], first
        self.save()

    def overwrite(self, count: int) -> None:
        """The oldest so many entries are gone."""
        del self.state["events"][:count]
        self.save()

    def send(self, data: str, address: str, port: int) -> None:
        self.tell(bytes.fromhex(data), (address, port))


class Socket(asyncio.DatagramProtocol):
    def __init__(self, board: Board) -> None:
        self.board = board
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self.board.answer(data)
        if reply is not None:
            self.send(reply, addr)

    def send(self, packet: bytes, address: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # nobody listens there: a board does not mind
            self.transport.sendto(packet, address)


async def main(file: str, serial: str, address: str, port: str) -> None:
    board = Board(Path(file), int(serial))
    loop = asyncio.get_running_loop()
    transport, own = await loop.create_datagram_endpoint(
        lambda: Socket(board), local_addr=(address, int(port))
    )
    bound = transport.get_extra_info("sockname")[1]
    board.tell = own.send
    # What is sent to everybody on the loopback network comes here and is answered from the board's own address.
    hears: Any = Socket(board)
    hears.send = own.send
    await loop.create_datagram_endpoint(lambda: hears, local_addr=("127.255.255.255", bound))
    board.add(ALARM, True, 1, 1, 0, 28)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps({"port": bound}), flush=True)
    while line := await commands.readline():
        values = json.loads(line)
        result = getattr(board, values.pop("do"))(**values)
        print(json.dumps({"ok": result}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
