"""Resident-ID enrolment readers (SDT/SAM on a serial port): a desk lays an identity document on it.

What leaves this package is the kind of document, the name and the number; sex, birth, nation, address, issuer, dates,
and the photo do not. A card is read only while a desk waits for it. pyserial and python-stdnum are needed
(`pip install 'menwei[idreader]'`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    from menwei import Driver


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_idreader.driver import IdReader

    return [IdReader]
