"""Identity documents at a desk: wait for one at an enrolment reader, and write it to a person.

The number goes no further than the program's memory. The desk gets name, last four characters and a handle that works
once, within ten minutes, for whoever asked.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from menwei.api_credentials import (
    DESK,
    MOST_SECONDS,
    ReaderList,
    ReaderOut,
    audit_desk,
    refusing,
)
from menwei.model import DocumentKind
from menwei.readers import document_reader
from menwei.routes import WHOLE, Call, Done, Model, Route, number
from menwei.supervisor import DeviceState

Handle = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]


class Capture(Model):
    """A document to be laid on the enrolment reader `reader` ("device/reader") within `seconds`; the request waits."""

    reader: Annotated[str, StringConstraints(min_length=3, max_length=200)]
    seconds: Annotated[int, Field(ge=1, le=MOST_SECONDS), WHOLE] = 30


class DocumentRead(Model):
    """What a desk learns. `handle` writes it to a person, once; `holders` are known by this document already."""

    handle: str
    kind: DocumentKind
    name: str
    last_four: str
    holders: tuple[int, ...]


class Identified(Model):
    """`handle` of a document that the caller had read."""

    handle: Handle


async def list_readers(call: Call) -> ReaderList:
    """Enrolment readers for identity documents, of connected devices."""
    states = call.house.supervisor.states()
    found = []
    for device in call.house.drivers():
        ready = device in states and states[device][0] is DeviceState.READY
        info = call.house.supervisor.info(device) if ready else None
        for reader in info.documents if info is not None else ():
            found.append(ReaderOut(id=f"{device}/{reader}", place="", connected=True))
    return ReaderList(readers=tuple(found))


async def capture(call: Call) -> DocumentRead:
    """Waits for the document; it is forgotten when the caller goes away meanwhile."""
    body, house = call.body, call.house
    document = await call.brought(
        lambda: house.capture_document(*document_reader(house, body.reader), body.seconds), "web.no_document"
    )
    held = await call.house.people.documents.hold(document, call.who)
    await call.house.audit(call.who, "document.read", {"reader": call.body.reader})
    return DocumentRead(
        handle=held.handle,
        kind=document.kind,
        name=document.name,
        last_four=document.last_four,
        holders=held.holders,
    )


async def identify(call: Call) -> Done:
    """This person is the one of the document."""
    holder = number(call.path["holder"], "path.holder")
    with refusing():
        await call.house.people.documents.identify(holder, call.body.handle, who=call.who)
    await audit_desk(call, "people.document", holder=holder)
    return Done()


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": DESK, "tags": ("people",)}
    return [
        Route("GET", "/api/document-readers", list_readers, summary="api.document_readers", response=ReaderList, **shared),
        Route(
            "POST", "/api/documents/capture", capture, summary="api.documents.capture", body=Capture,
            response=DocumentRead, statuses=(404, 409), **shared,
        ),
        Route(
            "POST", r"/api/people/{holder:\d{1,18}}/document", identify, summary="api.people.document", body=Identified,
            response=Done, statuses=(404, 409), **shared,
        ),
    ]  # fmt: skip
