"""The figures of docs/performance.md are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "speed.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", RESULTS["rows"])
def test_tables_hold_what_was_measured(row):
    seconds = RESULTS["rows"][row]["seconds"]
    [table] = [part for part in PAGE.split("\n### ") if part.startswith(f"{row}\n")]
    for contender, took in seconds.items():
        shown = f"{took:.2f} s" if took >= 1 else f"{1000 * took:.1f} ms"
        [line] = [line for line in table.splitlines() if line.startswith(f"| {contender} |")]
        assert f"| {shown} |" in line
        for peer in seconds:
            if not peer.startswith("anymask"):
                assert f"| {seconds[peer] / took:.1f} |" in line


def test_the_machine_is_named():
    assert RESULTS["machine"]["cpu"] in PAGE
