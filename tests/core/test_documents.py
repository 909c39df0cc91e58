"""Identity documents between an enrolment reader and the desk that waits for them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from menwei import Document, DocumentKind, NotReady
from menwei.clock import TrustedClock
from menwei.devices import DeviceReports, Devices
from menwei.journal import Journal
from menwei.site import Site
from menwei.supervisor import Supervisor

DOCUMENT = Document(DocumentKind.RESIDENT_CARD, "张三", "110105194912310021")


class OneDevice:
    """As much of a supervisor as a capture asks for: the device `desk` is ready, no other is."""

    def on_change(self, _listener: Any) -> None: ...

    def driver(self, device: str) -> object | None:
        return object() if device == "desk" else None

    def state(self, _device: str) -> str:
        return "retrying"

    def text(self, _device: str) -> str:
        return "unplugged"


@pytest.fixture
def devices() -> Devices:
    nothing = cast(Site, None)
    return Devices(
        nothing, cast(Supervisor, OneDevice()), cast(Journal, None), TrustedClock(), lambda key: key
    )


@pytest.fixture
def reports(devices: Devices) -> DeviceReports:
    return devices.reports("desk", frozenset(), lambda _info: None)


async def test_a_desk_gets_the_document_that_is_laid_down_while_it_waits(
    devices: Devices, reports: DeviceReports
) -> None:
    assert not reports.document_wanted("in")
    waiting = asyncio.create_task(devices.capture_document("desk", "in", 5))
    await asyncio.sleep(0)
    assert reports.document_wanted("in")
    assert not reports.document_wanted("out")
    reports.document("in", DOCUMENT)
    assert not reports.document_wanted("in"), "one document is enough"
    assert await waiting == DOCUMENT


async def test_a_document_that_nobody_waits_for_is_forgotten(
    devices: Devices, reports: DeviceReports
) -> None:
    reports.document("in", DOCUMENT)
    with pytest.raises(TimeoutError):
        await devices.capture_document("desk", "in", 0.05)
    assert not reports.document_wanted("in")


async def test_a_document_at_another_reader_is_not_taken(devices: Devices, reports: DeviceReports) -> None:
    waiting = asyncio.create_task(devices.capture_document("desk", "in", 0.2))
    await asyncio.sleep(0)
    reports.document("out", DOCUMENT)
    with pytest.raises(TimeoutError):
        await waiting


async def test_two_desks_cannot_wait_at_one_reader(devices: Devices, reports: DeviceReports) -> None:
    waiting = asyncio.create_task(devices.capture_document("desk", "in", 5))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await devices.capture_document("desk", "in", 5)
    reports.document("in", DOCUMENT)
    assert await waiting == DOCUMENT


async def test_a_reader_that_is_away_says_so(devices: Devices) -> None:
    with pytest.raises(NotReady, match="unplugged"):
        await devices.capture_document("other", "in", 5)


@pytest.mark.parametrize(
    "document",
    [
        Document(DocumentKind.RESIDENT_CARD, "", "110105194912310021"),
        Document(DocumentKind.RESIDENT_CARD, "张" * 71, "110105194912310021"),
        Document(DocumentKind.RESIDENT_CARD, "张三", "1101"),
        Document(DocumentKind.RESIDENT_CARD, "张三", "110105194912310021'; --"),
        Document(DocumentKind.RESIDENT_CARD, "张三", "１１０１０５１９４９１２３１００２１"),
    ],
)
async def test_what_no_document_can_hold_is_refused_without_a_word_of_it(
    devices: Devices, reports: DeviceReports, document: Document
) -> None:
    waiting = asyncio.create_task(devices.capture_document("desk", "in", 0.05))
    await asyncio.sleep(0)
    with capture_logs() as logs:
        reports.document("in", document)
    assert logs
    assert "张" not in str(logs)
    assert "1101" not in str(logs)
    with pytest.raises(TimeoutError):
        await waiting


def test_of_a_number_the_last_four_are_shown() -> None:
    assert DOCUMENT.last_four == "0021"
