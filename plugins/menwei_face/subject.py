"""The value a person's face is enrolled under: random, opaque, and all that the vault and the rights share."""

from __future__ import annotations

import secrets

from menwei import CredentialIdentifier, IdentifierType

FORMAT = "subject"
"""The recognizer's identifier format."""


def new_subject() -> str:
    """A new value, for somebody who is enrolled the first time: 128 random bits."""
    return secrets.token_hex(16)


def identifier(subject: str) -> CredentialIdentifier:
    """What a holder's credential gets so that this face is theirs (`PeopleDesk.add_credential`)."""
    return CredentialIdentifier(IdentifierType.FACE, FORMAT, subject)
