"""Somebody on an OSDP wire, between the panel and libosdp's reader."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from menwei import AuthFailed, NotReady
from menwei.testing import RecordedReports, context
from menwei.testing.proxies import Faults
from menwei_osdp.driver import OsdpBus
from menwei_osdp.pairing import Paired, Waiting, pair
from menwei_osdp.panel import DEFAULT_KEY
from menwei_osdp.port import Port
from osdp_support import FRESH, KEY_1, LOST, bench, settings
from peers.osdp_pd import Readers, reader, wiegand26
from peers.osdp_wire import (
    ACK,
    CAPABILITIES,
    CHALLENGE,
    KEYSET,
    Tapped,
    block_of,
    code_of,
    frame,
    is_reply,
    raw_card,
    uses_default_key,
)

pytest.importorskip("osdp_sys", reason="libosdp is not installed: pip install 'menwei[osdp]'")
pytest.importorskip("serial", reason="pyserial is not installed: pip install 'menwei[osdp]'")
pytestmark = pytest.mark.e2e

FORGED = raw_card(26, wiegand26(66, 6666))


def instead_of_silence(block: bytes, body: bytes) -> Callable[[bytes], list[bytes]]:
    """Says something else for the reader whenever it has nothing to say."""

    def edit(unit: bytes) -> list[bytes]:
        empty = is_reply(unit) and code_of(unit) == ACK and block_of(unit) in (0x16, None)
        return [frame(unit, body, block)] if empty else [unit]

    return edit


@pytest.mark.parametrize(
    "block", [b"", b"\x02\x12", b"\x02\x14", b"\x03\x14\x01"], ids=["clear", "12", "14", "14+1"]
)
async def test_a_card_put_into_a_session_without_its_key_is_refused_and_told(block: bytes) -> None:
    tap = Tapped()
    async with bench(wire=tap) as b:
        await b.fresh()
        with capture_logs() as logs:
            tap.edit = instead_of_silence(block, FORGED)
            await b.until(lambda: ("in", True) in b.heard.tampers)
            await asyncio.sleep(1.0)
            tap.edit = lambda unit: [unit]
        assert b.heard.cards == []
        assert "osdp.repair.intruder" in b.repairs()
        assert any(line["log_level"] == "error" for line in logs)
        await b.until(lambda: not any("reader-" in repair for repair in b.repairs()), LOST)
        await b.serves_again(2)


async def test_a_recorded_card_played_back_is_refused() -> None:
    tap, recorded = Tapped(), []
    async with bench(wire=tap) as b:
        await b.fresh()
        before = len(tap.seen)
        await b.readers.card(1, 26, wiegand26(1, 2))
        await b.heard.until(lambda: b.heard.cards)
        recorded = [unit for unit in tap.seen[before:] if is_reply(unit) and block_of(unit) == 0x18]
        assert recorded
        await asyncio.sleep(FRESH)

        def play(unit: bytes) -> list[bytes]:
            if not (is_reply(unit) and code_of(unit) == ACK):
                return [unit]
            again = recorded[0]
            return [
                frame(unit, again[7:-2], again[5:7])
            ]  # the same protected bytes under the number that is expected

        tap.edit = play
        await asyncio.sleep(2.0)
        tap.edit = lambda unit: [unit]
        assert len(b.heard.cards) == 1


async def test_a_reader_that_is_said_to_know_no_secure_channel_is_not_spoken_to_in_clear() -> None:
    def downgrade(unit: bytes) -> list[bytes]:
        if not (is_reply(unit) and code_of(unit) == CAPABILITIES):
            return [unit]
        body = bytearray(unit[5:-2])
        for place in range(1, len(body), 3):
            if body[place] == 9:  # communication security
                body[place + 1 : place + 3] = b"\0\0"
        return [frame(unit, bytes(body))]

    async with Tapped() as tap, Readers(tap.device_path, [reader(1, KEY_1)]):
        tap.edit = downgrade
        driver = OsdpBus(context("osdp"), settings(tap.host_path), RecordedReports())
        with pytest.raises(NotReady, match="no secure channel"):
            await driver.run()
        in_clear = {code_of(unit) for unit in tap.seen if not is_reply(unit) and block_of(unit) is None}
        assert in_clear <= {0x61, 0x62}


async def test_a_reader_in_install_mode_is_given_neither_trust_nor_a_key() -> None:
    async with Tapped() as tap, Readers(tap.device_path, [reader(1, None)]) as peers:
        driver = OsdpBus(context("osdp"), settings(tap.host_path), RecordedReports())
        with pytest.raises(AuthFailed, match="another key"):
            await driver.run()
        assert not any(uses_default_key(unit) for unit in tap.seen if not is_reply(unit))
        assert not any(code_of(unit) == KEYSET for unit in tap.seen)
        assert await peers.key(1) is None


async def test_a_reader_that_turns_to_install_mode_is_not_given_a_key() -> None:
    tap = Tapped()
    async with bench(wire=tap) as b:
        await b.readers.restart(1, key=None)
        await b.until(lambda: b.repairs() == ["osdp.repair.reader-key"], LOST)
        await b.readers.card(1, 26, wiegand26(1, 2))
        await asyncio.sleep(3.0)
        assert b.heard.cards == []
        assert not any(uses_default_key(unit) for unit in tap.seen)
        assert await b.readers.key(1) is None


async def test_a_wire_that_spoils_every_tenth_byte_run_neither_opens_nor_ends_anything() -> None:
    async with bench() as b:
        await b.fresh()
        b.wire.to_host.faults = Faults(garble=0.1)
        for number in range(1, 6):
            await b.readers.card(1, 26, wiegand26(7, number))
            await asyncio.sleep(1.1)
        b.wire.to_host.faults = Faults()
        await b.until(lambda: not b.repairs(), LOST)
        known = {("in", "wiegand26", f"7,{number}") for number in range(1, 6)}
        assert {
            (reader, format, re.sub(",0*", ",", value)) for reader, format, value in b.heard.cards
        } <= known
        assert len(b.heard.cards) <= 5


# ------------------------------------------------------------------------------------------------------------ pairing


async def pair_by_command(path: str, minutes: float = 0.5) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "menwei", "osdp", "pair", path, "--address", "1", "--minutes", str(minutes),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_paired_reader_has_a_key_of_its_own_and_works_with_it() -> None:
    async with Tapped() as tap, Readers(tap.device_path, [reader(1, None)]) as peers:
        code, out, err = await pair_by_command(tap.host_path)
        assert code == 0, err
        found = re.search(r'key: "([0-9a-f]{32})"', out)
        assert found is not None
        assert await peers.key(1) == found[1]
        assert bytes.fromhex(found[1]) != DEFAULT_KEY
        assert found[1] not in err
        assert tap.host_path in err  # in sentences, and not in their keys
        assert "osdp." not in err
        await OsdpBus.probe(settings(tap.host_path, **{"in": {"address": 1, "key": found[1]}}))


async def test_pairing_speaks_nothing_in_clear_with_a_reader_that_has_a_key() -> None:
    async with Tapped() as tap, Readers(tap.device_path, [reader(1, KEY_1)]) as peers:
        code, out, _ = await pair_by_command(tap.host_path, minutes=0.1)
        assert code != 0
        assert "key" not in out
        assert await peers.key(1) == KEY_1
        in_clear = {code_of(unit) for unit in tap.seen if not is_reply(unit) and block_of(unit) is None}
        assert in_clear <= {0x61, 0x62}


async def test_no_challenge_comes_again_when_the_program_is_started_anew() -> None:
    starts = []
    for _ in range(2):
        async with Tapped() as tap, Readers(tap.device_path, [reader(1, None)]):
            await pair_by_command(tap.host_path)
            starts.append(
                {unit[9:17] for unit in tap.seen if not is_reply(unit) and code_of(unit) == CHALLENGE}
            )
    assert all(starts)
    assert starts[0].isdisjoint(starts[1])


async def test_pairing_ends_after_ten_minutes_whatever_was_asked_for() -> None:
    now = [0.0]

    def sleep(_seconds: float) -> None:
        now[0] += 1.0

    told: list[Waiting] = []
    async with Tapped() as tap, Readers(tap.device_path, [reader(1, KEY_1)]):

        def work() -> Paired:
            with Port(tap.host_path, 9600) as port:
                return pair(
                    port, 7, bytes(range(16)), 1e9, told.append, monotonic=lambda: now[0], sleep=sleep
                )

        ended = await asyncio.wait_for(asyncio.to_thread(work), 30)
    assert (ended.identity, ended.key_sent) == (None, False)
    assert 600.0 <= now[0] <= 602.0


async def test_a_flood_of_garbage_stops_no_other_work() -> None:
    async with bench() as b:
        await b.fresh()
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            b.wire.inject(b"\x53\x81\xff\x00\x0f" * 200)
            await asyncio.sleep(0.01)
        await b.until(lambda: not b.repairs(), LOST)
        await b.serves_again(2)
