"""The driver `idreader`: one device is one resident-ID reader at an enrolment desk. It has no lock and opens nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar, Literal, NoReturn

from pydantic import ConfigDict, Field

from menwei import (
    AuthFailed,
    Config,
    Context,
    DeviceInfo,
    DoorMode,
    Driver,
    IdentifierType,
    NotReady,
    Repair,
    Reports,
)
from menwei_idreader.reader_thread import (
    ANSWERING,
    TRIES,
    Connected,
    Event,
    Read,
    ReaderThread,
    Unread,
)
from menwei_idreader.trouble import Trouble, TroubleKind

SILENCE = ANSWERING * TRIES * 3 + 3.0
"""Seconds after which a port that hangs is given up: one look is three questions, each asked three times at worst."""
ENDING = 2.0
"""Seconds the thread is given to end."""
PROBING = 10.0
"""Seconds a connection test may take."""
FOLLOWING = 0.1
"""Seconds between two looks whether a desk waits."""


class IdReaderConfig(Config):
    """`{driver: idreader, port: /dev/serial/by-id/usb-…, baud: 115200, as: desk}`; all but `driver` and `port`
    optional. `as` is what desks call the reader: `<device>/<as>`."""

    model_config = ConfigDict(populate_by_name=True)

    port: str = Field(min_length=1, max_length=256)
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 115200
    name: str = Field("desk", alias="as", pattern=r"^[a-z0-9][a-z0-9_-]*$")


class NoLock(LookupError):
    """Somebody named an enrolment reader where a lock is meant: a mistake in the config."""


class IdReader(Driver):
    """A resident-ID reader. Reports the kind, name and number of a document that is laid on it while a desk waits for
    one (`Reports.document_wanted`); a document that lies there at other times is not read.

    One that cannot be read (taken away too early, worn, not authentic) is told to the log and tried again.
    """

    name: ClassVar[str] = "idreader"
    Config: ClassVar[type[Config]] = IdReaderConfig
    identifiers: ClassVar[frozenset[IdentifierType]] = frozenset()
    locks: ClassVar[bool] = False

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        super().__init__(context, config, reports)
        self._trouble: Trouble | None = None

    @classmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        """The reader answers and its security module is authorised. No document is looked for."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_event(event: Event) -> None:
            if isinstance(event, Connected) and not found.done():
                found.set_result(event.number)

        thread = ReaderThread(config.port, config.baud, time.monotonic, on_event)
        thread.start()
        either: set[asyncio.Future[Any]] = {found, thread.ended}
        try:
            await asyncio.wait(either, timeout=PROBING, return_when=asyncio.FIRST_COMPLETED)
            if thread.ended.done():
                thread.ended.result()
            if not found.done():
                raise _hanging(config.port, f"nothing within {PROBING:.0f} s")
            return describe(config, found.result())
        except Trouble as trouble:
            _give_up(trouble)
        finally:
            await thread.stop(ENDING)

    async def run(self) -> None:
        self._trouble = None
        try:
            await self._serve()
        except Trouble as trouble:
            self._trouble = trouble
            _give_up(trouble)

    async def _serve(self) -> None:
        port = self.config.port
        if ReaderThread.left_behind(port):
            raise _hanging(port, "an earlier thread still hangs in it")
        thread = ReaderThread(port, self.config.baud, self.context.clock.monotonic, self._on_event)
        thread.start()
        try:
            while not thread.ended.done():
                await asyncio.wait({thread.ended}, timeout=FOLLOWING)
                if self.reports.document_wanted(self.config.name):
                    thread.wanted.set()
                else:
                    thread.wanted.clear()
                if (silence := thread.silent_for()) > SILENCE and not thread.ended.done():
                    raise _hanging(port, f"no answer for {silence:.0f} s")
            thread.ended.result()
        finally:
            if not await thread.stop(ENDING):
                self.context.log.warning("the reader keeps a thread waiting; it is left behind", port=port)

    def _on_event(self, event: Event) -> None:
        match event:
            case Connected(number):
                self.reports.ready(describe(self.config, number))
            case Read(document):
                self.reports.document(self.config.name, document)
            case Unread(why):
                self.context.log.warning("a document could not be read", port=self.config.port, why=why)

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        _no_lock(lock)

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        _no_lock(lock)

    def repairs(self) -> list[Repair]:
        if self._trouble is None:
            return []
        kind = self._trouble.kind
        return [
            Repair(
                f"idreader:{kind}:{self.config.port}",
                f"idreader.repair.{kind}",
                self._trouble.values,
                "error",
            )
        ]


def describe(config: IdReaderConfig, number: str) -> DeviceInfo:
    return DeviceInfo(
        id=f"sam:{number}", model="SDT/SAM", locks=(), readers=(config.name,), details={"port": config.port},
        documents=(config.name,),
    )  # fmt: skip


def _hanging(port: str, what: str) -> Trouble:
    text = f"the reader at {port} hangs ({what}): unplug it and plug it in again"
    return Trouble(TroubleKind.SILENT, text, port=port, detail=what)


def _give_up(trouble: Trouble) -> NoReturn:
    """In the supervisor's words: a refusal is not tried again every minute, everything else is."""
    if trouble.kind in (TroubleKind.NOT_ALLOWED, TroubleKind.NOT_AUTHORISED):
        raise AuthFailed(str(trouble)) from trouble
    raise NotReady(str(trouble)) from trouble


def _no_lock(lock: str) -> NoReturn:
    raise NoLock(
        f"{lock!r}: an enrolment reader has no lock; name a lock of a controller as the door's `lock`"
    )
