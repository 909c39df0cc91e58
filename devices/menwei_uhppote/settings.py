"""What the config says about one board."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from menwei import Config
from menwei.durations import seconds
from menwei_uhppote.cards import CardFormat

PORT = 60000
"""Where all boards listen, and cannot be told otherwise."""


def endpoint(text: str) -> str:
    """`address:port` with a numeric IPv4 address: the protocol knows no names, and no IPv6."""
    address, colon, port = text.rpartition(":")
    ipaddress.IPv4Address(address if colon else text)
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError("an IPv4 address and a port are expected, as in 192.168.10.2:60001")
    return text


def numeric(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def known_zone(name: str) -> str:
    if name and name not in available_timezones():
        raise ValueError("an IANA time zone is expected, as in Asia/Shanghai")
    return name


def split(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)


class BoardConfig(Config):
    """`{driver: uhppote, serial: 423187757, host: 192.168.10.5}`; the rest is optional.

    `listen` is where this program hears the board's events, on an interface that the board reaches; port 0 takes a free
    one, and the board is told which at each connection. `told` is the address that the board is given instead, where
    something between translates addresses. `doors` corrects what the serial number says of the model. `cards` is what
    the readers' numbers are. `time_zone` is what the board's clock shows, the machine's own unless given.
    """

    serial: int = Field(ge=1, lt=1 << 32)
    host: Annotated[str, AfterValidator(numeric)]
    port: int = Field(PORT, ge=1, le=65535)
    listen: Annotated[str, AfterValidator(endpoint)] = "0.0.0.0:0"
    told: Annotated[str, AfterValidator(endpoint)] | None = None
    doors: int | None = Field(None, ge=1, le=4)
    cards: CardFormat = CardFormat.WIEGAND26
    time_zone: Annotated[str, AfterValidator(known_zone)] = ""
    poll: Annotated[float, BeforeValidator(seconds)] = Field(2.0, ge=0.1, le=60.0)
    silence: Annotated[float, BeforeValidator(seconds)] = Field(6.0, ge=0.5, le=60.0)

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def door_count(self) -> int:
        return self.doors or doors_of(self.serial)

    @property
    def zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.time_zone) if self.time_zone else None


def doors_of(serial: int) -> int:
    """The first digit of the serial number is the number of doors (uhppoted project: 1, 2 or 4)."""
    first = int(str(serial)[0])
    return first if first in (1, 2, 3, 4) else 4
