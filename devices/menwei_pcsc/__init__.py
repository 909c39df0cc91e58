"""PC/SC card readers: one device is one reader that pcscd knows, on this machine.

Contactless cards are read by their UID, Chinese resident identity cards by their chip's serial number. Both identify a
card and prove nothing: they can be copied. pyscard is needed (`pip install 'menwei[pcsc]'`) and pcscd running; without
them the device says so and everything else goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    from menwei import Driver, Finder


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_pcsc.driver import PcscReader

    return [PcscReader]


@hookimpl
def register_finders() -> list[type[Finder]]:
    from menwei_pcsc.finder import PcscFinder

    return [PcscFinder]
