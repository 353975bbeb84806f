"""The page on export: its Python runs, and the commands that it names exist."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from anymask.cli.main import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")


def test_the_python_runs(exported_vit, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "nano").symlink_to(exported_vit)
    (tmp_path / "photo.jpg").symlink_to(ROOT / "examples" / "photos" / "coffee.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "export.md", "exec"), names)
    assert names["mask"].shape == (400, 600) and names["mask"].dtype == bool


@pytest.mark.parametrize("command", re.findall(r"^    (anymask export .*)$", PAGE, re.MULTILINE))
def test_the_options_exist(command, monkeypatch, capsys):
    words = shlex.split(command, comments=True)
    monkeypatch.setattr(sys, "argv", ["anymask", "export", "--help"])
    with pytest.raises(SystemExit):
        run()
    shown = capsys.readouterr().out
    assert all(word in shown for word in words if word.startswith("-"))
