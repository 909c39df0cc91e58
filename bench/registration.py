"""What an import costs, beside hashing, sealing and inserting the very same rows with nothing around it.

    .venv/bin/python bench/registration.py [--people 2449] [--buildings 52] [--rounds 3]

The list is a village's: `--people` with an identity number and a card each, in flats of three, in `--buildings`. The
import is the plugin's own: read the CSV, check everything, enter it in one transaction. `raw` takes the rows that the
import left in the store, computes every hash and seal of them anew and inserts them with one `executemany` a table, in
one transaction, into a new file with the same tables and pragmas. Both run in this process, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
for folder in ("core", "plugins", "devices", "tests"):
    sys.path.insert(0, str(ROOT / folder))

from menwei.keys import Keys, ManagerPrivate, seal_for_manager  # noqa: E402
from menwei.model import CredentialIdentifier, IdentifierType  # noqa: E402
from menwei.serving import settle  # noqa: E402
from registration_house import registration_house, village_csv  # noqa: E402

TABLES = (
    "holders", "credentials", "identifiers", "credential_profiles", "tenancy_buildings", "tenancy_units",
    "tenancy_flats", "tenancy_households", "tenancy_leases", "tenancy_members", "tenancy_passes",
)  # fmt: skip
GOAL = 3.0


async def imported(folder: Path, data: bytes) -> float:
    """Seconds from the bytes of the file to the durable transaction."""
    async with registration_house(folder) as house:
        gc.collect()
        settle()  # as the program does that serves while a list is entered
        began = time.perf_counter()
        found = await house.registration.examine(data)
        assert not found.faults, found.faults[:3]
        await house.registration.enter(found, house.ACTOR)
        return time.perf_counter() - began


def raw(folder: Path, into: Path) -> tuple[float, float, int]:
    """Seconds in all, seconds of it for hashes and seals, and the number of rows."""
    source = sqlite3.connect(folder / "store.db")
    names = ", ".join("?" for _ in TABLES)
    schema = [
        row[0]
        for row in source.execute(
            f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({names}) AND sql IS NOT NULL", TABLES
        )
    ]
    rows = {table: source.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    source.close()
    target = sqlite3.connect(into, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        target.execute(f"PRAGMA {pragma}")
    for statement in schema:
        target.execute(statement)
    keys, public = Keys(bytes(32)), ManagerPrivate.generate().public
    people = len(rows["holders"])
    gc.collect()
    began = time.perf_counter()
    for number in range(people):
        seal_for_manager(public, "林晓晓".encode(), f"holders/{number}/name_sealed")
        seal_for_manager(public, b"13800000000", f"holders/{number}/phone_sealed")
        keys.blind(f"holders/document/{number:018d}")
        keys.seal(b"123X", f"holders/{number}/document_sealed")
        keys.blind(f"member/{number}")
    for number in range(len(rows["identifiers"])):
        keys.digest(CredentialIdentifier(IdentifierType.CARD, "uid", f"{number:08X}"))
    for number in range(len(rows["tenancy_households"])):
        keys.blind(f"household/{number}")
    hashed = time.perf_counter() - began
    target.execute("BEGIN IMMEDIATE")
    for table, found in rows.items():
        places = ", ".join("?" for _ in found[0])
        target.executemany(f"INSERT INTO {table} VALUES ({places})", found)
    target.execute("COMMIT")
    whole = time.perf_counter() - began
    target.close()
    return whole, hashed, sum(map(len, rows.values()))


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--people", type=int, default=2449)
    words.add_argument("--buildings", type=int, default=52)
    words.add_argument("--rounds", type=int, default=3)
    asked = words.parse_args()
    data = village_csv(asked.people, asked.buildings)
    ours, theirs, hashes = [], [], []
    count = 0
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ours.append(asyncio.run(imported(folder, data)))
            whole, hashed, count = raw(folder, folder / "raw.db")
            theirs.append(whole)
            hashes.append(hashed)
    ratio = median(ours) / median(theirs)
    print(
        f"{asked.people} people in {asked.buildings} buildings, {count} rows, median of {asked.rounds} rounds"
    )
    print(
        f"import {median(ours):.2f} s, raw {median(theirs):.2f} s (hashes and seals {median(hashes):.2f} s)"
    )
    print(f"ratio {ratio:.2f}, goal {GOAL:.1f}")
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
