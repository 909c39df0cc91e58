"""The benches run, at sizes too small to mean anything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

BENCH = Path(__file__).resolve().parents[2] / "bench"


def test_every_bench_runs_and_gives_its_ratios(tmp_path):
    command = [sys.executable, str(BENCH / "run.py"), "--quick", "--json", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for credentials in ("50 credentials", "200 credentials"):
        ratios = report["line"][credentials]["ratios"]
        assert ratios["passage / (fsync + echo), p50"] > 0
        assert ratios["recorded per s / raw group commit"] > 0
        assert report["start"][f"{credentials}: MiB resident / bare"] > 0
    assert report["journal"]["ratios"]["journal / raw group"] > 0
    assert report["decide"]["growth, 1 → 500 doors"] > 0
