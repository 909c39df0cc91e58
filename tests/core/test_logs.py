"""The program's own log: it never stands in the way, and no value of a variable gets into it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from menwei.logs import Stderr, log_to_stderr


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    configured, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**configured)
    logging.getLogger().handlers[:] = handlers


def test_a_traceback_in_the_log_tells_the_place_and_nothing_that_stood_in_the_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(number: str) -> None:
        who = f"holder of {number}"
        raise ZeroDivisionError(len(who))

    log_to_stderr()
    try:
        fails("04A1B2C3")
    except ZeroDivisionError as error:
        structlog.get_logger("test").error("it failed", exc_info=error)
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert Path(__file__).name in told
    assert "04A1B2C3" not in told.replace('fails("04A1B2C3")', "")


def test_a_log_on_a_full_disk_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", full)
        log_to_stderr()
        structlog.get_logger("test").error("the door did not answer")
        Stderr().flush()
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # what is left in its buffer can be written


def test_a_log_whose_reader_has_gone_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        log_to_stderr()
        structlog.get_logger("test").error("the door did not answer")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), gone.fileno())


def test_a_log_that_was_closed_stops_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = (tmp_path / "log").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log_to_stderr()
    structlog.get_logger("test").error("the door did not answer")
    Stderr().flush()
