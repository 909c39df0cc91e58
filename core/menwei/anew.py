"""A database that is gone while the rest of the data is there: a site starts all the same, and it is told until a person
has seen to it.

Without its store nobody has a right, and without its journal nobody knows who passed: what was lost may stand in a backup,
and a new file in its place looks like one that was always empty.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from menwei.context import Repair
from menwei.keys import MACHINE_KEY

log = structlog.get_logger(__name__)

MARK = "made-anew"
"""In the data folder: the names of what was missing at a start, one a line, until a person deletes it."""
PAIR = ("store.db", "journal.db")
"""Always made together."""


def look(folder: Path) -> tuple[str, ...]:
    """Called before anything is opened: what of the pair was missing or empty, now or at a start before, and nobody has
    seen to."""
    known = _marked(folder)
    there = {name for name in PAIR if _has_content(folder / name)}
    gone = [name for name in PAIR if name not in there]
    if (folder / MACHINE_KEY).exists() and there and gone:
        log.error(
            "a file of the data is missing and is made anew", files=[str(folder / name) for name in gone]
        )
        known = tuple(dict.fromkeys((*known, *gone)))
        try:
            (folder / MARK).write_text("".join(f"{name}\n" for name in known), "utf-8")
        except OSError as error:  # told until the end of this program, and in the log
            log.error("it cannot be noted down", file=str(folder / MARK), error=str(error))
    return known


def repairs(folder: Path, names: tuple[str, ...]) -> list[Repair]:
    """One for each of `look`'s answer. The note that was deleted meanwhile ends them at the next start."""
    return [
        Repair(
            f"anew:{name}",
            "repair.made_anew",
            {"file": str(folder / name), "mark": str(folder / MARK)},
            "error",
        )
        for name in names
    ]


def _marked(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(name for name in (folder / MARK).read_text("utf-8").split() if name in PAIR)
    except FileNotFoundError:
        return ()


def _has_content(path: Path) -> bool:
    """Also one whose content stands in its write-ahead log alone."""
    return any(one.exists() and one.stat().st_size > 0 for one in (path, path.with_name(path.name + "-wal")))
