"""The core's tables, with what each of them says about whom.

Every table names its `subject` and every column says whether it is `personal` and how long it stays (`retention`): the
privacy desk, retention, encryption and backup work from these declarations, and `Store` refuses a table without them.
A personal column of the core never holds clear text: it is sealed (see `keys.py`) or a keyed hash.

`migrations/versions` must make exactly these tables; a test compares. `HEAD` is the newest version there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeEngine

from menwei.columns import ID, column

HEAD = "0004"


class Retention(StrEnum):
    """How long a row's column stays. The value is what the privacy page prints a sentence for."""

    SITE = "site"
    """As long as the installation."""
    HOLDER = "holder"
    """Until the holder is removed."""
    CREDENTIAL = "credential"
    """Until the credential is removed, with its holder at the latest."""
    ACCOUNT = "account"
    """Until the account is removed."""
    SESSION = "session"
    """Until log-out or expiry, seven days at most."""
    TOKEN = "token"  # noqa: S105
    """Until the token is revoked or expires."""
    BOARD = "board"
    """Until the board confirmed that it holds the card no more."""


class Undeclared(Exception):
    """A table or column does not say whose data it holds; it names every one that does not."""


def check_declared(metadata: MetaData) -> None:
    """Raise `Undeclared` unless every table declares `subject` and every column `personal` and `retention`."""
    faults = []
    for table in metadata.tables.values():
        if not isinstance(table.info.get("subject"), str):
            faults.append(f'table {table.name}: info={{"subject": …}} is missing')
        for one in table.columns:
            if not isinstance(one.info.get("personal"), bool):
                faults.append(
                    f'column {table.name}.{one.name}: info={{"personal": True or False}} is missing'
                )
            if not (isinstance(one.info.get("retention"), str) and one.info["retention"]):
                faults.append(f'column {table.name}.{one.name}: info={{"retention": …}} is missing')
    if faults:
        raise Undeclared("\n".join(faults))


def _holder_key(keeps: Retention, **more: Any) -> Column[Any]:
    return column("holder", ID, ForeignKey("holders.id", ondelete="CASCADE"), keeps=keeps, **more)


def _credential_key(**more: Any) -> Column[Any]:
    reference = ForeignKey("credentials.id", ondelete="CASCADE")
    return column("credential", ID, reference, keeps=Retention.CREDENTIAL, **more)


def _name(length: int = 200) -> TypeEngine[str]:
    return String(length)


metadata = MetaData(info={"head": HEAD})

holders = Table(
    "holders",
    metadata,
    column("id", ID, keeps=Retention.HOLDER, primary_key=True, autoincrement=False),
    column("external_id", LargeBinary(16), keeps=Retention.HOLDER, personal=True, nullable=True, unique=True),
    column("external_sealed", LargeBinary, keeps=Retention.HOLDER, personal=True, nullable=True),
    column("name_sealed", LargeBinary, keeps=Retention.HOLDER, personal=True),
    column("phone_sealed", LargeBinary, keeps=Retention.HOLDER, personal=True, nullable=True),
    column("note_sealed", LargeBinary, keeps=Retention.HOLDER, personal=True, nullable=True),
    column("extended", Boolean, keeps=Retention.HOLDER),
    column("created", Double, keeps=Retention.HOLDER),
    column("ended", Double, keeps=Retention.HOLDER, nullable=True),
    column("indexed", Integer, keeps=Retention.HOLDER),
    column("document", LargeBinary(16), keeps=Retention.HOLDER, personal=True, nullable=True),
    column("document_sealed", LargeBinary, keeps=Retention.HOLDER, personal=True, nullable=True),
    Index("holders_document", "document"),
    info={"subject": "holder"},
)
"""People. `external_id` is a keyed hash for looking up, `*_sealed` open with the manager's key only; `indexed` is the
version of the tokeniser that wrote `holder_index`, 0 while nobody with the key has been there yet.

`document` is a keyed hash of the number of an identity document, `document_sealed` its last four characters: these open
with the machine key, because a desk that may not read names compares them with the card in its hand."""

holder_index = Table(
    "holder_index",
    metadata,
    column("token", LargeBinary(16), keeps=Retention.HOLDER, personal=True, primary_key=True),
    _holder_key(Retention.HOLDER, primary_key=True),
    Index("holder_index_holder", "holder"),
    info={"subject": "holder"},
)

credentials = Table(
    "credentials",
    metadata,
    column("id", ID, keeps=Retention.CREDENTIAL, primary_key=True, autoincrement=False),
    _holder_key(Retention.CREDENTIAL),
    column("label_sealed", LargeBinary, keeps=Retention.CREDENTIAL, personal=True, nullable=True),
    column("state", _name(20), keeps=Retention.CREDENTIAL),
    column("valid_from", Double, keeps=Retention.CREDENTIAL),
    column("valid_to", Double, keeps=Retention.CREDENTIAL, nullable=True),
    column("pin", LargeBinary(16), keeps=Retention.CREDENTIAL, personal=True, nullable=True),
    column("duress", LargeBinary(16), keeps=Retention.CREDENTIAL, personal=True, nullable=True),
    Index("credentials_holder", "holder"),
    info={"subject": "holder"},
)
"""`valid_to` is exclusive; null is forever."""

identifiers = Table(
    "identifiers",
    metadata,
    column("digest", LargeBinary(16), keeps=Retention.CREDENTIAL, personal=True, primary_key=True),
    _credential_key(),
    column("type", _name(20), keeps=Retention.CREDENTIAL),
    column("format", _name(40), keeps=Retention.CREDENTIAL),
    Index("identifiers_credential", "credential", "type"),
    info={"subject": "holder"},
)

board_numbers = Table(
    "board_numbers",
    metadata,
    column(
        "digest",
        LargeBinary(16),
        ForeignKey("identifiers.digest", ondelete="CASCADE"),
        keeps=Retention.CREDENTIAL,
        personal=True,
        primary_key=True,
    ),
    column("format", _name(40), keeps=Retention.CREDENTIAL),
    column("sealed", LargeBinary, keeps=Retention.CREDENTIAL, personal=True),
    Index("board_numbers_format", "format"),
    info={"subject": "holder"},
)
"""Card numbers that a board which decides alone has to be given, sealed under the machine key (`keys.seal`). Only in the
formats that such boards of this site read; empty where there is none."""

board_cards = Table(
    "board_cards",
    metadata,
    column("device", _name(64), keeps=Retention.BOARD, primary_key=True),
    column("digest", LargeBinary(16), keeps=Retention.BOARD, personal=True, primary_key=True),
    column("credential", ID, keeps=Retention.BOARD, nullable=True),
    column("sealed", LargeBinary, keeps=Retention.BOARD, personal=True),
    column("holding", String, keeps=Retention.BOARD),
    info={"subject": "holder"},
)
"""What each board confirmed that it holds: the card as in `board_numbers`, and its days, doors and hours. Without a
foreign key: a card whose holder was removed is still to be taken from the board."""

credential_profiles = Table(
    "credential_profiles",
    metadata,
    _credential_key(primary_key=True),
    column("place", Integer, keeps=Retention.CREDENTIAL, primary_key=True, autoincrement=False),
    column("profile", _name(), keeps=Retention.CREDENTIAL),
    Index("credential_profiles_profile", "profile"),
    info={"subject": "holder"},
)
"""No foreign key on `profile`: it may be one of the config file's."""

profiles = Table(
    "profiles",
    metadata,
    column("id", _name(), keeps=Retention.SITE, primary_key=True),
    info={"subject": "site"},
)

profile_rules = Table(
    "profile_rules",
    metadata,
    column(
        "profile",
        _name(),
        ForeignKey("profiles.id", ondelete="CASCADE"),
        keeps=Retention.SITE,
        primary_key=True,
    ),
    column("place", Integer, keeps=Retention.SITE, primary_key=True, autoincrement=False),
    column("access_point", _name(), keeps=Retention.SITE, primary_key=True),
    column("schedule", _name(), keeps=Retention.SITE),
    info={"subject": "site"},
)
"""One row for each access point of each rule; `place` is the rule's place in its profile."""

revisions = Table(
    "revisions",
    metadata,
    column("revision", ID, keeps=Retention.SITE, primary_key=True, autoincrement=False),
    column("at", Double, keeps=Retention.SITE),
    column("actor_sealed", LargeBinary, keeps=Retention.SITE, personal=True),
    column("role", _name(40), keeps=Retention.SITE),
    column("changes", JSON, keeps=Retention.SITE),
    info={"subject": "account"},
)
"""What changed in the rights, contiguous from 1, without personal values."""

manager = Table(
    "manager",
    metadata,
    column("id", Integer, keeps=Retention.SITE, primary_key=True, autoincrement=False),
    column("machine", LargeBinary(16), keeps=Retention.SITE),
    column("public", LargeBinary(32), keeps=Retention.SITE, nullable=True),
    info={"subject": "site"},
)
"""One row: the fingerprint of the machine key this store belongs to, and the manager's public key."""

accounts = Table(
    "accounts",
    metadata,
    column("id", ID, keeps=Retention.ACCOUNT, primary_key=True, autoincrement=False),
    column("login", LargeBinary(16), keeps=Retention.ACCOUNT, personal=True, unique=True),
    column("name_sealed", LargeBinary, keeps=Retention.ACCOUNT, personal=True),
    column("role", _name(20), keeps=Retention.ACCOUNT),
    column("password", _name(), keeps=Retention.ACCOUNT),
    column("wrapped", LargeBinary, keeps=Retention.ACCOUNT, nullable=True),
    column("disabled", Boolean, keeps=Retention.ACCOUNT),
    column("created", Double, keeps=Retention.ACCOUNT),
    info={"subject": "account"},
)
"""`login` is a keyed hash of the name, `password` an argon2id hash, `wrapped` the manager's key under the password."""

sessions = Table(
    "sessions",
    metadata,
    column("digest", LargeBinary(32), keeps=Retention.SESSION, primary_key=True),
    column("account", ID, ForeignKey("accounts.id", ondelete="CASCADE"), keeps=Retention.SESSION),
    column("created", Double, keeps=Retention.SESSION),
    column("seen", Double, keeps=Retention.SESSION),
    Index("sessions_account", "account"),
    info={"subject": "account"},
)

tokens = Table(
    "tokens",
    metadata,
    column("id", ID, keeps=Retention.TOKEN, primary_key=True, autoincrement=False),
    column("digest", LargeBinary(32), keeps=Retention.TOKEN, unique=True),
    column("name_sealed", LargeBinary, keeps=Retention.TOKEN, personal=True),
    column("role", _name(20), keeps=Retention.TOKEN),
    column("scope", JSON, keeps=Retention.TOKEN),
    column("created", Double, keeps=Retention.TOKEN),
    column("expires", Double, keeps=Retention.TOKEN, nullable=True),
    column("made_by", ID, keeps=Retention.TOKEN, nullable=True),
    info={"subject": "account"},
)
