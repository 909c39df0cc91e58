"""What happens to faces by itself: halves are joined after a crash, faces follow the person's other credentials, and
what is to be destroyed is destroyed until it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from menwei import (
    Actor,
    Change,
    Credential,
    CredentialState,
    Repair,
    RightsError,
    SetProfiles,
    SetState,
    SetValidity,
)
from menwei_face import book, consent
from menwei_face.subject import identifier
from menwei_face.trouble import VaultTrouble
from menwei_face.words import Ended, Enrolled, FaceError, Recorder

if TYPE_CHECKING:
    from menwei_face.enrolment import Enrolment

UPKEEP = Recorder(Actor("face", "plugin", "plugin"))
GRACE = 900.0
"""Seconds for which the templates of somebody without any right are kept: a check-out can be undone for ten minutes.
Their face opens nothing meanwhile."""
KEPT_EXPIRED = 30 * 86_400.0
"""Seconds for which templates wait for a renewal after everything else of a person has run out."""
TOGETHER = 0.3
"""Seconds that changes of rights are collected for before faces follow them: an import is many."""
ROUND, SOON = 60.0, 5.0
"""Seconds between looks at what is to be done, when nothing happens; and when something could not be done."""
SLICE = 200
"""Faces looked at before the doors get the event loop again."""
FILING_LIMIT = 100_000
"""Faces kept in one place from which on the office must be told (Measures on facial recognition, Art. 15)."""


class Tending:
    """The upkeep of one `Enrolment`."""

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment
        self._context = enrolment.context
        self.changed = asyncio.Event()
        """There may be something to do."""
        self._only_face = 0
        self._enrolled = 0
        self._troubles: set[str] = set()
        """What could not be done since the last round began."""
        self._told: set[str] = set()
        """What stands in the log already, as long as it goes on."""

    async def run(self) -> None:
        """Until cancelled: after every change of rights, and once a minute."""
        stop = self._context.subjects.on_change(self.changed.set)
        try:
            repaired, idle = False, True
            while True:
                self.changed.clear()
                repaired = repaired or await self._repaired()
                await self.tidy()
                if idle:
                    await self.forget_removed()
                idle = not await self._woken(ROUND if repaired and not self._troubles else SOON)
                await asyncio.sleep(0 if idle else TOGETHER)
        finally:
            stop()

    async def _repaired(self) -> bool:
        try:
            await self.repair()
        except (VaultTrouble, FaceError):  # the vault's own service says so, in the log and as a repair
            return False
        return True

    async def _woken(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def tell(self, trouble: str) -> None:
        """Once in the log, and as a repair until a round goes by without it."""
        if trouble not in self._told:
            self._context.log.error("faces cannot be looked after now; it is tried again", error=trouble)
        self._troubles.add(trouble)
        self._told.add(trouble)

    async def repair(self) -> None:
        """Join the halves that a crash, or a backup, may have left: templates that no living credential means are
        destroyed, credentials whose templates are gone are ended. Raises `VaultTrouble`, having touched nothing."""
        async with self._enrolment.turn:
            kept = await self._enrolment.faces.known()
            async with self._enrolment.read() as reading:
                people = [one for one, *_ in await book.all_enrolled(reading)]
                due = {subject for _, subject in await book.waiting(reading)}
            meant = {one.subject for one in people}
            for subject in sorted(kept - meant - due):
                held = self._context.rights.find(identifier(subject))
                if held is None or held.state is CredentialState.ENDED:
                    await self._enrolment.faces.withdraw(subject)
            for one in people:
                if one.subject not in kept:
                    made, subject_left = await self._enrolment.end(UPKEEP, one.holder, Ended.REPAIRED)
                    if subject_left is not None:
                        await self._enrolment.destroy(made.id, subject_left)

    async def tidy(self) -> None:
        """One round: what is waiting is destroyed, faces follow the other credentials."""
        async with self._enrolment.turn:
            async with self._enrolment.read() as reading:
                due = await book.waiting(reading)
                people = await book.all_enrolled(reading)
            self._troubles.clear()
            for id, subject in due:
                await self._enrolment.destroy(id, subject)
            only_face = 0
            for place, (one, paused, idle_since) in enumerate(people):
                if place % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
                try:
                    only_face += await self._follow(one, paused, idle_since)
                except RightsError as error:  # another plugin's rule: the face stays as it is, and it is told
                    self.tell(f"{type(error).__name__}: {error}")
            self._only_face, self._enrolled = only_face, len(people)
            self._told &= self._troubles

    async def forget_removed(self) -> int:
        """Delete what stands here of people who were removed; returns how many."""
        async with self._enrolment.turn:
            async with self._enrolment.read() as reading:
                written = await book.holders(reading)
            unseen = [holder for holder in written if not self._context.rights.of_holder(holder)]
            known = await self._context.people.read(unseen)
            gone = [holder for holder in unseen if holder not in known]
            if gone:
                now = self._context.clock.now()
                async with self._enrolment.transaction() as tx:
                    for holder in gone:  # nobody speaks for them any more
                        await book.end_consents(tx, holder, now)
                        await self._enrolment.release_guardians(tx, UPKEEP, holder)
                    await book.forget(tx, gone)
        return len(gone)

    async def _follow(self, one: Enrolled, paused: bool, idle_since: float | None) -> bool:
        """Bring one face in step with the person's other credentials; returns whether it is their only way in now."""
        now = self._context.clock.now()
        others = self._enrolment.others(one.holder, one.credential)
        own = self._context.rights.credential(one.credential)
        wanted = consent.follow(others)
        if wanted is not None and wanted.valid_to + KEPT_EXPIRED <= now:
            wanted = None
        if own is None or own.state is CredentialState.ENDED or wanted is None:
            await self._idle(one, own, idle_since, now)
            return False
        changes = _steps(own, wanted, paused)
        if changes or idle_since is not None:
            disabling = SetState(own.id, CredentialState.DISABLED) in changes
            still = paused and wanted.state is CredentialState.DISABLED
            async with self._enrolment.transaction() as tx:
                await self._context.rights.apply(tx, changes, by=UPKEEP.actor)
                await book.mark(tx, one.holder, idle_since=None, paused=disabling or still)
        return not any(consent.works(other, now) for other in others)

    async def _idle(
        self, one: Enrolled, own: Credential | None, idle_since: float | None, now: float
    ) -> None:
        """Nothing is left that the face could stand beside: it ends now, its templates when nobody can undo that."""
        if own is not None and (idle_since is None or now - idle_since < GRACE):
            async with self._enrolment.transaction() as tx:
                if own.state is not CredentialState.ENDED:
                    await self._context.rights.apply(
                        tx, [SetState(own.id, CredentialState.ENDED)], by=UPKEEP.actor
                    )
                if idle_since is None:
                    await book.mark(tx, one.holder, idle_since=now)
            return
        made, subject = await self._enrolment.end(UPKEEP, one.holder, Ended.NO_RIGHTS)
        if subject is not None:
            await self._enrolment.destroy(made.id, subject)

    def repairs(self) -> list[Repair]:
        """What a person must do about it."""
        found = []
        if self._told:
            values = {"detail": min(self._told)}
            found.append(Repair("face:withdrawals", "face.repair.withdrawals", values, "error"))
        if self._only_face:
            found.append(Repair("face:only", "face.repair.only_face", {"count": str(self._only_face)}))
        share = self._enrolled / FILING_LIMIT
        if share >= 0.8:
            values = {"count": str(self._enrolled), "limit": str(FILING_LIMIT)}
            found.append(
                Repair("face:filing", "face.repair.filing", values, "error" if share >= 0.95 else "warning")
            )
        return found


def _steps(own: Credential, wanted: consent.Follows, paused: bool) -> list[Change]:
    """The changes from what the face's credential is to what it shall be; none when it is that already. A desk that
    disabled the face itself is not overruled."""
    steps: list[Change] = []
    if (own.valid_from, own.valid_to) != (wanted.valid_from, wanted.valid_to):
        steps.append(SetValidity(own.id, wanted.valid_from, wanted.valid_to))
    if own.profiles != wanted.profiles:
        steps.append(SetProfiles(own.id, wanted.profiles))
    if wanted.state is CredentialState.DISABLED and own.state is CredentialState.ENABLED:
        steps.append(SetState(own.id, CredentialState.DISABLED))
    elif wanted.state is CredentialState.ENABLED and own.state is CredentialState.DISABLED and paused:
        steps.append(SetState(own.id, CredentialState.ENABLED))
    return steps
