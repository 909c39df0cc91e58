"""The own UHPPOTE board as the conformance suite's `Peer`, with its wires; its process is `menwei_simulator.wires`."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from menwei.model import DoorState
from menwei.testing.peer import Ability, Input, Peer, Release
from menwei.testing.proxies import Faults, UdpProxy
from menwei_simulator.wires import SERIAL, BoardProcess
from menwei_uhppote.settings import BoardConfig


class BoardPeer(Peer):
    """The board behind two wires that can be made bad: one for questions and answers, one for its events."""

    lacks: ClassVar[Mapping[Ability, str]] = {
        Ability.LATE_COMMANDS: "the protocol has no deadline: a board obeys a datagram whenever it arrives",
        Ability.SECRET: "the protocol has no secret",
        Ability.ATTRIBUTES: "a message is 64 bytes of known meaning",
    }
    reader = "1"
    lock = "1"
    notices = 6.0
    connects = 6.0
    inputs: ClassVar[frozenset[Input]] = frozenset({Input.FIRE})
    logs_reads = True

    def __init__(self, folder: Path) -> None:
        self.board = BoardProcess(folder)
        self.listen = free_port()
        self.questions: UdpProxy
        self.events = UdpProxy(("127.0.0.1", self.listen), seed=1)

    @property
    def config(self) -> BoardConfig:
        return BoardConfig.model_validate(self.settings())

    def settings(self) -> dict[str, Any]:
        return {
            "serial": self.board.serial, "host": "127.0.0.1", "port": self.questions.address[1], "poll": 0.5, "silence": 2.0,
            "listen": f"127.0.0.1:{self.listen}", "told": f"127.0.0.1:{self.events.address[1]}",
        }  # fmt: skip

    async def start(self) -> None:
        first = self.board.port == 0
        await self.board.start()
        if first:
            self.questions = UdpProxy(("127.0.0.1", self.board.port), seed=1)
            await self.questions.open()
            await self.events.open()

    async def stop(self) -> None:
        await self.board.stop()

    async def close(self) -> None:
        await self.questions.close()
        await self.events.close()

    def card(self, number: int) -> tuple[str, str]:
        return "wiegand26", f"101,{number:05d}"

    async def present(self, number: int) -> None:
        await self.board.do("swipe", card=101_00000 + number)

    async def admitted(self) -> int:
        return len(self.board.state()["admitted"])

    async def alter(self, number: int) -> None:
        await self.board.do("put_card", card=101_00000 + number, last="2088-08-08", doors=[1, 1, 1, 1])

    async def shows(self, moment: datetime) -> bool:
        shown = datetime.fromisoformat((await self.board.do("look"))["shown"])
        return abs((shown - moment.replace(tzinfo=None)).total_seconds()) < 5.0

    async def releases(self) -> list[Release]:
        return [Release(str(door), float(delay), at) for door, delay, at in self.board.state()["releases"]]

    async def unlocked(self) -> bool:
        return bool((await self.board.do("look"))["doors"]["1"]["control"] == 1)

    async def contact(self, state: DoorState) -> None:
        await self.board.do("contact", door=1, open=state is DoorState.OPEN)

    async def turn(self, which: Input, active: bool) -> None:
        await self.board.do("fire", active=active)

    async def silent(self, active: bool) -> None:
        for wire in (self.questions, self.events):
            wire.cut() if active else wire.mend()

    def _from_board(self, faults: Faults) -> None:
        self.questions.to_host.faults = faults
        self.events.to_device.faults = (
            faults  # what the board begins itself goes "to the device" of that wire
        )

    async def slow(self, seconds: float) -> None:
        self._from_board(Faults(delay=seconds))

    async def babble(self, active: bool) -> None:
        self._from_board(Faults(garble=1.0 if active else 0.0))

    async def duplicate(self, active: bool) -> None:
        self._from_board(Faults(duplicate=1.0 if active else 0.0))

    async def reorder(self, active: bool) -> None:
        self._from_board(Faults(reorder=0.5 if active else 0.0))

    async def late_reads(self, seconds: float) -> None:
        self.events.to_device.faults = Faults(delay=seconds)

    async def garbage(self, data: bytes) -> None:
        await self.board.do("send", data=data.hex(), address="127.0.0.1", port=self.listen)
        self.questions.inject(data)

    async def wrong_clock(self, seconds: float) -> None:
        await self.board.do("clock", off=seconds)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


__all__ = ["SERIAL", "BoardPeer", "BoardProcess", "free_port"]
