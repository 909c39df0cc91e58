"""What waits at the access points: one request after the other, few of them, and nobody forgotten when queues are replaced."""

import asyncio
from dataclasses import replace

from menwei.context import Config
from menwei.plugin import PASS, Policy
from menwei.queues import Queues
from small_site import (
    LIN_CARD,
    STRANGER_CARD,
    WANG_CARD,
    small_site,
)


class Held(Policy):
    """Lets everybody in, once `go` is set."""

    name = "held"
    Config = Config

    def __init__(self):
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def check(self, passage):
        self.asked.set()
        await self.go.wait()
        return PASS


async def test_a_fault_of_the_line_shuts_one_request_out_and_not_the_next(tmp_path, monkeypatch):
    async with small_site(tmp_path) as site:
        queues = Queues(site.line, lambda _: None)
        running = asyncio.create_task(queues.run())
        find, broken = site.snapshot.find, [True]

        def fails_once(digest):
            if broken.pop() if broken else False:
                raise ZeroDivisionError
            return find(digest)

        monkeypatch.setattr(site.snapshot, "find", fails_once)
        queues.submit(site.card(LIN_CARD))
        queues.submit(site.card(WANG_CARD))
        async with asyncio.timeout(60):
            while not site.board.pulses:
                await asyncio.sleep(0.01)
        denied = await site.entries("AccessDenied")
        running.cancel()
    assert "ZeroDivisionError" in denied[0].data["checks"][0]["detail"]


async def test_a_fault_in_telling_of_a_fault_shuts_one_request_out_and_no_door(tmp_path):
    async with small_site(tmp_path) as site:
        queues = Queues(site.line, lambda _: None)
        running = asyncio.create_task(queues.run())
        queues.submit(replace(site.card(STRANGER_CARD), at=float("nan")))  # the journal takes no such time
        queues.submit(site.card(WANG_CARD))
        async with asyncio.timeout(60):
            while not site.board.pulses:
                await asyncio.sleep(0.01)
        running.cancel()


async def test_a_reader_gone_mad_fills_its_own_queue_only(tmp_path):
    async with small_site(tmp_path) as site:
        full: list[str] = []
        queues = Queues(site.line, full.append)
        for _ in range(Queues.LENGTH + 5):
            queues.submit(site.card(STRANGER_CARD))
        queues.submit(site.card(WANG_CARD, point="gate-out"))
    assert full == ["gate-in"] * 5


async def test_what_still_waits_is_decided_by_the_queues_that_replace_these(tmp_path):
    async with small_site(tmp_path) as site:
        before = Queues(site.line, lambda _: None)
        before.submit(site.card(LIN_CARD))
        before.submit(site.card(WANG_CARD, point="gate-out"))
        # The way out was taken off the config.
        site.line.points = {"gate-in": site.line.points["gate-in"]}
        after = Queues(site.line, lambda _: None)
        before.hand_over(after)
        running = asyncio.create_task(after.run())
        async with asyncio.timeout(60):
            while not site.board.pulses:
                await asyncio.sleep(0.01)
        granted = await site.entries("AccessGranted", "AccessDenied")
        running.cancel()
    assert before.idle and after.idle
    assert [(entry.kind, entry.access_point) for entry in granted] == [("AccessGranted", "gate-in")]


async def test_whoever_is_being_decided_on_while_the_queues_are_replaced_is_let_in(tmp_path):
    held = Held()
    async with small_site(tmp_path, {"held": held}, budget=30) as site:
        before, after = Queues(site.line, lambda _: None), Queues(site.line, lambda _: None)
        running = asyncio.create_task(before.run())
        before.submit(site.card(LIN_CARD))
        before.submit(site.card(WANG_CARD))
        async with asyncio.timeout(60):
            await held.asked.wait()
            before.hand_over(after)
            held.go.set()
            await running
        assert len(site.board.pulses) == 1
        running = asyncio.create_task(after.run())
        async with asyncio.timeout(60):
            while len(site.board.pulses) < 2:
                await asyncio.sleep(0.01)
        running.cancel()
        assert len(await site.entries("AccessGranted")) == 2


async def test_a_fault_at_an_access_point_that_is_no_more_leaves_the_others_served(tmp_path):
    async with small_site(tmp_path) as site:
        queues = Queues(site.line, lambda _: None)
        running = asyncio.create_task(queues.run())
        queues.submit(site.card(WANG_CARD, point="gate-out"))
        site.line.points = {"gate-in": site.line.points["gate-in"]}
        await asyncio.sleep(0)
        queues.submit(site.card(LIN_CARD))
        async with asyncio.timeout(60):
            while not site.board.pulses and not running.done():
                await asyncio.sleep(0.01)
        running.cancel()
        assert len(site.board.pulses) == 1
