"""The whole line, with the real journal: what opens, what is recorded before it, and what the person is told."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from menwei.context import Config
from menwei.model import (
    FOREVER,
    Actor,
    Credential,
    CredentialIdentifier,
    CredentialState,
    DoorMode,
    FeedbackKind,
    LevelInForce,
    Outcome,
    Reason,
    SecurityLevel,
)
from menwei.plugin import PASS, Policy, Refuse
from menwei.snapshot import Delta
from small_site import (
    CARD,
    EXPIRED,
    EXPIRED_CARD,
    KEYS,
    LIN,
    LIN_CARD,
    LIN_DURESS,
    LIN_PIN,
    NIGHT,
    NOON,
    PIN,
    STRANGER_CARD,
    WANG,
    WANG_CARD,
    small_site,
)

GUARD = Actor("zhang", "guard")
VISITOR, VISITOR_CODE = 104, "40718263"


@asynccontextmanager
async def code_site(folder):
    """The small site with a visitor's code, and access points that accept a card or a code."""
    async with small_site(folder) as site:
        visitor = Credential(
            VISITOR, 1040, CredentialState.ENABLED, 0.0, FOREVER, ("residents",), frozenset({PIN})
        )
        digest = KEYS.digest(CredentialIdentifier(PIN, "code", VISITOR_CODE))
        site.snapshot.apply(Delta(2, {VISITOR: visitor}, {digest: VISITOR}))
        either = (LevelInForce(SecurityLevel("Card or PIN", (frozenset({CARD}), frozenset({PIN})))),)
        site.line.points = {name: replace(point, levels=either) for name, point in site.line.points.items()}
        yield site


async def test_a_card_opens_the_door_and_the_record_stands_before_the_pulse(tmp_path):
    async with small_site(tmp_path) as site:
        verdict = await site.line.request(site.card(LIN_CARD))
        (entry,) = await site.entries("AccessGranted")
    assert verdict.outcome is Outcome.GRANTED
    assert site.board.pulses == [("1", 0.15, str(entry.position))]
    assert (entry.door, entry.access_point, entry.personal) == (
        "gate",
        "gate-in",
        {"holder": LIN * 10, "credential": LIN},
    )
    assert site.shown[-1][1].kind is FeedbackKind.GRANTED


async def test_a_stranger_reads_not_registered_and_leaves_nothing_behind(tmp_path):
    async with small_site(tmp_path) as site:
        verdict = await site.line.request(site.card(STRANGER_CARD))
        (entry,) = await site.entries("AccessDenied")
    assert (verdict.reasons, verdict.says) == ((Reason.CREDENTIAL_NOT_FOUND,), "door.not_registered")
    assert site.board.pulses == []
    assert entry.personal is None
    assert STRANGER_CARD not in repr(entry)


async def test_an_expired_card_is_refused_with_whose_it_was_in_the_personal_part(tmp_path):
    async with small_site(tmp_path) as site:
        verdict = await site.line.request(site.card(EXPIRED_CARD))
        (entry,) = await site.entries("AccessDenied")
    assert verdict.reasons == (Reason.CREDENTIAL_EXPIRED,)
    assert entry.data["checks"] == [
        {"reason": "CredentialExpired", "says": "door.expired", "by": "core", "detail": ""}
    ]
    assert entry.personal == {"holder": EXPIRED * 10, "credential": EXPIRED}


async def test_a_person_who_needs_longer_gets_longer(tmp_path):
    async with small_site(tmp_path) as site:
        await site.line.request(site.card(WANG_CARD))
    assert site.board.pulses[0][1] == 0.3


class TestCardAndPinAtNight:
    async def test_the_card_waits_for_the_pin_and_then_opens(self, tmp_path):
        async with small_site(tmp_path) as site:
            first = await site.line.request(site.card(LIN_CARD, at=NIGHT))
            assert (first.outcome, site.board.pulses) == (Outcome.PENDING, [])
            assert site.shown[-1][1].kind is FeedbackKind.WAITING
            second = await site.line.request(site.digits(LIN_PIN, at=NIGHT))
            assert (second.outcome, len(site.board.pulses)) == (Outcome.GRANTED, 1)
            assert await site.kinds() == ["AccessGranted"]

    async def test_without_a_pin_the_deadline_records_a_denial(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.request(site.card(LIN_CARD, at=NIGHT))
            await asyncio.sleep(0.3)
            (entry,) = await site.entries("AccessDenied")
        assert entry.data["says"] == "door.timeout"
        assert site.board.pulses == []

    async def test_a_pin_after_the_deadline_is_nobodys(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.request(site.card(LIN_CARD, at=NIGHT))
            await asyncio.sleep(0.3)
            verdict = await site.line.request(site.digits(LIN_PIN, at=NIGHT))
        assert verdict.reasons == (Reason.CREDENTIAL_NOT_FOUND,)

    async def test_another_card_replaces_the_first(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.request(site.card(LIN_CARD, at=NIGHT))
            await site.line.request(site.card(WANG_CARD, at=NIGHT))
            verdict = await site.line.request(site.digits(LIN_PIN, at=NIGHT))
        assert verdict.outcome is Outcome.DENIED
        assert site.board.pulses == []

    async def test_a_pin_typed_at_another_access_point_does_not_count(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.request(site.card(LIN_CARD, at=NIGHT))
            verdict = await site.line.request(site.digits(LIN_PIN, at=NIGHT, point="gate-out"))
        assert verdict.outcome is Outcome.DENIED

    async def test_three_wrong_pins_suspend_even_the_right_one_for_five_minutes(self, tmp_path):
        async with small_site(tmp_path) as site:

            async def attempt(pin, at):
                site.line.repeats._last.clear()  # the card is taken away in between
                await site.line.request(site.card(LIN_CARD, at=at))
                return await site.line.request(site.digits(pin, at=at))

            for _ in range(3):
                assert (await attempt("0000", NIGHT)).says == "door.wrong_pin"
            assert (await attempt(LIN_PIN, NIGHT + 10)).says == "door.pin_suspended"
            assert (await attempt(LIN_PIN, NIGHT + 299)).says == "door.pin_suspended"
            assert (await attempt(LIN_PIN, NIGHT + 300)).outcome is Outcome.GRANTED

    async def test_a_right_pin_forgives_the_wrong_ones_before_it(self, tmp_path):
        async with small_site(tmp_path) as site:
            for pin in ("0000", "1111", LIN_PIN, "0000", "1111", LIN_PIN):
                site.line.repeats._last.clear()
                await site.line.request(site.card(LIN_CARD, at=NIGHT))
                verdict = await site.line.request(site.digits(pin, at=NIGHT))
        assert verdict.outcome is Outcome.GRANTED

    async def test_the_duress_pin_opens_and_raises_a_silent_alarm(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.request(site.card(LIN_CARD, at=NIGHT))
            await site.line.request(site.digits(LIN_DURESS, at=NIGHT))
            kinds = await site.kinds()
        assert len(site.board.pulses) == 1
        assert site.shown[-1][1] == site.shown[-1][1].__class__(FeedbackKind.GRANTED, "door.granted")
        assert "Duress" in kinds


class Quiet(Policy):
    """Refuses everybody."""

    name = "quiet"
    Config = Config

    def __init__(self, answer):
        self.answer = answer

    async def check(self, passage):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


async def test_a_policy_can_refuse_what_the_rules_allow(tmp_path):
    async with small_site(
        tmp_path, {"quiet": Quiet(Refuse("door.not_now", Reason.NOT_PERMITTED_AT_THIS_TIME))}
    ) as site:
        verdict = await site.line.request(site.card(LIN_CARD))
        (entry,) = await site.entries("AccessDenied")
    assert (verdict.reasons, site.board.pulses) == ((Reason.NOT_PERMITTED_AT_THIS_TIME,), [])
    assert entry.data["checks"][0]["by"] == "quiet"


async def test_a_policy_cannot_grant_what_the_rules_refuse(tmp_path):
    async with small_site(tmp_path, {"quiet": Quiet(PASS)}) as site:
        verdict = await site.line.request(site.card(EXPIRED_CARD))
    assert (verdict.outcome, site.board.pulses) == (Outcome.DENIED, [])


async def test_a_broken_policy_shuts_the_door_but_not_the_guard(tmp_path):
    async with small_site(tmp_path, {"quiet": Quiet(RuntimeError("boom"))}) as site:
        verdict = await site.line.request(site.card(LIN_CARD))
        assert (verdict.says, site.board.pulses) == ("door.policy_failed", [])
        result = await site.line.command(
            "gate", DoorMode.ACCESSED, GUARD, "the card reader's policy is broken"
        )
    assert (result.ok, len(site.board.pulses)) == (True, 1)


async def test_a_read_that_arrives_ten_seconds_late_is_refused(tmp_path):
    async with small_site(tmp_path) as site:
        verdict = await site.line.request(site.card(LIN_CARD, age=10))
    assert (verdict.says, site.board.pulses) == ("door.too_late", [])


async def test_a_card_held_on_the_reader_is_one_passage(tmp_path):
    async with small_site(tmp_path) as site:
        for _ in range(20):
            await site.line.request(site.card(LIN_CARD))
        assert await site.kinds() == ["AccessGranted"]
    assert len(site.board.pulses) == 1


async def test_the_same_card_later_is_another_passage(tmp_path):
    async with small_site(tmp_path) as site:
        await site.line.request(site.card(LIN_CARD, age=3))
        await site.line.request(site.card(LIN_CARD))
    assert len(site.board.pulses) == 2


async def test_two_cards_at_both_sides_of_one_door_go_one_after_the_other(tmp_path):
    async with small_site(tmp_path) as site:
        site.board.busy = 0.05
        await asyncio.gather(
            site.line.request(site.card(LIN_CARD)), site.line.request(site.card(WANG_CARD, point="gate-out"))
        )
        granted = await site.entries("AccessGranted")
    assert (len(granted), len(site.board.pulses), site.board.most_at_once) == (2, 2, 1)


async def test_a_silent_controller_is_a_fault_in_the_journal_and_not_a_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.doors.COMMAND_TIME", 0.1)
    async with small_site(tmp_path) as site:
        site.board.silent = True
        await site.line.request(site.card(LIN_CARD))
        fault = (await site.entries("DoorFault"))[0]
        site.board.silent = False
        await site.line.request(site.card(WANG_CARD))
    assert fault.data["error"] == "TimeoutError"
    assert [feedback.text for _, feedback in site.shown] == ["door.try_again", "door.granted"]
    assert len(site.board.pulses) == 1


async def test_a_required_journal_that_is_not_durable_keeps_the_door_shut(tmp_path, monkeypatch):
    async with small_site(tmp_path) as site:

        async def never(entry, patience):
            return None

        site.line.journal_required = True
        monkeypatch.setattr(site.journal, "record", never)
        verdict = await site.line.request(site.card(LIN_CARD))
    assert (verdict.outcome, verdict.says, site.board.pulses) == (Outcome.DENIED, "door.try_again", [])


async def test_a_failing_journal_does_not_lock_the_village_out(tmp_path, monkeypatch):
    async with small_site(tmp_path) as site:

        async def never(entry, patience):
            return None

        monkeypatch.setattr(site.journal, "record", never)
        verdict = await site.line.request(site.card(LIN_CARD))
    assert (verdict.outcome, len(site.board.pulses)) == (Outcome.GRANTED, 1)


class TestCommands:
    async def test_a_guard_opens_with_a_reason_and_both_are_recorded(self, tmp_path):
        async with small_site(tmp_path) as site:
            result = await site.line.command("gate", DoorMode.ACCESSED, GUARD, "delivery")
            (entry,) = await site.entries("DoorCommand")
        assert result.ok
        assert (entry.data["mode"], entry.data["role"]) == ("Accessed", "guard")
        assert entry.personal == {"actor": "zhang", "reason": "delivery"}

    async def test_a_command_without_a_reason_is_refused_and_recorded(self, tmp_path):
        async with small_site(tmp_path) as site:
            result = await site.line.command("gate", DoorMode.ACCESSED, GUARD, "  ")
            (entry,) = await site.entries("DoorCommand")
        assert (result.ok, result.says, entry.data["refused"]) == (
            False,
            "command.reason_needed",
            "command.reason_needed",
        )
        assert site.board.pulses == []

    @pytest.mark.parametrize("role", ["tenant", "landlord", "registrar", "auditor", "", "unknown"])
    async def test_other_roles_act_on_no_door(self, role, tmp_path):
        async with small_site(tmp_path) as site:
            result = await site.line.command("gate", DoorMode.ACCESSED, Actor("x", role), "please")
        assert (result.says, site.board.pulses) == ("command.not_your_role", [])

    async def test_in_a_lockdown_nobody_passes_until_it_is_released(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.command("gate", DoorMode.LOCKED_DOWN, GUARD, "intruder")
            assert (await site.line.request(site.card(LIN_CARD))).says == "door.shut"
            assert (
                await site.line.command("gate", DoorMode.ACCESSED, GUARD, "open")
            ).says == "command.release_first"
            assert (
                await site.line.command("gate", DoorMode.UNLOCKED, GUARD, "open")
            ).says == "command.release_first"
            assert (await site.line.command("gate", DoorMode.LOCKED, GUARD, "over")).ok
            assert (await site.line.request(site.card(WANG_CARD))).outcome is Outcome.GRANTED

    async def test_fire_opens_even_a_lockdown(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.command("gate", DoorMode.LOCKED_DOWN, GUARD, "intruder")
            result = await site.line.command(
                "gate", DoorMode.LOCKED_OPEN, Actor("fire input", "fire", "input"), ""
            )
        assert result.ok
        assert site.board.modes[-1] == ("1", DoorMode.LOCKED_OPEN)

    async def test_a_grant_at_an_open_door_is_recorded_and_needs_no_pulse(self, tmp_path):
        async with small_site(tmp_path) as site:
            await site.line.command("gate", DoorMode.UNLOCKED, GUARD, "market day")
            verdict = await site.line.request(site.card(LIN_CARD))
            assert len(await site.entries("AccessGranted")) == 1
        assert (verdict.outcome, site.board.pulses) == (Outcome.GRANTED, [])

    async def test_a_shutting_command_to_a_lost_board_is_kept_and_an_opening_one_is_not(self, tmp_path):
        async with small_site(tmp_path) as site:
            site.board.away = True
            assert not (await site.line.command("gate", DoorMode.UNLOCKED, GUARD, "market day")).ok
            assert site.door.mode is DoorMode.LOCKED
            assert not (await site.line.command("gate", DoorMode.LOCKED_DOWN, GUARD, "intruder")).ok
            assert site.door.mode is DoorMode.LOCKED_DOWN
            site.board.away = False
            site.door.came_online()
            await site.door.tell_mode()
        assert site.board.modes == [("1", DoorMode.LOCKED_DOWN)]


async def test_explain_says_what_a_request_would_and_does_nothing(tmp_path):
    from menwei.decide import Presented
    from menwei.model import IdentifierType

    async with small_site(tmp_path) as site:
        request = site.card(EXPIRED_CARD)
        presented = Presented(site.snapshot.credential(EXPIRED), frozenset({IdentifierType.CARD}))
        verdict = await site.line.explain(request, presented)
        assert verdict.reasons == (Reason.CREDENTIAL_EXPIRED,)
        presented = Presented(site.snapshot.credential(WANG), frozenset({IdentifierType.CARD}))
        assert (await site.line.explain(request, presented)).outcome is Outcome.GRANTED
        assert await site.kinds() == []
    assert site.board.pulses == []


class TestCodesTypedWithoutACard:
    async def type_unknown(self, site, count, at=NOON, point="gate-in"):
        return [
            (await site.line.request(site.digits(f"{n:08d}", at=at, point=point))).says for n in range(count)
        ]

    async def test_the_fifth_unknown_code_within_five_minutes_suspends_code_entry_there(self, tmp_path):
        async with code_site(tmp_path) as site:
            assert await self.type_unknown(site, 5) == ["door.not_registered"] * 5
            verdict = await site.line.request(site.digits(VISITOR_CODE, at=NOON + 1))
            (entry,) = await site.entries("CodesSuspended")
        assert (verdict.outcome, verdict.says) == (Outcome.DENIED, "door.codes_suspended")
        assert (entry.access_point, entry.data["seconds"]) == ("gate-in", 300.0)
        assert site.board.pulses == []

    async def test_while_suspended_a_known_and_an_unknown_code_are_refused_alike(self, tmp_path):
        async with code_site(tmp_path) as site:
            await self.type_unknown(site, 5)
            for code in (VISITOR_CODE, "99999999"):
                await site.line.request(site.digits(code, at=NOON + 1))
            known, unknown = (await site.entries("AccessDenied"))[-2:]
        assert known.data == unknown.data
        assert known.personal is None

    async def test_five_minutes_later_codes_open_again(self, tmp_path):
        async with code_site(tmp_path) as site:
            await self.type_unknown(site, 5)
            early = await site.line.request(site.digits(VISITOR_CODE, at=NOON + 299))
            later = await site.line.request(site.digits(VISITOR_CODE, at=NOON + 300))
        assert (early.outcome, later.outcome) == (Outcome.DENIED, Outcome.GRANTED)

    async def test_a_known_code_in_between_forgives_nothing(self, tmp_path):
        async with code_site(tmp_path) as site:
            await self.type_unknown(site, 4)
            assert (await site.line.request(site.digits(VISITOR_CODE))).outcome is Outcome.GRANTED
            await self.type_unknown(site, 1)
            assert (await site.line.request(site.digits(VISITOR_CODE))).says == "door.codes_suspended"

    async def test_five_unknown_codes_over_more_than_five_minutes_suspend_nothing(self, tmp_path):
        async with code_site(tmp_path) as site:
            for minute in range(5):
                await self.type_unknown(site, 1, at=NOON + minute * 76)
            verdict = await site.line.request(site.digits(VISITOR_CODE, at=NOON + 305))
        assert verdict.outcome is Outcome.GRANTED

    async def test_cards_and_other_access_points_go_on(self, tmp_path):
        async with code_site(tmp_path) as site:
            await self.type_unknown(site, 6)
            card = await site.line.request(site.card(LIN_CARD))
            elsewhere = await site.line.request(site.digits(VISITOR_CODE, point="gate-out"))
        assert (card.outcome, elsewhere.outcome) == (Outcome.GRANTED, Outcome.GRANTED)

    async def test_a_pin_behind_a_card_is_no_code(self, tmp_path):
        async with small_site(tmp_path) as site:
            await self.type_unknown(site, 5, at=NIGHT)
            await site.line.request(site.card(LIN_CARD, at=NIGHT + 1))
            verdict = await site.line.request(site.digits(LIN_PIN, at=NIGHT + 1))
        assert verdict.outcome is Outcome.GRANTED
