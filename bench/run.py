"""Every bench of the core, one after the other: `python bench/run.py [--quick] [--json]`. `make bench` runs it.

Each measures in rounds and in turn with what it is held against; docs/performance.md says what the figures mean. The
benches of faces need photos and are started by hand (`bench/face.py`, `bench/liveness.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import benchsite
import decide
import journal
import line
import start

CREDENTIALS = [1_000, 100_000]


def journal_report(folder: Path | None, rounds: int, slices: int) -> dict[str, Any]:
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            found.append(asyncio.run(journal.one_round(Path(name), slices)))
    return journal.summary(found)


def run(folder: Path | None = None, *, quick: bool = False) -> dict[str, Any]:
    """All reports by name. `quick` only shows that the benches run: its figures mean nothing."""
    rounds, credentials = (1, [50, 200]) if quick else (5, CREDENTIALS)
    small: dict[str, int] = {"size": 3, "each": 1, "slices": 1} if quick else {}
    return {
        "machine": {
            "at": datetime.now(UTC).isoformat(timespec="minutes"),
            "python": platform.python_version(),
            "load": benchsite.load(),
        },
        "decide": decide.run(credentials, [1, 500], rounds),
        "journal": journal_report(folder, rounds, 1 if quick else journal.SLICES),
        "line": line.run(folder, credentials, rounds, **small),
        "start": start.run(folder, credentials, 1 if quick else 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only to see that everything runs")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    benchsite.quiet()
    report = run(options.folder, quick=options.quick)
    print(json.dumps(report, indent=1, ensure_ascii=False) if options.json else benchsite.table(report))


if __name__ == "__main__":
    main()
