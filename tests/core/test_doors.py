"""What happens at the door after the decision, as its contact tells it."""

import asyncio

from menwei.model import Actor, DoorAlarm, DoorMode, DoorState, FeedbackKind
from small_site import LIN_CARD, WANG_CARD, small_site

GUARD = Actor("zhang", "guard")


async def closed(site):
    site.door.contact(DoorState.CLOSED)


async def test_a_granted_person_who_opens_has_taken_the_access(tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.doors.CONTACT_GRACE", 0.05)
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        site.door.contact(DoorState.OPEN)
        (granted,), (taken,) = await site.entries("AccessGranted"), await site.entries("AccessTaken")
        await asyncio.sleep(site.door.facts.release_time + 0.1)
        assert await site.entries("AccessNotTaken") == []
    assert taken.data["passage"] == str(granted.position)
    assert len(site.taken) == 1


async def test_a_granted_person_who_does_not_open_has_not_taken_it(tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.doors.CONTACT_GRACE", 0.05)
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        await asyncio.sleep(0.3)
        (granted,), (not_taken,) = await site.entries("AccessGranted"), await site.entries("AccessNotTaken")
        assert await site.entries("AccessTaken") == []
    assert not_taken.data["passage"] == str(granted.position)
    assert site.taken == []


async def test_two_who_were_let_in_one_after_the_other_are_both_accounted_for(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        await site.line.request(site.card(WANG_CARD))
        site.door.contact(DoorState.OPEN)
        granted, taken = await site.entries("AccessGranted"), await site.entries("AccessTaken")
    assert [entry.data["passage"] for entry in taken] == [str(entry.position) for entry in granted]


async def test_somebody_let_in_while_the_door_stands_open_goes_through(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        site.door.contact(DoorState.OPEN)
        await site.line.request(site.card(WANG_CARD))
        assert len(await site.entries("AccessTaken")) == 2


async def test_a_further_release_prolongs_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.doors.CONTACT_GRACE", 0.05)
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        await asyncio.sleep(0.1)
        await site.line.request(site.card(WANG_CARD))
        async with asyncio.timeout(60):
            while not (not_taken := await site.entries("AccessNotTaken")):
                await asyncio.sleep(0.01)
        granted = await site.entries("AccessGranted")
    assert [entry.data["passage"] for entry in not_taken] == [str(entry.position) for entry in granted]
    assert not_taken[0].monotonic >= granted[1].monotonic + site.door.facts.release_time


async def test_a_door_without_a_contact_counts_a_grant_as_taken_and_writes_no_guess(tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.doors.CONTACT_GRACE", 0.05)
    async with small_site(tmp_path, has_contact=False) as site:
        await site.line.request(site.card(LIN_CARD))
        await asyncio.sleep(0.3)
        assert await site.kinds() == ["AccessGranted"]
    assert len(site.taken) == 1


async def test_a_door_that_opens_by_itself_is_forced(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        site.door.contact(DoorState.OPEN)
        assert site.door.alarm is DoorAlarm.DOOR_FORCED_OPEN
        await asyncio.sleep(0.4)
        assert site.door.alarm is DoorAlarm.DOOR_FORCED_OPEN, (
            "held open too long must not hide that it was forced"
        )
        await closed(site)
        alarms = [entry.data["alarm"] for entry in await site.entries("DoorAlarm")]
    assert alarms == ["DoorForcedOpen", "Normal"]


async def test_opening_again_while_the_lock_is_still_released_is_not_forcing(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        for state in (DoorState.OPEN, DoorState.CLOSED, DoorState.OPEN):
            site.door.contact(state)
        assert site.door.alarm is DoorAlarm.NORMAL


async def test_whoever_presses_the_exit_button_forces_nothing(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        site.door.exit_button()
        site.door.contact(DoorState.OPEN)
        assert site.door.alarm is DoorAlarm.NORMAL
        assert await site.kinds() == ["DoorState", "ExitButton", "DoorState"]


async def test_a_ring_at_the_intercom_is_told_and_opens_nothing(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        site.door.call_button()
        assert site.door.mode is DoorMode.LOCKED
        assert await site.kinds() == ["DoorState", "CallButton"]


async def test_a_door_that_is_open_when_its_device_connects_was_not_forced(tmp_path):
    async with small_site(tmp_path) as site:
        site.door.contact(DoorState.OPEN)
        assert site.door.alarm is DoorAlarm.NORMAL


async def test_a_door_held_open_warns_first_and_then_raises_an_alarm(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        site.door.contact(DoorState.OPEN)
        await asyncio.sleep(0.2)
        assert site.door.alarm is DoorAlarm.DOOR_OPEN_PRE_ALARM
        assert site.shown[-1][1].kind is FeedbackKind.PRE_ALARM
        await asyncio.sleep(0.2)
        assert site.door.alarm is DoorAlarm.DOOR_OPEN_TOO_LONG
        await closed(site)
        assert site.door.alarm is DoorAlarm.NORMAL
        alarms = [entry.data["alarm"] for entry in await site.entries("DoorAlarm")]
    assert alarms == ["DoorOpenPreAlarm", "DoorOpenTooLong", "Normal"]


async def test_a_person_who_needs_longer_may_keep_the_door_open_longer(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(WANG_CARD))
        site.door.contact(DoorState.OPEN)
        await asyncio.sleep(0.35)
        assert site.door.alarm is DoorAlarm.NORMAL


async def test_an_unlocked_door_may_stand_open(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.command("gate", DoorMode.UNLOCKED, GUARD, "market day")
        site.door.contact(DoorState.OPEN)
        await asyncio.sleep(0.4)
        assert site.door.alarm is DoorAlarm.NORMAL


async def test_shutting_a_door_accounts_for_those_who_were_just_let_in(tmp_path):
    async with small_site(tmp_path) as site:
        await closed(site)
        await site.line.request(site.card(LIN_CARD))
        await site.line.command("gate", DoorMode.LOCKED_DOWN, GUARD, "intruder")
        assert len(await site.entries("AccessNotTaken")) == 1


async def test_the_mode_a_door_was_left_in_can_be_read_from_the_journal(tmp_path):
    async with small_site(tmp_path) as site:
        await site.line.command("gate", DoorMode.BLOCKED, GUARD, "broken glass")
        await site.entries()
    async with small_site(tmp_path) as site:
        latest = await site.journal.latest("DoorMode")
    assert latest["gate"].data["mode"] == "Blocked"


async def test_a_door_whose_device_is_away_shows_unknown(tmp_path):
    async with small_site(tmp_path) as site:
        site.door.went_offline()
        view = site.door.view()
    assert (view.mode, view.state, view.online) == (DoorMode.UNKNOWN, DoorState.UNKNOWN, False)


async def test_the_mode_is_accessed_while_the_lock_is_released(tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.doors.CONTACT_GRACE", 0.05)
    async with small_site(tmp_path) as site:
        await site.line.request(site.card(LIN_CARD))
        assert site.door.view().mode is DoorMode.ACCESSED
        await asyncio.sleep(0.3)
        assert site.door.view().mode is DoorMode.LOCKED


async def test_a_device_that_leaves_again_while_it_is_told_its_mode_is_no_fault_of_the_door(tmp_path):
    async with small_site(tmp_path) as site:
        site.board.away = True
        site.door.came_online()
        telling = asyncio.create_task(site.door.tell_mode())
        site.door.went_offline()
        await telling
        assert await site.kinds() == []


async def test_a_command_to_a_door_whose_device_is_away_is_a_fault_in_the_journal(tmp_path):
    async with small_site(tmp_path) as site:
        site.board.away = True
        site.door.went_offline()
        result = await site.line.command("gate", DoorMode.ACCESSED, GUARD, "delivery")
        assert not result.ok
        assert "DoorFault" in await site.kinds()
