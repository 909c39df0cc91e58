"""How many decisions a second, and how they slow down with people and doors.

    python bench/decide.py [--rounds 5] [--credentials 1000 100000] [--doors 1 500] [--json]

A decision is steps 1 to 3 of the line as the door asks them (`menwei.decide`): the keyed hash of the card, the credential
found by it, its security level, state, validity, profiles and compiled schedules; every failed check is kept. 2,000
requests, a third of them of cards that nobody registered or that have ended. Sizes are measured in turn within a round.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import benchsite

from menwei.decide import decide, resolve
from menwei.keys import Keys
from menwei.model import (
    FOREVER,
    AccessPoint,
    AccessProfile,
    AccessRule,
    Credential,
    CredentialIdentifier,
    CredentialState,
    DoorMode,
    IdentifierType,
    LevelInForce,
    Outcome,
    SecurityLevel,
)
from menwei.schedules import Schedules, ScheduleSpec
from menwei.snapshot import Delta, Snapshot

CARD = IdentifierType.CARD
LEVELS = (LevelInForce(SecurityLevel("Card", (frozenset({CARD}),))),)
DAY = date(2026, 5, 4)
NOON = datetime(2026, 5, 4, 4, 0, tzinfo=UTC).timestamp()
"""12:00 in Shanghai."""
REQUESTS = 2_000
STRANGERS, ENDED = 6, 7
"""Every sixth request is a stranger's card; every seventh credential has ended."""


@dataclass(frozen=True, slots=True)
class House:
    """Rights for so many credentials and doors, and the requests that are decided."""

    view: Snapshot
    times: Schedules
    keys: Keys
    requests: tuple[tuple[CredentialIdentifier, AccessPoint], ...]

    def decide_all(self) -> list[bool]:
        answers = []
        for identifier, point in self.requests:
            presented = resolve(self.view, self.keys, (identifier,))
            verdict = decide(self.view, self.times, presented, point, DoorMode.LOCKED, NOON)
            answers.append(verdict.outcome is Outcome.GRANTED)
        return answers


def uid(number: int) -> CredentialIdentifier:
    return CredentialIdentifier(CARD, "uid", benchsite.card(number))


def make(credentials: int, doors: int) -> House:
    """Twenty profiles; profile n opens every door but each twentieth, half of them in the daytime only."""
    keys = Keys(bytes(range(32)))
    points = [AccessPoint(f"door-{number}-in", f"door-{number}", "in", LEVELS) for number in range(doors)]
    profiles = {}
    for number in range(20):
        where = frozenset(point.id for at, point in enumerate(points) if doors == 1 or at % 20 != number)
        profiles[f"p{number}"] = AccessProfile(
            f"p{number}", (AccessRule(where, "day" if number % 2 else "always"),)
        )
    view = Snapshot()
    carried = [view.carried((name,)) for name in profiles]
    people = {
        number: Credential(
            number, number, CredentialState.ENABLED if number % ENDED else CredentialState.ENDED, 0.0, FOREVER,
            carried[number % 20], frozenset({CARD}),
        )
        for number in range(1, credentials + 1)
    }  # fmt: skip
    view.apply(Delta(1, people, {keys.digest(uid(number)): number for number in people}, profiles))
    dice = random.Random(7)
    shown = [
        dice.randint(1, credentials) + (credentials if at % STRANGERS == 0 else 0) for at in range(REQUESTS)
    ]
    requests = tuple((uid(number), dice.choice(points)) for number in shown)
    times = Schedules.compile(
        {"day": ScheduleSpec(weekly=("Mon-Sun 06:00-22:00",))}, ZoneInfo("Asia/Shanghai"), DAY
    )
    return House(view, times, keys, requests)


def per_second(work: Callable[[], Any]) -> float:
    """Decisions a second of processor time: what else runs on the machine does not count."""
    began = time.process_time()
    work()
    return REQUESTS / (time.process_time() - began)


def run(credentials: list[int], doors: list[int], rounds: int) -> dict[str, Any]:
    few, many = min(credentials), max(credentials)
    one, all_doors = min(doors), max(doors)
    houses = {(people, places): make(people, places) for people in {few, many} for places in {one, all_doors}}
    granted = {
        size: sum(house.decide_all()) for size, house in houses.items()
    }  # warm, and proof that it decides
    if not all(0 < count < REQUESTS for count in granted.values()):
        raise RuntimeError(f"these requests are no mixture: {granted}")
    rates: dict[tuple[int, int], list[float]] = {size: [] for size in houses}
    for _ in range(rounds):
        for size, house in houses.items():
            rates[size].append(per_second(house.decide_all))

    def growth(small: tuple[int, int], large: tuple[int, int]) -> float:
        return statistics.median(a / b for a, b in zip(rates[small], rates[large], strict=True))

    report: dict[str, Any] = {"load": benchsite.load()}
    for (people, places), found in sorted(rates.items()):
        report[f"decisions/CPU s, {people} credentials, {places} doors"] = round(statistics.median(found))
    report[f"growth, {few} → {many} credentials"] = round(growth((few, all_doors), (many, all_doors)), 3)
    report[f"growth, {one} → {all_doors} doors"] = round(growth((many, one), (many, all_doors)), 3)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--credentials", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--doors", type=int, nargs="+", default=[1, 500])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = run(options.credentials, options.doors, options.rounds)
    print(json.dumps(report, indent=1) if options.json else benchsite.table(report))


if __name__ == "__main__":
    main()
