"""UHPPOTE door controllers (UT0311-L01/L02/L04 and their many brands), over UDP. This program decides, the board obeys.

The protocol has no authentication: whoever reaches the board's network opens its doors, so it needs a network of its
own, and the driver says so. The codec is the uhppoted project's (`pip install 'menwei[uhppote]'`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    from menwei import Driver, Finder


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_uhppote.driver import UhppoteBoard

    return [UhppoteBoard]


@hookimpl
def register_finders() -> list[type[Finder]]:
    from menwei_uhppote.finder import UhppoteFinder

    return [UhppoteFinder]
