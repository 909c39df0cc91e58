"""The thread that watches one reader: pyscard blocks, and a card may take seconds to answer.

It wakes every `LOOK` seconds by itself instead of being cancelled from outside (SCardCancel blocks too when pcscd hangs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from menwei import DeviceThread, in_a_thread
from menwei_pcsc.apdu import CardIdentity, NoIdentity, identify
from menwei_pcsc.debounce import Debounce
from menwei_pcsc.names import matching
from menwei_pcsc.service import UNKNOWN, Seen, Service, ServiceError
from menwei_pcsc.trouble import Trouble, TroubleKind

T = TypeVar("T")

LOOK = 0.5
"""Seconds of one look at the reader: how long shutting down may take. Cards interrupt it at once."""

SETTLING = 1.0
"""Seconds after connecting in which a card counts as having lain there before. A restarted pcscd finds a forgotten
card within half a second, and that must not open a door."""

TRIES = 3
"""Contactless cards are often powered up while still moving; the second try reads nearly all of those."""

PAUSE = 0.05
"""Seconds between two tries: a hand moves a card into the field in about this time."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The reader is watched from now on. `readers` are all that the config's pattern fits, `reader` is ours."""

    reader: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plugged:
    """Readers came or went. `readers` are all that the config's pattern fits now."""

    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A new touch, found at `at` on the monotonic clock; what the card said may have come later."""

    card: CardIdentity
    at: float


@dataclass(frozen=True, slots=True)
class Unread:
    """A card was there and could not be read; `why` holds nothing of its data."""

    why: str


Event = Connected | Plugged | Read | Unread


def choose(pattern: str, readers: list[str]) -> str:
    """The one reader the pattern means. Raises `Trouble`: two readers are two sides of a door, so none is guessed."""
    found = matching(pattern, readers)
    if len(found) == 1:
        return found[0]
    present = ", ".join(readers) or "none"
    if not found:
        text = f"no reader {pattern!r}: plug it in; readers present: {present}"
        raise Trouble(TroubleKind.NO_READER, text, reader=pattern, present=present)
    names = ", ".join(found)
    text = f"{len(found)} readers match {pattern!r}: {names}; name one of them in the config"
    raise Trouble(TroubleKind.MANY_READERS, text, reader=pattern, present=names)


class ReaderThread(DeviceThread[Event]):
    """Watches the reader that `pattern` means. Ends with `Trouble` when the reader or pcscd was lost."""

    def __init__(
        self, pattern: str, debounce: float, monotonic: Callable[[], float], on_event: Callable[[Event], None]
    ) -> None:
        super().__init__("pcsc", pattern, monotonic, on_event)
        self._debounce = Debounce(debounce)
        self._monotonic = monotonic
        self._card: CardIdentity | None = None

    def serve(self) -> None:
        try:
            with Service() as service:
                readers = service.readers()
                reader = choose(self.place, readers)
                self._watch(service, reader, tuple(matching(self.place, readers)))
        except ServiceError as error:
            raise Trouble(TroubleKind.NO_SERVICE, f"the connection to pcscd is lost: {error}") from error

    def _watch(self, service: Service, reader: str, readers: tuple[str, ...]) -> None:
        settled = self._monotonic() + SETTLING
        ready = False
        known = UNKNOWN
        while not self.stopping.is_set():
            now = self.alive()
            if not ready and now >= settled:
                ready = True
                self.tell(Connected(reader, readers))
            before, known = known, service.look(reader, known, LOOK if ready else min(LOOK, settled - now))
            at = self._monotonic()
            if known != before:
                self._follow(service, reader, before, known, at, ready)
                continue
            # Not pcscd's notification of plugging (PC/SC Part 5): not every pcscd sends it, and the list is cheap.
            present = service.readers()
            if reader not in present:
                raise _unplugged(service, reader)
            if (fitting := tuple(matching(self.place, present))) != readers:
                readers = fitting
                self.tell(Plugged(readers))

    def _follow(self, service: Service, reader: str, before: Seen, now: Seen, at: float, ready: bool) -> None:
        """What the change from `before` to `now` means for the card on the reader."""
        if now.gone:
            raise _unplugged(service, reader)
        moved = now.movements != before.movements
        if self._card is not None and (moved or not now.present):
            self._debounce.lay(self._card, at)
            self._card = None
        if not now.present or (before.present and not moved):
            return
        try:
            self._card = self._read(service, reader, now)
        except NoIdentity as error:
            self.tell(Unread(str(error)))
            return
        if self._debounce.arrived(self._card, at) and ready:
            self.tell(Read(self._card, at))

    def _read(self, service: Service, reader: str, seen: Seen) -> CardIdentity:
        """Asks the card who it is. Raises `NoIdentity`, also when it left or died in the middle of it."""
        failure = ""
        for attempt in range(TRIES):
            if attempt and self.stopping.wait(PAUSE):
                break
            try:
                with service.connect(reader) as card:
                    return converse(card.ask, seen.atr)
            except ServiceError as error:
                failure = str(error)  # also when pcscd is lost: the next look at the reader tells that
        raise NoIdentity(failure)


def _unplugged(service: Service, reader: str) -> Trouble:
    present = ", ".join(service.readers()) or "none"
    text = f"reader {reader!r} was unplugged or does not work any more"
    return Trouble(TroubleKind.NO_READER, text, reader=reader, present=present)


def converse(ask: Callable[[bytes], bytes], atr: bytes) -> CardIdentity:
    """Carries the conversation of `apdu.identify` to a card and back."""
    conversation = identify(atr)
    command = next(conversation)
    while True:
        response = ask(command)
        try:
            command = conversation.send(response)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def asked(call: Callable[[], T], patience: float) -> T:
    """What pcscd says to `call`, which blocks. Raises what it raises, and `Trouble` after `patience` seconds."""
    try:
        return await in_a_thread(call, patience, "pcsc call")
    except TimeoutError as error:
        seconds = f"{patience:g}"
        text = f"pcscd has not answered for {seconds} s: restart it"
        raise Trouble(TroubleKind.SILENT, text, seconds=seconds) from error
