"""The plugin's own tables: answers, who is enrolled, and proofs of what was destroyed.

No name, picture or template stands here. `subject` is a random word that means nothing outside this machine; it is
forgotten with the template. `migrations/versions` must make exactly these tables; a test compares.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import (
    Boolean,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

from menwei.columns import ID, column

HOLDER = "holder"
"""Until the person is removed; `enrolment.py` looks for that."""

_column = partial(column, keeps=HOLDER)


metadata = MetaData(info={"head": "0001"})

consents = Table(
    "face_consents",
    metadata,
    _column("id", ID, primary_key=True, autoincrement=False),
    _column("holder", ID),
    _column("answer", String(10)),
    _column("purpose", String(10)),
    _column("given", Double),
    _column("recorded", Double),
    _column("version", Integer),
    _column("language", String(10)),
    _column("minor", Boolean),
    _column("guardian", ID, nullable=True),
    _column("guardian_entered", Boolean),
    _column("account", ID, nullable=True),
    _column("role", String(20)),
    _column("withdrawn", Double, nullable=True),
    Index("face_consents_holder", "holder", "recorded"),
    info={"subject": "holder"},
)
"""Each answer stays, the newest counts. `given` is when the person said it (a paper's day), `recorded` when the desk
wrote it down; `account` and `role` are the desk's. `guardian_entered`: the guardian is known here for this only."""

enrolments = Table(
    "face_enrolments",
    metadata,
    _column("holder", ID, primary_key=True, autoincrement=False),
    _column("subject", String(60), personal=True, unique=True),
    _column("credential", ID, unique=True),
    _column("consent", ID),
    _column("templates", Integer),
    _column("at", Double),
    _column("source", String(10)),
    _column("paused", Boolean),
    _column("idle_since", Double, nullable=True),
    info={"subject": "holder"},
)
"""`paused`: we disabled the credential, because all others of the person are. `idle_since`: since when nothing of
theirs opens a door any more; a while later the templates are destroyed."""

withdrawals = Table(
    "face_withdrawals",
    metadata,
    _column("id", ID, primary_key=True, autoincrement=False),
    _column("holder", ID),
    _column("subject", String(60), personal=True, nullable=True),
    _column("why", String(20)),
    _column("at", Double),
    _column("done", Double, nullable=True),
    _column("templates", Integer),
    _column("key_destroyed", Boolean),
    _column("account", ID, nullable=True),
    _column("role", String(20)),
    Index("face_withdrawals_holder", "holder", "at"),
    info={"subject": "holder"},
)
"""The receipts. `subject` only while the vault has not answered yet (`done` is null)."""

TABLES = tuple(metadata.tables)
