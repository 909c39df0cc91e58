"""The driver `pcsc`: one device is one card reader on this machine. It has no lock."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, NoReturn

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
    Seconds,
)
from menwei_pcsc.names import ReaderName
from menwei_pcsc.reader_thread import (
    Connected,
    Event,
    Plugged,
    Read,
    ReaderThread,
    Unread,
    asked,
    choose,
)
from menwei_pcsc.service import Service, ServiceError
from menwei_pcsc.trouble import Trouble, TroubleKind

SILENCE = 10.0
"""Seconds after which a reader that does not answer is given up. The slowest cards take about three."""

ENDING = 2.0
"""Seconds a thread is given to end: four looks at the reader."""

PROBING = 5.0
"""Seconds a connection test may take."""


class ReaderConfig(Config):
    """`{driver: pcsc, reader: "ACS ACR122U PICC Interface ?? 00", debounce: 2s, as: in}`; all but `driver` optional.

    `reader` is the reader's name as pcscd has it; `*` and `?` are wildcards, so that it is found in whatever order
    readers are plugged in. `debounce` is how long a card must have been away to count as a new touch. `as` is what
    doors call the reader: `<device>/<as>`.
    """

    model_config = ConfigDict(populate_by_name=True)

    reader: str = Field("*", min_length=1, max_length=128)
    debounce: Seconds = Field(2.0, ge=0.1, le=60.0)
    name: str = Field("in", alias="as", pattern=r"^[a-z0-9][a-z0-9_-]*$")


class NoLock(LookupError):
    """Somebody named a card reader where a lock is meant: a mistake in the config."""


class PcscReader(Driver):
    """A PC/SC card reader. Reports each touch of a card once, as `uid` or `idcard`, with the moment it was found.

    Without pyscard, without pcscd or without the reader it is not ready and says what to do; a reader plugged in again
    and a restarted pcscd are found at the next try. A card that already lies on the reader when it is connected opens
    nothing. What readers show (lights, buzzer) is left to them.
    """

    name: ClassVar[str] = "pcsc"
    Config: ClassVar[type[Config]] = ReaderConfig
    decides: ClassVar[frozenset[str]] = frozenset({"host"})
    locks: ClassVar[bool] = False
    identifiers: ClassVar[frozenset[IdentifierType]] = frozenset({IdentifierType.CARD})

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        super().__init__(context, config, reports)
        self._trouble: Trouble | None = None

    @classmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        """The reader is there and is the only one meant. No card is touched."""

        def look() -> str:
            with Service() as service:
                return choose(config.reader, service.readers())

        try:
            reader = await asked(look, PROBING)
        except ServiceError as error:
            raise NotReady(str(error)) from error
        except Trouble as trouble:
            _give_up(trouble)
        return describe(reader, config.name)

    async def run(self) -> None:
        self._trouble = None
        try:
            await self._watch()
        except Trouble as trouble:
            self._trouble = trouble
            _give_up(trouble)

    async def _watch(self) -> None:
        if ReaderThread.left_behind(self.config.reader):
            raise _silent("an earlier question to it is still open")
        thread = ReaderThread(
            self.config.reader, self.config.debounce, self.context.clock.monotonic, self._on_event
        )
        thread.start()
        try:
            while not thread.ended.done():
                await asyncio.wait({thread.ended}, timeout=1.0)
                if (silence := thread.silent_for()) > SILENCE and not thread.ended.done():
                    raise _silent(f"no answer for {silence:.0f} s")
            thread.ended.result()
        finally:
            if not await thread.stop(ENDING):
                self.context.log.warning(
                    "the reader keeps a thread waiting; it is left behind", reader=self.config.reader
                )

    def _on_event(self, event: Event) -> None:
        match event:
            case Connected(reader, readers):
                self.reports.ready(describe(reader, self.config.name))
                self._warn_of_twins(readers)
            case Plugged(readers):
                self._warn_of_twins(readers)
            case Read(card, at):
                self.reports.card(self.config.name, card.format, card.value, received=at)
            case Unread(why):
                self.context.log.warning("a card could not be read", reader=self.config.reader, why=why)

    def _warn_of_twins(self, readers: tuple[str, ...]) -> None:
        """A second reader that fits is no harm now, but after the next start it is not known which one is meant."""
        names = ", ".join(readers)
        many = Trouble(TroubleKind.MANY_READERS, names, reader=self.config.reader, present=names)
        self._trouble = many if len(readers) > 1 else None

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        _no_lock(lock)

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        _no_lock(lock)

    def repairs(self) -> list[Repair]:
        if self._trouble is None:
            return []
        kind, values = self._trouble.kind, self._trouble.values
        severity = "warning" if kind is TroubleKind.MANY_READERS else "error"
        return [Repair(f"pcsc:{kind}:{self.config.reader}", f"pcsc.repair.{kind}", values, severity)]


def describe(reader: str, name: str) -> DeviceInfo:
    """What is known of a reader from its name. `name` is what the config calls it."""
    parts = ReaderName.of(reader)
    return DeviceInfo(id=parts.id, model=parts.model, locks=(), readers=(name,), details={"reader": reader})


def _silent(what: str) -> Trouble:
    text = f"the reader does not answer ({what}): take the card away, unplug the reader, or restart pcscd"
    return Trouble(TroubleKind.SILENT, text, detail=what)


def _give_up(trouble: Trouble) -> NoReturn:
    """In the supervisor's words: a refusal is not tried again every minute, everything else is."""
    if trouble.kind is TroubleKind.NOT_ALLOWED:
        raise AuthFailed(str(trouble)) from trouble
    raise NotReady(str(trouble)) from trouble


def _no_lock(lock: str) -> NoReturn:
    raise NoLock(
        f"{lock!r}: a PC/SC card reader has no lock; name a lock of a controller as the door's `lock`"
    )
