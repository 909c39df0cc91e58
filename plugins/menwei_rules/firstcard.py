"""First card: a door stays shut for everybody until somebody in charge has come in that day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from menwei import PASS, Answer, Config, Context, Passage, Policy, Refuse
from menwei_rules.book import RuleBook


class Options(Config):
    """`group`: doors that name the same one are opened together; by default each door by itself."""

    profiles: Annotated[frozenset[str], Field(min_length=1)]
    group: str = ""


class FirstCard(Policy):
    """Refuses everybody until a credential with one of `profiles` went through; then everybody with a right passes until
    the end of the local day. After a restart that still holds: it stands in the journal. If it fails, or before the
    journal was read, the passage is denied."""

    name = "first-card"

    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._book = context.service(RuleBook)

    async def check(self, passage: Passage) -> Answer:
        if not self.config.profiles.isdisjoint(passage.credential.profiles):
            return PASS
        await self._book.loaded.wait()
        if self._book.is_open(self._group(passage), passage.at):
            return PASS
        return Refuse("rules.first_card", detail="nobody in charge has come in today")

    async def taken(self, passage: Passage) -> None:
        if self.config.profiles.isdisjoint(passage.credential.profiles):
            return
        until = self._midnight(passage.at)
        group = self._group(passage)
        if not self._book.is_open(group, passage.at):
            self._book.open(group, until)
            self.context.facts.publish("FirstCard", door=passage.door, data={"group": group, "until": until})

    def _group(self, passage: Passage) -> str:
        return self.config.group or f"door:{passage.door}"

    def _midnight(self, at: float) -> float:
        zone = self.context.site.zone
        tomorrow = datetime.fromtimestamp(at, zone).date() + timedelta(days=1)
        return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp()
