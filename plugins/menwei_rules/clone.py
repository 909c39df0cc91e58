"""Clone alarm: the same card at two distant doors sooner than anybody can walk there.

Chips that are read by their serial number can be copied. The rule compares each passage with the same credential's
last one; it keeps that door and time, in memory, only for as long as the longest way takes.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import Field, model_validator

from menwei import PASS, Answer, Config, Context, Passage, Policy, Refuse
from menwei_rules.book import as_remembered

Metres = Annotated[float, Field(gt=0, le=100_000)]


class Options(Config):
    """`distances`: door → door → metres on foot, each pair once; pairs that are not named are next to each other.
    `speed`: metres a second that nobody walks faster (a bicycle: 7)."""

    distances: Annotated[dict[str, dict[str, Metres]], Field(min_length=1)]
    speed: Annotated[float, Field(gt=0, le=50)] = 7.0
    refuse: bool = False

    @model_validator(mode="after")
    def _each_pair_once(self) -> Any:
        for one, others in self.distances.items():
            for other in others:
                if one == other or one in self.distances.get(other, {}):
                    raise ValueError(f"the distance between {one} and {other} is given twice, or is one door")
        return self


class Clone(Policy):
    """Asked at doors that are far apart; tells `CloneSuspected` when a credential was at another one too short a time
    ago. It refuses only with `refuse: true`: a wrong distance in a config must not shut people out. If it fails the
    passage is denied, as with every policy. `menwei explain` is told that the rule refuses, and not where the card was."""

    name = "clone"

    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._metres = {
            frozenset((one, other)): metres
            for one, others in config.distances.items()
            for other, metres in others.items()
        }
        self._longest = max(self._metres.values(), default=0.0) / config.speed
        self._last: dict[int, tuple[str, float]] = {}

    async def check(self, asked: Passage) -> Answer:
        passage = as_remembered(asked, self.context.clock.now())
        if passage is None:
            return PASS
        before = self._last.get(passage.credential.id)
        if not passage.dry_run:
            self._remember(passage.credential.id, (passage.door, passage.at))
        if before is None:
            return PASS
        door, at = before
        metres = self._metres.get(frozenset((door, passage.door)), 0.0)
        seconds = passage.at - at
        if not 0 <= seconds < metres / self.config.speed:
            return PASS
        if passage.dry_run:
            return Refuse("rules.clone_refuses") if self.config.refuse else PASS
        self._tell(passage, door, metres, seconds)
        return Refuse("rules.clone", detail=f"at {door} {seconds:.0f} s ago") if self.config.refuse else PASS

    @property
    def remembered(self) -> int:
        """How many credentials' last door is in memory now."""
        return len(self._last)

    def _remember(self, credential: int, place: tuple[str, float]) -> None:
        self._last[credential] = place
        asyncio.get_running_loop().call_later(self._longest, self._forget, credential, place)

    def _forget(self, credential: int, place: tuple[str, float]) -> None:
        if self._last.get(credential) == place:  # not if they were somewhere else since
            del self._last[credential]

    def _tell(self, passage: Passage, door: str, metres: float, seconds: float) -> None:
        self.context.facts.publish(
            "CloneSuspected", door=passage.door, access_point=passage.access_point,
            data={"other_door": door, "metres": metres, "seconds": round(seconds, 1), "refused": self.config.refuse},
            personal={"holder": passage.credential.holder, "credential": passage.credential.id},
        )  # fmt: skip
