"""What can be wrong with a wire or a reader on it, each with what a person does about it."""

from __future__ import annotations

from enum import StrEnum


class PortTroubleKind(StrEnum):
    """Trouble with the whole wire. The key of the repair's message is `osdp.repair.<value>`."""

    NO_LIBRARY = "no-library"
    NO_PORT = "no-port"
    NOT_ALLOWED = "not-allowed"
    BUSY = "busy"
    PORT_LOST = "port-lost"
    SILENT = "silent"


class PortTrouble(Exception):
    """The wire cannot be used now. The text is for the installer; `values` fill the placeholders of the repair."""

    def __init__(self, kind: PortTroubleKind, text: str, **values: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.values = values


class Why(StrEnum):
    """Why a reader cannot be used. The key of the repair's message is `osdp.repair.reader-<value>`."""

    LOST = "lost"
    """It does not answer."""
    KEY = "key"
    """It answers and has another key than the config."""
    NO_SECURITY = "no-security"
    """It says that it can do no secure channel: an old reader, or somebody on the wire who speaks for it."""
    CLEAR_TEXT = "clear-text"
    """Something came in clear that must be protected: somebody may be on the wire."""
    SESSION = "session"
    """It ended the secure channel: it was restarted, or the wire is bad."""
