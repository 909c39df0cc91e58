"""The service that keeps the vault: what is enrolled, what is withdrawn, and who is told."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace

import pytest
import structlog

from menwei import Context, IdentifierType
from menwei.clock import TrustedClock
from menwei_face.options import FaceOptions
from menwei_face.service import Faces
from menwei_face.subject import identifier, new_subject
from menwei_face.trouble import VaultTrouble
from menwei_face.vault import Vault
from menwei_face.vault_files import KEYS


def faces(folder, log=None, **options):
    files = SimpleNamespace(folder=folder, subkey=lambda purpose: purpose.encode().ljust(32, b"."))
    log = log or structlog.get_logger("face")
    return Faces(Context("face", log, TrustedClock(), granted={"files": files}), FaceOptions(**options))


def vector(*leading):
    return struct.pack("<128f", *leading, *[0.0] * (128 - len(leading)))


@pytest.fixture
async def service(tmp_path):
    made = faces(tmp_path)
    yield made
    await made.close()


async def test_who_is_enrolled_is_known_at_once_and_after_a_restart(service, tmp_path):
    await service.enrol("one", [vector(1), vector(1.1)], 5.0)
    assert service.enrolled() == {"one"}
    await service.close()
    again = faces(tmp_path)
    await again.ready()
    assert again.enrolled() == {"one"}
    await again.close()


async def test_nobody_is_taken_for_not_enrolled_before_the_vault_is_open(service):
    with pytest.raises(VaultTrouble):
        service.enrolled()


async def test_the_worker_gets_those_who_are_asked_for_and_enrolled(service):
    await service.enrol("one", [vector(1)], 5.0)
    await service.enrol("two", [vector(0, 1)], 5.0)
    templates = await service.templates(["two", "nobody"])
    assert templates.rows == {"two": (vector(0, 1),)}


async def test_a_withdrawal_is_told_leaves_nothing_and_gives_a_receipt(service, tmp_path):
    told = []
    await service.enrol("one", [vector(1), vector(1.1), vector(1.2)], 5.0)
    service.on_change(told.append)
    receipt = await service.withdraw("one")
    assert (receipt.subject, receipt.templates, receipt.key_destroyed) == ("one", 3, True)
    assert told == ["one"] and service.enrolled() == frozenset()
    assert len(await service.templates(["one"])) == 0
    assert (await service.withdraw("one")).templates == 0


async def test_a_listener_that_fails_does_not_keep_a_template(service):
    def broken(subject):
        raise ZeroDivisionError

    await service.enrol("one", [vector(1)], 5.0)
    service.on_change(broken)
    assert (await service.withdraw("one")).templates == 1


async def test_whoever_ended_listening_hears_nothing(service):
    told = []
    service.on_change(told.append)()
    await service.enrol("one", [vector(1)], 5.0)
    assert told == []


async def test_a_face_too_like_somebody_elses_is_noticed_and_ones_own_is_not(service):
    await service.enrol("one", [vector(1), vector(0, 0, 9)], 5.0)
    assert await service.too_like([vector(5), vector(1.2)])
    assert not await service.too_like([vector(1.2)], "one")
    assert not await service.too_like([vector(2)])
    await service.enrol("two", [vector(2)], 5.0)
    assert await service.too_like([vector(2)], "one")
    await service.withdraw("two")
    assert not await service.too_like([vector(2)], "one")


async def test_the_sites_threshold_says_what_is_too_like(tmp_path):
    strict = faces(tmp_path, threshold=0.1)
    await strict.enrol("one", [vector(1)], 5.0)
    assert not await strict.too_like([vector(1.2)])
    await strict.close()


async def test_what_has_begun_is_finished_although_the_caller_goes_away(service):
    enrolling = asyncio.create_task(service.enrol("one", [vector(1)], 5.0))
    await asyncio.sleep(0)
    enrolling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await enrolling
    await service.ready()
    assert service.enrolled() == {"one"}


async def test_vectors_of_another_network_are_refused(service):
    with pytest.raises(ValueError, match="128 numbers"):
        await service.enrol("one", [bytes(4 * 512)], 5.0)
    with pytest.raises(ValueError, match="128 numbers"):
        await service.too_like([bytes(4 * 512)])


async def test_a_vault_under_another_machine_key_is_told(service, tmp_path):
    Vault(tmp_path / "vault", b"x" * 32).close()
    with pytest.raises(VaultTrouble, match="machine key"):
        await service.ready()
    (repair,) = service.repairs()
    assert repair.message == "face.repair.vault"
    (tmp_path / "vault" / KEYS).unlink()
    await service.ready()
    assert service.repairs() == []


async def test_run_opens_the_vault_and_closes_it_at_the_end(service):
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(60):
        while service._vault is None:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    assert service._vault is None


def test_a_subject_says_nothing_and_is_a_face():
    assert new_subject() != new_subject()
    made = identifier(new_subject())
    assert made.type is IdentifierType.FACE and len(made.value) == 32
