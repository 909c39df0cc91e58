"""What the config says about a wire and its readers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, field_validator, model_validator

from menwei import Config
from menwei.settings import seconds
from menwei_osdp.bus import ReaderPlan
from menwei_osdp.panel import DEFAULT_KEY, KEY_BYTES, Station

READERS = 8
"""On one wire. Each is asked in turn, about 40 ms each at 9600 baud; more would be felt at the door."""
OUTPUTS = 4

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=32)]
_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}[ :-]?){16}")


class ReaderConfig(Config):
    """`{address: 1, key: !secret yard.in, outputs: 0, reversed: false}`.

    `key` is what `menwei osdp pair` printed (16 bytes, hex). `outputs`: relays of the reader that move a lock; they are
    the locks `<reader>-out0`, `<reader>-out1` … of the device. `reversed`: the reader sends a card's last byte first.
    """

    address: int = Field(ge=0, le=126)
    key: SecretStr
    outputs: int = Field(0, ge=0, le=OUTPUTS)
    reversed: bool = False

    @field_validator("key")
    @classmethod
    def _is_a_key_of_its_own(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not _KEY.fullmatch(text):
            raise ValueError("a key is 16 bytes in hex: run `menwei osdp pair`")
        key = key_of(text)
        if key == DEFAULT_KEY or len(set(key)) == 1:
            raise ValueError("this key is known to everybody: run `menwei osdp pair`")
        return value


class OsdpConfig(Config):
    """`{driver: osdp, port: /dev/serial/by-id/usb-…, baud: 9600, readers: {in: {address: 1, key: …}}}`.

    `keypad_timeout`: how long after its last key a number counts as finished without `#`.
    """

    port: str = Field(min_length=1, max_length=256)
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    readers: dict[Name, ReaderConfig] = Field(min_length=1, max_length=READERS)
    keypad_timeout: Annotated[float, BeforeValidator(seconds)] = Field(3.0, ge=0.5, le=4.0)

    @model_validator(mode="after")
    def _are_told_apart(self) -> OsdpConfig:
        _once([reader.address for reader in self.readers.values()], "two readers have the same address")
        keys = [key_of(reader.key.get_secret_value()) for reader in self.readers.values()]
        _once(
            keys,
            "two readers have the same key: pair each by itself, so that one taken off the wall is not all of them",
        )
        return self

    def plans(self) -> list[ReaderPlan]:
        return [
            ReaderPlan(Station(name, reader.address, key_of(reader.key.get_secret_value())), reader.reversed)
            for name, reader in self.readers.items()
        ]

    def locks(self) -> dict[str, tuple[str, int]]:
        """Lock name → reader and number of its output."""
        return {
            f"{name}-out{number}": (name, number)
            for name, reader in self.readers.items()
            for number in range(reader.outputs)
        }


def key_of(text: str) -> bytes:
    key = bytes.fromhex(re.sub("[ :-]", "", text))
    assert len(key) == KEY_BYTES
    return key


def _once(values: list[Any], trouble: str) -> None:
    if len(set(values)) != len(values):
        raise ValueError(trouble)
