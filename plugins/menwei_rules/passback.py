"""Anti-passback: who is in an area does not come in again (with a card handed back over the fence)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from menwei import PASS, Answer, Config, Context, Passage, Policy, Reason, Refuse, Seconds
from menwei_rules.book import RuleBook, as_remembered


class Mode(StrEnum):
    """What happens to who is inside already."""

    HARD = "hard"
    """Refused until they have left, or `forget` has passed."""
    SOFT = "soft"
    """Let in, and told."""
    TIMED = "timed"
    """Refused for `period` after the last entry: for areas without readers on the way out."""


class Options(Config):
    """`areas` as the access points' `from` and `to` name them. `forget`: after so long nobody is held to be inside."""

    areas: Annotated[frozenset[str], Field(min_length=1)]
    mode: Mode = Mode.HARD
    period: Seconds = 300.0
    forget: Seconds = 12 * 3600.0


class Passback(Policy):
    """Asked at the ways into and out of `areas`. A second entry is refused (hard, timed) or told (soft). Leaving is
    never refused: who leaves without having come in is told. If it fails the passage is denied, as with every policy.

    `menwei explain` is told that the rule refuses, and nothing of where the person is or since when: who may ask that
    need not be somebody who may read passages."""

    name = "passback"

    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._areas = context.service(RuleBook).areas
        self._remembered = config.period if config.mode is Mode.TIMED else config.forget

    async def check(self, asked: Passage) -> Answer:
        passage = as_remembered(asked, self.context.clock.now())
        if passage is None:
            return PASS
        holder, area, at = passage.credential.holder, passage.area_to, passage.at
        if passage.area_from in self.config.areas and not self._inside(passage, passage.area_from):
            self._tell(passage, passage.area_from, "left without coming in")
        if area not in self.config.areas or area == passage.area_from:
            return PASS
        twice = self._areas.comes_in_elsewhere(holder, area, passage.access_point, at)
        if twice or self._inside(passage, area):
            self._tell(passage, area, "came in twice")
            if self.config.mode is not Mode.SOFT:
                if passage.dry_run:
                    return Refuse("rules.passback_refuses", Reason.ANTIPASSBACK_VIOLATED)
                says = "rules.too_soon" if self.config.mode is Mode.TIMED else "rules.inside_already"
                return Refuse(says, Reason.ANTIPASSBACK_VIOLATED, detail=f"area {area}")
        if not passage.dry_run:
            self._areas.comes_in(holder, area, passage.access_point, at)
        return PASS

    async def taken(self, passage: Passage) -> None:
        self._areas.prune(passage.at, max(self._remembered, self.config.forget))
        left = passage.area_from if passage.area_from in self.config.areas else ""
        entered = passage.area_to if passage.area_to in self.config.areas else ""
        if left != entered:
            self._areas.went(passage.credential.holder, left, entered, passage.at)

    def _inside(self, passage: Passage, area: str) -> bool:
        since = self._areas.in_since(passage.credential.holder, area, passage.at, self._remembered)
        return since is not None

    def _tell(self, passage: Passage, area: str, what: str) -> None:
        if passage.dry_run:
            return
        self.context.facts.publish(
            "PassbackViolated", door=passage.door, access_point=passage.access_point,
            data={"area": area, "mode": str(self.config.mode), "what": what},
            personal={"holder": passage.credential.holder, "credential": passage.credential.id},
        )  # fmt: skip
