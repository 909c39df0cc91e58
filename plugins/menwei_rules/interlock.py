"""Interlock: of these doors only one is open at a time, as in a lobby with two doors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from menwei import PASS, Answer, Config, Context, DoorMode, DoorState, Passage, Policy, Refuse

BETWEEN = 1.0
"""Seconds from an answer of this policy until the door shows as released: the other policies, then the record."""
_RELEASED = frozenset({DoorMode.ACCESSED, DoorMode.UNLOCKED, DoorMode.LOCKED_OPEN})


class Options(Config):
    """`unknown_is_closed`: for doors without a contact, or whose controller is away."""

    doors: Annotated[frozenset[str], Field(min_length=2)]
    unknown_is_closed: bool = False


class Interlock(Policy):
    """Asked at each of its `doors`: refuses while another of them is open, released, or does not tell that it is closed.
    Leaving by an exit button is hardware's and is not asked. If it fails the passage is denied."""

    name = "interlock"

    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._promised: tuple[str, float] | None = None

    async def check(self, passage: Passage) -> Answer:
        for door in sorted(self.config.doors - {passage.door}):
            if self._may_be_open(door, passage.at):
                return Refuse("rules.interlocked", detail=f"door {door} is not closed")
        if not passage.dry_run:
            self._promised = (passage.door, passage.at)
        return PASS

    def _may_be_open(self, door: str, at: float) -> bool:
        if self._promised is not None and self._promised[0] == door and 0 <= at - self._promised[1] < BETWEEN:
            return True
        view = self.context.site.door(door)
        if view.state in (DoorState.OPEN, DoorState.FAULT) or view.mode in _RELEASED:
            return True
        return view.state is DoorState.UNKNOWN and not self.config.unknown_is_closed
