"""Cases of the conformance suite: a lock does what it was told, once, in time, or never."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from menwei.context import NotReady
from menwei.model import DoorMode, Feedback, FeedbackKind
from menwei.testing.cases import CLOCKS, Cases, need, within
from menwei.testing.driven import Driven
from menwei.testing.peer import Ability, Peer


class CommandCases(Cases):
    async def test_access_releases_the_lock_once_for_the_time_asked(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK)
        async with driven:
            await driven.ready()
            await self._access(peer, driven)
            (release,) = await self._after(peer, time.monotonic(), 1)
            assert (release.lock, release.seconds) == (peer.lock, peer.seconds)

    async def test_access_after_its_deadline_is_refused_and_opens_nothing(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.LOCK)
        async with driven:
            await driven.ready()
            deadline = time.monotonic() - 0.01
            await self._fails(driven.driver, peer, deadline)
            assert await self._after(peer, deadline, 0) == []

    async def test_access_at_a_lock_it_does_not_have_is_refused(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK)
        async with driven:
            await driven.ready()
            deadline = time.monotonic() + 1.0
            with pytest.raises(Exception):  # noqa: B017 - whatever the driver calls it
                await within(1.0 + self.hang, driven.driver.access("no-such-lock", peer.seconds, deadline))
            assert await self._after(peer, deadline, 0) == []
            await self._serves(peer, driven, 1)

    async def test_access_to_a_silent_device_ends_at_its_deadline_and_is_never_made_up_for(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.LOCK, Ability.SILENCE)
        async with driven:
            await driven.ready()
            driver = driven.driver
            await peer.silent(True)
            deadline = time.monotonic() + 1.0
            await self._fails(driver, peer, deadline)
            await asyncio.sleep(max(0.0, deadline - time.monotonic()) + CLOCKS)
            await peer.silent(False)
            await driven.ready()
            assert await self._after(peer, deadline, 0) == []
            await self._serves(peer, driven, 1)

    async def test_access_to_a_lost_device_fails_and_is_never_made_up_for(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.LOCK, Ability.ABSENCE)
        async with driven:
            await driven.ready()
            driver = driven.driver
            await peer.stop()
            deadline = time.monotonic() + 1.0
            await self._fails(driver, peer, deadline)
            await asyncio.sleep(max(0.0, deadline - time.monotonic()) + CLOCKS)
            await peer.start()
            await driven.ready(peer.notices + peer.connects + self.bound)
            assert await self._after(peer, deadline, 0) == []
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await self._serves(peer, later, 1)

    async def test_access_that_is_held_up_on_its_way_opens_nothing_late(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.LOCK, Ability.LATE_COMMANDS)
        async with driven:
            await driven.ready()
            await peer.hold_commands(1.5)
            deadline = time.monotonic() + 0.5
            await self._fails(driven.driver, peer, deadline)
            await asyncio.sleep(1.5)
            await peer.hold_commands(0)
            assert await self._after(peer, deadline, 0) == []

    async def test_a_slow_device_still_serves_and_opens_once(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.SLOWNESS)
        async with driven:
            await driven.ready()
            await peer.slow(0.4)
            await self._serves(peer, driven, 1)
            await peer.slow(0)
            await self._serves(peer, driven, 2)
        assert driven.faults() == []

    async def test_a_mode_holds_until_told_otherwise(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK, Ability.MODES)
        async with driven:
            await driven.ready()
            for mode, open_ in (
                (DoorMode.UNLOCKED, True), (DoorMode.LOCKED, False), (DoorMode.LOCKED_OPEN, True), (DoorMode.LOCKED_DOWN, False)
            ):  # fmt: skip
                await driven.driver.set_mode(peer.lock, mode, time.monotonic() + self.bound)
                assert await peer.unlocked() is open_, mode
            await driven.driver.set_mode(peer.lock, DoorMode.LOCKED, time.monotonic() + self.bound)
            await self._access(peer, driven)

    async def test_a_mode_after_its_deadline_changes_nothing(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK, Ability.MODES)
        async with driven:
            await driven.ready()
            with pytest.raises((NotReady, TimeoutError)):
                await within(
                    self.hang, driven.driver.set_mode(peer.lock, DoorMode.UNLOCKED, time.monotonic() - 0.01)
                )
            await asyncio.sleep(peer.late)
            assert not await peer.unlocked()

    async def test_feedback_is_shown_or_passed_over(self, peer: Peer, driven: Driven) -> None:
        async with driven:
            await driven.ready()
            for kind in FeedbackKind:
                with contextlib.suppress(NotReady):
                    await within(
                        self.hang, driven.driver.feedback(peer.reader, Feedback(kind, "请进 / come in"))
                    )
            await self._serves(peer, driven, 1)
