"""The UHPPOTE driver against the conformance suite; the board is `peers.uhppote_board`, which this project wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from menwei.testing.conformance import DriverConformance
from menwei.testing.peer import Peer
from menwei_uhppote.driver import UhppoteBoard
from peers.uhppote import BoardPeer

pytestmark = pytest.mark.e2e


class TestUhppote(DriverConformance):
    driver = UhppoteBoard

    def make_peer(self, folder: Path) -> Peer:
        return BoardPeer(folder)
