"""The simulated controller's protocol as pure functions of bytes: what stands on the wire, and nothing else.

One JSON object a line, UTF-8, at most 64 KiB with its newline; `docs/simulator-protocol.md` is the reference. Both
sides use this module. A line that is no message is None and never an exception; a word that one side does not know
(a contact state, a mode) is None in its field.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar, Final, TypeVar, get_args

import orjson

from menwei_simulator.fields import Fields, Malformed

VERSION: Final = 1
MAX_LINE: Final = 64 * 1024
"""Bytes with the newline. A longer line ends the connection: there is no message that could need it."""


class Role(StrEnum):
    """Why a host connects: SERVE for events and commands, PROBE only to ask who is there."""

    SERVE = "serve"
    PROBE = "probe"


class LockMode(StrEnum):
    """What a lock can be held in."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"


class Contact(StrEnum):
    """What a door contact says."""

    OPEN = "open"
    CLOSED = "closed"
    FAULT = "fault"


class Refusal(StrEnum):
    """Why a command was not carried out (`Ack.error`) or a connection was ended (`Bye.reason`)."""

    MALFORMED = "malformed"
    UNKNOWN_LOCK = "unknown-lock"
    UNKNOWN_READER = "unknown-reader"
    EXPIRED = "expired"
    FUTURE = "future"
    REPLAYED = "replayed"
    LOG = "log"
    AUTH = "auth"
    BUSY = "busy"
    PROTOCOL = "protocol"
    LINE_TOO_LONG = "line-too-long"
    STALLED = "stalled"


class LineTooLong(ValueError):
    """More than `MAX_LINE` bytes came without a newline."""


class Lines:
    """Cuts a stream into lines. Holds at most one unfinished line, so a peer cannot fill the memory."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their newlines. Raises `LineTooLong`; then the stream is void."""
        *whole, rest = (bytes(self._rest) + data).split(b"\n")
        if len(rest) >= self._limit or any(len(line) >= self._limit for line in whole):
            raise LineTooLong(f"a line of more than {self._limit} bytes")
        self._rest = bytearray(rest)
        return [line for line in whole if line.strip()]


# ------------------------------------------------------------------------------------------------- device to host


@dataclass(frozen=True, slots=True)
class DeviceHello:
    """The device's first line. `secret` says whether the host must prove that it knows one."""

    TYPE: ClassVar[str] = "hello"
    protocol: int
    id: str
    nonce: str
    secret: bool


@dataclass(frozen=True, slots=True)
class LockStatus:
    """One lock with its door. `contact` is None for a state this version does not know."""

    lock: str
    mode: LockMode | None
    released: bool
    contact: Contact | None
    fire: bool


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    reader: str
    online: bool
    tamper: bool


@dataclass(frozen=True, slots=True)
class Welcome:
    """The host is accepted. `heartbeat` is the device's interval in ms; `proof` shows that it knows the secret too."""

    TYPE: ClassVar[str] = "welcome"
    clock: int
    heartbeat: int
    proof: str
    model: str
    version: str
    tamper: bool
    locks: tuple[LockStatus, ...]
    readers: tuple[ReaderStatus, ...]


@dataclass(frozen=True, slots=True)
class Bye:
    """The device's last line on a connection."""

    TYPE: ClassVar[str] = "bye"
    reason: Refusal | None


@dataclass(frozen=True, slots=True)
class Alive:
    """Heartbeat of either side; the device's carries its clock (ms since it started), the host's 0."""

    TYPE: ClassVar[str] = "alive"
    clock: int = 0


@dataclass(frozen=True, slots=True)
class Ack:
    """Answer to one command. `pulse` is the line of the pulse log that holds it, 0 where none was written."""

    TYPE: ClassVar[str] = "ack"
    id: int
    ok: bool
    error: Refusal | None = None
    pulse: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events carry: the device's clock at sending, and how long ago it happened, both in ms."""

    clock: int = 0
    age_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEvent(Event):
    TYPE: ClassVar[str] = "card"
    reader: str
    format: str
    value: str = field(repr=False)  # a card number in a traceback is a card number in a log


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsEvent(Event):
    TYPE: ClassVar[str] = "digits"
    reader: str
    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactEvent(Event):
    TYPE: ClassVar[str] = "contact"
    lock: str
    state: Contact | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitEvent(Event):
    TYPE: ClassVar[str] = "exit"
    lock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Event):
    """The call button of the intercom at this lock's door."""

    TYPE: ClassVar[str] = "call"
    lock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TamperEvent(Event):
    """`part` is a reader's name, or "" for the controller's own case."""

    TYPE: ClassVar[str] = "tamper"
    part: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FireEvent(Event):
    TYPE: ClassVar[str] = "fire"
    lock: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEvent(Event):
    """A reader was lost (its cable, its power) or found again."""

    TYPE: ClassVar[str] = "reader"
    reader: str
    online: bool


# ------------------------------------------------------------------------------------------------- host to device


@dataclass(frozen=True, slots=True)
class HostHello:
    """The host's first line. `proof` is `prove(secret, HOST, device nonce, host nonce)`, "" without a secret."""

    TYPE: ClassVar[str] = "hello"
    protocol: int
    role: Role | None
    nonce: str
    proof: str


@dataclass(frozen=True, slots=True)
class AccessCommand:
    """Release `lock` for `seconds`. Void when `expires_in` ms have passed since `sent`, an instant of the device's
    clock as the host estimates it from the heartbeats; so a command that lay somewhere on the way opens nothing."""

    TYPE: ClassVar[str] = "access"
    id: int
    lock: str
    seconds: float
    sent: int
    expires_in: int
    passage: str = ""


@dataclass(frozen=True, slots=True)
class ModeCommand:
    """Hold `lock` in `mode`. Void like an access command."""

    TYPE: ClassVar[str] = "mode"
    id: int
    lock: str
    mode: LockMode | None
    sent: int
    expires_in: int


@dataclass(frozen=True, slots=True)
class FeedbackCommand:
    """Show `text` and the light and sound of `kind` at a reader for `seconds`. An unknown kind shows the text alone."""

    TYPE: ClassVar[str] = "feedback"
    id: int
    reader: str
    kind: str
    text: str
    seconds: float


DeviceMessage = (
    DeviceHello | Welcome | Bye | Alive | Ack
    | CardEvent | DigitsEvent | ContactEvent | ExitEvent | CallEvent | TamperEvent | FireEvent | ReaderEvent
)  # fmt: skip
DeviceEvent = (
    CardEvent | DigitsEvent | ContactEvent | ExitEvent | CallEvent | TamperEvent | FireEvent | ReaderEvent
)  # fmt: skip
Command = AccessCommand | ModeCommand | FeedbackCommand
HostMessage = HostHello | Alive | Command


_NAMES: Final = {
    kind: tuple(item.name for item in fields(kind))
    for kind in (*get_args(DeviceMessage), *get_args(HostMessage))
}


def encode(message: DeviceMessage | HostMessage) -> bytes:
    """One line with its newline."""
    body: dict[str, object] = {"type": message.TYPE}
    for name in _NAMES[type(message)]:
        body[name] = getattr(message, name)
    return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)


def decode_device(line: bytes) -> DeviceMessage | None:
    """What a device said in `line`; None for anything that is not a message of this version."""
    return _decode(line, _DEVICE)


def decode_host(line: bytes) -> HostMessage | None:
    """What a host said in `line`; None for anything that is not a message of this version."""
    return _decode(line, _HOST)


def command_id(line: bytes) -> int:
    """The id of a line that is no valid command, so that it can be refused by name; 0 where there is none."""
    try:
        return Fields.of(line).whole("id")
    except Malformed:
        return 0


class Side(StrEnum):
    """Who proves. The word is part of what is signed, so that a proof cannot be sent back to its maker."""

    HOST = "host"
    DEVICE = "device"


def prove(secret: str, side: Side, device_nonce: str, host_nonce: str) -> str:
    """Lower-case hex of HMAC-SHA256(secret, "menwei-sim/1 SIDE DEVICE-NONCE HOST-NONCE"); "" without a secret."""
    if not secret:
        return ""
    text = f"menwei-sim/{VERSION} {side} {device_nonce} {host_nonce}"
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def proven(proof: str, secret: str, side: Side, device_nonce: str, host_nonce: str) -> bool:
    """Whether `proof` is the right one, compared in constant time."""
    return hmac.compare_digest(proof.encode(), prove(secret, side, device_nonce, host_nonce).encode())


# ---------------------------------------------------------------------------------------------------------- reading


Message = TypeVar("Message")


def _decode(line: bytes, kinds: dict[str, Callable[[Fields], Message]]) -> Message | None:
    try:
        fields = Fields.of(line)
        read = kinds.get(fields.text("type"))
        return read(fields) if read else None
    except Malformed:
        return None


def _lock_status(f: Fields) -> LockStatus:
    return LockStatus(
        f.text("lock"),
        f.word("mode", LockMode),
        f.flag("released"),
        f.word("contact", Contact),
        f.flag("fire"),
    )


def _reader_status(f: Fields) -> ReaderStatus:
    return ReaderStatus(f.text("reader"), f.flag("online"), f.flag("tamper"))


def _welcome(f: Fields) -> Welcome:
    return Welcome(
        clock=f.whole("clock"),
        heartbeat=f.whole("heartbeat"),
        proof=f.text("proof"),
        model=f.text("model"),
        version=f.text("version"),
        tamper=f.flag("tamper"),
        locks=tuple(_lock_status(row) for row in f.rows("locks")),
        readers=tuple(_reader_status(row) for row in f.rows("readers")),
    )


def _alive(f: Fields) -> Alive:
    return Alive(f.whole("clock", 0))


_DEVICE: Final[dict[str, Callable[[Fields], DeviceMessage]]] = {
    DeviceHello.TYPE: lambda f: DeviceHello(
        f.whole("protocol"), f.text("id"), f.text("nonce"), f.flag("secret")
    ),
    Welcome.TYPE: _welcome,
    Bye.TYPE: lambda f: Bye(f.word("reason", Refusal)),
    Alive.TYPE: _alive,
    Ack.TYPE: lambda f: Ack(f.whole("id"), f.flag("ok"), f.word("error", Refusal), f.whole("pulse", 0)),
    CardEvent.TYPE: lambda f: CardEvent(
        reader=f.text("reader"), format=f.text("format"), value=f.text("value"), **f.age()
    ),
    DigitsEvent.TYPE: lambda f: DigitsEvent(reader=f.text("reader"), digits=f.text("digits"), **f.age()),
    ContactEvent.TYPE: lambda f: ContactEvent(lock=f.text("lock"), state=f.word("state", Contact), **f.age()),
    ExitEvent.TYPE: lambda f: ExitEvent(lock=f.text("lock"), **f.age()),
    CallEvent.TYPE: lambda f: CallEvent(lock=f.text("lock"), **f.age()),
    TamperEvent.TYPE: lambda f: TamperEvent(part=f.text("part"), active=f.flag("active"), **f.age()),
    FireEvent.TYPE: lambda f: FireEvent(lock=f.text("lock"), active=f.flag("active"), **f.age()),
    ReaderEvent.TYPE: lambda f: ReaderEvent(reader=f.text("reader"), online=f.flag("online"), **f.age()),
}

_HOST: Final[dict[str, Callable[[Fields], HostMessage]]] = {
    HostHello.TYPE: lambda f: HostHello(
        f.whole("protocol"), f.word("role", Role), f.text("nonce"), f.text("proof", "")
    ),
    Alive.TYPE: _alive,
    AccessCommand.TYPE: lambda f: AccessCommand(
        f.whole("id"),
        f.text("lock"),
        f.number("seconds"),
        f.whole("sent"),
        f.whole("expires_in"),
        f.text("passage", ""),
    ),
    ModeCommand.TYPE: lambda f: ModeCommand(
        f.whole("id"), f.text("lock"), f.word("mode", LockMode), f.whole("sent"), f.whole("expires_in")
    ),
    FeedbackCommand.TYPE: lambda f: FeedbackCommand(
        f.whole("id"), f.text("reader"), f.text("kind"), f.text("text", ""), f.number("seconds", 3.0)
    ),
}
