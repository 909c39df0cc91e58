"""Changing one thing of a credential leaves the rest of it as it is."""

from __future__ import annotations

import pytest

from menwei.model import FOREVER, CredentialState
from menwei.rights import (
    InvalidValidity,
    PutProfile,
    SetProfiles,
    SetState,
    SetValidity,
    UnknownCredential,
    UnknownProfile,
)
from rights_support import RESIDENTS, opened, person, profile

UNIT = profile("unit", ({"unit"}, "always"))


@pytest.fixture
async def house(tmp_path):
    async with opened(tmp_path) as made:
        await made.apply(PutProfile(RESIDENTS), PutProfile(UNIT), *person(1, "A1A1A1A1", "residents"))
        yield made


async def test_a_new_validity_keeps_state_profiles_and_cards(house):
    await house.apply(SetState(101, CredentialState.LOST))
    await house.apply(SetValidity(101, 5.0, 9.0))
    held = house.snapshot.credential(101)
    assert (held.valid_from, held.valid_to) == (5.0, 9.0)
    assert (held.state, held.profiles, len(held.factors)) == (CredentialState.LOST, ("residents",), 1)
    await house.apply(SetValidity(101, 5.0, FOREVER))
    assert house.snapshot.credential(101).valid_to == FOREVER
    assert await house.fresh() == house.snapshot


async def test_new_profiles_keep_validity_and_state_and_their_order(house):
    await house.apply(SetProfiles(101, ("unit", "residents", "unit")))
    held = house.snapshot.credential(101)
    assert held.profiles == ("unit", "residents")
    assert (held.valid_to, held.state) == (FOREVER, CredentialState.ENABLED)
    await house.apply(SetProfiles(101, ()))
    assert house.snapshot.credential(101).profiles == ()
    assert await house.fresh() == house.snapshot


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (SetValidity(101, 9.0, 9.0), InvalidValidity),
        (SetValidity(101, float("nan"), 9.0), InvalidValidity),
        (SetValidity(7, 1.0, 9.0), UnknownCredential),
        (SetProfiles(7, ()), UnknownCredential),
        (SetProfiles(101, ("attic",)), UnknownProfile),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_changed(house, change, error):
    before = house.snapshot.credential(101)
    with pytest.raises(error):
        await house.apply(SetProfiles(101, ("unit",)), change)
    assert house.snapshot.credential(101) == before


async def test_the_log_says_what_was_set(house):
    await house.apply(SetValidity(101, 5.0, FOREVER), SetProfiles(101, ("unit",)))
    assert (await house.rights.history())[-1].changes == (
        {"change": "SetValidity", "credential": 101, "valid_from": 5.0, "valid_to": None},
        {"change": "SetProfiles", "credential": 101, "profiles": ["unit"]},
    )
