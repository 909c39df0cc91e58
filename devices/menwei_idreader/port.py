"""The serial port of the reader. What comes is read into one buffer, which is overwritten after each piece."""

from __future__ import annotations

import errno
import os
import select
import termios
import time
from collections.abc import Callable
from typing import Any, Self

from menwei_idreader.protocol import Answer, Command, Garbled, Receiver, request
from menwei_idreader.trouble import Trouble, TroubleKind

LOCKED = "exclusively lock"
"""In pyserial's words, where somebody else has the port; it gives no error number for it."""
LOOK = 0.1
"""Seconds of one wait for bytes: how long it takes to be stopped."""
PIECE = 512


class Stopped(Exception):
    """Somebody wants the thread to end."""


class NoAnswer(Exception):
    """The reader did not answer in time."""


class Port:
    """One port, 8N1, for us alone. Raises `Trouble`; opening may block, so not in the event loop."""

    def __init__(self, path: str, baud: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        try:
            import serial
        except ImportError as error:
            raise Trouble(
                TroubleKind.NO_LIBRARY,
                f"pyserial is not installed or does not load ({error}): pip install 'menwei[idreader]'",
                detail=str(error),
            ) from error
        self.path = path
        self._monotonic = monotonic
        self._buffer = bytearray(PIECE)
        try:
            self._serial: Any = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
        except serial.SerialException as error:
            raise _unopened(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._serial.close()

    def ask(self, command: Command, seconds: float, stopping: Callable[[], bool]) -> Answer:
        """One command, one answer. Raises `NoAnswer`, `Garbled`, `Stopped`, and `Trouble` when the port is gone."""
        receiver = Receiver()
        try:
            self._serial.reset_input_buffer()
            self._serial.write(request(command))
            return self._receive(receiver, self._monotonic() + seconds, stopping)
        except Garbled as error:
            raise Garbled(f"{command.name}: {error}") from None
        except (OSError, ValueError, termios.error) as error:
            text = f"the port {self.path} is lost: {error}"
            raise Trouble(TroubleKind.LOST, text, port=self.path) from error
        finally:
            receiver.reset()
            self._buffer[:] = bytes(PIECE)

    def _receive(self, receiver: Receiver, end: float, stopping: Callable[[], bool]) -> Answer:
        while (left := end - self._monotonic()) > 0:
            if stopping():
                raise Stopped
            ready, _, _ = select.select([self._serial.fileno()], [], [], min(LOOK, left))
            if not ready:
                continue
            # Not pyserial's read: its bytes could not be overwritten, and a photo is in them.
            size = os.readv(self._serial.fileno(), [self._buffer])
            if size == 0:
                raise OSError("the port was closed from outside")
            answer = receiver.feed(memoryview(self._buffer)[:size])
            self._buffer[:size] = bytes(size)
            if answer is not None:
                return answer
        raise NoAnswer


def _unopened(path: str, error: Exception) -> Trouble:
    number = getattr(error, "errno", None)
    if LOCKED in str(error) or number == errno.EBUSY:
        return Trouble(
            TroubleKind.BUSY, f"{path} is in use by another program or device of the config", port=path
        )
    if number in (errno.EACCES, errno.EPERM):
        text = f"this program may not open {path}: add its user to the group dialout"
        return Trouble(TroubleKind.NOT_ALLOWED, text, port=path)
    text = f"no serial port {path}: plug the reader in or correct `port` ({error})"
    return Trouble(TroubleKind.NO_PORT, text, port=path)
