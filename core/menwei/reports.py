"""How a plugin tells what it knows: a driver what happened at its device, a recognizer who is there, a finder what it
found. The core makes these objects and hands them to the classes of `plugin.py`; every call is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from menwei.boardfacts import BoardDecision
    from menwei.model import DeviceInfo, Document, DoorState


class Reports(Protocol):
    """How a driver tells what happened. Every call is quick and never waits for a decision.

    `received` is the moment of the read on `Context.clock.monotonic()`, default now: a driver that delivers late must
    pass the true one, and the core refuses a read older than 5 s. The core stamps the identifier's type and finds the
    access point from (this device, `reader`).
    """

    def ready(self, info: DeviceInfo) -> None:
        """The device is connected and what it holds is known. Ends LOADING, resets the back-off."""

    def card(self, reader: str, format: str, value: str, *, received: float | None = None) -> None:
        """A card was read. `format` and `value` as in `menwei.cardformats`."""

    def digits(self, reader: str, digits: str, *, received: float | None = None) -> None:
        """A number was typed at the reader's keypad and finished (by # or by its length)."""

    def document(self, reader: str, document: Document) -> None:
        """An identity document was read at an enrolment reader. It opens nothing: it goes to the desk that waits for
        it, or nowhere."""

    def document_wanted(self, reader: str) -> bool:
        """Whether a desk waits for a document there. A driver reads none otherwise: whoever lays a card down without
        being asked for it stays unread."""
        ...

    def door_state(self, lock: str, state: DoorState) -> None:
        """The door contact belonging to this lock changed, or was read at connection."""

    def exit_button(self, lock: str) -> None:
        """The exit button was pressed. It opens in hardware; the core only learns that the opening is rightful."""

    def call_button(self, lock: str) -> None:
        """The call button at the door of this lock was pressed: an intercom's, joined to an input. It opens nothing."""

    def tamper(self, part: str, active: bool) -> None:
        """A reader or the controller's case was opened (`part` is the reader's name, or "")."""

    def fault(self, part: str, active: bool) -> None:
        """A part of the device does not work, or works again: a reader that was unplugged, a broken wire. `part` is its
        name on the device. The whole device being away is `NotReady` instead."""

    def fire(self, lock: str, active: bool) -> None:
        """The fire release input of this lock's zone changed."""

    async def decided(self, decision: BoardDecision) -> None:
        """The device decided by itself, at one of the readers `Context.alone`, now or while nobody served it. Returns
        when that is in the journal, durable: only then may the driver move its place in the device's log on. What is
        told again (same epoch and index) is in the journal once. While the disk fails this waits, and the device keeps
        its log."""
        ...


@dataclass(frozen=True, slots=True)
class Recognition:
    """A recognizer knows who stands at an access point. `subject` is the identifier value it was enrolled with, or
    None for a stranger; `captured` is the moment of the picture on the monotonic clock (refused after 1.5 s)."""

    access_point: str
    subject: str | None
    score: float
    captured: float
    liveness: str = ""
    """By what it was told from a picture, a short word for the record; people read `<plugin>.method.<word>`."""


class Report(Protocol):
    """How a recognizer tells what it saw; quick, in the loop's thread. What comes for an access point it does not
    serve, where its type is not asked for now, or too late, opens nothing and is not kept."""

    def ready(self) -> None:
        """It can look now. Ends LOADING, resets the back-off."""

    def __call__(self, recognition: Recognition, /) -> None: ...

    def prompt(self, access_point: str, message: str, seconds: float = 3.0, *, refused: bool = False) -> None:
        """Tell the person before the camera what to do (a message key of the plugin), at the readers and the screen of the
        access point, for at most 30 s; `refused`: that it was not enough. Shown where its type is asked for now, and
        kept nowhere."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """A device somebody could adopt. `id` is stable (serial, MAC), `config` what its driver needs to reach it."""

    id: str
    driver: str
    title: str
    address: str
    finder: str
    config: Mapping[str, Any]
    properties: Mapping[str, str]


class Propose(Protocol):
    def __call__(self, device: Discovered, /) -> None: ...


__all__ = ["Discovered", "Propose", "Recognition", "Report", "Reports"]
