"""libosdp's control panel, typed and for one thread. The library is the extension `osdp_sys` of the package libosdp.

Its Python layer `osdp` is not used: it keeps every event, card numbers too, in queues of its own for ever, and another
package of PyPI has the same name. Source of what is said about the library here: its code, version 3.2.9.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from menwei_osdp.port import Channel
from menwei_osdp.signals import Abilities, Light, Order, Output, Sound, Text
from menwei_osdp.trouble import PortTrouble, PortTroubleKind

DEFAULT_KEY: Final = bytes(range(0x30, 0x40))
"""SCBK-D (SIA OSDP 2.2, D.1): every reader knows it before it is paired, and so does everybody else."""
KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Station:
    """One reader on the wire, as the library must know it."""

    name: str
    address: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a reader says it is (osdp_PDID). Nothing of it is proven before the secure channel stands."""

    vendor: int
    model: int
    version: int
    serial: int
    firmware: int

    @property
    def text(self) -> str:
        firmware = ".".join(str(byte) for byte in self.firmware.to_bytes(3, "big"))
        return f"{self.vendor:06X} {self.model}.{self.version} #{self.serial:08X} {firmware}"


@dataclass(frozen=True, slots=True)
class Status:
    """A reader asked for its case and power (osdp_LSTAT), not an `Order` of anybody."""


class Panel:
    """The library's state machine for all readers of a wire. `on_event(index, event)` and `on_done(index, succeeded)`
    are called inside `refresh`; what they raise is raised by `refresh`.

    With `enforce` the library takes nothing but a secure channel under the reader's own key. Without it, it tries the
    default key too and then sets the reader's own: for pairing alone.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        channel: Channel,
        on_event: Callable[[int, dict[str, Any]], None],
        on_done: Callable[[int, bool], None],
        *,
        enforce: bool = True,
    ) -> None:
        self._sys = library()
        self._on_event = on_event
        self._on_done = on_done
        self._raised: BaseException | None = None
        flags = self._sys.FLAG_ENABLE_NOTIFICATION | (self._sys.FLAG_ENFORCE_SECURE if enforce else 0)
        self._sys.set_loglevel(self._sys.LOG_EMERG)
        self._reseed = _reseeder()
        self._panel = self._sys.ControlPanel(
            [
                {
                    "name": f"PD-{one.address}",
                    "address": one.address,
                    "flags": flags,
                    "scbk": one.key,
                    "channel": channel,
                }
                for one in stations
            ]
        )
        self._panel.set_event_callback(self._event)
        self._panel.set_command_completion_callback(self._done)

    def refresh(self) -> None:
        """Go on a little: send what is due, take what came. At least every 50 ms; never blocks."""
        self._reseed()
        self._panel.refresh()
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error

    def is_secure(self, index: int) -> bool:
        return bool(self._panel.sc_status() >> index & 1)

    def identity(self, index: int) -> Identity:
        said = self._panel.get_pd_id(index)
        return Identity(
            said["vendor_code"] & 0xFFFFFF,
            said["model"] & 0xFF,
            said["version"] & 0xFF,
            said["serial_number"] & 0xFFFFFFFF,
            said["firmware_version"] & 0xFFFFFF,
        )

    def abilities(self, index: int) -> Abilities:
        def count(name: str) -> int:
            compliance, items = self._panel.check_capability(index, getattr(self._sys, name))
            return items if compliance else 0

        return Abilities(
            light=count("CAP_READER_LED_CONTROL") > 0,
            sound=count("CAP_READER_AUDIBLE_OUTPUT") > 0,
            display=count("CAP_READER_TEXT_OUTPUT") > 0,
            outputs=count("CAP_OUTPUT_CONTROL"),
        )

    def submit(self, index: int, order: Order | Status) -> bool:
        """Put a command into the library's queue; `on_done` tells its end. False when the reader is not online."""
        return bool(self._panel.submit_command(index, self._command(order)))

    def drop(self, index: int) -> None:
        """Forget what is queued for a reader: it would be sent when the reader is back."""
        self._panel.flush_commands(index)

    def disable(self, index: int) -> None:
        """First half of starting a reader anew; the library would wait 300 s by itself."""
        self._panel.disable_pd(index)

    def is_disabled(self, index: int) -> bool:
        return not self._panel.is_pd_enabled(index)

    def enable(self, index: int) -> None:
        self._panel.enable_pd(index)

    def _command(self, order: Order | Status) -> dict[str, Any]:
        match order:
            case Light(signal, timer):
                return {
                    "command": self._sys.CMD_LED,
                    "reader": 0,
                    "led_number": 0,
                    "temporary": True,
                    "control_code": 2,
                    "on_color": signal.colour,
                    "off_color": 0,
                    "on_count": signal.on,
                    "off_count": signal.off,
                    "timer_count": timer,
                }
            case Sound(signal):
                return {
                    "command": self._sys.CMD_BUZZER,
                    "reader": 0,
                    "control_code": 2,
                    "on_count": signal.beep,
                    "off_count": signal.pause,
                    "rep_count": signal.beeps,
                }
            case Text(text, seconds):
                return {
                    "command": self._sys.CMD_TEXT,
                    "reader": 0,
                    "control_code": 3,
                    "temp_time": seconds,
                    "offset_row": 1,
                    "offset_col": 1,
                    "data": text,
                }
            case Output(number, timer):
                return {
                    "command": self._sys.CMD_OUTPUT,
                    "output_no": number,
                    "control_code": 5 if timer else 1,
                    "timer_count": timer,
                }
            case Status():
                return {"command": self._sys.CMD_STATUS, "type": self._sys.STATUS_REPORT_LOCAL}

    def _event(self, index: int, event: dict[str, Any]) -> int:
        try:
            self._on_event(index, event)
        except BaseException as error:  # the library would go on with it pending
            self._raised = self._raised or error
        finally:
            event.clear()  # the library never lets go of this dictionary, and a card number is in it
        return 0

    def _done(self, index: int, _command: dict[str, Any], status: int) -> None:
        try:
            self._on_done(index, status == self._sys.COMPLETION_OK)
        except BaseException as error:
            self._raised = self._raised or error


def library() -> Any:
    """The extension module. Imported at the first use; raises `PortTrouble`."""
    try:
        import osdp_sys
    except ImportError as error:
        raise PortTrouble(
            PortTroubleKind.NO_LIBRARY,
            f"libosdp is not installed or does not load ({error}): pip install 'menwei[osdp]'",
            detail=f"libosdp: {error}",
        ) from error
    return osdp_sys


def _reseeder() -> Callable[[], None]:
    """The library takes its challenges from C's rand(), which it never seeds: after each start the same sessions come
    again, and what was recorded of one could be played back. So rand() gets 32 fresh bits before each step; one step
    makes at most one challenge for each reader."""
    libc = ctypes.CDLL(None)

    def reseed() -> None:
        libc.srand(ctypes.c_uint(int.from_bytes(os.urandom(4), "big")))

    return reseed
