"""QR codes at door cameras, as a recognizer on the camera worker; it serves access points whose level asks for QRCode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    from menwei import Recognizer


@hookimpl
def register_recognizers() -> list[type[Recognizer]]:
    from menwei_qr.recognizer import QrCodes

    return [QrCodes]
