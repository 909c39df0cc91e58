"""What the cases of the conformance suite share: the device, the program's side, and what "it serves" means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
import pytest_asyncio

from menwei.context import NotReady
from menwei.plugin import Driver
from menwei.testing.driven import BOUND, Driven
from menwei.testing.peer import Ability, Input, Peer, Release

T = TypeVar("T")

CLOCKS = 0.25
"""Seconds by which the device's account of a moment may differ from ours on one machine."""
FRESH = 5.0
"""Seconds: the core refuses a read that is older."""


@pytest.mark.asyncio
class Cases:
    """`driver` and `make_peer` are the subclass's."""

    driver: ClassVar[type[Driver]]
    bound: ClassVar[float] = BOUND
    """Seconds until a case gives up waiting for what should happen; more for a machine that is very busy."""
    hang: ClassVar[float] = 5.0
    """Seconds after its deadline at which a command that has not come back hangs."""

    def make_peer(self, folder: Path) -> Peer:
        """A new device that has never been started; `folder` is empty and its own."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[Peer]:
        """The device, with power. Its last power-off and `close` are part of the case."""
        folder = tmp_path / "device"
        folder.mkdir()
        peer = self.make_peer(folder)
        await peer.start()
        try:
            yield peer
        finally:
            await peer.stop()
            await peer.close()

    @pytest.fixture
    def driven(self, peer: Peer, tmp_path: Path) -> Driven:
        """The program's side, not started."""
        return self.again(peer, tmp_path)

    def again(self, peer: Peer, tmp_path: Path) -> Driven:
        """The program started once more: what its driver remembers is on `tmp_path`."""
        return Driven(self.driver, peer, tmp_path, bound=self.bound)

    async def _serves(self, peer: Peer, driven: Driven, number: int) -> None:
        """It does its work, whatever that is: the `number`-th card is reported, the lock is released once."""
        if Ability.READER not in peer.lacks:
            await self._reads(peer, driven, number)
        if Ability.LOCK not in peer.lacks:
            await self._access(peer, driven)

    async def _reads(self, peer: Peer, driven: Driven, number: int) -> None:
        before = driven.times(number)
        await peer.present(number)
        await driven.until(lambda: driven.times(number) > before)

    async def _access(self, peer: Peer, driven: Driven) -> None:
        """Released once more, and not after the deadline. A device that was just lost and found is waited for."""
        before = len(await peer.releases())
        await driven.ready()
        deadline = time.monotonic() + self.bound
        await within(self.bound + self.hang, driven.driver.access(peer.lock, peer.seconds, deadline))
        releases = await peer.releases()
        assert len(releases) == before + 1, releases[before:]
        assert releases[-1].at <= deadline + CLOCKS

    async def _fails(self, driver: Driver, peer: Peer, deadline: float) -> None:
        """`access` says so by its deadline, with one of its two words."""
        left = max(0.0, deadline - time.monotonic())
        with pytest.raises((NotReady, TimeoutError)):
            await within(left + self.hang, driver.access(peer.lock, peer.seconds, deadline))

    async def _after(self, peer: Peer, deadline: float, count: int) -> list[Release]:
        """All releases, some time after `deadline`; there are `count` and none is later than it."""
        await asyncio.sleep(max(0.0, deadline - time.monotonic()) + peer.late)
        releases = await peer.releases()
        assert len(releases) == count, releases
        assert [release for release in releases if release.at > deadline + CLOCKS] == []
        return releases


def need(peer: Peer, *abilities: Ability) -> None:
    """Skip the case, with the peer's reason, unless it has all of these."""
    for ability in abilities:
        if ability in peer.lacks:
            pytest.skip(f"{ability.name}: {peer.lacks[ability]}")


def inputs_told(driven: Driven, which: Input) -> list[tuple[str, bool]]:
    """What was reported about an input, oldest first."""
    return driven.heard.fires if which is Input.FIRE else driven.heard.tampers


async def within(seconds: float, work: Awaitable[T]) -> T:
    """`work`, failing when it hangs, whatever it does with its cancellation."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        pytest.fail(f"it hangs: nothing came back within {seconds:.1f} s")
    return task.result()
