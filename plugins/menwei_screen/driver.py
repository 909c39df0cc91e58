"""The driver `screen`: one device is one door screen. Its tablet calls us, so there is nothing to connect to.

The screen's place is ready as soon as the program is; whether its tablet is there is told as a fault of the part
`screen`. A driver that was "not ready" while no tablet looks would be retried with growing pauses, and a tablet switched
on again would stay dark for a minute.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NoReturn

from menwei import (
    Config,
    Context,
    DeviceInfo,
    DoorMode,
    Driver,
    Feedback,
    IdentifierType,
    Repair,
    Reports,
)
from menwei_screen.service import READER, Screens

AWAY = 30.0
"""Seconds without its tablet after which a paired screen is told to be away: a tablet that starts anew takes less."""
LOOK = 5.0
"""Seconds between two looks whether the tablet is there."""


class ScreenConfig(Config):
    """`{driver: screen, keypad: true, language: zh-CN, voice: true}`; all but `driver` optional.

    `keypad` switches typed numbers on at this access point. `language` is what the screen begins with and returns to,
    the site's where it is not said. `voice` false leaves the screen silent.
    """

    keypad: bool = False
    language: Literal["zh-CN", "en"] | None = None
    voice: bool = True


class NoLock(LookupError):
    """Somebody named a screen where a lock is meant: a mistake in the config."""


class Screen(Driver):
    """A door screen. Shows the feedback of its access point; reports numbers typed on it where `keypad` is on."""

    name: ClassVar[str] = "screen"
    Config: ClassVar[type[Config]] = ScreenConfig
    decides: ClassVar[frozenset[str]] = frozenset({"host"})
    identifiers: ClassVar[frozenset[IdentifierType]] = frozenset({IdentifierType.PIN})
    locks: ClassVar[bool] = False

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        super().__init__(context, config, reports)
        self._screens = context.service(Screens)
        self._away = False

    @classmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        """Nothing is looked for: a screen is there when its tablet was paired."""
        return INFO

    async def run(self) -> None:
        """Serves until cancelled; tells when the paired tablet has been away for long, and when it is back."""
        clock, device, screens = self.context.clock, self.context.device, self._screens
        with screens.attached(device, self.config, self.reports):
            self.reports.ready(INFO)
            seen = clock.monotonic()
            while True:
                now = clock.monotonic()
                if screens.is_connected(device) or not screens.is_paired(device):
                    seen = now
                if (away := now - seen > AWAY) != self._away:
                    self._away = away
                    self.reports.fault(READER, away)
                await screens.changed(LOOK)

    async def feedback(self, reader: str, feedback: Feedback) -> None:
        self._screens.feedback(self.context.device, feedback)

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        _no_lock(lock)

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        _no_lock(lock)

    def repairs(self) -> list[Repair]:
        device, values = self.context.device, {"screen": self.context.device}
        if self._screens.access_point(device) is None:
            return [Repair(f"screen:nowhere:{device}", "screen.repair.nowhere", values)]
        if not self._screens.is_paired(device):
            return [Repair(f"screen:unpaired:{device}", "screen.repair.unpaired", values, "info")]
        return [Repair(f"screen:away:{device}", "screen.repair.away", values)] if self._away else []


INFO = DeviceInfo(id="screen", model="Menwei door screen", readers=(READER,), cardless=(READER,))


def _no_lock(lock: str) -> NoReturn:
    raise NoLock(f"{lock!r}: a door screen has no lock; name a lock of a controller as the door's `lock`")
