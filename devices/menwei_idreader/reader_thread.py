"""The thread of one reader: it asks it for signs of life, and for a document while a desk waits for one.

Opening the port may hang for ever: then the thread is left behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from menwei import DeviceThread, Document
from menwei_idreader.layouts import NoDocument, identify
from menwei_idreader.port import NoAnswer, Port, Stopped
from menwei_idreader.protocol import (
    Answer,
    Command,
    Garbled,
    NotAuthorised,
    Status,
    Unreadable,
    conversation,
)
from menwei_idreader.trouble import Trouble, TroubleKind

T = TypeVar("T")

ANSWERING = 3.0
"""Seconds an answer may take: reading a worn card lasts about two."""
TRIES = 3
"""Garbled or missing answers in a row after which the reader counts as lost."""
LOOK = 0.3
"""Seconds between two looks for a document: a hand lays one down slower."""
LIFE = 2.0
"""Seconds between two signs of life while nobody waits."""


@dataclass(frozen=True, slots=True)
class Connected:
    """`number` is that of the security module, in hex."""

    number: str


@dataclass(frozen=True, slots=True)
class Read:
    document: Document


@dataclass(frozen=True, slots=True)
class Unread:
    """A document lay there and could not be read; `why` holds nothing of it."""

    why: str


Event = Connected | Read | Unread


class ReaderThread(DeviceThread[Event]):
    """One reader. `wanted` is set by the loop while a desk waits. Ends with `Trouble` when the reader is lost."""

    def __init__(
        self, port: str, baud: int, monotonic: Callable[[], float], on_event: Callable[[Event], None]
    ) -> None:
        super().__init__("idreader", port, monotonic, on_event)
        self.wanted = threading.Event()
        self._baud = baud

    def serve(self) -> None:
        with suppress(Stopped), Port(self.place, self._baud) as port:
            self.tell(Connected(self._surely(port, lambda: self._number(port))))
            while not self.stopping.wait(LOOK):
                if self.wanted.is_set():
                    self._surely(port, lambda: self._look(port))
                elif self.silent_for() > LIFE:
                    self._surely(port, lambda: self._ask(port, Command.STATUS))

    def _surely(self, port: Port, work: Callable[[], T]) -> T:
        """`work`, again when an answer is missing or garbled. Raises `Trouble` when that does not help."""
        failure = ""
        for _ in range(TRIES):
            try:
                done = work()
            except NoAnswer:
                failure = "no answer"
            except Garbled as error:
                failure = str(error)
            else:
                self.alive()
                return done
        text = f"the reader at {self.place} does not answer as it should ({failure})"
        raise Trouble(TroubleKind.SILENT, text, port=self.place, detail=failure)

    def _number(self, port: Port) -> str:
        answer = self._ask(port, Command.SAM_NUMBER)
        if answer.status == Status.NOT_AUTHORISED:
            raise _not_authorised(self.place)
        if answer.status != Status.OK or not 4 <= answer.length <= 32:
            raise Garbled(f"security module number: {answer.status:02X} with {answer.length} bytes")
        return answer.data.hex().upper()

    def _look(self, port: Port) -> None:
        steps = conversation()
        command = next(steps)
        try:
            while True:
                command = steps.send(self._ask(port, command))
        except StopIteration as end:
            text: bytearray | None = end.value
        except Unreadable as error:
            self.tell(Unread(str(error)))
            return
        except NotAuthorised:
            raise _not_authorised(self.place) from None
        if text is None:
            return
        try:
            document = identify(text)
        except NoDocument as error:
            self.tell(Unread(str(error)))
            return
        if self.wanted.is_set():
            self.tell(Read(document))

    def _ask(self, port: Port, command: Command) -> Answer:
        return port.ask(command, ANSWERING, self.stopping.is_set)


def _not_authorised(port: str) -> Trouble:
    text = (
        f"the security module of the reader at {port} is not authorised: have the reader mended by its maker"
    )
    return Trouble(TroubleKind.NOT_AUTHORISED, text, port=port)
