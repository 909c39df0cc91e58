"""The other side of a driver under test: a device, or a program that stands for one.

Who tests a driver writes one `Peer`: how the device is started, how a card is laid on its reader, how its wire is made
bad (usually with `menwei.testing.proxies`), and what its locks did. What the device or its protocol cannot do stands in
`lacks`, with the reason: those cases are skipped, and the reason is read in the test report.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, NoReturn

from menwei.model import DoorState


class Ability(StrEnum):
    """What a case needs. A peer has them all, but for those that it `lacks`."""

    ABSENCE = "the device can be away"
    SILENCE = "the device can fall silent without closing anything"
    SLOWNESS = "what the device says can be slow on its way"
    GARBAGE = "bytes that mean nothing can reach the driver"
    BABBLE = "all that the device says can be spoilt, from the first word"
    DUPLICATES = "one message of the device can arrive twice"
    REORDERING = "messages of the device can overtake each other"
    READER = "it has a reader"
    LATE_READS = "a read can arrive late"
    LOCK = "it has a lock"
    LATE_COMMANDS = "a command can be held up on its way, and the device can tell"
    MODES = "its lock can be held locked and unlocked"
    CONTACT = "it has a door contact"
    INPUTS = "it has a fire or tamper input"
    SECRET = "it wants a secret"  # noqa: S105
    CLOCK = "it has a clock"
    ATTRIBUTES = "its messages have room for more than was asked for"


class Input(StrEnum):
    """The inputs that `Peer.turn` works."""

    FIRE = "fire"
    TAMPER = "tamper"


@dataclass(frozen=True, slots=True)
class Release:
    """A lock was released, as the device itself recorded it: `at` is on `time.monotonic()` of this machine."""

    lock: str
    seconds: float
    at: float


class Peer(ABC):
    """One device with a reader `reader` and a lock `lock`, as far as it has them. The suite enters `start` first.

    Every method returns when it took effect. `notices` is how long the driver may take to see that the device fell
    silent; `connects` how long until it is ready; `late` how long after its deadline a command may still be obeyed by a
    faulty driver, that is, how long the suite looks.
    """

    lacks: ClassVar[Mapping[Ability, str]] = {}
    reader: ClassVar[str] = "in"
    lock: ClassVar[str] = "1"
    notices: ClassVar[float] = 15.0
    connects: ClassVar[float] = 20.0
    late: ClassVar[float] = 1.0
    seconds: ClassVar[float] = 3.0
    """A release time that the device can do exactly."""
    logs_reads: ClassVar[bool] = False
    """The device keeps what was read while nobody served it, and tells it later."""
    precision: ClassVar[float] = 1.0
    """Seconds by which the moment of a late read may be told too new; the device's clock may have whole seconds."""

    @property
    @abstractmethod
    def config(self) -> Any:
        """The driver's `Config` to reach this device. Asked for after `start`, and again after every `start`."""

    @abstractmethod
    async def start(self) -> None:
        """The device gets power, at the address that it had before if it ran before."""

    @abstractmethod
    async def stop(self) -> None:
        """The device loses its power. What it keeps without power it keeps."""

    async def close(self) -> None:  # noqa: B027 - most have nothing to do
        """The test is over; called after `stop`."""

    @abstractmethod
    def card(self, number: int) -> tuple[str, str]:
        """(format, value) of the `number`-th card, as the driver must report it; 0 to 9999, each another one."""

    # --------------------------------------------------------------------------------------------------- the doorstep

    async def present(self, number: int) -> None:
        """Lay the `number`-th card on the reader and take it away again."""
        _missing(Ability.READER)

    async def releases(self) -> list[Release]:
        """What the host made the lock do since the first start, oldest first, by the device's own account."""
        _missing(Ability.LOCK)

    async def unlocked(self) -> bool:
        """Whether the lock is held unlocked now."""
        _missing(Ability.MODES)

    async def contact(self, state: DoorState) -> None:
        """Open or close the door, whether it is locked or not."""
        _missing(Ability.CONTACT)

    async def turn(self, which: Input, active: bool) -> None:
        """Turn an input on or off: the fire input of `lock`, the tamper contact of the device itself."""
        _missing(Ability.INPUTS)

    # ------------------------------------------------------------------------------- a device that decides by itself

    async def admitted(self) -> int:
        """How often it opened `lock` by itself since the first start, by its own account."""
        raise NotImplementedError("the driver lets its device decide: tell how often it opened by itself")

    async def alter(self, number: int) -> None:
        """Somebody with other software alters the `number`-th card that the device holds."""
        raise NotImplementedError("the driver lets its device decide: alter a card behind its back")

    async def shows(self, moment: datetime) -> bool:
        """Whether its clock shows the wall time of `moment`, give or take a few seconds."""
        raise NotImplementedError("the driver lets its device decide: tell what its clock shows")

    inputs: ClassVar[frozenset[Input]] = frozenset(Input)
    """Which inputs it has."""

    # ------------------------------------------------------------------------------------------------------- bad luck

    async def silent(self, active: bool) -> None:
        """Accept everything, answer nothing. At the end, what came meanwhile may be worked through."""
        _missing(Ability.SILENCE)

    async def slow(self, seconds: float) -> None:
        """Everything from the device to the host is so late from now on, events and answers; 0 ends it."""
        _missing(Ability.SLOWNESS)

    async def garbage(self, data: bytes) -> None:
        """These bytes reach the driver, as if the device had sent them."""
        _missing(Ability.GARBAGE)

    async def babble(self, active: bool) -> None:
        """Everything from the device to the host has spoilt bytes in it."""
        _missing(Ability.BABBLE)

    async def duplicate(self, active: bool) -> None:
        """Every message from the device to the host arrives twice."""
        _missing(Ability.DUPLICATES)

    async def reorder(self, active: bool) -> None:
        """A message from the device to the host is overtaken by the next one."""
        _missing(Ability.REORDERING)

    async def hold_commands(self, seconds: float) -> None:
        """Everything from the host to the device is so late from now on; 0 ends it."""
        _missing(Ability.LATE_COMMANDS)

    async def late_reads(self, seconds: float) -> None:
        """The device tells each event so late from now on; 0 ends it."""
        _missing(Ability.LATE_READS)

    async def wrong_clock(self, seconds: float) -> None:
        """The device's clock is wrong by so much from now on, until somebody sets it."""
        _missing(Ability.CLOCK)

    def wrong_secret(self) -> Any:
        """The driver's `Config` with a secret that the device does not have."""
        _missing(Ability.SECRET)

    async def present_with(self, number: int, attributes: Mapping[str, Any]) -> None:
        """Present a card; the device's message about it carries these attributes too."""
        _missing(Ability.ATTRIBUTES)


def _missing(ability: Ability) -> NoReturn:
    raise NotImplementedError(f"the peer neither lacks {ability.name} ({ability}) nor implements it")


__all__ = ["Ability", "Input", "Peer", "Release"]
