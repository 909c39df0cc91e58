"""The driver where there is nothing to read cards with."""

from __future__ import annotations

import sys
import time
from typing import Any, cast

import pytest
import structlog
from pydantic import ValidationError

from menwei.context import Context, NotReady
from menwei.messages import LANGUAGES, Catalogue, placeholders
from menwei.model import DoorMode
from menwei.reports import Reports
from menwei_pcsc.driver import NoLock, PcscReader, ReaderConfig, describe
from menwei_pcsc.finder import PcscFinder
from menwei_pcsc.reader_thread import Plugged, choose
from menwei_pcsc.trouble import Trouble, TroubleKind


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def driver() -> PcscReader:
    return PcscReader(
        Context("pcsc", structlog.get_logger(), SystemClock()), ReaderConfig(), cast(Reports, None)
    )


@pytest.fixture
def no_pyscard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)


@pytest.mark.parametrize(("written", "seconds"), [("2s", 2.0), ("0.5s", 0.5), (1, 1.0), ("PT5S", 5.0)])
def test_the_debounce_is_a_duration(written: Any, seconds: float) -> None:
    assert ReaderConfig.model_validate({"debounce": written}).debounce == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        {"debounce": "soon"},
        {"debounce": "0s"},
        {"debounce": "2h"},
        {"reader": ""},
        {"as": "In 1"},
        {"led": True},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReaderConfig.model_validate(wrong)


def test_the_reader_is_called_what_the_config_says() -> None:
    config = ReaderConfig.model_validate({"as": "out"})
    assert describe("Virtual PCD 00 00", config.name).readers == ("out",)


def test_a_reader_has_no_locks() -> None:
    assert describe("Virtual PCD 00 00", "in").locks == ()


async def test_a_reader_asked_to_open_says_that_it_has_no_lock(driver: PcscReader) -> None:
    with pytest.raises(NoLock, match="has no lock"):
        await driver.access("1", 5.0, time.monotonic() + 2.0)
    with pytest.raises(NoLock, match="has no lock"):
        await driver.set_mode("1", DoorMode.LOCKED_OPEN, time.monotonic() + 2.0)


@pytest.mark.usefixtures("no_pyscard")
async def test_without_pyscard_the_device_is_not_ready_and_says_what_to_install(driver: PcscReader) -> None:
    with pytest.raises(NotReady, match=r"menwei\[pcsc\]"):
        await driver.run()
    assert [repair.message for repair in driver.repairs()] == ["pcsc.repair.no-library"]


@pytest.mark.usefixtures("no_pyscard")
async def test_without_pyscard_the_connection_test_says_what_to_install() -> None:
    with pytest.raises(NotReady, match=r"menwei\[pcsc\]"):
        await PcscReader.probe(ReaderConfig())


@pytest.mark.usefixtures("no_pyscard")
async def test_without_pyscard_the_finder_says_so_instead_of_finding_nothing() -> None:
    with pytest.raises(NotReady, match=r"menwei\[pcsc\]"):
        await PcscFinder().find(lambda device: None)


def test_two_readers_that_match_are_a_trouble_and_none_is_chosen() -> None:
    with pytest.raises(Trouble) as trouble:
        choose("Virtual*", ["Virtual PCD 00 00", "Virtual PCD 00 01"])
    assert trouble.value.kind is TroubleKind.MANY_READERS


def test_a_second_reader_that_fits_later_is_a_repair_and_not_a_loss(driver: PcscReader) -> None:
    driver._on_event(Plugged(("Virtual PCD 00 00", "Virtual PCD 01 00")))
    assert [(repair.message, repair.severity) for repair in driver.repairs()] == [
        ("pcsc.repair.many-readers", "warning")
    ]
    driver._on_event(Plugged(("Virtual PCD 00 00",)))
    assert driver.repairs() == []


def test_every_trouble_has_a_sentence_in_both_languages_with_the_same_placeholders() -> None:
    texts = Catalogue.of_package("menwei_pcsc").texts
    for kind in TroubleKind:
        sentences = [texts[language][f"pcsc.repair.{kind}"] for language in LANGUAGES]
        assert len({placeholders(sentence) for sentence in sentences}) == 1
