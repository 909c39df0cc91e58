"""OSDP readers in a process of their own, which the demonstration plays with too: libosdp's peripheral devices on one
serial line, the peer of `menwei_osdp`."""

from __future__ import annotations

from menwei_simulator.wires import Readers, reader, wiegand26, wiegand34

__all__ = ["Readers", "reader", "wiegand26", "wiegand34"]
