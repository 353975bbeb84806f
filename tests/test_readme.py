"""The README: its Python runs, its commands run, its pictures exist."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from labelled_data import HEIGHT, WIDTH
from labelled_sets import labelled_set

from anymask import read_image
from anymask.cli.main import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    anymask ")]


LONGER = tuple(f"anymask {verb} " for verb in ("train", "eval", "find", "boxes", "gaze", "annotate", "export"))
"""commands that take too long, or files that are not there"""
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def executed(code):
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_python_on_large_images_runs(monkeypatch, tmp_path):
    """On a photo that is small, for the sake of time."""
    np.save(tmp_path / "city.npy", read_image(ROOT / "examples" / "photos" / "coffee.jpg").repeat(2, axis=1)[:, :900])
    monkeypatch.chdir(tmp_path)
    names = executed(PYTHON[1])
    assert names["masks"] and names["roof"].masks[0]["size"] == [400, 900]


def test_the_python_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert len(PYTHON) == 4
    names = executed(PYTHON[0])
    assert names["masks"].shape == (3, 300, 451)
    assert names["everything"], "everything finds something in the photo"


def test_the_python_on_words_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = executed(PYTHON[2])
    assert len(names["cups"].masks) and len(names["one"].masks) == 1 and len(names["rows"].segmentations) == 2


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(("anymask segment", "anymask everything"))])
def test_the_commands_run(command, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    words = shlex.split(command, comments=True)
    words[words.index("-o") + 1] = str(tmp_path)
    if "--preset" in words:  # as few points as will do
        monkeypatch.setattr("anymask.predict.automask.presets.PRESETS", {"objects": {"points_per_side": 3}})
    monkeypatch.setattr(sys, "argv", words)
    run_quietly()
    assert list(tmp_path.glob("*_overlay.jpg"))


def run_quietly():
    try:
        run()
    except SystemExit as stop:
        assert not stop.code


def test_the_python_on_data_runs(monkeypatch, tmp_path):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    labelled_set(tmp_path / "my_data", 5)
    monkeypatch.chdir(tmp_path)
    names = executed(PYTHON[3].replace("num_workers=2", "num_workers=0"))
    assert names["masks"][0].shape == (2, HEIGHT, WIDTH) and len(list(names["rows"])) == 5


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("anymask dataset")])
def test_the_commands_on_data_run(command, monkeypatch, tmp_path):
    for name in ("DATA", "MORE"):
        labelled_set(tmp_path / name, 5, category="person")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command, comments=True)
    monkeypatch.setattr(sys, "argv", words)
    run_quietly()
    assert "-o" not in words or any((tmp_path / "FOLDER").iterdir())


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(LONGER)])
def test_the_verbs_and_options_of_the_longer_ones_exist(command, monkeypatch, capsys):
    words = shlex.split(command, comments=True)
    verb = words[1 : (3 if words[1] == "eval" else 2) + (words[2] == "human")]
    monkeypatch.setattr(sys, "argv", ["anymask", *verb, "--help"])
    run_quietly()
    shown = capsys.readouterr().out
    assert all(word in shown for word in words if word.startswith("-"))


def test_links_and_pictures_exist():
    assert not re.search(r"@\w+@", README), "a placeholder was left"
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [t for t in targets if not (ROOT / t).exists()] == []
