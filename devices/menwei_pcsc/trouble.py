"""What can be wrong between us and a reader, each with what a person does about it."""

from __future__ import annotations

from enum import StrEnum


class TroubleKind(StrEnum):
    """The key of the repair's message is `pcsc.repair.<value>`."""

    NO_LIBRARY = "no-library"
    NO_SERVICE = "no-service"
    NOT_ALLOWED = "not-allowed"
    NO_READER = "no-reader"
    MANY_READERS = "many-readers"
    SILENT = "silent"


class Trouble(Exception):
    """The reader cannot be used now. The text is for the installer; `values` fill the placeholders of the repair."""

    def __init__(self, kind: TroubleKind, text: str, **values: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.values = values
