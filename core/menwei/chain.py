"""The journal's tamper evidence, as pure functions: how an entry is hashed into the chain, and how a chain is verified.

Each entry's link is SHA-256 over the link before it and every fact of the entry. What is personal enters only as a
commitment, SHA-256 over a random salt and the sealed-away text, so that retention can destroy the personal part (and
the salt with it) and the chain still holds, while nobody can guess the person from what stays.

A bare hash chain proves nothing against someone who rewrites all of it, so the newest link is signed from time to
time (the *head*), and a prefix is cut only at a signed *checkpoint*, where verifying starts. What nobody can tell from
the file alone: that the whole file was put back to an older, honest state, and that entries after the last signed head
were taken away (`journal_writer.SIGN_EVERY` says how old that head may be).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import orjson
from cryptography.exceptions import InvalidTag

SALT_SIZE = 16
HASH_SIZE = 32

FORGOTTEN = "Forgotten"
JOURNAL_GAP = "JournalGap"
JOURNAL_CUT = "JournalCut"
OWN_KINDS = frozenset({FORGOTTEN, JOURNAL_GAP, JOURNAL_CUT})
"""Kinds that only the journal itself writes: the balance of deletions rests on them."""

_SEQ_BITS = 31
MAX_SEQ = (1 << _SEQ_BITS) - 1
"""When an epoch's numbers are used up, the next epoch begins."""
_FIXED = struct.Struct(">QQdddIIIII")


class JournalKeys(Protocol):
    """What the journal needs of the machine key (`keys.py`)."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Authenticated encryption, bound to `context`."""

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext; `ValueError` or `cryptography.exceptions.InvalidTag` when key, context or bytes differ."""

    def random(self, count: int) -> bytes:
        """Fresh random bytes, for salts."""

    def blind(self, text: str) -> bytes:
        """A keyed hash of 16 bytes: equal texts are found, nobody without the key can tell which."""

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature."""

    def verify(self, data: bytes, sig: bytes) -> bool:
        """Whether `sig` is this machine's signature of `data`."""


def pack(epoch: int, seq: int) -> int:
    """A position as one integer in the same order: the primary key of the file."""
    return epoch << _SEQ_BITS | seq


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where an entry stands: `epoch` grows with every opening of the journal, `seq` is contiguous from 1 in an epoch.

    With the site's id it names an entry for ever, on any machine. Ordered as the entries were written, whatever the
    clock did.
    """

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `str()` wrote; `ValueError` for anything else."""
        epoch, dot, seq = text.partition(".")
        if not (dot and epoch.isascii() and epoch.isdecimal() and seq.isascii() and seq.isdecimal()):
            raise ValueError(f"not a journal position: {text!r}")
        position = cls(int(epoch), int(seq))
        if position.epoch > MAX_EPOCH or position.seq > MAX_SEQ:
            raise ValueError(f"not a journal position: {text!r}")
        return position

    @property
    def packed(self) -> int:
        """See `pack`."""
        return pack(self.epoch, self.seq)

    @classmethod
    def unpack(cls, packed: int) -> Position:
        return cls(packed >> _SEQ_BITS, packed & MAX_SEQ)


START = Position(0, 0)
"""Before every entry."""

MAX_EPOCH = (1 << 32) - 1
"""Epochs are seconds since 1970 where the clock is right: enough until 2106, and 63 bits hold the packed position."""


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as the file holds it; `data` is the JSON text, `commitment` is empty when nothing personal belongs to
    it. `sealed` and `holder` are the side row, None when there is none (any more)."""

    position: Position
    kind: str
    at: float
    recorded_at: float
    monotonic: float
    door: str
    access_point: str
    data: str
    commitment: bytes
    chain: bytes
    sealed: bytes | None = None
    holder: bytes | None = None


def genesis(site: str) -> bytes:
    """What the first entry of a site's journal is linked to."""
    return hashlib.sha256(b"menwei journal 1\0" + site.encode()).digest()


def link_hash(
    previous: bytes,
    epoch: int,
    seq: int,
    at: float,
    recorded_at: float,
    monotonic: float,
    kind: bytes,
    door: bytes,
    access_point: bytes,
    data: bytes,
    commitment: bytes,
) -> bytes:
    """The chain value of an entry after `previous`. Texts as UTF-8; every length is hashed, so no two entries share
    an encoding."""
    fixed = _FIXED.pack(
        epoch, seq, at, recorded_at, monotonic,
        len(kind), len(door), len(access_point), len(data), len(commitment),
    )  # fmt: skip
    return hashlib.sha256(b"".join((previous, fixed, kind, door, access_point, data, commitment))).digest()


def commit(salt: bytes, personal: bytes) -> bytes:
    """The commitment that stays in the chain when `personal` and `salt` are gone."""
    return hashlib.sha256(b"menwei personal 1\0" + salt + personal).digest()


def seal_context(commitment: bytes) -> bytes:
    """What a sealed personal part is bound to: it opens only beside the entry that commits to it."""
    return b"journal personal " + commitment.hex().encode()


def open_personal(keys: JournalKeys, sealed: bytes, commitment: bytes) -> dict[str, Any]:
    """The personal part of an entry. The salt is sealed with it: beside an open salt, a thief of the file could try
    every holder's number against the commitment. `ValueError` when it is not what was written."""
    try:
        plain = keys.open(sealed, seal_context(commitment))
    except InvalidTag as error:
        raise ValueError("the personal part does not open") from error
    salt, text = plain[:SALT_SIZE], plain[SALT_SIZE:]
    if not hmac.compare_digest(commit(salt, text), commitment):
        raise ValueError("the personal part is not the one committed to")
    personal = orjson.loads(text)
    if not isinstance(personal, dict):
        raise ValueError("the personal part is not a mapping")
    return personal


def blind_holder(keys: JournalKeys, holder: object) -> bytes:
    """The index value under which a holder's entries are found."""
    return keys.blind(f"journal holder {holder}")


@dataclass(frozen=True, slots=True)
class Seal:
    """A signed statement about the chain: `body` is JSON, exactly as signed."""

    body: bytes
    signature: bytes

    @classmethod
    def make(
        cls, keys: JournalKeys, purpose: str, site: str, position: Position, chain: bytes, **more: Any
    ) -> Seal:
        """`purpose` is "head" or "checkpoint" and signed too: one is not accepted as the other."""
        facts = {"purpose": purpose, "site": site, "position": str(position), "chain": chain.hex(), **more}
        body = orjson.dumps(facts)
        return cls(body, keys.sign(body))

    def read(self, keys: JournalKeys, purpose: str, site: str) -> dict[str, Any]:
        """What was signed; `ValueError` when this machine did not sign it, for this site and purpose."""
        if not keys.verify(self.body, self.signature):
            raise ValueError(f"the signature of the {purpose} does not hold")
        facts: dict[str, Any] = orjson.loads(self.body)
        if facts["purpose"] != purpose or facts["site"] != site:
            raise ValueError(f"the signed statement is not the {purpose} of site {site!r}")
        return facts


class Break(StrEnum):
    """What is wrong at the first broken position."""

    CHANGED = "changed"
    """The entry is not the one that was written, or the one before it is not."""
    MISSING = "missing"
    """No entry stands at this position, and one should."""
    UNREADABLE = "unreadable"
    """The row holds values that no entry can have; without a position: SQLite cannot read the file."""
    CHECKPOINT = "checkpoint"
    """The checkpoint where the journal begins is not one that this machine signed."""
    HEAD = "head"
    """The signed head is absent, is not ours, or is not what stands at its position."""
    PERSONAL = "personal"
    """The personal part is not the one that was written."""
    REMOVED = "removed"
    """More or fewer personal parts are gone than the Forgotten entries prove."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer of `verify`. `broken` and `why` name the first trouble, `detail` is for the installer and holds
    nothing personal."""

    entries: int = 0
    personal: int = 0
    """personal parts that were opened and are what was written"""
    forgotten: int = 0
    """entries whose personal part retention has destroyed"""
    first: Position | None = None
    last: Position | None = None
    signed: Position | None = None
    """up to here the machine's signature vouches"""
    broken: Position | None = None
    why: Break | None = None
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.why is None


@dataclass(slots=True)
class Balance:
    """Personal parts that are gone against those that Forgotten entries prove, for each kind. All zero when every
    deletion was written down. A checkpoint carries the balance of the prefix it replaces."""

    counts: Counter[str] = field(default_factory=Counter)

    def take(self, kind: str, data: Mapping[str, Any], gone: bool) -> None:
        if gone:
            self.counts[kind] += 1
        if kind == FORGOTTEN:
            self.counts.subtract(data["counts"])

    def uneven(self) -> dict[str, int]:
        return {kind: count for kind, count in self.counts.items() if count}


class Verifier:
    """Verifies a chain link by link: `take` each in the file's order, then `finish`.

    After the first trouble `result` is set and further links are ignored.
    """

    def __init__(self, keys: JournalKeys, site: str, checkpoint: Seal | None, head: Seal | None) -> None:
        self._keys = keys
        self._previous = genesis(site)
        self._at = START
        self._balance = Balance()
        self._entries = self._personal = self._forgotten = 0
        self._first: Position | None = None
        self._signed: Position | None = None
        self._signed_chain = b""
        self._head_seen = False
        self._headless = head is None
        self.result: Verification | None = None
        if checkpoint is not None:
            try:
                facts = checkpoint.read(keys, "checkpoint", site)
                self._at = Position.parse(facts["position"])
                self._previous = bytes.fromhex(facts["chain"])
                self._balance = Balance(Counter(facts["balance"]))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._stop(Break.CHECKPOINT, START, str(error))
        if head is not None and self.result is None:
            try:
                facts = head.read(keys, "head", site)
                self._signed = Position.parse(facts["position"])
                self._signed_chain = bytes.fromhex(facts["chain"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._stop(Break.HEAD, START, str(error))

    def take(self, link: Link) -> None:
        if self.result is not None:
            return
        trouble = self._contiguity(link.position)
        if trouble is not None:
            self._stop(Break.MISSING, trouble, f"the next entry is {link.position}")
            return
        try:
            expected = self._hash(link)
        except (TypeError, ValueError, AttributeError, struct.error) as error:
            self._stop(Break.UNREADABLE, link.position, str(error))
            return
        if not hmac.compare_digest(expected, link.chain):
            self._stop(Break.CHANGED, link.position, "the entry does not hash to its link")
            return
        if link.position == self._signed:
            self._head_seen = True
            if not hmac.compare_digest(self._signed_chain, link.chain):
                self._stop(
                    Break.HEAD, link.position, "another entry was signed here: the chain was rewritten"
                )
                return
        self._sidetable(link)
        self._entries += 1
        self._first = self._first or link.position
        self._at, self._previous = link.position, link.chain

    @property
    def balance(self) -> dict[str, int]:
        """Personal parts gone and not yet proven, for each kind, up to the last link taken."""
        return self._balance.uneven()

    def stray(self, position: Position | None) -> None:
        """A side row stands where no entry does; None: there is none."""
        if self.result is None and position is not None:
            self._stop(Break.PERSONAL, position, "a personal part without its entry")

    def finish(self) -> Verification:
        """The verdict, once every link was taken."""
        if self.result is None and self._entries and self._headless:
            self._stop(Break.HEAD, self._at, "no signed head")
        if self.result is None and self._signed is not None and not self._head_seen:
            self._stop(Break.HEAD, self._signed, "the entry that was signed as the head is gone")
        if self.result is None and (uneven := self._balance.uneven()):
            told = ", ".join(f"{kind}: {count:+d}" for kind, count in sorted(uneven.items()))
            self._stop(Break.REMOVED, self._at, f"personal parts gone beyond the Forgotten entries: {told}")
        return self.result or self._verdict(None, None, "")

    def _contiguity(self, position: Position) -> Position | None:
        """The position that should have come and did not; None when `position` rightly follows."""
        if position.epoch == self._at.epoch:
            return None if position.seq == self._at.seq + 1 else Position(self._at.epoch, self._at.seq + 1)
        return None if position.epoch > self._at.epoch and position.seq == 1 else Position(position.epoch, 1)

    def _hash(self, link: Link) -> bytes:
        return link_hash(
            self._previous, link.position.epoch, link.position.seq, link.at, link.recorded_at, link.monotonic, link.kind.encode(),
            link.door.encode(), link.access_point.encode(), link.data.encode(), bytes(link.commitment),
        )  # fmt: skip

    def _sidetable(self, link: Link) -> None:
        """The link itself holds; judge what stands beside it."""
        gone = bool(link.commitment) and link.sealed is None
        data = orjson.loads(link.data) if link.kind == FORGOTTEN else {}
        self._balance.take(link.kind, data, gone)
        self._forgotten += gone
        if link.sealed is None:
            return
        try:
            personal = open_personal(self._keys, bytes(link.sealed), bytes(link.commitment))
        except (ValueError, TypeError) as error:
            self._stop(Break.PERSONAL, link.position, str(error))
            return
        holder = personal.get("holder")
        if link.holder != (None if holder is None else blind_holder(self._keys, holder)):
            self._stop(Break.PERSONAL, link.position, "the holder index is not that of the personal part")
            return
        self._personal += 1

    def _stop(self, why: Break, broken: Position, detail: str) -> None:
        self.result = self._verdict(why, broken, detail)

    def _verdict(self, why: Break | None, broken: Position | None, detail: str) -> Verification:
        return Verification(
            entries=self._entries, personal=self._personal, forgotten=self._forgotten, first=self._first,
            last=self._at if self._entries else None, signed=self._signed, broken=broken, why=why, detail=detail,
        )  # fmt: skip


def verify(
    links: Iterable[Link],
    keys: JournalKeys,
    site: str,
    checkpoint: Seal | None = None,
    head: Seal | None = None,
) -> Verification:
    """Verifies a whole chain: the checkpoint's signature, every link, contiguity in each epoch, epochs that only
    grow, the personal parts that still exist, the balance of those that do not, and the signed head."""
    verifier = Verifier(keys, site, checkpoint, head)
    for link in links:
        verifier.take(link)
        if verifier.result is not None:
            break
    return verifier.finish()
