"""Where the board sends its events. A datagram is a hint to look into the board's log, and nothing else: anybody can
send one, so nothing in it is believed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from menwei import NotReady
from menwei_uhppote.events import hint
from menwei_uhppote.settings import BoardConfig, split


class Listener(asyncio.DatagramProtocol):
    """Calls `heard(index)` for each event datagram from the board's address."""

    def __init__(self, config: BoardConfig, heard: Callable[[int], None]) -> None:
        self._config = config
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> tuple[str, int]:
        """Listen; returns the address to tell the board. Raises `NotReady` when the port is taken."""
        loop = asyncio.get_running_loop()
        wanted = split(self._config.listen)
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=wanted)
            own = self._transport.get_extra_info("sockname")[:2]
            address = own[0] if own[0] != "0.0.0.0" else _towards(self._config.address)  # noqa: S104 - compared
        except OSError as error:
            raise NotReady(f"cannot listen on {self._config.listen}: {error.strerror or error}") from error
        return split(self._config.told) if self._config.told else (address, own[1])

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] != self._config.host:
            return
        index = hint(data, self._config.serial)
        if index is not None:
            self._heard(index)


def _towards(board: tuple[str, int]) -> str:
    """Our address as the board sees it; nothing is sent for that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(board)
        return str(probe.getsockname()[0])
