"""Two persons: a door that opens only when two different people show that they are there."""

from __future__ import annotations

from menwei import PASS, Answer, Config, Context, Passage, Policy, Refuse, Seconds


class Options(Config):
    """`within`: how long the first person's touch counts."""

    within: Seconds = 15.0


class TwoPersons(Policy):
    """The first person with a right is asked to wait for a second one, who lets both in. The same person twice, even
    with two cards, is one. If it fails the passage is denied."""

    name = "two-persons"

    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._first: dict[str, tuple[int, float]] = {}

    async def check(self, passage: Passage) -> Answer:
        holder, here = passage.credential.holder, passage.access_point
        first, since = self._first.get(here, (holder, passage.at))
        if first != holder and 0 <= passage.at - since <= self.config.within:
            if not passage.dry_run:
                del self._first[here]
            return PASS
        if not passage.dry_run:
            self._first[here] = (holder, passage.at)
        return Refuse("rules.second_person", detail="waiting for a second person")
