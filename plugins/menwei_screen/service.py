"""The door screens of one site: which tablet is which screen, what each shows now, and what plugins give it to show.

It hears only the feedback that the readers of a screen's access point are given, and keeps none of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from menwei import AccessPoint, Config, Context, Feedback, IdentifierType, Passage, Reports, Service
from menwei_screen.board import Board, Shown
from menwei_screen.lines import Line
from menwei_screen.pairing import Pairings, TooMany
from menwei_screen.tables import tablets

if TYPE_CHECKING:
    from menwei_screen.driver import ScreenConfig

READER = "screen"
"""What doors call the screen: `<device>/screen`."""
BEAT = 2.0
"""Seconds between two signs of life: a tablet that misses two says that the connection is lost."""


class ScreenError(Exception):
    """What is refused, with the message key of its sentence."""

    def __init__(self, says: str, status: int = HTTPStatus.CONFLICT, **values: str) -> None:
        super().__init__(says)
        self.says = says
        self.status = status
        self.values = values


class Options(Config):
    """The plugin has no settings of its own; those of a screen stand at its device."""


@dataclass(frozen=True, slots=True)
class View:
    """What one tablet is to show now. `code` while it waits to be paired; `screen` "" while its device is not served.

    `left` are the seconds `shown` still has; it does not make two views different.
    """

    id: str
    code: str = ""
    screen: str = ""
    point: AccessPoint | None = None
    keypad: bool = False
    voice: bool = True
    language: str = ""
    shown: Shown | None = None
    notices: tuple[Line, ...] = ()
    left: float = field(default=0.0, compare=False)

    @property
    def asks(self) -> tuple[IdentifierType, ...]:
        """What somebody may begin with here, for the prompt: of each combination that opens, what comes first."""
        levels = self.point.levels if self.point is not None else ()
        groups = [group for level in levels for group in level.level.groups]
        first = {next((kind for kind in BEGINNINGS if kind in group), None) for group in groups}
        return tuple(kind for kind in BEGINNINGS if kind in first)


BEGINNINGS = (IdentifierType.CARD, IdentifierType.QRCODE, IdentifierType.PIN, IdentifierType.FACE)
"""In this order: a face beside something else is looked at once that was shown, and a PIN belongs to what comes before."""


@dataclass(slots=True)
class _Screen:
    """A screen that is served: its driver runs."""

    config: ScreenConfig
    reports: Reports
    board: Board


class Screens(Service):
    """Made at start. Other plugins reach it with `Context.service(Screens)` (`permissions.services: [screen]`)."""

    name = "screens"
    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self.pairings = Pairings()
        self._boot = secrets.token_hex(4)
        self._screens: dict[str, _Screen] = {}
        self._notices: dict[str, dict[str, Line]] = {}
        self._paired: dict[str, tuple[bytes, float]] | None = None
        self._streams: Counter[bytes] = Counter()
        self._newest: dict[bytes, object] = {}
        """Of each tablet that looks, the stream that it opened last."""
        self._change = asyncio.Event()
        self._pairing = asyncio.Lock()

    async def run(self) -> None:
        await self.load()

    # ------------------------------------------------------------------------------------- what other plugins may call

    def greet(self, passage: Passage, line: Line) -> None:
        """A line for the person this passage is about, shown with the grant and never without one.

        A policy calls it from its `check`, where it is told who asks to pass and then answers `PASS` as always: so the
        installer sees at which access points it listens. Whether the door opens is not known yet; a refusal by anybody
        else drops the line. Asked by `menwei explain` (`dry_run`) it does nothing.
        """
        if not passage.dry_run:
            for screen in self._at(passage.access_point):
                screen.board.offer(line, self.context.clock.monotonic())

    def notice(self, access_point: str, name: str, line: Line | None) -> None:
        """A notice for everybody at this door ("lift out of order"), until it is taken back with None. `name` is the
        giver's own: the same name replaces. Kept in memory: give it again after a start. Raises `KeyError` for an
        unknown access point."""
        if access_point not in self.context.site.access_points:
            raise KeyError(access_point)
        notices = self._notices.setdefault(access_point, {})
        if line is None:
            notices.pop(name, None)
        else:
            notices[name] = line
        self._tell()

    # ------------------------------------------------------------------------------------------------- what drivers say

    @contextmanager
    def attached(self, device: str, config: ScreenConfig, reports: Reports) -> Iterator[None]:
        """While the screen's driver runs."""
        screen = self._screens[device] = _Screen(config, reports, Board())
        self._tell()
        try:
            yield
        finally:
            if self._screens.get(device) is screen:
                del self._screens[device]
            self._tell()

    def feedback(self, device: str, feedback: Feedback) -> None:
        """The door answers: at once on the tablet, if it looks."""
        if screen := self._screens.get(device):
            screen.board.feedback(feedback, self.context.clock.monotonic())
            self._tell()

    async def changed(self, seconds: float) -> None:
        """Until something changes on any screen, `seconds` at most."""
        await _wait(self._change, seconds)

    def access_point(self, device: str) -> AccessPoint | None:
        """Where this screen hangs, as the config says now."""
        points = self.context.site.access_points.values()
        return next((point for point in points if (device, READER) in point.readers), None)

    # ---------------------------------------------------------------------------------------------------------- pairing

    async def load(self) -> None:
        """Read which tablets are paired; what this process changes afterwards it knows."""
        if self._paired is None:
            async with self.context.tables.read() as reading:
                rows = (await reading.execute(select(tablets))).all()
            if self._paired is None:
                self._paired = {row.screen: (row.digest, row.paired) for row in rows}
                self._tell()

    def begin(self, address: str) -> str:
        """A new tablet: its token, which waits to be paired. Raises `ScreenError`."""
        token = secrets.token_urlsafe(32)
        try:
            self.pairings.begin(digest_of(token), address, self.context.clock.monotonic())
        except TooMany:
            raise ScreenError("screen.too_many_waiting", HTTPStatus.TOO_MANY_REQUESTS) from None
        return token

    def knows(self, digest: bytes) -> bool:
        """Whether this tablet is paired or waits for it."""
        waits = self.pairings.code(digest, self.context.clock.monotonic()) is not None
        return waits or self.screen_of(digest) is not None

    async def pair(self, where: str, code: str) -> str:
        """The tablet that shows `code` becomes the screen `where` (a device, or an access point with one screen), in
        place of the one before; returns the device. Raises `ScreenError`."""
        await self.load()
        device = self._device(where)
        async with self._pairing:  # a code pairs once, also when it is entered twice at the same moment
            digest = self.pairings.find(code.replace(" ", ""), self.context.clock.monotonic())
            if digest is None:
                raise ScreenError("screen.no_such_code", HTTPStatus.NOT_FOUND)
            paired = self.context.clock.now()
            async with self.context.tables.transaction() as tx:
                await tx.upsert(tablets, [{"screen": device, "digest": digest, "paired": paired}])
            self._known[device] = digest, paired
            self.pairings.done(digest)
        self._tell()
        return device

    async def revoke(self, where: str) -> str:
        """The screen's tablet is worthless from now on; returns the device. Raises `ScreenError` when it has none."""
        await self.load()
        device = where if where in self._known else self._device(where)
        if device not in self._known:
            raise ScreenError("screen.not_paired", screen=device)
        async with self.context.tables.transaction() as tx:
            await tx.execute(delete(tablets).where(tablets.c.screen == device))
        self._known.pop(device, None)
        self._tell()
        return device

    @property
    def devices(self) -> tuple[str, ...]:
        """The screens that are served, and those that only have a tablet still."""
        return tuple(sorted({*self._screens, *self._known}))

    def settings(self, device: str) -> ScreenConfig | None:
        """None while it is not served."""
        screen = self._screens.get(device)
        return screen.config if screen is not None else None

    def paired_at(self, device: str) -> float | None:
        known = self._known.get(device)
        return known[1] if known is not None else None

    def is_paired(self, device: str) -> bool:
        return device in self._known

    def is_connected(self, device: str) -> bool:
        """Whether its tablet looks now."""
        known = self._known.get(device)
        return known is not None and self._streams[known[0]] > 0

    def screen_of(self, digest: bytes) -> str | None:
        """Which screen this tablet is."""
        return next((device for device, known in self._known.items() if known[0] == digest), None)

    @property
    def _known(self) -> dict[str, tuple[bytes, float]]:
        return self._paired if self._paired is not None else {}

    def _device(self, where: str) -> str:
        """The screen that is meant. Raises `ScreenError`."""
        if where in self._screens:
            return where
        point = self.context.site.access_points.get(where)
        found = [device for device, reader in (point.readers if point else ()) if reader == READER]
        if not found:
            raise ScreenError("screen.no_such_screen", HTTPStatus.NOT_FOUND, place=where)
        if len(found) > 1:
            raise ScreenError("screen.which", place=where, screens=", ".join(found))
        return found[0]

    # ------------------------------------------------------------------------------------------------- what tablets ask

    def view(self, digest: bytes) -> View | None:
        """What this tablet shows now; None when it is no screen and does not wait to be one."""
        now = self.context.clock.monotonic()
        device = self.screen_of(digest)
        if device is None:
            code = self.pairings.code(digest, now)
            return View(f"{self._boot}-0", code) if code is not None else None
        screen = self._screens.get(device)
        if screen is None:
            return View(f"{self._boot}-0")
        shown, point = screen.board.shown(now), self.access_point(device)
        screen.board.hangs_by(self._notices.get(point.id, {}) if point is not None else {})
        return View(
            f"{self._boot}-{screen.board.revision}",
            screen=device,
            point=point,
            keypad=screen.config.keypad,
            voice=screen.config.voice,
            language=screen.config.language or self.context.site.language,
            shown=shown,
            notices=screen.board.notices,
            left=shown.until - now if shown is not None else 0.0,
        )

    async def follow(self, digest: bytes) -> AsyncIterator[View | None]:
        """What this tablet shows, then every change of it; None is a sign of life. Ends when it is a screen no more, and
        while it waits to be paired as soon as it follows anew: a stranger has one stream."""
        last: View | None = None
        newest = self._newest[digest] = object()
        self._streams[digest] += 1
        self._tell()
        try:
            while True:
                change = self._change
                view = self.view(digest)
                if view is None or (view.code and self._newest.get(digest) is not newest):
                    return
                yield view if view != last else None
                last = view
                await _wait(change, min(BEAT, view.left) if view.shown is not None else BEAT)
        finally:
            self._streams[digest] -= 1
            self._streams += Counter()  # forgets what is zero
            if self._newest.get(digest) is newest:
                del self._newest[digest]
            self._tell()

    def type(self, digest: bytes, digits: str) -> None:
        """A number was typed on this tablet: from here on it is a keypad's, with a keypad's limits. Raises
        `ScreenError`."""
        device = self.screen_of(digest)
        screen = self._screens.get(device) if device is not None else None
        if screen is None or not screen.config.keypad:
            raise ScreenError("screen.no_keypad", HTTPStatus.FORBIDDEN)
        if not screen.board.may_type(self.context.clock.monotonic()):
            raise ScreenError("screen.typed_too_often", HTTPStatus.TOO_MANY_REQUESTS)
        screen.reports.digits(READER, digits)

    # ----------------------------------------------------------------------------------------------------------- inside

    def _at(self, access_point: str) -> list[_Screen]:
        point = self.context.site.access_points.get(access_point)
        readers = point.readers if point is not None else ()
        return [screen for device, screen in self._screens.items() if (device, READER) in readers]

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


async def _wait(change: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await change.wait()


def digest_of(token: str) -> bytes:
    """What is kept of a tablet's token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


__all__ = ["BEAT", "READER", "Line", "ScreenError", "Screens", "View"]
