"""How changes of rights become rows: one method for each kind of change, called with all of that kind in a row.

`Writing` remembers what it touched, from which `rights.py` makes the step of the snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from menwei import schema
from menwei.changes import (
    Change,
    DocumentTaken,
    EndHolder,
    ExternalIdTaken,
    HolderEnded,
    IdentifierTaken,
    InvalidPin,
    InvalidValidity,
    ProfileInUse,
    ProfileOfConfig,
    PutCredential,
    PutHolder,
    PutIdentifier,
    PutProfile,
    RemoveHolder,
    RemoveIdentifier,
    RemoveProfile,
    RightsError,
    SetDocument,
    SetPin,
    SetProfiles,
    SetState,
    SetValidity,
    UnknownCredential,
    UnknownHolder,
    UnknownProfile,
)
from menwei.columns import among, chunks
from menwei.keys import DIGEST_LENGTH
from menwei.model import CredentialState
from menwei.store import Transaction

HOLDERS, CREDENTIALS, IDENTIFIERS = schema.holders, schema.credentials, schema.identifiers
CARRIED, PROFILES, RULES = schema.credential_profiles, schema.profiles, schema.profile_rules


class Writing:
    """One batch of changes on its way into the store; lives for one `rights.apply`."""

    def __init__(self, tx: Transaction, config_profiles: frozenset[str], at: float) -> None:
        self.credentials: set[int] = set()
        self.identifiers: dict[bytes, int | None] = {}
        self.profiles: set[str] = set()
        self._tx = tx
        self._config_profiles = config_profiles
        self._at = at
        self._writers: dict[type[Change], Callable[[Any], Coroutine[Any, Any, None]]] = {
            PutHolder: self._put_holders,
            SetDocument: self._set_documents,
            EndHolder: self._end_holders,
            RemoveHolder: self._remove_holders,
            PutCredential: self._put_credentials,
            SetValidity: self._set_validities,
            SetProfiles: self._set_profiles,
            SetState: self._set_states,
            PutIdentifier: self._put_identifiers,
            RemoveIdentifier: self._remove_identifiers,
            SetPin: self._set_pins,
            PutProfile: self._put_profiles,
            RemoveProfile: self._remove_profiles,
        }

    async def write(self, changes: Iterable[Change]) -> None:
        """Raises a `RightsError` at the first change that can not be made, with the earlier ones written: the caller
        has a savepoint."""
        for kind, batch in groupby(changes, type):
            await self._writers[kind](list(batch))

    # ---------------------------------------------------------------------------------------------------- people

    async def _put_holders(self, batch: list[PutHolder]) -> None:
        await self._check_external_ids(batch)
        rows = {
            change.id: {
                "id": change.id,
                "external_id": change.external_id,
                "external_sealed": change.external_sealed,
                "name_sealed": change.name_sealed,
                "phone_sealed": change.phone_sealed,
                "note_sealed": change.note_sealed,
                "extended": change.extended,
                "created": self._at,
                "indexed": 0,
            }
            for change in batch
        }
        before = await among(self._tx, select(HOLDERS), HOLDERS.c.id, rows)
        for held in before:
            row = rows[held.id]
            if (held.name_sealed, held.phone_sealed) == (row["name_sealed"], row["phone_sealed"]):
                row["indexed"] = held.indexed
            else:
                await self._tx.execute(
                    delete(schema.holder_index).where(schema.holder_index.c.holder == held.id)
                )
        await self._tx.upsert(HOLDERS, list(rows.values()), once=("created",))
        await self._touch_credentials_of([held.id for held in before])

    async def _check_external_ids(self, batch: list[PutHolder]) -> None:
        """An external id that a holder gives up in this batch is free only after it."""
        wanted = {change.external_id for change in batch if change.external_id is not None}
        owners = {
            row.external_id: row.id
            for row in await among(self._tx, select(HOLDERS), HOLDERS.c.external_id, list(wanted))
        }
        for change in batch:
            if change.external_id is not None and owners.get(change.external_id, change.id) != change.id:
                raise ExternalIdTaken("another holder already has this external id")
            if change.external_id is not None:
                owners[change.external_id] = change.id

    async def _set_documents(self, batch: list[SetDocument]) -> None:
        await self._need_holders([change.holder for change in batch])
        alone = [change for change in batch if not change.shared]
        owners: dict[bytes, set[int]] = {}
        for row in await among(
            self._tx, select(HOLDERS), HOLDERS.c.document, [change.document for change in alone]
        ):
            if row.ended is None:
                owners.setdefault(row.document, set()).add(row.id)
        for change in alone:
            others = owners.setdefault(change.document, set()) - {change.holder}
            if others:
                raise DocumentTaken(min(others))
            owners[change.document].add(change.holder)
        rows = [{"own": c.holder, "hash": c.document, "last": c.sealed} for c in batch]
        changed = update(HOLDERS).where(HOLDERS.c.id == bindparam("own"))
        await self._tx.execute(
            changed.values(document=bindparam("hash"), document_sealed=bindparam("last")), rows
        )

    async def _end_holders(self, batch: list[EndHolder]) -> None:
        ids = list(dict.fromkeys(change.id for change in batch))
        await self._need_holders(ids)
        await self._touch_credentials_of(ids)
        for some in chunks(ids):
            ended = update(HOLDERS).where(HOLDERS.c.id.in_(some), HOLDERS.c.ended.is_(None))
            await self._tx.execute(ended.values(ended=self._at))
            theirs = update(CREDENTIALS).where(CREDENTIALS.c.holder.in_(some))
            await self._tx.execute(theirs.values(state=str(CredentialState.ENDED)))

    async def _remove_holders(self, batch: list[RemoveHolder]) -> None:
        ids = list(dict.fromkeys(change.id for change in batch))
        credentials = await self._touch_credentials_of(ids)
        for row in await among(self._tx, select(IDENTIFIERS), IDENTIFIERS.c.credential, credentials):
            self.identifiers[row.digest] = None
        for some in chunks(ids):
            await self._tx.execute(
                delete(HOLDERS).where(HOLDERS.c.id.in_(some))
            )  # the rest hangs on it and goes too

    # ----------------------------------------------------------------------------------------------- credentials

    async def _put_credentials(self, batch: list[PutCredential]) -> None:
        holders = await self._need_holders([change.holder for change in batch])
        await self._need_profiles({profile for change in batch for profile in change.profiles})
        for change in batch:
            _need_validity(change.id, change.valid_from, change.valid_to)
            if holders[change.holder].ended is not None and change.state is not CredentialState.ENDED:
                raise HolderEnded(f"holder {change.holder} has ended: no credential of theirs can work")
        last = {change.id: change for change in batch}
        rows = [
            {
                "id": change.id,
                "holder": change.holder,
                "label_sealed": change.label,
                "state": str(change.state),
                "valid_from": change.valid_from,
                "valid_to": change.valid_to if math.isfinite(change.valid_to) else None,
            }
            for change in last.values()
        ]
        await self._tx.upsert(CREDENTIALS, rows)
        await self._carry({change.id: change.profiles for change in last.values()})
        self.credentials.update(last)

    async def _carry(self, profiles: dict[int, tuple[str, ...]]) -> None:
        for some in chunks(list(profiles)):
            await self._tx.execute(delete(CARRIED).where(CARRIED.c.credential.in_(some)))
        carried = [
            {"credential": credential, "place": place, "profile": profile}
            for credential, named in profiles.items()
            for place, profile in enumerate(dict.fromkeys(named))
        ]
        if carried:
            await self._tx.execute(insert(CARRIED), carried)

    async def _set_validities(self, batch: list[SetValidity]) -> None:
        for change in batch:
            _need_validity(change.credential, change.valid_from, change.valid_to)
        await self._need_credentials([change.credential for change in batch])
        rows = [
            {
                "own": change.credential,
                "first": change.valid_from,
                "last": change.valid_to if math.isfinite(change.valid_to) else None,
            }
            for change in batch
        ]
        changed = update(CREDENTIALS).where(CREDENTIALS.c.id == bindparam("own"))
        await self._tx.execute(
            changed.values(valid_from=bindparam("first"), valid_to=bindparam("last")), rows
        )

    async def _set_profiles(self, batch: list[SetProfiles]) -> None:
        await self._need_credentials([change.credential for change in batch])
        await self._need_profiles({profile for change in batch for profile in change.profiles})
        await self._carry({change.credential: change.profiles for change in batch})

    async def _set_states(self, batch: list[SetState]) -> None:
        found = await self._need_credentials([change.credential for change in batch])
        holders = await self._need_holders([row.holder for row in found.values()])
        for change in batch:
            holder = holders[found[change.credential].holder]
            if holder.ended is not None and change.state is not CredentialState.ENDED:
                raise HolderEnded(f"holder {holder.id} has ended: no credential of theirs can work")
        changed = update(CREDENTIALS).where(CREDENTIALS.c.id == bindparam("own"))
        rows = [{"own": change.credential, "new": str(change.state)} for change in batch]
        await self._tx.execute(changed.values(state=bindparam("new")), rows)

    async def _set_pins(self, batch: list[SetPin]) -> None:
        await self._need_credentials([change.credential for change in batch])
        for change in batch:
            if change.pin and change.pin == change.duress:
                raise InvalidPin("the duress PIN must differ from the PIN")
            if change.duress and not change.pin:
                raise InvalidPin("a duress PIN needs a PIN beside it")
        rows = [{"own": c.credential, "new": c.pin or None, "alarm": c.duress or None} for c in batch]
        changed = update(CREDENTIALS).where(CREDENTIALS.c.id == bindparam("own"))
        await self._tx.execute(changed.values(pin=bindparam("new"), duress=bindparam("alarm")), rows)

    async def _put_identifiers(self, batch: list[PutIdentifier]) -> None:
        for change in batch:
            if len(change.digest) != DIGEST_LENGTH:
                raise RightsError(f"a digest has {DIGEST_LENGTH} bytes, this one {len(change.digest)}")
        known = await among(
            self._tx, select(IDENTIFIERS), IDENTIFIERS.c.digest, [change.digest for change in batch]
        )
        owners = {row.digest: row.credential for row in known}
        credentials = await self._need_credentials(
            [*(change.credential for change in batch), *owners.values()]
        )
        rows = {}
        for change in batch:
            owner = owners.get(change.digest, change.credential)
            if owner != change.credential and credentials[owner].state != CredentialState.ENDED:
                raise IdentifierTaken(change.format, credentials[owner].holder, owner)
            owners[change.digest] = change.credential
            rows[change.digest] = {
                "digest": change.digest,
                "credential": change.credential,
                "type": str(change.type),
                "format": change.format,
            }
            self.identifiers[change.digest] = change.credential
        await self._tx.upsert(IDENTIFIERS, list(rows.values()))
        numbers = {
            change.digest: {"digest": change.digest, "format": change.format, "sealed": change.number}
            for change in batch
            if change.number is not None
        }
        await self._tx.upsert(schema.board_numbers, list(numbers.values()))

    async def _remove_identifiers(self, batch: list[RemoveIdentifier]) -> None:
        digests = [change.digest for change in batch]
        for row in await among(self._tx, select(IDENTIFIERS), IDENTIFIERS.c.digest, digests):
            self.credentials.add(row.credential)
            self.identifiers[row.digest] = None
        for some in chunks(digests):
            await self._tx.execute(delete(IDENTIFIERS).where(IDENTIFIERS.c.digest.in_(some)))

    # -------------------------------------------------------------------------------------------------- profiles

    async def _put_profiles(self, batch: list[PutProfile]) -> None:
        last = {change.profile.id: change.profile for change in batch}
        for name in last:
            if name in self._config_profiles:
                raise ProfileOfConfig(f"access profile {name!r} stands in the config file", profile=name)
        await self._tx.upsert(PROFILES, [{"id": name} for name in last])
        for some in chunks(list(last)):
            await self._tx.execute(delete(RULES).where(RULES.c.profile.in_(some)))
        rows = [
            {"profile": name, "place": place, "access_point": access_point, "schedule": rule.schedule}
            for name, profile in last.items()
            for place, rule in enumerate(profile.rules)
            for access_point in rule.access_points
        ]
        if rows:
            await self._tx.execute(insert(RULES), rows)
        self.profiles.update(last)

    async def _remove_profiles(self, batch: list[RemoveProfile]) -> None:
        for change in batch:
            carriers = select(func.count()).select_from(CARRIED).where(CARRIED.c.profile == change.profile)
            count = (await self._tx.execute(carriers)).scalar_one()
            if count:
                raise ProfileInUse(
                    f"access profile {change.profile!r} is carried by {count} credentials",
                    profile=change.profile,
                    count=str(count),
                )
            await self._tx.execute(delete(PROFILES).where(PROFILES.c.id == change.profile))
            self.profiles.add(change.profile)

    # ---------------------------------------------------------------------------------------------------- lookups

    async def _need_holders(self, ids: Sequence[int]) -> dict[int, Any]:
        found = {row.id: row for row in await among(self._tx, select(HOLDERS), HOLDERS.c.id, ids)}
        for number in ids:
            if number not in found:
                raise UnknownHolder(f"there is no holder {number}")
        return found

    async def _need_credentials(self, ids: Sequence[int]) -> dict[int, Any]:
        """Also marks them as touched."""
        found = {row.id: row for row in await among(self._tx, select(CREDENTIALS), CREDENTIALS.c.id, ids)}
        for number in ids:
            if number not in found:
                raise UnknownCredential(f"there is no credential {number}")
        self.credentials.update(found)
        return found

    async def _need_profiles(self, names: set[str]) -> None:
        wanted = sorted(names - self._config_profiles)
        known = {row.id for row in await among(self._tx, select(PROFILES), PROFILES.c.id, wanted)}
        for name in wanted:
            if name not in known:
                raise UnknownProfile(f"there is no access profile {name!r}", profile=name)

    async def _touch_credentials_of(self, holders: Sequence[int]) -> list[int]:
        found = [row.id for row in await among(self._tx, select(CREDENTIALS), CREDENTIALS.c.holder, holders)]
        self.credentials.update(found)
        return found


def _need_validity(credential: int, valid_from: float, valid_to: float) -> None:
    if not (valid_from < valid_to and math.isfinite(valid_from)):
        raise InvalidValidity(f"credential {credential}: its validity ends before it begins")
