"""The figures of docs/performance.md and docs/scale.md are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "speed.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("row", RESULTS["rows"])
def test_tables_hold_what_was_measured(row):
    import speed

    assert speed.table(row, RESULTS["rows"][row]) in PAGE


def test_there_are_no_other_tables():
    import measured
    import speed

    tables = PAGE.partition(speed.BEGIN)[2].partition(measured.END)[0]
    assert tables.count("### ") == len(RESULTS["rows"])
    assert RESULTS["machine"]["cpu"] in tables


def test_the_page_on_scale_holds_what_was_measured():
    import dataset
    import measured

    results = json.loads((ROOT / "benchmarks" / "results" / "dataset.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert page.partition(dataset.BEGIN)[2].partition(measured.END)[0].strip() == dataset.tables(results)
