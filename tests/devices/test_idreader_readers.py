"""The driver against our own SAM in another process. The SAM is ours: no real reader has answered to these tests."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from menwei import AuthFailed, Document, DocumentKind, NotReady
from menwei.testing import RecordedReports, context, running
from menwei.testing.proxies import Faults, SerialProxy
from menwei_idreader import reader_thread
from menwei_idreader.driver import IdReader, IdReaderConfig, NoLock
from peers import sam
from peers.sam import Sam, citizen_number, resident

pytest.importorskip("serial", reason="pyserial is not installed: pip install 'menwei[idreader]'")
pytest.importorskip("stdnum", reason="python-stdnum is not installed: pip install 'menwei[idreader]'")
pytestmark = pytest.mark.e2e

NUMBER = citizen_number("11010519491231002")
CARD = resident("张三丰", NUMBER)
DOCUMENT = Document(DocumentKind.RESIDENT_CARD, "张三丰", NUMBER)
READ = "3001"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader is given up after less than its usual three times three seconds."""
    monkeypatch.setattr(reader_thread, "ANSWERING", 1.0)
    monkeypatch.setattr(reader_thread, "LIFE", 0.3)
    monkeypatch.setattr(reader_thread, "LOOK", 0.05)


class Desk:
    """A reader on a wire and the driver at work."""

    def __init__(self, wire: SerialProxy, sam: Sam, driver: IdReader, heard: RecordedReports) -> None:
        self.wire, self.sam, self.driver, self.heard = wire, sam, driver, heard

    def wants(self, wanted: bool = True) -> None:
        """Somebody at the desk waits for a document, or not any more."""
        (self.heard.wanted.add if wanted else self.heard.wanted.discard)("desk")

    async def document(self) -> Document:
        await self.heard.until(lambda: self.heard.documents)
        return self.heard.documents[-1][1]

    async def asked(self, command: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while command not in await self.sam.asked():
            assert time.monotonic() < end, f"{command} was not asked"
            await asyncio.sleep(0.02)


def config(path: str) -> IdReaderConfig:
    return IdReaderConfig.model_validate({"port": path})


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with SerialProxy() as wire, Sam(wire.device_path) as reader:
        heard = RecordedReports()
        driver = IdReader(context("idreader"), config(wire.host_path), heard)
        async with running(driver):
            await heard.until(lambda: heard.infos)
            yield Desk(wire, reader, driver, heard)


async def test_a_document_goes_to_the_desk_that_waits_for_it() -> None:
    async with desk() as d:
        assert d.heard.infos[0].id == f"sam:{sam.SAM_NUMBER.hex().upper()}"
        assert (d.heard.infos[0].readers, d.heard.infos[0].locks) == (("desk",), ())
        d.wants()
        await d.sam.lay(CARD)
        assert await d.document() == DOCUMENT


async def test_a_document_that_nobody_waits_for_is_not_read() -> None:
    async with desk() as d:
        await d.sam.lay(CARD)
        await d.asked("11FF")
        await asyncio.sleep(0.5)
        assert set(await d.sam.asked()) == {"12FF", "11FF"}
        d.wants()
        await d.document()
        d.wants(False)
        await asyncio.sleep(0.3)
        count = (await d.sam.asked()).count(READ)
        await d.sam.lay(CARD)
        await asyncio.sleep(0.5)
        assert (await d.sam.asked()).count(READ) == count


async def test_a_document_that_stays_is_reported_once() -> None:
    async with desk() as d:
        d.wants()
        await d.sam.lay(CARD)
        await d.document()
        await asyncio.sleep(0.5)
        assert len(d.heard.documents) == 1
        await d.sam.lift()
        await d.sam.lay(CARD)
        await d.heard.until(lambda: len(d.heard.documents) == 2)


@pytest.mark.parametrize("leaves", ["2001", "2002", READ])
async def test_a_document_taken_away_in_the_middle_is_read_when_it_comes_again(leaves: str) -> None:
    async with desk() as d:
        d.wants()
        await d.sam.lay(CARD, leaves=leaves)
        await d.asked(leaves)
        await asyncio.sleep(0.2)
        assert d.heard.documents == []
        await d.sam.lay(CARD)
        assert await d.document() == DOCUMENT


@pytest.mark.parametrize(
    ("command", "status"),
    [("2001", 0x10), ("2001", 0x21), ("2002", 0x81), ("2002", 0x31), ("2002", 0x32), (READ, 0x41), (READ, 0x11), (READ, 0x55)],
)  # fmt: skip
async def test_a_document_that_fails_is_told_to_the_log_and_the_reader_goes_on(
    command: str, status: int
) -> None:
    async with desk() as d:
        with capture_logs() as logs:
            d.wants()
            await d.sam.lay(CARD, fails={command: status})
            end = time.monotonic() + 60
            while not any(f"{status:02X}" in str(line.get("why")) for line in logs):
                assert time.monotonic() < end, logs
                await asyncio.sleep(0.02)
        assert d.heard.documents == []
        await d.sam.lay(CARD)
        assert await d.document() == DOCUMENT


async def test_a_document_with_a_wrong_number_is_refused_without_a_word_of_it() -> None:
    async with desk() as d:
        wrong = NUMBER[:5] + ("1" if NUMBER[5] != "1" else "2") + NUMBER[6:]
        with capture_logs() as logs:
            d.wants()
            await d.sam.lay(resident("张三丰", wrong))
            end = time.monotonic() + 60
            while not logs:
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
        assert d.heard.documents == []
        assert "张三丰" not in str(logs)
        assert wrong not in str(logs)


async def test_a_reader_that_is_not_authorised_is_told_to_the_installer() -> None:
    async with SerialProxy() as wire, Sam(wire.device_path) as reader:
        await reader.mood(status=0x66)
        driver = IdReader(context("idreader"), config(wire.host_path), RecordedReports())
        with pytest.raises(AuthFailed, match="not authorised"):
            await driver.run()
        assert [repair.message for repair in driver.repairs()] == ["idreader.repair.not-authorised"]


async def test_slow_answers_in_small_pieces_with_garbage_before_them_are_read() -> None:
    async with desk() as d:
        await d.sam.mood(slow=0.2, pieces=7, garbage="00FFAAAA9669AAAA")
        d.wants()
        await d.sam.lay(CARD)
        assert await d.document() == DOCUMENT


async def test_a_wrong_check_sum_is_asked_again() -> None:
    async with desk() as d:
        await d.sam.mood(spoil=2)
        d.wants()
        await d.sam.lay(CARD)
        assert await d.document() == DOCUMENT


async def test_a_wire_that_spoils_answers_never_makes_another_person() -> None:
    async with SerialProxy(seed=3) as wire, Sam(wire.device_path) as reader:
        heard = RecordedReports()
        driver = IdReader(context("idreader"), config(wire.host_path), heard)
        task = asyncio.create_task(driver.run())
        await heard.until(lambda: heard.infos)
        wire.to_host.faults = Faults(garble=0.3)
        heard.wanted.add("desk")
        end = time.monotonic() + 4
        while time.monotonic() < end and not task.done():
            await reader.lay(CARD)
            await asyncio.sleep(0.3)
        assert {document for _, document in heard.documents} <= {DOCUMENT}
        task.cancel()
        (ending,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ending, NotReady | asyncio.CancelledError)


async def test_a_silent_reader_is_lost_and_says_so() -> None:
    async with SerialProxy() as wire, Sam(wire.device_path) as reader:
        heard = RecordedReports()
        driver = IdReader(context("idreader"), config(wire.host_path), heard)
        task = asyncio.create_task(driver.run())
        await heard.until(lambda: heard.infos)
        await reader.mood(silent=True)
        with pytest.raises(NotReady, match="does not answer"):
            await asyncio.wait_for(task, 60)
        assert [repair.message for repair in driver.repairs()] == ["idreader.repair.silent"]


async def test_a_pulled_plug_a_missing_port_and_a_port_in_use_say_so() -> None:
    async with SerialProxy() as wire, Sam(wire.device_path):
        heard = RecordedReports()
        driver = IdReader(context("idreader"), config(wire.host_path), heard)
        task = asyncio.create_task(driver.run())
        await heard.until(lambda: heard.infos)
        second = IdReader(context("idreader"), config(wire.host_path), RecordedReports())
        with pytest.raises(NotReady, match="in use"):
            await second.run()
        wire.unplug()
        with pytest.raises(NotReady, match="is lost"):
            await asyncio.wait_for(task, 60)
    with pytest.raises(NotReady, match="no serial port"):
        await IdReader(context("idreader"), config("/dev/does-not-exist"), RecordedReports()).run()


async def test_a_connection_test_looks_for_no_document() -> None:
    async with SerialProxy() as wire, Sam(wire.device_path) as reader:
        await reader.lay(CARD)
        info = await IdReader.probe(config(wire.host_path))
        assert info.model == "SDT/SAM"
        assert await reader.asked() == ["12FF"]


SERVE = """
import asyncio, sys
sys.path[:0] = sys.argv[2:]
from menwei.testing import RecordedReports, context, running
from menwei_idreader.driver import IdReader, IdReaderConfig

async def main():
    heard = RecordedReports(wanted={"desk"})
    async with running(IdReader(context("idreader"), IdReaderConfig.model_validate({"port": sys.argv[1]}), heard)):
        await heard.until(lambda: heard.documents)
        heard.wanted.clear()
        await asyncio.sleep(0.5)
        print("read", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(len(heard.documents))

asyncio.run(main())
"""


def memory_of(pid: int) -> bytes:
    """Everything that a process may write to."""
    whole = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if rights.startswith("rw") and "[v" not in line:
                memory.seek(begin)
                whole.append(memory.read(end - begin))
    return b"".join(whole)


async def test_nothing_of_the_card_but_name_and_number_is_left_in_the_programs_memory() -> None:
    async with SerialProxy() as wire, Sam(wire.device_path) as reader:
        await reader.lay(CARD)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, wire.host_path, *sys.path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            assert await asyncio.wait_for(process.stdout.readline(), 60) == b"read\n"
            memory = memory_of(process.pid)
        finally:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 60)
    assert "张三丰".encode("utf-16-le") in memory, "the name is held for the desk, and the search finds it"
    for secret in sam.SECRETS[1:3]:
        assert secret.encode("utf-16-le")[:20] not in memory
        assert secret.encode() not in memory
    assert not any(sam.PHOTO[start : start + 16] in memory for start in range(0, 1024, 16))


async def test_it_has_no_lock() -> None:
    driver = IdReader(context("idreader"), config("/dev/ttyUSB0"), RecordedReports())
    with pytest.raises(NoLock):
        await driver.access("out0", 3.0, time.monotonic() + 1)
