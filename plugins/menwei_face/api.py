"""The HTTP API of enrolment: answers, photos, withdrawal, receipts. For the desk alone.

Photos come as parts of a form (`multipart/form-data`), are held in memory while they are looked at, and are gone with
the answer, whatever it is. Whom a face is too like is told to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from http import HTTPStatus
from typing import Any, cast

from aiohttp import BodyPartReader, web
from pydantic import ValidationError

from menwei import RightsError
from menwei.routes import Call, Done, Problem, Role, Route, number
from menwei_face.consent import TEXT_VERSION, Guardian, Said, require
from menwei_face.enrolment import Enrolment, Standing
from menwei_face.examining import LARGEST_PHOTO
from menwei_face.forms import (
    ConsentIn,
    ConsentOut,
    EnrolledOut,
    FaceOut,
    Looked,
    OutcomeOut,
    Overview,
    PhotoOut,
    ReceiptOut,
    Wanted,
)
from menwei_face.photos import message
from menwei_face.template import Template
from menwei_face.tending import FILING_LIMIT
from menwei_face.words import LEAST, Consent, FaceError, Recorder, Source, TooAlike, Withdrawal

BASE = "/api/face"
DESK = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})
HOLDER = r"/people/{holder:\d{1,18}}"
MOST_PHOTOS = 12
LARGEST_ALL = 4 * LARGEST_PHOTO
LARGEST_CONSENT = 4096
LONGEST_NAME = 120


@contextmanager
def refusing() -> Iterator[None]:
    """What the service and the rights refuse, as a refusal of the API."""
    try:
        yield
    except FaceError as error:
        raise Problem(error.status, error.says, error.where, **error.values) from None
    except RightsError as error:
        raise Problem(HTTPStatus.CONFLICT, error.says, **error.values) from None


def recorder(call: Call) -> Recorder:
    """Who does it: the account where one is signed in."""
    return Recorder(call.who, call.session.account.id if call.session is not None else None)


def holder_of(call: Call) -> int:
    return number(call.path["holder"], "path.holder")


async def audit(call: Call, action: str, holder: int, **data: Any) -> None:
    """In the journal: who did what, the person in the sealed part, no name."""
    facts = call.service(Enrolment).context.facts
    await facts.audit(call.who, action, data, {"holder": holder})


# ----------------------------------------------------------------------------------------------------------- reading


async def overview(call: Call) -> Overview:
    counts = await call.service(Enrolment).counts()
    return Overview(
        enrolled=counts.enrolled,
        refused=counts.refused,
        waiting=counts.waiting,
        filing_limit=FILING_LIMIT,
        text=call.t(f"face.consent.text.{TEXT_VERSION}"),
        text_version=TEXT_VERSION,
        least_photos=LEAST,
        most_photos=MOST_PHOTOS,
    )


async def find(call: Call) -> FaceOut:
    """The face of the person who has this number in another list; for lists that know no other."""
    enrolment = call.service(Enrolment)
    with refusing():
        holder = await enrolment.holder_of(call.query.external_id)
        return shown(await enrolment.standing(holder))


async def get_face(call: Call) -> FaceOut:
    with refusing():
        return shown(await call.service(Enrolment).standing(holder_of(call)))


def shown(found: Standing) -> FaceOut:
    """A person's face as the API tells it."""
    try:
        ready = bool(require(found.consent)) and found.other_way
    except FaceError:
        ready = False
    one = found.enrolled
    return FaceOut(
        holder=found.holder,
        consent=_consent(found.consent) if found.consent is not None else None,
        enrolled=EnrolledOut(templates=one.templates, at=one.at, source=one.source) if one else None,
        other_way=found.other_way,
        ready=ready,
        receipts=tuple(receipt_out(one) for one in found.withdrawals),
    )


def _consent(one: Consent) -> ConsentOut:
    return ConsentOut(
        answer=one.answer, holds=one.holds, given=one.given, version=one.version, language=one.language,
        minor=one.minor, guardian=one.guardian, withdrawn=one.withdrawn,
    )  # fmt: skip


def receipt_out(one: Withdrawal) -> ReceiptOut:
    """A withdrawal as the API tells it."""
    return ReceiptOut(
        id=one.id, holder=one.holder, why=one.why, at=one.at, done=one.done, templates=one.templates,
        key_destroyed=one.key_destroyed,
    )  # fmt: skip


async def get_receipt(call: Call) -> ReceiptOut:
    with refusing():
        return receipt_out(
            await call.service(Enrolment).receipt(number(call.path["receipt"], "path.receipt"))
        )


# ----------------------------------------------------------------------------------------------------------- answers


def said(call: Call, given: ConsentIn) -> Said:
    """The answers of a form as the rules want them."""
    zone = call.house.site.zone
    guardian = Guardian(given.guardian, given.guardian_name)
    return Said(
        agreed=given.agreed,
        version=given.version,
        language=given.language or call.house.site.language,
        under_14=None if given.age is None else given.age == "under_14",
        birth_year=given.birth_year,
        guardian=guardian if guardian.named else None,
        guardian_agreed=given.guardian_agreed,
        given=datetime.combine(given.given, time(), zone).timestamp() if given.given is not None else None,
    )


async def agree(call: Call) -> ConsentOut:
    holder = holder_of(call)
    with refusing():
        made = await call.service(Enrolment).agree(recorder(call), holder, said(call, call.body))
    await audit(call, "consent", holder, version=made.version, minor=made.minor)
    return _consent(made)


async def refuse(call: Call) -> Done:
    holder = holder_of(call)
    with refusing():
        await call.service(Enrolment).refuse(recorder(call), holder)
    await audit(call, "refusal", holder)
    return Done()


# ------------------------------------------------------------------------------------------------------------ photos


async def photos(call: Call) -> OutcomeOut:
    """Consent and the other way in are asked for before the first photo is looked at."""
    enrolment, holder = call.service(Enrolment), holder_of(call)
    given, pictures = await _parts(call)
    answers = said(call, given) if given is not None else None
    with refusing():
        await enrolment.may_enrol(holder, answers)
        choice = await enrolment.choose(pictures)
        pictures.clear()
        if choice.why is None:
            try:
                await _enrol(call, holder, choice.templates, answers)
            except TooAlike:
                choice = choice.refused()
    done = choice.why is None and not call.query.dry_run
    return OutcomeOut(
        enrolled=done,
        usable=choice.why is None,
        templates=len(choice.templates),
        reason=str(choice.why or ""),
        message=call.t(message(choice.why)) if choice.why is not None else "",
        photos=tuple(
            PhotoOut(
                name=one.name,
                used=one.used,
                why=tuple(str(why) for why in one.why),
                messages=tuple(call.t(message(why)) for why in one.why),
            )
            for one in choice.photos
        ),
    )


async def _enrol(call: Call, holder: int, templates: Sequence[Template], answers: Said | None) -> None:
    """Keep them; a dry run only asks whether it would be done."""
    enrolment = call.service(Enrolment)
    if call.query.dry_run:
        await enrolment.would_enrol(holder, templates, answers)
        return
    source = Source(call.query.source)
    await enrolment.enrol(recorder(call), holder, templates, source, answers)
    await audit(call, "enrol", holder, templates=len(templates), source=source)


async def _parts(call: Call) -> tuple[ConsentIn | None, list[tuple[str, bytes]]]:
    """The consent, if one came along, and the photos by their files' names, in memory."""
    if call.request.content_type != "multipart/form-data":
        raise Problem(HTTPStatus.BAD_REQUEST, "face.enrol.multipart")
    given: ConsentIn | None = None
    pictures: list[tuple[str, bytes]] = []
    left = LARGEST_ALL
    try:
        reader = await call.request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                raise Problem(HTTPStatus.BAD_REQUEST, "face.enrol.multipart")
            if part.name == "consent":
                given = _given(await _bytes(part, LARGEST_CONSENT))
            elif part.name == "photo":
                if len(pictures) == MOST_PHOTOS:
                    raise Problem(HTTPStatus.CONFLICT, "face.enrol.too_many", most=MOST_PHOTOS)
                data = await _bytes(part, min(LARGEST_PHOTO, left))
                left -= len(data)
                pictures.append(((part.filename or str(len(pictures) + 1))[:LONGEST_NAME], data))
            elif part.name != "_csrf":
                raise Problem(HTTPStatus.BAD_REQUEST, "face.enrol.multipart")
    except (ValueError, web.HTTPException) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "face.enrol.multipart") from error
    pictures = [(name, data) for name, data in pictures if data]
    if not pictures:
        raise Problem(HTTPStatus.BAD_REQUEST, "face.enrol.no_photos", "body.photo")
    return given, pictures


async def _bytes(part: BodyPartReader, most: int) -> bytes:
    held = bytearray()
    while piece := await part.read_chunk(1 << 16):
        held += piece
        if len(held) > most:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "face.enrol.too_large")
    return bytes(held)


def _given(raw: bytes) -> ConsentIn:
    try:
        return ConsentIn.model_validate_json(raw, strict=True)
    except ValidationError as error:
        where = ".".join(str(step) for step in error.errors(include_url=False, include_input=False)[0]["loc"])
        raise Problem(HTTPStatus.BAD_REQUEST, "web.field.invalid", f"consent.{where}", field=where) from None


async def withdraw(call: Call) -> ReceiptOut:
    holder = holder_of(call)
    with refusing():
        made = await call.service(Enrolment).withdraw(recorder(call), holder)
    await audit(call, "withdraw", holder, templates=made.templates, done=made.done is not None)
    return receipt_out(made)


# ------------------------------------------------------------------------------------------------------------ routes


def routes() -> list[Route]:
    """Every route of enrolment, those before a camera aside (`api_camera.py`)."""

    def route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route:
        return Route(
            method, BASE + path, handler, DESK, summary=f"face.api.{summary}", tags=("face",), **more
        )

    away, taken = (503,), (409, 503)
    return cast("list[Route]", [
        route("GET", "", overview, "overview", response=Overview, statuses=away),
        route("GET", "/people", find, "find", query=Looked, response=FaceOut, statuses=(404, 503)),
        route("GET", HOLDER, get_face, "get", response=FaceOut, statuses=away),
        route("POST", HOLDER + "/consent", agree, "consent", body=ConsentIn, response=ConsentOut, statuses=taken),
        route("POST", HOLDER + "/refusal", refuse, "refusal", response=Done, statuses=taken),
        route(
            "POST", HOLDER + "/photos", photos, "photos", query=Wanted, response=OutcomeOut, statuses=(*taken, 413)
        ),
        route(
            "POST", HOLDER + "/withdraw", withdraw, "withdraw", response=ReceiptOut, statuses=taken, destructive=True
        ),
        route("GET", r"/receipts/{receipt:\d{1,18}}", get_receipt, "receipt", response=ReceiptOut, statuses=away),
    ])  # fmt: skip
