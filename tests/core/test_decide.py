"""Steps 1 to 3 of the line, over a site small enough to read."""

import pytest

from menwei.decide import PIN_FORMAT, decide, level_in_force, resolve
from menwei.model import (
    AccessPoint,
    Credential,
    CredentialIdentifier,
    CredentialState,
    DoorMode,
    IdentifierType,
    LevelInForce,
    Outcome,
    Reason,
    SecurityLevel,
)

CARD, PIN, FACE = IdentifierType.CARD, IdentifierType.PIN, IdentifierType.FACE
CARD_ONLY = SecurityLevel("Card", (frozenset({CARD}),))
CARD_AND_PIN = SecurityLevel("Card and PIN", (frozenset({CARD, PIN}),))
CODE = SecurityLevel("PIN", (frozenset({PIN}),))
NOON, MIDNIGHT = 12.0, 0.0


class Site:
    """Rights and schedules in dicts: schedules hold at the hours they list."""

    def __init__(self, *credentials, rules=None, hours=None):
        self.by_digest = dict(credentials)
        self.rules = rules or {("residents", "gate-in"): ("always",)}
        self.hours = hours or {"always": None}

    def find(self, digest):
        return self.by_digest.get(digest)

    def of_holder(self, holder):
        return [c for c in self.by_digest.values() if c.holder == holder]

    def rules_for(self, profile, access_point):
        return self.rules.get((profile, access_point), ())

    def allows(self, schedule, at):
        hours = self.hours[schedule]
        return hours if hours is None and schedule == "beyond" else (hours is None or at in hours)

    def digest(self, identifier):
        return f"{identifier.type}:{identifier.value}".encode()

    def pin(self, credential, digits):
        return f"{credential}:{digits}".encode()


def credential(
    id=1,
    holder=10,
    state=CredentialState.ENABLED,
    valid=(0.0, 100.0),
    profiles=("residents",),
    factors=(CARD,),
    **more,
):
    return Credential(id, holder, state, *valid, profiles, frozenset(factors), **more)


def card(value="A"):
    return CredentialIdentifier(CARD, "uid", value)


def pin(digits="1234"):
    return CredentialIdentifier(PIN, PIN_FORMAT, digits)


def point(*levels):
    return AccessPoint("gate-in", "gate", "in", levels or (LevelInForce(CARD_ONLY),))


def judge(site, *shown, at=NOON, mode=DoorMode.LOCKED, ap=None):
    return decide(site, site, resolve(site, site, shown), ap or point(), mode, at)


def test_a_resident_with_a_card_is_granted():
    verdict = judge(Site((b"Card:A", credential())), card())
    assert (verdict.outcome, verdict.reasons) == (Outcome.GRANTED, ())


def test_an_unknown_card_is_not_registered():
    verdict = judge(Site(), card())
    assert (verdict.outcome, verdict.reasons, verdict.says) == (
        Outcome.DENIED,
        (Reason.CREDENTIAL_NOT_FOUND,),
        "door.not_registered",
    )


def test_nothing_presented_is_nobody():
    assert judge(Site()).reasons == (Reason.CREDENTIAL_NOT_FOUND,)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (CredentialState.LOST, "door.lost"),
        (CredentialState.DISABLED, "door.disabled"),
        (CredentialState.ENDED, "door.ended"),
    ],
)
def test_a_credential_that_is_not_enabled_is_refused_in_its_own_words(state, says):
    verdict = judge(Site((b"Card:A", credential(state=state))), card())
    assert (verdict.reasons, verdict.says) == ((Reason.CREDENTIAL_NOT_ENABLED,), says)


def test_validity_begins_with_its_first_instant_and_ends_before_its_last():
    site = Site((b"Card:A", credential(valid=(10.0, 20.0))))
    assert judge(site, card(), at=9.999).reasons == (Reason.CREDENTIAL_NOT_ACTIVE,)
    assert judge(site, card(), at=10.0).outcome is Outcome.GRANTED
    assert judge(site, card(), at=19.999).outcome is Outcome.GRANTED
    assert judge(site, card(), at=20.0).reasons == (Reason.CREDENTIAL_EXPIRED,)


def test_a_card_without_a_rule_for_this_access_point_has_no_right_here():
    verdict = judge(Site((b"Card:A", credential(profiles=("cleaners",)))), card())
    assert verdict.reasons == (Reason.UNAUTHORIZED,)


def test_a_rule_outside_its_schedule_is_not_permitted_at_this_time():
    site = Site((b"Card:A", credential()), rules={("residents", "gate-in"): ("day",)}, hours={"day": {NOON}})
    assert judge(site, card(), at=NOON).outcome is Outcome.GRANTED
    assert judge(site, card(), at=MIDNIGHT).reasons == (Reason.NOT_PERMITTED_AT_THIS_TIME,)


def test_a_schedule_that_is_not_compiled_that_far_denies():
    site = Site(
        (b"Card:A", credential()), rules={("residents", "gate-in"): ("beyond",)}, hours={"beyond": None}
    )
    verdict = judge(site, card())
    assert verdict.reasons == (Reason.NOT_PERMITTED_AT_THIS_TIME,)
    assert "not compiled" in verdict.checks[0].detail


def test_every_failed_check_is_kept():
    site = Site((b"Card:A", credential(state=CredentialState.LOST, valid=(0.0, 1.0), profiles=())))
    verdict = judge(site, card(), mode=DoorMode.BLOCKED)
    assert verdict.reasons == (
        Reason.CREDENTIAL_NOT_ENABLED,
        Reason.CREDENTIAL_EXPIRED,
        Reason.UNAUTHORIZED,
        Reason.OTHER,
    )


@pytest.mark.parametrize("mode", [DoorMode.BLOCKED, DoorMode.LOCKED_DOWN, DoorMode.DOUBLE_LOCKED])
def test_no_card_opens_a_door_that_is_shut_to_all(mode):
    assert judge(Site((b"Card:A", credential())), card(), mode=mode).says == "door.shut"


@pytest.mark.parametrize(
    "mode", [DoorMode.UNLOCKED, DoorMode.LOCKED_OPEN, DoorMode.ACCESSED, DoorMode.LOCKED]
)
def test_the_other_modes_leave_the_decision_to_the_rules(mode):
    assert judge(Site((b"Card:A", credential())), card(), mode=mode).outcome is Outcome.GRANTED
    assert judge(Site(), card(), mode=mode).outcome is Outcome.DENIED


class TestCardAndPin:
    ap = point(LevelInForce(CARD_AND_PIN))
    site = Site(
        (b"Card:A", credential(factors=(CARD, PIN), pin=b"1:1234", duress=b"1:9999")),
        (b"Card:B", credential(2, 20)),
    )

    def test_the_card_alone_waits_for_the_pin(self):
        verdict = judge(self.site, card(), ap=self.ap)
        assert (verdict.outcome, verdict.missing, verdict.says) == (
            Outcome.PENDING,
            {PIN},
            "door.pending.pin",
        )

    def test_card_and_pin_together_are_granted(self):
        assert judge(self.site, card(), pin(), ap=self.ap).outcome is Outcome.GRANTED

    def test_the_pin_may_follow_the_card(self):
        before = resolve(self.site, self.site, [card()])
        after = resolve(self.site, self.site, [pin()], before)
        assert decide(self.site, self.site, after, self.ap, DoorMode.LOCKED, NOON).outcome is Outcome.GRANTED

    def test_a_wrong_pin_is_named(self):
        assert judge(self.site, card(), pin("0000"), ap=self.ap).reasons == (Reason.INVALID_PIN,)

    def test_the_duress_pin_opens_and_says_so_to_nobody_at_the_door(self):
        verdict = judge(self.site, card(), pin("9999"), ap=self.ap)
        assert (verdict.outcome, verdict.duress, verdict.says) == (Outcome.GRANTED, True, "door.granted")

    def test_a_card_without_a_pin_is_told_so_and_does_not_wait(self):
        verdict = judge(self.site, card("B"), ap=self.ap)
        assert (verdict.outcome, verdict.says) == (Outcome.DENIED, "door.factor_missing")

    def test_an_expired_card_is_refused_before_anyone_types(self):
        verdict = judge(self.site, card(), ap=self.ap, at=100.0)
        assert (verdict.outcome, verdict.reasons) == (Outcome.DENIED, (Reason.CREDENTIAL_EXPIRED,))


def test_two_cards_of_two_holders_are_nobodys():
    site = Site((b"Card:A", credential(1, 10)), (b"Card:B", credential(2, 20)))
    assert judge(site, card("A"), card("B")).reasons == (Reason.UNAUTHORIZED,)


def test_a_second_credential_of_the_same_holder_must_be_in_order_too():
    face = CredentialIdentifier(FACE, "dlib", "f")
    level = SecurityLevel("Card and Face", (frozenset({CARD, FACE}),))
    site = Site(
        (b"Card:A", credential(1, 10)),
        (b"Face:f", credential(2, 10, state=CredentialState.DISABLED, factors=(FACE,))),
    )
    verdict = judge(site, card("A"), face, ap=point(LevelInForce(level)))
    assert verdict.reasons == (Reason.CREDENTIAL_NOT_ENABLED,)


def test_a_code_stands_for_itself_where_the_level_allows_it():
    site = Site((b"PIN:80012345", credential(factors=(PIN,))))
    assert judge(site, pin("80012345"), ap=point(LevelInForce(CODE))).outcome is Outcome.GRANTED
    assert judge(site, pin("80012345")).outcome is Outcome.DENIED


def test_a_kind_of_identifier_this_door_does_not_take_is_refused():
    face = CredentialIdentifier(FACE, "dlib", "f")
    site = Site((b"Face:f", credential(factors=(FACE,))))
    verdict = judge(site, face)
    assert (verdict.outcome, verdict.says) == (Outcome.DENIED, "door.not_here")


def test_the_first_level_whose_schedule_holds_is_in_force():
    site = Site(hours={"night": {MIDNIGHT}})
    levels = (LevelInForce(CARD_AND_PIN, "night"), LevelInForce(CARD_ONLY))
    assert level_in_force(levels, site, MIDNIGHT) is CARD_AND_PIN
    assert level_in_force(levels, site, NOON) is CARD_ONLY


def test_where_no_level_is_in_force_nobody_passes():
    site = Site((b"Card:A", credential()), hours={"always": None, "night": {MIDNIGHT}})
    verdict = judge(site, card(), ap=point(LevelInForce(CARD_ONLY, "night")), at=NOON)
    assert verdict.reasons == (Reason.NOT_PERMITTED_AT_THIS_TIME,)
