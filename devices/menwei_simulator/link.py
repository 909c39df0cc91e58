"""One connection of a host to a simulated controller: its bytes, and what is known of the host."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from menwei_simulator.protocol import Bye, DeviceMessage, Lines, LineTooLong, Refusal, encode

if TYPE_CHECKING:
    from menwei_simulator.controller import Controller

MAX_UNSENT: Final = 1 << 20
"""Bytes. A host that does not read so much is dropped."""


class Link(asyncio.Protocol):
    """One connection of a host. What arrives is worked off as it comes, without a task in between."""

    def __init__(self, controller: Controller) -> None:
        self.transport: asyncio.Transport
        self.nonce = secrets.token_hex(16)
        self.greeted = False
        self.due = 0.0
        """Loop time by which the host must be heard."""
        self.watch: asyncio.TimerHandle | None = None
        self.last_id = 0
        self.pending = 0
        """Commands that wait for the disk."""
        self.unread: deque[bytes] = deque()
        self._lines = Lines()
        self._controller = controller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._controller.met(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.unread.extend(self._lines.feed(data))
        except LineTooLong:
            self.end(Refusal.LINE_TOO_LONG)
            return
        self._controller.heard(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._controller.lost(self, error)

    def send(self, message: DeviceMessage) -> None:
        self.send_raw(encode(message))

    def send_raw(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self.drop()
        if not self.transport.is_closing():
            self.transport.write(data)

    def end(self, reason: Refusal) -> None:
        """Say why, and make room: whoever does not read must not keep the next host waiting."""
        self.send(Bye(reason))
        self.transport.close()
        self._controller.lost(self, None)

    def drop(self) -> None:
        """End it without a word, as a pulled cable does."""
        self.transport.abort()
