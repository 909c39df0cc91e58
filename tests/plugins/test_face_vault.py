"""Templates at rest: sealed, a key for each person, gone for good on withdrawal."""

from __future__ import annotations

import math
import sqlite3
import struct

import pytest

from menwei_face import vault as vaults
from menwei_face.vault import Receipt, Vault, VaultBusy, VaultLocked, VaultTrouble

SUBKEY = bytes(range(32))


def template(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


ANNA = template(*(0.1 + number / 160 for number in range(128)))
ALSO_ANNA = template(*(0.1 + number / 159 for number in range(128)))
BEN = template(*(number / 160 - 0.9 for number in range(128)))


@pytest.fixture
def vault(tmp_path):
    with Vault(tmp_path, SUBKEY, copy=tmp_path / "backup" / "keys.copy") as opened:
        yield opened


def every_byte(folder):
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def wrapped_key(folder, subject):
    with sqlite3.connect(folder / vaults.KEYS) as db:
        return db.execute("SELECT wrapped FROM keys WHERE subject = ?", (subject,)).fetchone()[0]


def test_what_is_enrolled_is_found_after_a_restart(tmp_path):
    with Vault(tmp_path, SUBKEY) as first:
        first.enrol("anna", "Dlib", [ANNA, ALSO_ANNA], 1.0)
    with Vault(tmp_path, SUBKEY) as again:
        loaded = again.load("Dlib", ["anna", "nobody"])
    assert loaded.damaged == ()
    assert loaded.templates.rows == {"anna": (ANNA, ALSO_ANNA)}


def test_no_template_stands_in_any_file_in_clear(vault, tmp_path):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    everything = every_byte(tmp_path)
    assert ANNA[:16] not in everything
    assert ANNA[160:176] not in everything


def test_what_is_opened_is_shown_in_no_log(vault):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    assert repr(vault.load("Dlib", ["anna"])) == "Loaded(templates=Templates(), damaged=())"


def test_the_public_calls_give_no_template_out():
    assert {name for name in dir(Vault) if not name.startswith("_")} == {
        "close", "enrol", "enrolled", "load", "to_enrol_again", "withdraw",
    }  # fmt: skip


def test_withdrawal_leaves_no_key_in_the_store_its_journal_or_the_copy(vault, tmp_path):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    vault.enrol("ben", "Dlib", [BEN], 1.0)
    key = wrapped_key(tmp_path, "anna")
    assert every_byte(tmp_path).count(key) >= 2  # the store and the copy
    receipt = vault.withdraw("anna", 9.0)
    assert receipt == Receipt("anna", 1, 9.0, True)
    assert key not in every_byte(tmp_path)
    assert wrapped_key(tmp_path, "ben") in (tmp_path / "backup" / "keys.copy").read_bytes()
    assert vault.load("Dlib", ["anna", "ben"]).templates.subjects == ("ben",)


def test_withdrawal_overwrites_the_rollback_journal_and_the_old_copy_in_place(vault, tmp_path):
    """The old copy is looked at through a second name of the same file, as a recovery tool would see its blocks."""
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    old = tmp_path / "the same blocks"
    old.hardlink_to(tmp_path / "backup" / "keys.copy")
    key = wrapped_key(tmp_path, "anna")
    assert key in old.read_bytes()
    vault.withdraw("anna", 9.0)
    assert key not in old.read_bytes()
    assert set((tmp_path / (vaults.KEYS + "-journal")).read_bytes()) <= {0}


def test_an_old_backup_of_the_templates_is_noise_after_withdrawal(tmp_path):
    with Vault(tmp_path, SUBKEY) as vault:
        vault.enrol("anna", "Dlib", [ANNA], 1.0)
    backup = (tmp_path / vaults.TEMPLATES).read_bytes()
    with Vault(tmp_path, SUBKEY) as vault:
        vault.withdraw("anna", 2.0)
    (tmp_path / vaults.TEMPLATES).write_bytes(backup)
    (tmp_path / (vaults.TEMPLATES + "-journal")).unlink()
    with Vault(tmp_path, SUBKEY) as vault:
        loaded = vault.load("Dlib", ["anna"])
    assert (loaded.damaged, len(loaded.templates)) == (("anna",), 0)


def test_enrolling_again_after_withdrawal_uses_a_new_key(vault, tmp_path):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    before = wrapped_key(tmp_path, "anna")
    vault.withdraw("anna", 2.0)
    vault.enrol("anna", "Dlib", [ANNA], 3.0)
    assert wrapped_key(tmp_path, "anna") != before
    assert vault.load("Dlib", ["anna"]).templates.rows == {"anna": (ANNA,)}


def test_withdrawing_twice_or_for_nobody_gives_a_receipt_over_none(vault):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    vault.withdraw("anna", 2.0)
    assert vault.withdraw("anna", 3.0) == Receipt("anna", 0, 3.0, True)
    assert vault.withdraw("nobody", 3.0) == Receipt("nobody", 0, 3.0, True)


def test_another_machine_key_opens_nothing(tmp_path):
    with Vault(tmp_path, SUBKEY) as vault:
        vault.enrol("anna", "Dlib", [ANNA], 1.0)
    with pytest.raises(VaultLocked):
        Vault(tmp_path, bytes(32))
    with pytest.raises(VaultTrouble, match="32 bytes"):
        Vault(tmp_path, b"short")


def test_a_row_moved_to_another_person_does_not_open(vault, tmp_path):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    vault.enrol("ben", "Dlib", [BEN], 1.0)
    with sqlite3.connect(tmp_path / vaults.TEMPLATES) as db:
        db.execute(
            "UPDATE templates SET sealed = (SELECT sealed FROM templates WHERE subject = 'ben') WHERE subject = 'anna'"
        )
    loaded = vault.load("Dlib", ["anna", "ben"])
    assert (loaded.damaged, loaded.templates.subjects) == (("anna",), ("ben",))


def test_a_key_moved_to_another_person_does_not_open(vault, tmp_path):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    vault.enrol("ben", "Dlib", [BEN], 1.0)
    with sqlite3.connect(tmp_path / vaults.KEYS) as db:
        db.execute(
            "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE subject = 'ben') WHERE subject = 'anna'"
        )
    assert vault.load("Dlib", ["anna", "ben"]).damaged == ("anna",)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(600)])
def test_an_altered_row_costs_one_person_not_the_door(vault, tmp_path, sealed):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    vault.enrol("ben", "Dlib", [BEN], 1.0)
    with sqlite3.connect(tmp_path / vaults.TEMPLATES) as db:
        db.execute("UPDATE templates SET sealed = ? WHERE subject = 'anna'", (sealed,))
    loaded = vault.load("Dlib", ["anna", "ben"])
    assert (loaded.damaged, loaded.templates.subjects) == (("anna",), ("ben",))


def test_templates_are_kept_for_each_model_and_a_change_is_planned(vault):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    vault.enrol("ben", "Dlib", [BEN], 1.0)
    vault.enrol("ben", "SFace", [BEN], 2.0)
    assert vault.enrolled() == {"anna", "ben"}
    assert vault.enrolled("SFace") == {"ben"}
    assert vault.to_enrol_again("SFace") == {"anna"}
    assert vault.load("SFace", ["anna", "ben"]).templates.subjects == ("ben",)


def test_new_templates_replace_the_old_ones(vault):
    vault.enrol("anna", "Dlib", [ANNA, ANNA, ANNA], 1.0)
    vault.enrol("anna", "Dlib", [BEN], 2.0)
    assert vault.load("Dlib", ["anna"]).templates.rows == {"anna": (BEN,)}


@pytest.mark.parametrize(
    "rows",
    [[], [ANNA] * 6, [template(1, math.nan)], [template(math.inf)], [b""], [ANNA[:-1]], [ANNA, ANNA[:-4]]],
)
def test_none_too_many_or_broken_templates_are_not_kept(vault, rows):
    with pytest.raises(ValueError, match=r"finite|template"):
        vault.enrol("anna", "Dlib", rows, 1.0)
    assert vault.enrolled() == frozenset()


def test_a_second_writer_is_told_that_the_vault_is_in_use(vault, tmp_path):
    other = sqlite3.connect(tmp_path / vaults.TEMPLATES, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    vault._templates.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(VaultBusy):
        vault.enrol("anna", "Dlib", [ANNA], 1.0)
    other.execute("ROLLBACK")
    other.close()


def test_the_files_are_for_the_owner_alone(vault, tmp_path):
    vault.enrol("anna", "Dlib", [ANNA], 1.0)
    files = [tmp_path / vaults.KEYS, tmp_path / vaults.TEMPLATES, tmp_path / "backup" / "keys.copy"]
    assert [file.stat().st_mode & 0o077 for file in files] == [0, 0, 0]
