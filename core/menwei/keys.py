"""Secrets of the machine and of the manager: what may be read without a person, and what may not.

The *machine key* (one file, 0600) opens what an unattended boot needs: keyed hashes of identifiers and PINs, device
secrets, the journal's personal parts, its signatures. Whoever has the file and the store has these; numbers with few
possible values (a card's 32 bits, a PIN's six digits) can then be found by trying them all.

The *manager key* is an X25519 pair. Its public half stands in the store, so a desk can always write a name; its private
half exists only wrapped under the passwords of committee accounts and, while one of them is logged in, in memory. The
search index of names is keyed with it too: the machine key alone can not even test a guessed name.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from menwei.model import CredentialIdentifier
from menwei.problems import Unusable
from menwei.randomness import Randomness

MACHINE_KEY = "machine.key"
KEY_LENGTH = 32
DIGEST_LENGTH = 16
"""Bytes kept of a keyed hash: at a million identifiers a chance hit has a probability of 2⁻¹⁰⁸."""
KEPT_PREFIXES = 64
"""Kinds and formats of identifiers whose encoding is remembered; there are some ten."""
KEPT_WITH_THE_KEY = ("store.db", "journal.db", "keys.db")
"""Files that are worthless without the machine key: where one of them is, a missing key is not made anew."""
_NONCE = 12
_BLOCK = 64
"""SHA-256 block, RFC 2104."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
"""RFC 9180, base mode, one message per encapsulation."""


class KeyTrouble(Unusable):
    """The machine key can not be used. The text says which file and what to do; nothing was changed."""


class KeyMissing(KeyTrouble):
    """There is data sealed under a key that is gone."""


class KeyExposed(KeyTrouble):
    """Others than the owner may read the key file."""


class KeyMismatch(KeyTrouble):
    """The store was written under another machine key."""


class SealBroken(Exception):
    """A sealed value does not open: another key, another context, or it was altered."""


class Keys:
    """The machine key and what is derived from it. `open` reads or makes it; the constructor takes the raw 32 bytes."""

    def __init__(self, machine_key: bytes) -> None:
        if len(machine_key) != KEY_LENGTH:
            raise KeyTrouble("key.length", wanted=KEY_LENGTH, found=len(machine_key))
        self._machine = machine_key
        self._digest = _Hmac(_derive(machine_key, "identifiers"))
        self._pin = _Hmac(_derive(machine_key, "pins"))
        self._blind = _Hmac(_derive(machine_key, "blind index"))
        self._seal = AESGCM(_derive(machine_key, "seal"))
        self.random = Randomness().take
        """So many fresh random bytes, for a nonce or a salt."""
        self._prefixes: dict[tuple[str, str], bytes] = {}
        self.fingerprint = _derive(machine_key, "fingerprint")[:DIGEST_LENGTH]
        """Tells two machine keys apart and says nothing about either; stands in the store."""

    @classmethod
    def open(cls, folder: Path) -> Keys:
        """The key of the data folder, made at first start. Raises `KeyMissing`, `KeyExposed` or `KeyTrouble`."""
        path = folder / MACHINE_KEY
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return cls(_create(path))
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                mode = f"{stat.S_IMODE(facts.st_mode):04o}"
                raise KeyExposed("key.exposed", file=path, mode=mode)
            content = file.read(KEY_LENGTH + 1)
        if len(content) != KEY_LENGTH:
            raise KeyTrouble("key.damaged", file=path, wanted=KEY_LENGTH)
        return cls(content)

    def digest(self, identifier: CredentialIdentifier) -> bytes:
        """16 bytes that stand for an identifier in the store and in memory: HMAC-SHA-256 over type, format, value,
        each of the first two behind its length, so that no two identifiers share a text."""
        of = identifier.type, identifier.format
        prefix = self._prefixes.get(of)
        if prefix is None:
            kind, form = identifier.type.encode(), identifier.format.encode()
            prefix = b"%c%s%c%s" % (len(kind), kind, len(form), form)
            if len(self._prefixes) < KEPT_PREFIXES:
                self._prefixes[of] = prefix
        # whatever a reader sends is data, never an error
        return self._digest(prefix + identifier.value.encode("utf-8", "surrogatepass"))

    def pin(self, credential_id: int, digits: str) -> bytes:
        """16 bytes that stand for the PIN of one credential; the same digits look different on every other."""
        return self._pin(credential_id.to_bytes(8, "big") + digits.encode(errors="surrogatepass"))

    def blind(self, text: str) -> bytes:
        """16 bytes by which an exact text (an external id, a login name) can be looked up without storing it. Not for
        names: whoever has the machine key can try guesses; names are indexed with `ManagerPrivate.blind`."""
        return self._blind(text.encode())

    def seal(self, plaintext: bytes, context: str | bytes) -> bytes:
        """Encrypt for this machine. `context` names the place it is for; it opens nowhere else."""
        nonce = self.random(_NONCE)
        bound = context if isinstance(context, bytes) else context.encode()
        return nonce + self._seal.encrypt(nonce, plaintext, bound)

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """The plaintext of `seal`. Raises `SealBroken`."""
        return _open_gcm(self._seal, sealed, context)

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(_derive(self._machine, "signatures"))

    @property
    def public(self) -> bytes:
        """The 32 bytes with which anybody can check `sign` (Ed25519): see `verify`."""
        return self._signer.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """64 bytes, Ed25519 (RFC 8032)."""
        return self._signer.sign(data)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether this machine signed `data`."""
        return verify(self.public, signature, data)

    def subkey(self, purpose: str) -> bytes:
        """32 bytes for one more purpose of the core (the journal's salt, the vault); different for each name."""
        return _derive(self._machine, "core:" + purpose)

    def __repr__(self) -> str:
        return "Keys(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")


def verify(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the owner of the Ed25519 key `public` signed `data`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except InvalidSignature:
        return False
    return True


# ------------------------------------------------------------------------------------------------- the manager's key


@dataclass(frozen=True, slots=True)
class WrapCost:
    """Argon2id cost of turning a password into a wrapping key (RFC 9106); `memory` in KiB. It is stored with the
    wrapped key, so it can rise later."""

    time: int = 3
    memory: int = 65536
    lanes: int = 4


class ManagerPrivate:
    """The unlocked private half: opens personal fields and computes search tokens. It lives in memory, bound to the
    session of a committee account, and is never stored, logged or pickled."""

    __slots__ = ("_blind", "_key")

    def __init__(self, raw: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(raw)
        self._blind = _Hmac(_derive(raw, "holder index"))

    @classmethod
    def generate(cls) -> ManagerPrivate:
        return cls(os.urandom(KEY_LENGTH))

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, context: str) -> bytes:
        """The plaintext of `seal_for_manager`. Raises `SealBroken`."""
        try:
            return _SUITE.decrypt(sealed, self._key, context.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"{context}: this does not open with the manager's key") from error

    def blind(self, token: str) -> bytes:
        """16 bytes that stand for a word of a name in the search index."""
        return self._blind(token.encode())

    def wrap(self, password: str, context: str, cost: WrapCost) -> bytes:
        """The private key, encrypted under a password: cost, salt, nonce, ciphertext. Takes as long as a password
        check: call it in a thread."""
        header = b"%c%s%c" % (cost.time, cost.memory.to_bytes(4, "big"), cost.lanes)
        salt = os.urandom(16)
        nonce = os.urandom(_NONCE)
        cipher = AESGCM(_from_password(password, salt, cost))
        return header + salt + nonce + cipher.encrypt(nonce, self._key.private_bytes_raw(), context.encode())

    def __repr__(self) -> str:
        return "ManagerPrivate(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the manager's key is not pickled")


def unwrap(wrapped: bytes, password: str, context: str) -> ManagerPrivate:
    """The inverse of `ManagerPrivate.wrap`. Raises `SealBroken` for another password or context. Slow: in a thread."""
    cost = WrapCost(wrapped[0], int.from_bytes(wrapped[1:5], "big"), wrapped[5])
    salt, sealed = wrapped[6:22], wrapped[22:]
    return ManagerPrivate(_open_gcm(AESGCM(_from_password(password, salt, cost)), sealed, context))


def seal_for_manager(public: bytes, plaintext: bytes, context: str) -> bytes:
    """Encrypt what only the manager may read (HPKE, RFC 9180, base mode; `context` is its info): encapsulated key,
    ciphertext. Nothing on this machine opens it again without a committee password."""
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), context.encode())


# ------------------------------------------------------------------------------------------------------------ inside


class _Hmac:
    """HMAC-SHA-256 cut to 16 bytes. Both padded blocks are hashed once, which makes it three times as fast as
    `hmac.digest` on short texts; it stands on the decision line."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def __call__(self, data: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(data)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:DIGEST_LENGTH]


def same(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal, in constant time."""
    return hmac.compare_digest(one, other)


def _derive(key: bytes, purpose: str) -> bytes:
    """HKDF-Expand (RFC 5869): the input is already a uniformly random key, so Extract adds nothing."""
    return HKDFExpand(hashes.SHA256(), KEY_LENGTH, b"menwei 1 " + purpose.encode()).derive(key)


def _from_password(password: str, salt: bytes, cost: WrapCost) -> bytes:
    secret = password.encode()
    return hash_secret_raw(secret, salt, cost.time, cost.memory, cost.lanes, KEY_LENGTH, Type.ID)


def _open_gcm(cipher: AESGCM, sealed: bytes, context: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(f"{context}: this does not open with the key at hand") from error


def _create(path: Path) -> bytes:
    for name in KEPT_WITH_THE_KEY:
        if (path.parent / name).exists():
            raise KeyMissing("key.missing", file=path, other=name)
    key = os.urandom(KEY_LENGTH)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # data sealed under the key must not outlive its directory entry
    finally:
        os.close(directory)
    return key
