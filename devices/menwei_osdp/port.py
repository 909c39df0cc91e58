"""The serial port, and the library's channel on it. Nothing here blocks once the port is open."""

from __future__ import annotations

import errno
import termios
from typing import Any, Protocol, Self

from menwei_osdp.guard import Guard
from menwei_osdp.trouble import PortTrouble, PortTroubleKind

CHUNK = 4096
PIECES = 64
"""How many chunks of rubbish are thrown away at once: more than a port holds, and still an end to a flood."""
LOCKED = "exclusively lock"
"""In pyserial's words, where somebody else has the port; it gives no error number for it."""


class Wire(Protocol):
    """What the channel needs of a port."""

    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...
    def reset_output_buffer(self) -> None: ...


class Port:
    """One serial port, 8N1, for us alone. Raises `PortTrouble`; opening may block, so not in the event loop."""

    def __init__(self, path: str, baud: int) -> None:
        try:
            import serial
        except ImportError as error:
            raise _no_library("pyserial", error) from error
        self._error: type[Exception] = serial.SerialException
        try:
            self._serial: Any = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
        except serial.SerialException as error:
            raise _unopened(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._serial.close()

    def read(self, size: int) -> bytes:
        """What is there, at most `size` bytes. Raises `OSError` when the port is gone."""
        return bytes(self._serial.read(size))

    def write(self, data: bytes) -> int | None:
        """How many of these bytes were taken. Raises `OSError`."""
        written: int | None = self._serial.write(data)
        return written

    def reset_output_buffer(self) -> None:
        """What was written and has not left yet never leaves. Raises `OSError`."""
        try:
            self._serial.reset_output_buffer()
        except termios.error as error:
            raise OSError(str(error)) from error


class Channel:
    """What the library reads from and writes to: its three methods are called from inside `refresh`.

    They never raise, because the library would go on with the exception pending; what happened is kept in `error`.
    """

    id = 1
    """All readers of a wire share it. Not 0, which the library takes for "nobody"."""

    def __init__(self, wire: Wire, guard: Guard) -> None:
        self.error: OSError | None = None
        self._wire = wire
        self._guard = guard
        self._inbox = b""

    def read(self, max_bytes: int) -> bytes:
        try:
            data = self._wire.read(CHUNK)
        except OSError as error:
            self.error = self.error or error
            return b""
        if data:
            self._inbox += self._guard.incoming(data)
        taken, self._inbox = self._inbox[:max_bytes], self._inbox[max_bytes:]
        return taken

    def write(self, data: bytes) -> int:
        self._drain()  # half duplex: what came before this question does not answer it
        allowed = self._guard.outgoing(data)
        if not allowed:  # the library ends the session at once, instead of trying again for nine seconds
            return 0
        try:
            return self._wire.write(allowed) or 0
        except OSError as error:
            self.error = self.error or error
            return 0

    def flush(self) -> None:
        self._drain()
        self.drop_unsent()

    def _drain(self) -> None:
        self._inbox = b""
        try:
            for _ in range(PIECES):
                if not self._wire.read(CHUNK):
                    return
        except OSError as error:
            self.error = self.error or error

    def drop_unsent(self) -> None:
        """What still waits in the port must not leave later."""
        try:
            self._wire.reset_output_buffer()
        except OSError as error:
            self.error = self.error or error


def _no_library(name: str, error: ImportError) -> PortTrouble:
    return PortTrouble(
        PortTroubleKind.NO_LIBRARY,
        f"{name} is not installed or does not load ({error}): pip install 'menwei[osdp]'",
        detail=f"{name}: {error}",
    )


def _unopened(path: str, error: Exception) -> PortTrouble:
    number = getattr(error, "errno", None)
    if LOCKED in str(error) or number == errno.EBUSY:
        text = f"{path} is in use by another program or device of the config"
        return PortTrouble(PortTroubleKind.BUSY, text, port=path)
    if number in (errno.EACCES, errno.EPERM):
        text = f"this program may not open {path}: add its user to the group dialout"
        return PortTrouble(PortTroubleKind.NOT_ALLOWED, text, port=path)
    text = f"no serial port {path}: plug the adapter in or correct `port` ({error})"
    return PortTrouble(PortTroubleKind.NO_PORT, text, port=path)
