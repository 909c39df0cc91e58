"""What a panel makes of policies that do not behave. Each of these was seen to open a door in some design."""

import asyncio
import re
import sys
import time
from dataclasses import replace

import pytest

from menwei.context import Config
from menwei.model import Check, Credential, CredentialState, IdentifierType, Reason
from menwei.panel import LONGEST, Panel
from menwei.plugin import PASS, Passage, Policy, Refuse

CREDENTIAL = Credential(
    1, 2, CredentialState.ENABLED, 0, 10, ("residents",), frozenset({IdentifierType.CARD})
)
PASSAGE = Passage("gate-in", "gate", "", "yard", CREDENTIAL, frozenset({IdentifierType.CARD}), at=5.0)
BUDGET = 0.05


class Scripted(Policy):
    """A policy that does what the test says."""

    name = "scripted"
    Config = Config

    def __init__(self, act):
        self.act = act
        self.asked = 0

    async def check(self, passage):
        self.asked += 1
        return await self.act()


class NotAsync(Scripted):
    def check(self, passage):
        return PASS


def of(value):
    async def act():
        if isinstance(value, BaseException):
            raise value
        return value

    return act


async def ask(*policies):
    panel = Panel({f"p{i}": policy for i, policy in enumerate(policies)}, budget=BUDGET)
    return await panel.ask(tuple(f"p{i}" for i in range(len(policies))), PASSAGE)


async def test_a_policy_that_passes_has_nothing_to_say():
    assert await ask(Scripted(of(PASS))) == ()


async def test_a_refusal_carries_the_name_of_who_refused():
    (check,) = await ask(
        Scripted(of(Refuse("door.not_now", Reason.NOT_PERMITTED_AT_THIS_TIME, "quiet hours")))
    )
    assert check == Check(Reason.NOT_PERMITTED_AT_THIS_TIME, "door.not_now", by="p0", detail="quiet hours")


async def test_all_refusals_are_kept_in_configured_order():
    async def slow():
        await asyncio.sleep(BUDGET / 5)
        return Refuse("a")

    checks = await ask(Scripted(slow), Scripted(of(PASS)), Scripted(of(Refuse("b"))))
    assert [check.by for check in checks] == ["p0", "p2"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        1,
        "PASS",
        object(),
        PASS.__class__,
        RuntimeError("boom"),
        asyncio.CancelledError(),
        SystemExit(0),
        KeyboardInterrupt(),
        Refuse("a", None),
        Refuse("a", "Other"),
        Refuse(["a"]),
        Refuse("a", detail={"who": "lin"}),
    ],
    ids=lambda answer: re.sub(r" at 0x\w+", "", repr(answer)),
)
async def test_whatever_is_not_PASS_is_a_denial_that_names_the_policy(answer):
    (check,) = await ask(Scripted(of(answer)))
    assert (check.reason, check.by, check.says) == (Reason.OTHER, "p0", "door.policy_failed")
    assert check.detail


async def test_of_a_refusal_is_kept_what_can_be_shown():
    (check,) = await ask(Scripted(of(Refuse("a", detail="\x1b[31m\udcff" + "long " * 10_000))))
    assert check.detail.startswith("[31mlong")
    assert len(check.detail) == LONGEST


async def test_what_a_policy_says_as_it_fails_is_not_kept_with_the_denial():
    """Denials stand in the journal for ever, and what a plugin says may name somebody."""
    for answer in (ValueError("林晓 has no row"), "林晓"):
        (check,) = await ask(Scripted(of(answer)))
        assert "林晓" not in check.detail
        assert type(answer).__name__ in check.detail


async def test_a_policy_that_is_not_async_is_a_denial():
    (check,) = await ask(NotAsync(of(PASS)))
    assert "async def" in check.detail


async def test_calling_sys_exit_neither_opens_nor_ends_the_program():
    async def leave():
        sys.exit(0)

    (check,) = await ask(Scripted(leave))
    assert "SystemExit" in check.detail


async def test_a_policy_that_hangs_is_a_denial_when_its_time_is_up():
    (check,) = await ask(Scripted(asyncio.Event().wait))
    assert "no answer in time" in check.detail


async def test_a_policy_that_swallows_cancellation_cannot_pass_late():
    async def stubborn():
        for _ in range(3):
            try:
                await asyncio.sleep(BUDGET * 2)
            except asyncio.CancelledError:
                continue
        return PASS

    (check,) = await ask(Scripted(stubborn))
    assert "no answer in time" in check.detail


async def test_a_policy_that_blocks_the_loop_is_a_denial_although_it_said_PASS():
    async def blocking():
        time.sleep(BUDGET * 3)
        return PASS

    (check,) = await ask(Scripted(blocking))
    assert "no answer in time" in check.detail


async def test_the_neighbour_of_a_blocking_policy_is_not_blamed():
    async def blocking():
        time.sleep(BUDGET * 3)
        return PASS

    checks = await ask(Scripted(blocking), Scripted(of(PASS)))
    assert [check.by for check in checks] == ["p0"]


async def test_a_configured_policy_that_no_plugin_provides_denies():
    panel = Panel({}, missing={"quiet": "the plugin did not load"})
    (check,) = await panel.ask(("quiet",), PASSAGE)
    assert (check.by, check.detail) == ("quiet", "the plugin did not load")


async def test_three_time_outs_in_a_row_deny_at_once_until_it_answers_again():
    answers = asyncio.Event()

    async def act():
        await answers.wait()
        return PASS

    policy = Scripted(act)
    panel = Panel({"slow": policy}, budget=BUDGET)
    for _ in range(3):
        await panel.ask(("slow",), PASSAGE)
    assert panel.troubles() == {"slow": "no answer in time"}

    loop = asyncio.get_running_loop()
    before = loop.time()
    (check,) = await panel.ask(("slow",), PASSAGE)
    assert loop.time() - before < BUDGET
    assert "3 times in a row" in check.detail

    answers.set()
    for _ in range(100):
        if not await panel.ask(("slow",), PASSAGE):
            break
        await asyncio.sleep(BUDGET / 10)
    assert await panel.ask(("slow",), PASSAGE) == ()
    assert panel.troubles() == {}


async def test_explanations_that_time_out_are_held_against_nobody_at_the_door():
    policy = Scripted(asyncio.Event().wait)
    panel = Panel({"slow": policy}, budget=BUDGET)
    for _ in range(3):
        (check,) = await panel.ask(("slow",), replace(PASSAGE, dry_run=True))
        assert "no answer in time" in check.detail
    assert panel.troubles() == {}
    await panel.ask(("slow",), PASSAGE)
    assert policy.asked == 4  # it was waited for, as a policy that is trusted is


async def test_an_explanation_that_is_answered_does_not_make_up_for_time_outs_at_the_door():
    waits = True

    async def act():
        if waits:
            await asyncio.Event().wait()
        return PASS

    panel = Panel({"slow": Scripted(act)}, budget=BUDGET)
    for _ in range(2):
        await panel.ask(("slow",), PASSAGE)
    waits = False
    await panel.ask(("slow",), replace(PASSAGE, dry_run=True))
    waits = True
    await panel.ask(("slow",), PASSAGE)
    assert panel.troubles() == {"slow": "no answer in time"}
