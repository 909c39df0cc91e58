"""One request and its answer, over UDP: 64 bytes each way.

The library's own transport (0.9.1.1) takes the first 64 bytes for the answer, whatever they are, and does not repeat a
request that was lost. Here an answer counts only from the board's own address, with its serial number and the function
asked for; a request is repeated on its own socket until the moment that the caller names and never after it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar

from menwei import NotReady

T = TypeVar("T")

SIZE: Final = 64
AGAIN: Final = 0.6
"""Seconds until a request is repeated: boards answer within 50 ms, and a busy one within half a second."""


class NoAnswer(TimeoutError):
    """The board did not answer in time."""


async def ask(
    address: tuple[str, int],
    serial: int,
    request: bytes,
    read: Callable[[bytes], T | None],
    until: float,
    *,
    repeat: bool = True,
) -> T:
    """Send `request` and return what `read` makes of the answer; `read` refuses by `None` or `ValueError`.

    `until` is on the loop's clock. Raises `NoAnswer` then, or when `repeat` is off, `AGAIN` seconds after the request;
    raises `NotReady` when this machine cannot send at all.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    if loop.time() >= until:
        raise NoAnswer("too late to ask")
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Answer(answer, serial, request[1], read), remote_addr=address
        )
    except OSError as error:
        raise NotReady(f"no way to {address[0]}: {error.strerror or error}") from error
    try:
        while loop.time() < until:
            transport.sendto(request)
            await asyncio.wait({answer}, timeout=min(AGAIN, until - loop.time()))
            if answer.done():
                return answer.result()
            if not repeat:
                break
    finally:
        transport.close()
        answer.cancel()
    raise NoAnswer(f"{address[0]} does not answer")


class _Answer(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers. The socket is connected: others' datagrams do not come this far."""

    def __init__(
        self, answer: asyncio.Future[T], serial: int, function: int, read: Callable[[bytes], T | None]
    ) -> None:
        self._answer: asyncio.Future[Any] = answer
        self._serial = serial
        self._function = function
        self._read = read

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._answer.done() or not meant(data, self._serial, self._function):
            return
        try:
            found = self._read(data)
        except ValueError:  # not an answer of ours; ours may still come
            return
        if found is not None:
            self._answer.set_result(found)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there (ICMP). Boards are silent for seconds when they start, so it is asked again."""


def meant(packet: bytes, serial: int, function: int) -> bool:
    """Whether this is an answer of that board to that function. A serial number of 0 is any board's."""
    if len(packet) != SIZE or packet[1] != function:
        return False
    return serial in (0, struct.unpack_from("<L", packet, 4)[0])
