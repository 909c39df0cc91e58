"""The machine key and the manager's key: what opens where, and what never does."""

import copy
import hashlib
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.keys import (
    KeyExposed,
    KeyMissing,
    Keys,
    KeyTrouble,
    ManagerPrivate,
    SealBroken,
    WrapCost,
    seal_for_manager,
    unwrap,
    verify,
)
from menwei.model import CredentialIdentifier, IdentifierType

KEYS = Keys(bytes(range(32)))
OTHER = Keys(bytes(32))
CARD = CredentialIdentifier(IdentifierType.CARD, "uid", "04A1B2C3")
CHEAP = WrapCost(time=1, memory=8, lanes=1)


def test_the_first_start_makes_a_key_only_its_owner_can_read(tmp_path):
    keys = Keys.open(tmp_path)
    file = tmp_path / "machine.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_bytes()) == 32
    assert Keys.open(tmp_path).digest(CARD) == keys.digest(CARD)


def test_two_machines_have_different_keys(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Keys.open(tmp_path / "one"), Keys.open(tmp_path / "two")
    assert one.digest(CARD) != two.digest(CARD)
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    Keys.open(tmp_path)
    (tmp_path / "machine.key").chmod(mode)
    with pytest.raises(KeyExposed, match="chmod 600"):
        Keys.open(tmp_path)


@pytest.mark.parametrize("data", ["store.db", "journal.db"])
def test_a_missing_key_is_not_made_anew_beside_data_sealed_with_it(tmp_path, data):
    (tmp_path / data).touch()
    with pytest.raises(KeyMissing, match=data):
        Keys.open(tmp_path)
    assert not (tmp_path / "machine.key").exists()


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_damaged_key_is_refused(tmp_path, length):
    file = tmp_path / "machine.key"
    file.touch(0o600)
    file.write_bytes(bytes(length))
    with pytest.raises(KeyTrouble, match="damaged"):
        Keys.open(tmp_path)


def test_a_digest_is_16_bytes_of_hmac_sha256_over_type_format_and_value():
    from menwei.keys import _derive

    text = b"\x04Card\x03uid04A1B2C3"
    expected = hmac.digest(_derive(bytes(range(32)), "identifiers"), text, hashlib.sha256)[:16]
    assert KEYS.digest(CARD) == expected


@given(
    st.lists(
        st.tuples(st.sampled_from(IdentifierType), st.text(max_size=20), st.text()), min_size=2, max_size=2
    )
)
def test_different_identifiers_have_different_digests(two):
    one, other = (CredentialIdentifier(*facts) for facts in two)
    assert (KEYS.digest(one) == KEYS.digest(other)) == (one == other)


@given(st.text(st.characters(), max_size=50))
def test_whatever_a_reader_sends_has_a_digest(value):
    assert len(KEYS.digest(CredentialIdentifier(IdentifierType.CARD, "uid", value + "\ud800"))) == 16


def test_the_same_pin_looks_different_on_every_credential():
    assert KEYS.pin(1, "2468") == KEYS.pin(1, "2468")
    assert KEYS.pin(1, "2468") != KEYS.pin(2, "2468")


@given(st.binary(), st.text(max_size=20))
def test_what_was_sealed_opens_again_in_its_place(plaintext, context):
    assert KEYS.unseal(KEYS.seal(plaintext, context), context) == plaintext


def test_a_seal_does_not_open_in_another_place_on_another_machine_or_altered():
    sealed = KEYS.seal(b"secret", "devices/1")
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for keys, value, context in (
        (KEYS, sealed, "devices/2"),
        (OTHER, sealed, "devices/1"),
        (KEYS, altered, "devices/1"),
        (KEYS, b"", "devices/1"),
        (KEYS, sealed[:5], "devices/1"),
    ):
        with pytest.raises(SealBroken):
            keys.unseal(value, context)


def test_sealing_twice_never_looks_the_same():
    assert KEYS.seal(b"secret", "here") != KEYS.seal(b"secret", "here")


def test_a_signature_is_checked_with_the_public_key_alone():
    signature = KEYS.sign(b"checkpoint")
    assert verify(KEYS.public, signature, b"checkpoint")
    assert not verify(KEYS.public, signature, b"another")
    assert not verify(OTHER.public, signature, b"checkpoint")


def test_the_manager_opens_what_anybody_sealed_for_them():
    manager = ManagerPrivate.generate()
    sealed = seal_for_manager(manager.public, "王小明".encode(), "holders/1/name")
    assert manager.open(sealed, "holders/1/name").decode() == "王小明"


def test_a_name_opens_in_its_own_row_and_with_its_own_key_only():
    manager = ManagerPrivate.generate()
    sealed = seal_for_manager(manager.public, b"name", "holders/1/name")
    for key, value, context in (
        (manager, sealed, "holders/2/name"),
        (ManagerPrivate.generate(), sealed, "holders/1/name"),
        (manager, sealed[:-1], "holders/1/name"),
        (manager, b"", "holders/1/name"),
    ):
        with pytest.raises(SealBroken):
            key.open(value, context)


def test_search_words_are_keyed_with_the_managers_key():
    one, other = ManagerPrivate.generate(), ManagerPrivate.generate()
    assert one.blind("张三") == one.blind("张三")
    assert one.blind("张三") != other.blind("张三")


def test_the_managers_key_unwraps_with_the_password_for_the_account_it_was_wrapped_for():
    manager = ManagerPrivate.generate()
    wrapped = manager.wrap("correct horse", "accounts/1", CHEAP)
    assert unwrap(wrapped, "correct horse", "accounts/1").public == manager.public
    for password, context in (("wrong horse", "accounts/1"), ("correct horse", "accounts/2")):
        with pytest.raises(SealBroken):
            unwrap(wrapped, password, context)


def test_keys_show_nothing_and_do_not_travel():
    for secret in (KEYS, ManagerPrivate.generate()):
        assert "…" in repr(secret)
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        with pytest.raises(TypeError):
            copy.deepcopy(secret)


def test_two_first_starts_at_once_make_one_key(tmp_path):
    Keys.open(tmp_path)
    before = (tmp_path / "machine.key").read_bytes()
    from menwei.keys import _create

    with pytest.raises(FileExistsError):
        _create(tmp_path / "machine.key")
    assert (tmp_path / "machine.key").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["machine.key"]
