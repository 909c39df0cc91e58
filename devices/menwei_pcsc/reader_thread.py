"""The thread that watches one reader: pyscard blocks, and a card may take seconds to answer.

It talks to the event loop by `call_soon_threadsafe` alone. It wakes every `LOOK` seconds by itself instead of being
cancelled from outside (SCardCancel blocks too when pcscd hangs), and it cannot be ended while a card or pcscd keeps it
waiting: then it is left behind, as a daemon thread whose reports are dropped, and `left_behind` knows of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

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


class ReaderThread(threading.Thread):
    """Watches the reader that `pattern` means, from `start` until `stop` or until it is lost.

    `on_event` is called in the loop. `ended` is done when the thread has ended: with None after `stop`, with `Trouble`
    when the reader or pcscd was lost, with anything else for a fault of ours.
    """

    def __init__(
        self, pattern: str, debounce: float, monotonic: Callable[[], float], on_event: Callable[[Event], None]
    ) -> None:
        super().__init__(name=f"pcsc {pattern}", daemon=True)
        self.pattern = pattern
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        self._debounce = Debounce(debounce)
        self._monotonic = monotonic
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._alive_at = monotonic()
        self._card: CardIdentity | None = None

    # --------------------------------------------------------------------------------------------- in the event loop

    def silent_for(self) -> float:
        """Seconds since the thread last came round: long when a card or pcscd does not answer."""
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

    # ---------------------------------------------------------------------------------------------------- in the thread

    def run(self) -> None:
        error: BaseException | None = None
        try:
            self._serve()
        except BaseException as ending:  # handed to the loop, whatever it is
            error = ending
        with suppress(
            RuntimeError
        ):  # the loop was closed while a card kept us waiting: nobody is left to tell
            self._loop.call_soon_threadsafe(self._finish, error)

    def _post(self, event: Event) -> None:
        if not self.stopping.is_set():
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _serve(self) -> None:
        try:
            with Service() as service:
                readers = service.readers()
                reader = choose(self.pattern, readers)
                self._watch(service, reader, tuple(matching(self.pattern, readers)))
        except ServiceError as error:
            raise Trouble(TroubleKind.NO_SERVICE, f"the connection to pcscd is lost: {error}") from error

    def _watch(self, service: Service, reader: str, readers: tuple[str, ...]) -> None:
        settled = self._monotonic() + SETTLING
        ready = False
        known = UNKNOWN
        while not self.stopping.is_set():
            self._alive_at = now = self._monotonic()
            if not ready and now >= settled:
                ready = True
                self._post(Connected(reader, readers))
            before, known = known, service.look(reader, known, LOOK if ready else min(LOOK, settled - now))
            at = self._monotonic()
            if known != before:
                self._follow(service, reader, before, known, at, ready)
                continue
            # Not pcscd's notification of plugging (PC/SC Part 5): not every pcscd sends it, and the list is cheap.
            present = service.readers()
            if reader not in present:
                raise _unplugged(service, reader)
            if (fitting := tuple(matching(self.pattern, present))) != readers:
                readers = fitting
                self._post(Plugged(readers))

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
            self._post(Unread(str(error)))
            return
        if self._debounce.arrived(self._card, at) and ready:
            self._post(Read(self._card, at))

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


def left_behind(pattern: str) -> bool:
    """Whether an earlier thread for this reader still waits for a card or for pcscd."""
    return any(
        isinstance(thread, ReaderThread) and thread.pattern == pattern and thread.abandoned.is_set()
        for thread in threading.enumerate()
    )


async def in_a_thread(call: Callable[[], T], patience: float) -> T:
    """A blocking call in a thread of its own. Raises what it raises, and `Trouble` when it takes longer than `patience`
    seconds; the thread is then left behind.

    Not `asyncio.to_thread`: at the end of the program the loop would wait for a call that hangs.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not ended.done():
            settle()

    def work() -> None:
        try:
            value = call()
        except BaseException as error:  # handed to the loop, whatever it is
            settle = partial(ended.set_exception, error)
        else:
            settle = partial(ended.set_result, value)
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to tell
            loop.call_soon_threadsafe(finish, settle)

    threading.Thread(target=work, name="pcsc call", daemon=True).start()
    done, _ = await asyncio.wait({ended}, timeout=patience)
    if not done:
        ended.cancel()
        raise Trouble(
            TroubleKind.SILENT,
            f"pcscd has not answered for {patience:g} s: restart it",
            seconds=f"{patience:g}",
        )
    return ended.result()
