"""What an installer could mend about a board, collected while it is served."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from menwei import Repair
from menwei_uhppote.settings import BoardConfig

if TYPE_CHECKING:
    import structlog.typing

BATTERY: Final = 60.0
"""Seconds: a board that is wrong by more did not drift, its battery is empty."""


class Troubles:
    """One board's; each is shown once, under its key."""

    def __init__(self, config: BoardConfig, log: structlog.typing.FilteringBoundLogger) -> None:
        self._board = str(config.serial)
        self._open_network = not ipaddress.ip_address(config.host).is_loopback
        self._log = log
        self._found: dict[str, Repair] = {}

    def repairs(self) -> list[Repair]:
        found = list(self._found.values())
        if self._open_network:
            found.append(self._repair("no_authentication", "warning"))
        return found

    def cards_on_board(self, count: int) -> None:
        """The board admits these by itself, whatever is decided here."""
        if count:
            self._note("cards_on_board", "error", count=str(count))
        else:
            self._found.pop("cards_on_board", None)

    def opened_by_itself(self, door: int) -> None:
        self._note("opened_by_itself", "error", door=str(door))

    def overwritten(self, count: int) -> None:
        if count > 0:
            self._note("overwritten", "warning", count=str(count))

    def unkept(self, why: str) -> None:
        """Our place in the log is not on the disk; after a restart, events would be told again as old."""
        if why:
            self._note("unkept", "error", detail=why)
        else:
            self._found.pop("unkept", None)

    def clock(self, behind: float) -> None:
        self._log.warning("the board's clock is set", board=self._board, behind=round(behind, 1))
        if abs(behind) > BATTERY:
            self._note("clock", "warning", seconds=str(round(abs(behind))))

    def listener_taken(self, by: tuple[str, int]) -> None:
        self._note("listener_taken", "warning", address=f"{by[0]}:{by[1]}")

    def _note(self, what: str, severity: str, **values: str) -> None:
        if what not in self._found:
            self._log.warning("the board needs attention", board=self._board, trouble=what)
        self._found[what] = self._repair(what, severity, **values)

    def _repair(self, what: str, severity: str, **values: str) -> Repair:
        shown = {"board": self._board, **values}
        return Repair(f"uhppote:{what}:{self._board}", f"uhppote.repair.{what}", shown, severity)
