"""The figures of docs/performance.md are those that were measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "speed.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def speed():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import speed

    return speed


@pytest.mark.parametrize("row", RESULTS["rows"])
def test_tables_hold_what_was_measured(speed, row):
    assert speed.table(row, RESULTS["rows"][row]) in PAGE


def test_there_are_no_other_tables(speed):
    tables = PAGE.partition(speed.BEGIN)[2].partition(speed.END)[0]
    assert tables.count("### ") == len(RESULTS["rows"])
    assert RESULTS["machine"]["cpu"] in tables
