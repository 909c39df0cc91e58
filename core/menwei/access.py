"""How a door opens: the whole way of one request, on one page. A security reviewer starts here.

`request` is for people who present something, `command` for people who act on a door. What happens at the door
afterwards (taken, not taken, forced, held open) is in `doors.py`; the pure rules are in `decide.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from menwei.context import Clock
from menwei.decide import NOBODY, Hashes, Presented, Times, View, decide, resolve
from menwei.doors import DoorRuntime, refusal_to
from menwei.journal import Entry, Journal
from menwei.model import (
    AccessPoint,
    Actor,
    Check,
    DoorMode,
    Feedback,
    FeedbackKind,
    IdentifierType,
    Outcome,
    Reason,
    Request,
    Verdict,
)  # fmt: skip
from menwei.panel import Panel
from menwei.pending import CODE_SUSPENSION, CODE_TRIES, CODE_WINDOW, CodeTries, Pendings, PinTries, Repeats
from menwei.permissions import CommandResult
from menwei.plugin import Passage

log = structlog.get_logger(__name__)

READ_LIFETIME = {IdentifierType.FACE: 1.5}
READ_LIFETIME_ELSE = 5.0
"""Seconds after which a read is too old to act on: whoever showed it may have walked away."""
RECORD_PATIENCE = 0.5
"""Seconds a grant waits to be durable. A failing disk must not lock a village out, see `journal_required`."""

NOT_DURABLE = Check(Reason.OTHER, "door.try_again", detail="the journal is required and not durable")
WELCOME = Feedback(FeedbackKind.GRANTED, "door.granted")
NO_ANSWER = Feedback(FeedbackKind.DENIED, "door.try_again")


@dataclass(slots=True)
class Line:
    """The decision line of one site. All of it runs in the event loop; nothing in it queries a database."""

    points: Mapping[str, AccessPoint]
    doors: Mapping[str, DoorRuntime]
    view: View
    times: Times
    hashes: Hashes
    panel: Panel
    journal: Journal
    clock: Clock
    pendings: Pendings
    tries: PinTries
    repeats: Repeats
    show: Callable[[str, Feedback], None]
    """Feedback to the readers of an access point; never waited for."""
    expect: Callable[[str, Verdict], None] = lambda _point, _verdict: None
    """Tells the recognizers of an access point whom a first factor announced (PENDING), and when that has ended."""
    journal_required: bool = False
    codes: CodeTries = field(default_factory=CodeTries)

    async def request(self, request: Request) -> Verdict:
        """One person asks to pass. Called by the access point's queue, one request after the other."""
        point = self.points[request.access_point]
        door = self.doors[point.door]
        if self.repeats.is_repeat(request):
            return Verdict(Outcome.PENDING)
        async with door.lock:
            # 1 resolve: which credential, whose? Together with a first factor shown a moment ago.
            before = self.pendings.take(point.id, request)
            presented = resolve(self.view, self.hashes, request.identifiers, before)
            # 2 authenticate: wrong PINs and unknown codes are counted here, the level is judged in `decide`.
            presented = self.tries.count(presented, request.at)
            presented, suspends = self.codes.count(request, before, presented)
            if suspends:
                self.journal.post(self._suspension(point, request.at))
            # 3 rules: enabled, validity, profile, schedule, the door's mode.
            verdict = decide(self.view, self.times, presented, point, door.mode, request.at)
            verdict = deny(verdict, *self._too_late(request))
            if verdict.outcome is Outcome.PENDING:
                self._wait_for_more(point, presented, verdict)
                return verdict
            if before.credential is not None:
                self.expect(point.id, verdict)
            # 4 policies: they can refuse, never grant.
            passage = self._passage(point, verdict, request.at)
            if passage is not None and (policies := point.policies + door.facts.policies):
                verdict = deny(verdict, *await self.panel.ask(policies, passage))
            # 5 record: a refusal without waiting, a grant before the door is told.
            if verdict.outcome is Outcome.DENIED or passage is None:
                return self._refuse(point, verdict, request)
            position = await self.journal.record(self._entry(point, verdict, request), RECORD_PATIENCE)
            if position is None and self.journal_required:
                return self._refuse(point, deny(verdict, NOT_DURABLE), request)
            # 6 door: release it, and show the person.
            opened = await door.grant(verdict, position, passage)
            self.show(point.id, WELCOME if opened else NO_ANSWER)
            # 7 publish: the journal has woken its readers; nobody waits for them.
            return verdict

    async def command(self, door_id: str, mode: DoorMode, actor: Actor, reason: str) -> CommandResult:
        """A person, a plugin or the fire input acts on a door: role → record → door. Never asks a policy, so that a
        broken plugin cannot keep the guard from opening. Raises `KeyError` for an unknown door."""
        door = self.doors[door_id]
        async with door.lock:
            refused = refusal_to(door.mode, mode, actor, reason)
            entry = Entry(
                kind="DoorCommand", at=self.clock.now(), door=door_id,
                data={"mode": mode, "role": actor.role, "by": actor.kind, "refused": refused or ""},
                personal={"actor": actor.name, "reason": reason},
            )  # fmt: skip
            position = await self.journal.record(entry, RECORD_PATIENCE)
            if refused:
                return CommandResult(False, refused, position)
            if position is None and self.journal_required and actor.kind != "input":
                return CommandResult(False, "door.try_again")
            done = await door.command(mode, position)
            return CommandResult(done, "command.done" if done else "command.no_answer", position)

    async def explain(self, request: Request, presented: Presented) -> Verdict:
        """What `request` would have decided for somebody already resolved; records nothing, opens nothing."""
        point = self.points[request.access_point]
        door = self.doors[point.door]
        verdict = decide(self.view, self.times, presented, point, door.mode, request.at)
        passage = self._passage(point, verdict, request.at)
        if passage is not None:
            asked = replace(passage, dry_run=True)
            verdict = deny(verdict, *await self.panel.ask(point.policies + door.facts.policies, asked))
        return verdict

    def failed(self, request: Request, error: Exception) -> None:
        """The line itself failed: nobody passed, and it is told like any denial, with the fault's name."""
        log.error("the decision line failed", access_point=request.access_point, exc_info=error)
        check = Check(Reason.OTHER, "door.try_again", detail=f"internal fault: {type(error).__name__}")
        verdict = Verdict(Outcome.DENIED, checks=(check,))
        point = self.points.get(request.access_point)
        if point is None:  # taken off the config meanwhile: there is nobody to tell
            return
        self.show(request.access_point, Feedback(FeedbackKind.DENIED, check.says))
        self.journal.post(self._entry(point, verdict, None))  # what the request says may be the very fault

    def _refuse(self, point: AccessPoint, verdict: Verdict, request: Request) -> Verdict:
        self.journal.post(self._entry(point, verdict, request))
        self.show(point.id, Feedback(FeedbackKind.DENIED, verdict.says))
        return verdict

    def _too_late(self, request: Request) -> tuple[Check, ...]:
        age = self.clock.monotonic() - request.received
        for identifier in request.identifiers:
            if age > READ_LIFETIME.get(identifier.type, READ_LIFETIME_ELSE):
                return (Check(Reason.OTHER, "door.too_late", detail=f"read {age:.1f} s ago"),)
        return ()

    def _wait_for_more(self, point: AccessPoint, presented: Presented, verdict: Verdict) -> None:
        """Not yet: the first factor stays at the access point until the next one, another card, or the deadline."""

        def deadline_passed() -> None:
            check = Check(
                Reason.OTHER, "door.timeout", detail="waiting for " + " and ".join(sorted(verdict.missing))
            )
            self.journal.post(self._entry(point, deny(verdict, check), None))
            self.expect(point.id, deny(verdict, check))
            self.show(point.id, Feedback(FeedbackKind.DENIED, check.says))

        self.pendings.put(point.id, presented, point.pin_timeout, deadline_passed)
        self.show(point.id, Feedback(FeedbackKind.WAITING, verdict.says, point.pin_timeout))
        self.expect(point.id, verdict)

    def _passage(self, point: AccessPoint, verdict: Verdict, at: float) -> Passage | None:
        """What policies are asked about: only a verdict that grants so far has one."""
        if verdict.outcome is not Outcome.GRANTED or verdict.credential is None:
            return None
        facts = point.id, point.door, point.area_from, point.area_to
        return Passage(*facts, verdict.credential, verdict.factors, at)

    def _suspension(self, point: AccessPoint, at: float) -> Entry:
        """Somebody tries codes here: none is accepted for a while."""
        facts = {"unknown": CODE_TRIES, "within": CODE_WINDOW, "seconds": CODE_SUSPENSION}
        return Entry("CodesSuspended", at, point.door, point.id, facts)

    def _entry(self, point: AccessPoint, verdict: Verdict, request: Request | None) -> Entry:
        """What is kept of a request: the failed checks in the open, who it was in the personal part."""
        data: dict[str, object] = {"factors": sorted(verdict.factors)}
        if verdict.outcome is Outcome.DENIED:
            data["says"] = verdict.says
            data["checks"] = [
                {"reason": c.reason, "says": c.says, "by": c.by, "detail": c.detail} for c in verdict.checks
            ]
        if verdict.duress:
            data["duress"] = True
        if request is not None and request.evidence:
            data["recognition"] = dict(request.evidence)
        who = verdict.credential
        personal = {"holder": who.holder, "credential": who.id} if who else None
        return Entry(
            str(verdict.outcome),
            request.at if request else self.clock.now(),
            point.door,
            point.id,
            data,
            personal,
        )


def deny(verdict: Verdict, *checks: Check) -> Verdict:
    """The verdict with these refusals added; unchanged when there are none. There is no function that grants."""
    if not checks:
        return verdict
    return replace(
        verdict, outcome=Outcome.DENIED, checks=verdict.checks + checks, missing=frozenset(), duress=False
    )


__all__ = ["NOBODY", "Line", "deny"]
