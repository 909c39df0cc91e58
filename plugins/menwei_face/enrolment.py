"""Enrolling and withdrawing faces: what API, commands and pages call, and what happens by itself.

A face is a credential of the rights beside the person's other ones; the templates are the vault's (`service.Faces`).
The vault is written last within the transaction that gives the credential, and emptied after the one that ends it: a
crash in between leaves templates that open nothing, and `tending.Tending.repair` destroys them at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from menwei import (
    Context,
    Credential,
    CredentialState,
    Reading,
    RemoveHolder,
    Repair,
    Service,
    SetState,
    Transaction,
)
from menwei_face import book, consent
from menwei_face.consent import Said
from menwei_face.examiner import Examiner, ExaminerTrouble
from menwei_face.options import FaceOptions
from menwei_face.photos import Choice, choose
from menwei_face.places import models_in
from menwei_face.service import Faces
from menwei_face.sessions import Sessions
from menwei_face.subject import identifier, new_subject
from menwei_face.template import Template
from menwei_face.tending import Tending
from menwei_face.trouble import VaultTrouble
from menwei_face.words import (
    Answer,
    Consent,
    Ended,
    Enrolled,
    FaceError,
    Recorder,
    Source,
    TooAlike,
    Withdrawal,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is to be known of one person's face. `other_way`: they can pass without it."""

    holder: int
    consent: Consent | None
    enrolled: Enrolled | None
    other_way: bool
    withdrawals: tuple[Withdrawal, ...]


class Enrolment(Service):
    """Faces of people. Made at start; without it nobody is enrolled or withdrawn, and cards do not notice."""

    name = "enrolment"
    Config = FaceOptions

    def __init__(self, context: Context, config: FaceOptions) -> None:
        super().__init__(context, config)
        self.turn = asyncio.Lock()
        """Held by whoever changes who is enrolled."""
        self.tending = Tending(self)
        self.sessions = Sessions(self)
        self._examiner: Examiner | None = None

    # ------------------------------------------------------------------------------------------------- what it builds on

    @property
    def allowed(self) -> bool:
        """Whether the config lets this plugin give credentials (`allow: [rights]`)."""
        return self.context.granted is not None and "rights" in self.context.granted

    @property
    def faces(self) -> Faces:
        """Raises `FaceError` 503 when the vault's service could not be made."""
        try:
            return self.context.service(Faces)
        except LookupError:
            raise FaceError("face.enrol.vault_away", HTTPStatus.SERVICE_UNAVAILABLE) from None

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self.context.tables.transaction()

    def read(self) -> AbstractAsyncContextManager[Reading]:
        return self.context.tables.read()

    def _require_allowed(self) -> None:
        if not self.allowed:
            raise FaceError("face.enrol.not_allowed", HTTPStatus.SERVICE_UNAVAILABLE)

    async def _existing(self, holder: int) -> None:
        person = (await self.context.people.read([holder])).get(holder)
        if person is None:
            raise FaceError("face.enrol.no_person", HTTPStatus.NOT_FOUND, "path.holder")
        if person.ended is not None:
            raise FaceError("rights.holder_ended")

    def others(self, holder: int, face: int | None) -> list[Credential]:
        return [one for one in self.context.rights.of_holder(holder) if one.id != face]

    # --------------------------------------------------------------------------------------------------------- answers

    async def holder_of(self, external_id: str) -> int:
        """Whose number in another list this is. Raises `FaceError` 404."""
        self._require_allowed()
        found = await self.context.people.by_external_id(external_id)
        if found is None:
            raise FaceError("face.enrol.no_person", HTTPStatus.NOT_FOUND, "query.external_id")
        return found

    async def standing(self, holder: int) -> Standing:
        """Raises `FaceError` 404 for nobody."""
        self._require_allowed()
        if not (await self.context.people.read([holder])):
            raise FaceError("face.enrol.no_person", HTTPStatus.NOT_FOUND, "path.holder")
        async with self.read() as reading:
            answer = await book.consent(reading, holder)
            enrolled = await book.enrolled(reading, holder)
            ended = await book.withdrawals_of(reading, holder)
        now, face = self.context.clock.now(), enrolled.credential if enrolled else None
        other = any(consent.works(one, now) for one in self.others(holder, face))
        return Standing(holder, answer, enrolled, other, tuple(ended))

    async def agree(self, by: Recorder, holder: int, said: Said) -> Consent:
        """Write down a consent. Raises `FaceError` with what is missing of it."""
        self._require_allowed()
        await self._existing(holder)
        async with self.transaction() as tx:
            return await self._agree(tx, by, holder, said)

    async def refuse(self, by: Recorder, holder: int) -> Consent:
        """Write down that somebody does not want their face used. Nothing else of theirs changes. Raises `FaceError`
        when they are enrolled: then they withdraw."""
        self._require_allowed()
        await self._existing(holder)
        async with self.transaction() as tx:
            if await book.enrolled(tx, holder) is not None:
                raise FaceError("face.withdraw.first")
            now = self.context.clock.now()
            await book.end_consents(tx, holder, now)
            asked = book.Asked(Answer.REFUSED, now, consent.TEXT_VERSION, self.context.site.language)
            made = await book.answer(tx, by, holder, asked, now)
            await self.release_guardians(tx, by, holder)
            return made

    async def _agree(self, tx: Transaction, by: Recorder, holder: int, said: Said) -> Consent:
        now = self.context.clock.now()
        year = datetime.fromtimestamp(now, self.context.site.zone).year
        minor = consent.check(said, year, now)
        consent.check_newer(said, await book.consent(tx, holder))
        guardian, entered = None, False
        if minor:
            assert said.guardian is not None
            guardian = said.guardian.holder
            if guardian == holder:
                raise FaceError("face.consent.own_guardian", where="body.guardian")
            if guardian is not None and guardian not in await self.context.people.read([guardian]):
                raise FaceError("face.consent.guardian_unknown", where="body.guardian")
            if guardian is None:
                guardian = await self.context.people.add(tx, said.guardian.name, by=by.actor)
                entered = True
        given = now if said.given is None else said.given
        asked = book.Asked(Answer.GIVEN, given, said.version, said.language, minor, guardian, entered)
        await book.end_consents(tx, holder, now)
        made = await book.answer(tx, by, holder, asked, now)
        await self.release_guardians(tx, by, holder)
        return made

    async def release_guardians(self, tx: Transaction, by: Recorder, holder: int) -> None:
        """Whoever is known here only as this person's guardian, and speaks for nobody any more, is removed: their name was
        taken for that alone."""
        guardians = await book.guardians_entered(tx, holder)
        known = await self.context.people.read(guardians)
        idle = [one for one in guardians if one in known and not self.context.rights.of_holder(one)]
        await self.context.rights.apply(tx, [RemoveHolder(one) for one in idle], by=by.actor)

    # ------------------------------------------------------------------------------------------------------- enrolling

    async def may_enrol(self, holder: int, said: Said | None = None) -> str | None:
        """Asked before a photo is even looked at: consent (recorded, or `said` along with the photos) and another way
        in. Returns the subject of somebody who is enrolled already. Raises `FaceError`."""
        self._require_allowed()
        await self._existing(holder)
        found = await self.standing(holder)
        now = self.context.clock.now()
        if said is None:
            consent.require(found.consent)
        else:
            consent.check(said, datetime.fromtimestamp(now, self.context.site.zone).year, now)
            consent.check_newer(said, found.consent)
        consent.other_way(self.others(holder, found.enrolled.credential if found.enrolled else None), now)
        return found.enrolled.subject if found.enrolled else None

    async def choose(self, photos: Sequence[tuple[str, bytes]]) -> Choice:
        """The templates among a person's photos (name, bytes of the file), chosen by quality. Raises `FaceError` 503
        when photos cannot be looked at here. Nothing of a photo is kept by anybody afterwards."""
        if self._examiner is None:
            self._examiner = Examiner(models_in(self.context.files.folder), embedder=self.faces.model.name)
        model, looked = self.faces.model, []
        for name, photo in photos:
            try:
                looked.append(await self._examiner.look(name, photo))
            except ExaminerTrouble as trouble:
                raise self._no_examiner(trouble) from None
        return choose(looked, self.config.threshold or model.threshold, unit=model.unit)

    def _no_examiner(self, error: Exception) -> FaceError:
        self.context.log.error("photos cannot be looked at", error=f"{type(error).__name__}: {error}")
        return FaceError("face.enrol.no_examiner", HTTPStatus.SERVICE_UNAVAILABLE, detail=str(error))

    async def would_enrol(self, holder: int, templates: Sequence[Template], said: Said | None = None) -> None:
        """Ask all that `enrol` asks, and do nothing. Raises `FaceError`."""
        async with self.turn:
            await self._require_unlike_others(holder, templates, said)

    async def _require_unlike_others(
        self, holder: int, templates: Sequence[Template], said: Said | None
    ) -> None:
        """Within a turn: whoever was enrolled a moment ago, at another desk, is like themselves and nobody else."""
        known = await self.may_enrol(holder, said)
        try:
            alike = await self.faces.too_like(templates, known)
        except VaultTrouble as trouble:
            raise self._no_vault(trouble) from None
        if alike:
            raise TooAlike

    async def enrol(
        self,
        by: Recorder,
        holder: int,
        templates: Sequence[Template],
        source: Source,
        said: Said | None = None,
    ) -> Enrolled:
        """Keep these templates of a person, in place of earlier ones, and give the credential they open by. With `said`
        the consent is written in the same transaction. Raises `FaceError`, or a `RightsError` of the core; then nothing
        was done, save that templates which did not get a credential are destroyed."""
        async with self.turn:
            await self._require_unlike_others(holder, templates, said)
            new: str | None = None
            try:
                async with self.transaction() as tx:
                    before = await book.enrolled(tx, holder)
                    subject = before.subject if before is not None else new_subject()
                    answer = await (
                        self._agree(tx, by, holder, said) if said is not None else self._recorded(tx, holder)
                    )
                    made = await self._written(
                        tx, by, holder, before, subject, answer, len(templates), source
                    )
                    new = subject if before is None else None
                    # Last: whatever fails before this leaves no template, and a crash after it one that opens nothing.
                    await self._keep(subject, templates, made.at)
            except BaseException:
                if new is not None:
                    await self._discard(new)
                raise
        self.tending.changed.set()
        return made

    async def _keep(self, subject: str, templates: Sequence[Template], at: float) -> None:
        try:
            await self.faces.enrol(subject, templates, at)
        except VaultTrouble as trouble:
            raise self._no_vault(trouble) from None

    async def _recorded(self, tx: Transaction, holder: int) -> Consent:
        return consent.require(await book.consent(tx, holder))

    async def _written(
        self,
        tx: Transaction,
        by: Recorder,
        holder: int,
        before: Enrolled | None,
        subject: str,
        answer: Consent,
        templates: int,
        source: Source,
    ) -> Enrolled:
        now = self.context.clock.now()
        beside = consent.other_way(self.others(holder, before.credential if before else None), now)
        if before is not None:
            made = replace(before, consent=answer.id, templates=templates, at=now, source=source)
        else:
            credential = await self.context.people.add_credential(
                tx, holder, [identifier(subject)], profiles=beside.profiles, valid_from=beside.valid_from,
                valid_to=beside.valid_to, by=by.actor,
            )  # fmt: skip
            made = Enrolled(holder, subject, credential, answer.id, templates, now, source)
        await book.put_enrolment(tx, made)
        return made

    async def _discard(self, subject: str) -> None:
        """The enrolment failed: templates that were written go again, now rather than at the next start."""
        try:
            await self.faces.withdraw(subject)
        except (VaultTrouble, FaceError) as trouble:
            self.context.log.error(
                "templates of a failed enrolment stay until the next start", error=str(trouble)
            )

    def _no_vault(self, trouble: VaultTrouble) -> FaceError:
        return FaceError("face.enrol.vault", HTTPStatus.SERVICE_UNAVAILABLE, detail=str(trouble))

    # ----------------------------------------------------------------------------------------------------- withdrawing

    async def withdraw(self, by: Recorder, holder: int, why: Ended = Ended.WITHDRAWN) -> Withdrawal:
        """The face opens nothing from now on, the templates are destroyed, consent is over; everything else of the
        person goes on. Returns the receipt; `done` is None where the vault could not answer, and it is tried until it
        does. Raises `FaceError` 404 when there was neither a consent nor a face."""
        self._require_allowed()
        async with self.turn:
            made, subject = await self.end(by, holder, why)
            if subject is not None and not await self.destroy(made.id, subject):
                self.tending.changed.set()
        async with self.read() as reading:
            return await book.withdrawal(reading, made.id) or made

    async def end(self, by: Recorder, holder: int, why: Ended) -> tuple[Withdrawal, str | None]:
        now = self.context.clock.now()
        async with self.transaction() as tx:
            found = await book.enrolled(tx, holder)
            consents = await book.end_consents(tx, holder, now)
            if found is None and not consents:
                raise FaceError("face.withdraw.nothing", HTTPStatus.NOT_FOUND, "path.holder")
            subject = found.subject if found is not None else None
            made = await book.withdraw(tx, by, holder, subject, why, now)
            if found is not None and self.alive(found.credential):
                await self.context.rights.apply(
                    tx, [SetState(found.credential, CredentialState.ENDED)], by=by.actor
                )
            await self.release_guardians(tx, by, holder)
        return made, subject

    def alive(self, credential: int) -> bool:
        found = self.context.rights.credential(credential)
        return found is not None and found.state is not CredentialState.ENDED

    async def destroy(self, id: int, subject: str) -> bool:
        """Have the vault destroy the templates, and write the receipt; False where it could not answer now."""
        try:
            receipt = await self.faces.withdraw(subject)
        except (VaultTrouble, FaceError) as trouble:
            self.tending.tell(str(trouble))
            return False
        async with self.transaction() as tx:
            await book.confirm(tx, id, receipt.templates, receipt.key_destroyed, self.context.clock.now())
        proof = {"templates": receipt.templates, "key_destroyed": receipt.key_destroyed}
        await self.context.facts.record("Withdrawn", data=proof)
        return True

    async def receipt(self, id: int) -> Withdrawal:
        """Raises `FaceError` 404."""
        async with self.read() as reading:
            found = await book.withdrawal(reading, id)
        if found is None:
            raise FaceError("face.withdraw.no_receipt", HTTPStatus.NOT_FOUND, "path.receipt")
        return found

    async def counts(self) -> book.Counts:
        async with self.read() as reading:
            return await book.counts(reading)

    # -------------------------------------------------------------------------------------------------------- its life

    async def run(self) -> None:
        try:
            if self.allowed:
                await self.tending.run()
        finally:
            await self.close()

    async def close(self) -> None:
        """End sessions before cameras, and the process that looks at photos; the next one starts it again."""
        await self.sessions.close()
        if self._examiner is not None:
            await self._examiner.close()

    def repairs(self) -> list[Repair]:
        if not self.allowed:
            return [Repair("face:rights", "face.repair.rights", {})]
        return self.tending.repairs()
