"""What can be wrong between us and the reader, each with what a person does about it."""

from __future__ import annotations

from enum import StrEnum


class TroubleKind(StrEnum):
    """The key of the repair's message is `idreader.repair.<value>`."""

    NO_LIBRARY = "no-library"
    NO_PORT = "no-port"
    NOT_ALLOWED = "not-allowed"
    BUSY = "busy"
    LOST = "lost"
    SILENT = "silent"
    NOT_AUTHORISED = "not-authorised"


class Trouble(Exception):
    """The reader cannot be used now. The text is for the installer; `values` fill the placeholders of the repair."""

    def __init__(self, kind: TroubleKind, text: str, **values: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.values = values
