"""Rows and facts: what the plugin's tables say, and how they are written. Every function takes the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, update

from menwei import Reading, Transaction
from menwei.columns import new_id
from menwei_face.tables import consents, enrolments, withdrawals
from menwei_face.words import Answer, Consent, Ended, Enrolled, Purpose, Recorder, Source, Withdrawal

TICK = 1e-6
"""Seconds by which an answer is newer than the one before."""


@dataclass(frozen=True, slots=True)
class Counts:
    """`refused`: people whose newest answer is no. `waiting`: withdrawals that the vault has not confirmed."""

    enrolled: int
    refused: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer to be written; see `tables.consents`."""

    answer: Answer
    given: float
    version: int
    language: str
    minor: bool = False
    guardian: int | None = None
    guardian_entered: bool = False


# ------------------------------------------------------------------------------------------------------------- answers


async def answer(tx: Transaction, by: Recorder, holder: int, asked: Asked, now: float) -> Consent:
    """Write down what somebody said; it is newer than whatever they said before, also within one tick of the clock."""
    made = new_id()
    last = (
        await tx.execute(select(func.max(consents.c.recorded)).where(consents.c.holder == holder))
    ).scalar()
    now = now if last is None else max(now, last + TICK)
    row = {
        "id": made, "holder": holder, "answer": str(asked.answer), "purpose": str(Purpose.DOORS), "given": asked.given,
        "recorded": now, "version": asked.version, "language": asked.language, "minor": asked.minor,
        "guardian": asked.guardian, "guardian_entered": asked.guardian_entered, "account": by.account,
        "role": by.actor.role, "withdrawn": None,
    }  # fmt: skip
    await tx.execute(insert(consents), [row])
    return Consent(
        made, holder, asked.answer, asked.given, asked.version, asked.language, asked.minor, asked.guardian, None
    )  # fmt: skip


async def consent(reading: Reading, holder: int) -> Consent | None:
    """The newest answer."""
    newest = consents.c.recorded.desc(), consents.c.id.desc()
    query = select(consents).where(consents.c.holder == holder).order_by(*newest).limit(1)
    row = (await reading.execute(query)).first()
    return None if row is None else _consent(row)


async def end_consents(tx: Transaction, holder: int, now: float) -> int:
    """No consent of this person holds any more; returns how many held."""
    open_ = and_(
        consents.c.holder == holder,
        consents.c.answer == str(Answer.GIVEN),
        consents.c.withdrawn.is_(None),
    )
    return int((await tx.execute(update(consents).where(open_).values(withdrawn=now))).rowcount)


async def guardians_entered(reading: Reading, holder: int) -> list[int]:
    """People who are known here only as this person's guardian, and speak for nobody any more."""
    query = select(consents.c.guardian).where(
        consents.c.holder == holder, consents.c.guardian_entered, consents.c.guardian.is_not(None)
    )
    speaking = select(consents.c.guardian).where(
        consents.c.guardian.is_not(None),
        consents.c.withdrawn.is_(None),
        consents.c.answer == str(Answer.GIVEN),
    )
    entered = set((await reading.execute(query)).scalars())
    return sorted(entered - set((await reading.execute(speaking)).scalars()))


# ---------------------------------------------------------------------------------------------------------- enrolments


async def enrolled(reading: Reading, holder: int) -> Enrolled | None:
    row = (await reading.execute(select(enrolments).where(enrolments.c.holder == holder))).first()
    return None if row is None else _enrolled(row)


async def all_enrolled(reading: Reading) -> list[tuple[Enrolled, bool, float | None]]:
    """Everybody, with `paused` and `idle_since`."""
    rows = (await reading.execute(select(enrolments).order_by(enrolments.c.holder))).all()
    return [(_enrolled(row), row.paused, row.idle_since) for row in rows]


async def put_enrolment(tx: Transaction, one: Enrolled) -> None:
    row = {
        "holder": one.holder, "subject": one.subject, "credential": one.credential, "consent": one.consent,
        "templates": one.templates, "at": one.at, "source": str(one.source), "paused": False, "idle_since": None,
    }  # fmt: skip
    await tx.upsert(enrolments, [row])


async def mark(tx: Transaction, holder: int, **columns: Any) -> None:
    """Set `paused` or `idle_since`."""
    await tx.execute(update(enrolments).where(enrolments.c.holder == holder).values(**columns))


# --------------------------------------------------------------------------------------------------------- withdrawals


async def withdraw(
    tx: Transaction, by: Recorder, holder: int, subject: str | None, why: Ended, now: float
) -> Withdrawal:
    """The enrolment is over; its templates are to be destroyed. Without a `subject` there are none, and it is done."""
    made = new_id()
    done = now if subject is None else None
    row = {
        "id": made, "holder": holder, "subject": subject, "why": str(why), "at": now, "done": done, "templates": 0,
        "key_destroyed": subject is None, "account": by.account, "role": by.actor.role,
    }  # fmt: skip
    await tx.execute(insert(withdrawals), [row])
    await tx.execute(delete(enrolments).where(enrolments.c.holder == holder))
    return Withdrawal(made, holder, why, now, done, 0, subject is None)


async def confirm(tx: Transaction, id: int, templates: int, key_destroyed: bool, now: float) -> None:
    """The vault has answered: the subject is forgotten here too."""
    values = {"done": now, "templates": templates, "key_destroyed": key_destroyed, "subject": None}
    await tx.execute(update(withdrawals).where(withdrawals.c.id == id).values(**values))


async def waiting(reading: Reading) -> list[tuple[int, str]]:
    """Withdrawals that the vault has not confirmed: id, subject."""
    query = select(withdrawals.c.id, withdrawals.c.subject).where(withdrawals.c.done.is_(None))
    return [(row.id, row.subject) for row in (await reading.execute(query)).all()]


async def withdrawal(reading: Reading, id: int) -> Withdrawal | None:
    row = (await reading.execute(select(withdrawals).where(withdrawals.c.id == id))).first()
    return None if row is None else _withdrawal(row)


async def withdrawals_of(reading: Reading, holder: int) -> list[Withdrawal]:
    """Newest first."""
    newest = withdrawals.c.at.desc(), withdrawals.c.id.desc()
    query = select(withdrawals).where(withdrawals.c.holder == holder).order_by(*newest)
    return [_withdrawal(row) for row in (await reading.execute(query)).all()]


# -------------------------------------------------------------------------------------------------------------- totals


async def counts(reading: Reading) -> Counts:
    people = int((await reading.execute(select(func.count()).select_from(enrolments))).scalar_one())
    open_ = select(func.count()).select_from(withdrawals).where(withdrawals.c.done.is_(None))
    latest = (
        select(consents.c.holder, func.max(consents.c.recorded).label("recorded"))
        .group_by(consents.c.holder)
        .subquery()
    )
    same = and_(latest.c.holder == consents.c.holder, latest.c.recorded == consents.c.recorded)
    no = (
        select(func.count(consents.c.holder.distinct()))
        .join_from(consents, latest, same)
        .where(consents.c.answer == str(Answer.REFUSED))
    )
    return Counts(
        people,
        int((await reading.execute(no)).scalar_one()),
        int((await reading.execute(open_)).scalar_one()),
    )


async def holders(reading: Reading) -> list[int]:
    """Everybody of whom anything stands here."""
    found: set[int] = set()
    for table in (consents, enrolments, withdrawals):
        found.update((await reading.execute(select(table.c.holder).distinct())).scalars())
    return sorted(found)


async def forget(tx: Transaction, gone: Sequence[int]) -> None:
    """Delete what stands here of people who were removed. A withdrawal that is not confirmed stays until it is."""
    for holder in gone:
        await tx.execute(delete(consents).where(consents.c.holder == holder))
        await tx.execute(
            delete(withdrawals).where(withdrawals.c.holder == holder, withdrawals.c.done.is_not(None))
        )


def _consent(row: Any) -> Consent:
    return Consent(
        row.id, row.holder, Answer(row.answer), row.given, row.version, row.language, row.minor, row.guardian,
        row.withdrawn,
    )  # fmt: skip


def _enrolled(row: Any) -> Enrolled:
    return Enrolled(
        row.holder, row.subject, row.credential, row.consent, row.templates, row.at, Source(row.source)
    )


def _withdrawal(row: Any) -> Withdrawal:
    return Withdrawal(row.id, row.holder, Ended(row.why), row.at, row.done, row.templates, row.key_destroyed)
