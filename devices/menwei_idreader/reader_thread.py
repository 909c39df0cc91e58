"""The thread of one reader: it asks it for signs of life, and for a document while a desk waits for one.

It talks to the event loop by `call_soon_threadsafe` alone. It cannot be ended while opening the port hangs: then it is
left behind, as a daemon thread whose reports are dropped, and `left_behind` knows of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from menwei import Document
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


class ReaderThread(threading.Thread):
    """One reader, from `start` until `stop` or until it is lost. `on_event` is called in the loop; `wanted` is set by
    the loop while a desk waits. `ended` is done when the thread has ended: with None after `stop`, with `Trouble`, or
    with anything else for a fault of ours."""

    def __init__(
        self, port: str, baud: int, monotonic: Callable[[], float], on_event: Callable[[Event], None]
    ) -> None:
        super().__init__(name=f"idreader {port}", daemon=True)
        self.port = port
        self.wanted = threading.Event()
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        self._baud = baud
        self._monotonic = monotonic
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._alive_at = monotonic()

    # --------------------------------------------------------------------------------------------- in the event loop

    def silent_for(self) -> float:
        """Seconds since the thread last came round: long when the port hangs."""
        return self._monotonic() - self._alive_at

    async def stop(self, patience: float) -> bool:
        """Ask the thread to end and wait for it. False when it is left behind."""
        self.stopping.set()
        await asyncio.wait({self.ended}, timeout=patience)
        if not self.ended.done():
            self.abandoned.set()
        return self.ended.done()

    def _deliver(self, event: Event) -> None:
        if not self.stopping.is_set():
            self._on_event(event)

    def _finish(self, error: BaseException | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
            return
        self.ended.set_exception(error)
        self.ended.exception()  # whoever waits gets it; after `stop` nobody does, and asyncio need not complain

    # ------------------------------------------------------------------------------------------------- in the thread

    def run(self) -> None:
        error: BaseException | None = None
        try:
            self._serve()
        except Stopped:
            pass
        except BaseException as ending:  # handed to the loop, whatever it is
            error = ending
        with suppress(RuntimeError):  # the loop was closed while the port kept us: nobody is left to tell
            self._loop.call_soon_threadsafe(self._finish, error)

    def _serve(self) -> None:
        with Port(self.port, self._baud) as port:
            self._post(Connected(self._surely(port, lambda: self._number(port))))
            while not self.stopping.wait(LOOK):
                if self.wanted.is_set():
                    self._surely(port, lambda: self._look(port))
                elif self._monotonic() - self._alive_at > LIFE:
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
                self._alive_at = self._monotonic()
                return done
        text = f"the reader at {self.port} does not answer as it should ({failure})"
        raise Trouble(TroubleKind.SILENT, text, port=self.port, detail=failure)

    def _number(self, port: Port) -> str:
        answer = self._ask(port, Command.SAM_NUMBER)
        if answer.status == Status.NOT_AUTHORISED:
            raise _not_authorised(self.port)
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
            self._post(Unread(str(error)))
            return
        except NotAuthorised:
            raise _not_authorised(self.port) from None
        if text is None:
            return
        try:
            document = identify(text)
        except NoDocument as error:
            self._post(Unread(str(error)))
            return
        if self.wanted.is_set():
            self._post(Read(document))

    def _ask(self, port: Port, command: Command) -> Answer:
        return port.ask(command, ANSWERING, self.stopping.is_set)

    def _post(self, event: Event) -> None:
        if not self.stopping.is_set():
            with suppress(RuntimeError):  # the loop was closed
                self._loop.call_soon_threadsafe(self._deliver, event)


def left_behind(port: str) -> bool:
    """Whether an earlier thread for this port still hangs in it."""
    return any(
        isinstance(thread, ReaderThread) and thread.port == port and thread.abandoned.is_set()
        for thread in threading.enumerate()
    )


def _not_authorised(port: str) -> Trouble:
    text = (
        f"the security module of the reader at {port} is not authorised: have the reader mended by its maker"
    )
    return Trouble(TroubleKind.NOT_AUTHORISED, text, port=port)
