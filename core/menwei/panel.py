"""The panel of policies: asked together about one passage; whatever is not `PASS` is a denial that names the policy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog

from menwei.announcement import clean
from menwei.model import Check, Reason
from menwei.patience import Ended, NotAwaitable, all_within
from menwei.plugin import PASS, Passage, Policy, Refuse

log = structlog.get_logger(__name__)

BUDGET = 0.2
"""Seconds for all policies of a passage together: a person at a door notices more."""
TRIP_AFTER = 3
"""Time-outs in a row after which a policy is not waited for any more."""

LONGEST = 500
"""Characters of a refusal's detail that are kept."""

_SAYS_BROKEN = "door.policy_failed"


class Panel:
    """Holds the configured policies by name. `missing` are those that the config names and no plugin provides."""

    def __init__(
        self, policies: Mapping[str, Policy], missing: Mapping[str, str] | None = None, budget: float = BUDGET
    ) -> None:
        self._policies = dict(policies)
        self._missing = dict(missing or {})
        self._budget = budget
        self._timeouts: dict[str, int] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}

    async def ask(self, names: tuple[str, ...], passage: Passage) -> tuple[Check, ...]:
        """The refusals among the answers of `names`, in that order; empty when every one of them said `PASS`."""
        if not names:
            return ()
        asked = [name for name in names if name in self._policies and not self.tripped(name)]
        calls = [lambda policy=self._policies[name]: policy.check(passage) for name in asked]
        answers = dict(zip(asked, await all_within(self._budget, calls), strict=True))
        # Whoever asks for an explanation neither makes a policy distrusted nor trusted again.
        if not passage.dry_run:
            for name, ended in answers.items():
                self._count(name, ended)
        checks = []
        for name in names:
            check = self._judge(name, answers[name]) if name in answers else self._unasked(name, passage)
            if check is not None:
                checks.append(check)
        return tuple(checks)

    @property
    def policies(self) -> tuple[Policy, ...]:
        return tuple(self._policies.values())

    def tripped(self, name: str) -> bool:
        return self._timeouts.get(name, 0) >= TRIP_AFTER

    def troubles(self) -> dict[str, str]:
        """Policies that deny for a reason of their own brokenness: name → why, for `menwei plugins` and `doctor`."""
        return self._missing | {name: "no answer in time" for name in self._policies if self.tripped(name)}

    async def taken(self, names: tuple[str, ...], passage: Passage) -> None:
        """Tell the policies that the person went through."""
        told = [name for name in names if name in self._policies]
        calls = [lambda policy=self._policies[name]: policy.taken(passage) for name in told]
        for name, ended in zip(told, await all_within(self._budget, calls), strict=True):
            if ended.error is not None or ended.late:
                log.error("policy.taken failed", policy=name, error=_describe(ended), exc_info=ended.error)

    def _count(self, name: str, ended: Ended) -> None:
        if ended.late:
            self._timeouts[name] = self._timeouts.get(name, 0) + 1
        else:
            self._timeouts.pop(name, None)

    def _judge(self, name: str, ended: Ended) -> Check | None:
        if ended.error is None and not ended.late:
            if ended.value is PASS:
                return None
            if (refusal := _refusal(ended.value)) is not None:
                return replace(refusal, by=name)
        detail = _describe(ended)
        log.error(
            "policy did not answer as it must; the passage is denied",
            policy=name,
            error=detail,
            exc_info=ended.error,
        )
        return Check(Reason.OTHER, _SAYS_BROKEN, by=name, detail=detail)

    def _unasked(self, name: str, passage: Passage) -> Check:
        if name in self._policies:
            self._probe(name, passage)
            return Check(
                Reason.OTHER,
                _SAYS_BROKEN,
                by=name,
                detail=f"no answer {TRIP_AFTER} times in a row; denied until it answers",
            )
        return Check(
            Reason.OTHER,
            _SAYS_BROKEN,
            by=name,
            detail=self._missing.get(name, "no plugin provides this policy"),
        )

    def _probe(self, name: str, passage: Passage) -> None:
        """See, beside the line, whether a tripped policy answers again."""
        if name in self._probes:
            return
        self._probes[name] = task = asyncio.create_task(self._try_again(name, replace(passage, dry_run=True)))
        task.add_done_callback(lambda _: self._probes.pop(name, None))

    async def _try_again(self, name: str, passage: Passage) -> None:
        (ended,) = await all_within(self._budget, [lambda: self._policies[name].check(passage)])
        if not ended.late:
            self._timeouts.pop(name, None)
            log.info("policy answers again", policy=name)


def _refusal(answer: object) -> Check | None:
    """The check that a `Refuse` stands for, fit to be kept and shown; None for anything else, and for one whose parts are
    not what they must be."""
    if not isinstance(answer, Refuse) or not isinstance(answer.reason, Reason):
        return None
    if not isinstance(answer.says, str) or not isinstance(answer.detail, str):
        return None
    return Check(answer.reason, clean(answer.says, LONGEST), detail=clean(answer.detail, LONGEST))


def _describe(ended: Ended) -> str:
    """For the journal, which keeps it for ever: by type, because what a plugin says may name somebody."""
    if ended.error is not None:
        kind = type(ended.error).__name__
        return f"{kind}: {ended.error}" if isinstance(ended.error, NotAwaitable) else kind
    if ended.late:
        return f"no answer in time ({ended.seconds * 1000:.0f} ms)"
    if isinstance(ended.value, Refuse):
        return "answered with a Refuse whose reason is no Reason, or whose says or detail is no text"
    return f"answered with {type(ended.value).__name__}, which is neither PASS nor Refuse"
