"""The rights in memory: what the decision line reads instead of a database.

One object lives as long as the process; `rights.py` applies each committed revision to it, in order, in one step of the
event loop. Everything is laid out for many credentials: one slotted `Credential` each, shared profile tuples and factor
sets, and a packed index for the identifiers, of which a card has several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from menwei.model import AccessProfile, Credential, CredentialState, IdentifierType


class ProfileDefinedTwice(Exception):
    """An access profile stands both in the config file and in the store."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one revision changes, complete facts for whatever it touched; None: gone."""

    revision: int
    credentials: Mapping[int, Credential | None] = field(default_factory=dict)
    identifiers: Mapping[bytes, int | None] = field(default_factory=dict)
    """digest → credential id"""
    profiles: Mapping[str, AccessProfile | None] = field(default_factory=dict)


class Snapshot:
    """The rights as of `revision`. Read it only from the event loop; a `Credential` taken from it never changes."""

    def __init__(self) -> None:
        self.revision = 0
        self._credentials: dict[int, Credential] = {}
        self._holders: dict[int, Credential | tuple[Credential, ...]] = {}
        self._index = DigestIndex()
        self._stored: dict[str, AccessProfile] = {}
        self._config: dict[str, AccessProfile] = {}
        self._rules: dict[str, dict[str, tuple[str, ...]]] = {}
        self._carried: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._listeners: list[Callable[[], None]] = []

    # -------------------------------------------------------------------------------------------------- the line reads

    def find(self, digest: bytes) -> Credential | None:
        """The credential an identifier belongs to (`keys.digest`)."""
        number = self._index.get(digest)
        return None if number is None else self._credentials.get(number)

    def credential(self, credential: int) -> Credential | None:
        return self._credentials.get(credential)

    def of_holder(self, holder: int) -> tuple[Credential, ...]:
        """A person's credentials by id, ended ones included; empty for somebody unknown."""
        found = self._holders.get(holder, ())
        return found if isinstance(found, tuple) else (found,)

    def profile(self, profile: str) -> AccessProfile | None:
        return self._stored.get(profile) or self._config.get(profile)

    def rules_for(self, profile: str, access_point: str) -> tuple[str, ...]:
        """The schedules in which a profile opens an access point; empty when it never does."""
        points = self._rules.get(profile)
        return points.get(access_point, ()) if points is not None else ()

    def holders_at(self, access_point: str) -> Iterator[Credential]:
        """Everybody with a rule for this access point, ended credentials aside: a recognizer's gallery. Reads all
        credentials (some 10 ms at 100,000): for enrolment and start, not for a passage."""
        there = {profile for profile, points in self._rules.items() if access_point in points}
        for credential in list(self._credentials.values()):
            if credential.state is not CredentialState.ENDED and not there.isdisjoint(credential.profiles):
                yield credential

    @property
    def profiles(self) -> Mapping[str, AccessProfile]:
        """All access profiles, the config file's and the store's."""
        return {**self._config, **self._stored}

    @property
    def config_profiles(self) -> frozenset[str]:
        return frozenset(self._config)

    def __len__(self) -> int:
        return len(self._credentials)

    def __iter__(self) -> Iterator[Credential]:
        return iter(list(self._credentials.values()))

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call this after every revision and every change of the config's profiles; the answer ends that. It runs within
        the change: it must be quick and must not fail."""
        self._listeners.append(callback)

        def end() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return end

    def stores(self, profile: str) -> bool:
        """Whether the store has a profile of this name, which the config may then not have."""
        return profile in self._stored

    # ------------------------------------------------------------------------------------------------ the writer's side

    def set_config_profiles(self, profiles: Sequence[AccessProfile]) -> None:
        """Merge in the profiles of the config file, in place of the earlier ones. Raises `ProfileDefinedTwice` and
        changes nothing when one of them also stands in the store, or twice among these."""
        config: dict[str, AccessProfile] = {}
        for profile in profiles:
            if profile.id in self._stored:
                raise ProfileDefinedTwice(
                    f"access profile {profile.id!r} stands in the config file and in the store: rename one of them"
                )
            if profile.id in config:
                raise ProfileDefinedTwice(f"access profile {profile.id!r} stands in the config file twice")
            config[profile.id] = profile
        for gone in self._config:
            self._rules.pop(gone, None)
        self._config = config
        for profile in config.values():
            self._rules[profile.id] = _rules_of(profile)
        self._tell()

    def apply(self, delta: Delta) -> None:
        """Take over one committed revision, or a part of the store at start. Called by `rights.py` only, in the order
        of the revisions."""
        for name, profile in delta.profiles.items():
            self._put_profile(name, profile)
        for number, credential in delta.credentials.items():
            if credential is None:
                self._remove(number)
            else:
                self._put(credential)
        for digest, owner in delta.identifiers.items():
            if owner is None:
                self._index.remove(digest)
            else:
                self._index.put(digest, owner)
        self.revision = delta.revision
        self._tell()

    def _tell(self) -> None:
        for callback in list(self._listeners):
            callback()

    def load_identifiers(self, rows: Iterable[Sequence[Any]]) -> None:
        """(digest, credential id) rows of the store, each digest once, into a snapshot that has none of them."""
        self._index.extend(rows)

    def carried(self, profiles: tuple[str, ...]) -> tuple[str, ...]:
        """The one shared tuple with these profiles: most people of a house carry the same few."""
        return self._carried.setdefault(profiles, profiles)

    def _put(self, credential: Credential) -> None:
        before = self._credentials.get(credential.id)
        if before is not None:
            self._leave_holder(before)
        self._credentials[credential.id] = credential
        others = self._holders.get(credential.holder)
        if others is None:
            self._holders[credential.holder] = (
                credential  # without a tuple: nearly everybody has one credential
            )
        else:
            together = others if isinstance(others, tuple) else (others,)
            self._holders[credential.holder] = tuple(sorted((*together, credential), key=_id_of))

    def _remove(self, number: int) -> None:
        before = self._credentials.pop(number, None)
        if before is not None:
            self._leave_holder(before)

    def _leave_holder(self, credential: Credential) -> None:
        rest = tuple(other for other in self.of_holder(credential.holder) if other.id != credential.id)
        if not rest:
            del self._holders[credential.holder]
        else:
            self._holders[credential.holder] = rest if len(rest) > 1 else rest[0]

    def _put_profile(self, name: str, profile: AccessProfile | None) -> None:
        if profile is None:
            self._stored.pop(name, None)
            if name not in self._config:
                self._rules.pop(name, None)
        else:
            self._stored[name] = profile
            self._rules[name] = _rules_of(profile)

    def __eq__(self, other: object) -> bool:
        """Whether both would answer every question alike (for tests and `doctor`)."""
        if not isinstance(other, Snapshot):
            return NotImplemented
        return (
            self.revision == other.revision
            and self._credentials == other._credentials
            and self._holders == other._holders
            and self._rules == other._rules
            and self.profiles == other.profiles
            and dict(self._index.items()) == dict(other._index.items())
        )

    __hash__ = None  # type: ignore[assignment]


class DigestIndex:
    """16-byte digests → credential ids, packed: 24 bytes an entry in buckets of `bytes`, a quarter of what a dict takes.

    The digests are keyed hashes, so their first two bytes spread evenly over the buckets; nothing is ever rehashed, so
    no enrolment makes a door wait. A bucket holds 15 entries at a million identifiers, and `bytes.find` walks it in C.
    """

    __slots__ = ("_buckets", "_count")

    _DIGEST = 16
    _ENTRY = 24
    _BUCKETS = 1 << 16

    def __init__(self) -> None:
        self._buckets: list[bytes] = [b""] * self._BUCKETS
        self._count = 0

    def get(self, digest: bytes) -> int | None:
        bucket = self._buckets[digest[0] << 8 | digest[1]]
        place = bucket.find(digest)
        while place > 0 and place % 24:  # the digest's bytes lie across two entries by chance
            place = bucket.find(digest, place + 1)
        if place < 0:
            return None
        return int.from_bytes(bucket[place + 16 : place + 24])

    def put(self, digest: bytes, credential: int) -> None:
        if len(digest) != self._DIGEST:
            raise ValueError(f"a digest has {self._DIGEST} bytes, this one {len(digest)}")
        self.remove(digest)
        self._buckets[digest[0] << 8 | digest[1]] += digest + credential.to_bytes(8)
        self._count += 1

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Many at once, of which none is here yet: (digest, credential id)."""
        buckets, count = self._buckets, 0
        for digest, credential in rows:
            buckets[digest[0] << 8 | digest[1]] += digest + credential.to_bytes(8)
            count += 1
        self._count += count

    def remove(self, digest: bytes) -> None:
        if self.get(digest) is None:
            return
        number = digest[0] << 8 | digest[1]
        bucket = self._buckets[number]
        entries = (bucket[at : at + self._ENTRY] for at in range(0, len(bucket), self._ENTRY))
        self._buckets[number] = b"".join(entry for entry in entries if not entry.startswith(digest))
        self._count -= 1

    def items(self) -> Iterator[tuple[bytes, int]]:
        for bucket in self._buckets:
            for at in range(0, len(bucket), self._ENTRY):
                yield bucket[at : at + 16], int.from_bytes(bucket[at + 16 : at + 24])

    def __len__(self) -> int:
        return self._count


_FACTOR_BIT = {kind: 1 << place for place, kind in enumerate(IdentifierType)}
_FACTORS = [
    frozenset(kind for kind, bit in _FACTOR_BIT.items() if mask & bit)
    for mask in range(1 << len(_FACTOR_BIT))
]
"""Every combination once; a credential points to one of them."""


def factor_bit(kind: str) -> int:
    return _FACTOR_BIT[IdentifierType(kind)]


def factors_of(mask: int) -> frozenset[IdentifierType]:
    return _FACTORS[mask]


def _id_of(credential: Credential) -> int:
    return credential.id


def _rules_of(profile: AccessProfile) -> dict[str, tuple[str, ...]]:
    points: dict[str, dict[str, None]] = {}
    for rule in profile.rules:
        for access_point in rule.access_points:
            points.setdefault(access_point, {})[rule.schedule] = None
    return {access_point: tuple(schedules) for access_point, schedules in points.items()}
