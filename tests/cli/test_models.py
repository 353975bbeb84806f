"""`anymask models` lists, shows and downloads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from anymask.cli.models import app, download_bar
from anymask.errors import DownloadError, UnknownModelError
from anymask.model import weights
from anymask.model.checkpoint import save_model
from anymask.model.registry import MODELS, Entry
from anymask.model.sam import Sam

CARD = {
    "data": ["street scenes", "kitchens"],
    "licence": "CC-BY-4.0",
    "recipe": {"steps": 7, "stages": [{"size": 256}, {"size": 512}]},
    "scores": {"IoU at 1 click": 0.71},
}


@pytest.fixture(autouse=True)
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for weights, and a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    return home


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packaged file of `nano`, at toy size and with a card."""
    config = replace(MODELS["test_tiny_light"].config, name="nano")
    monkeypatch.setitem(MODELS, "nano", replace(MODELS["nano"], config=config))
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "package" / "weights.py"))
    path = tmp_path / "package" / "weights_data" / "nano.safetensors"
    save_model(Sam(config), path, CARD)
    return path


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a model `toy` on a mirror, which is a folder."""
    path = tmp_path / "mirror" / "toy.pth"
    path.parent.mkdir()
    config = replace(MODELS["test_tiny"].config, name="toy")
    torch.save(Sam(config).state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(MODELS, "toy", Entry(config, "a toy", "Apache-2.0", "https://none.invalid/toy.pth", digest))
    monkeypatch.setenv("ANYMASK_MIRROR", path.parent.as_uri())
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def printed(*arguments: str | Path) -> Any:
    """What a command prints as JSON."""
    return json.loads(call(*arguments, "--json").stdout)


def line_of(text: str, name: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(name)).split()


def test_list_counts_parameters() -> None:
    found = {record["name"]: record for record in printed("list", "--all")}
    assert found["test_tiny"]["parameters"] == sum(p.numel() for p in Sam(MODELS["test_tiny"].config).parameters())
    assert [round(found[name]["parameters"] / 1e6) for name in ("vit_b", "vit_l", "vit_h")] == [94, 312, 641]
    assert {found[name]["input_size"] for name in ("vit_b", "vit_l", "vit_h")} == {1024}


def test_list_hides_models_without_weights() -> None:
    names = [record["name"] for record in printed("list")]
    assert names == [name for name in MODELS if not name.startswith("test_")]
    assert [record["name"] for record in printed("list", "--all")] == list(MODELS)
    assert "test_tiny" not in call("list").stdout
    assert line_of(call("list", "--all").stdout, "test_tiny")[4:6] == ["no", "weights"]


def test_list_says_what_is_on_disk(folder: Path, packaged: Path) -> None:
    folder.mkdir()
    (folder / "sam_vit_b_01ec64.pth").write_bytes(b"x" * 2_500_000)
    text = call("list").stdout
    assert line_of(text, "vit_b")[:6] == ["vit_b", "93.7", "M", "1024×1024", "2.5", "MB"]
    assert "not downloaded" in " ".join(line_of(text, "vit_h"))
    found = {record["name"]: record for record in printed("list")}
    assert found["vit_b"]["file"] == str(folder / "sam_vit_b_01ec64.pth")
    assert found["vit_b"]["bytes"] == 2_500_000
    assert found["vit_l"]["file"] is found["vit_l"]["bytes"] is None
    assert found["nano"]["file"] == str(packaged)


def test_show_tells_all_of_an_official_model() -> None:
    known = MODELS["vit_l"]
    record = printed("show", "vit_l")
    assert (record["url"], record["sha256"], record["licence"]) == (known.url, known.sha256, "Apache-2.0")
    assert record["config"] == json.loads(json.dumps(known.config.to_dict()))
    assert record["card"] == {}
    text = call("show", "vit_l").stdout
    for part in (known.about, known.url, known.sha256, "not downloaded", "5, 11, 17, 23"):
        assert part in text
    assert "card" not in text


def test_show_lays_out_the_card(packaged: Path) -> None:
    assert printed("show", "nano")["card"] == CARD
    text = call("show", "nano").stdout
    assert str(packaged) in text
    assert [line.split() for line in text.split("card\n")[-1].splitlines()] == [
        ["data", "street", "scenes,", "kitchens"],
        ["licence", "CC-BY-4.0"],
        ["recipe"],
        ["steps", "7"],
        ["stages"],
        ["1"],
        ["size", "256"],
        ["2"],
        ["size", "512"],
        ["scores"],
        ["IoU", "at", "1", "click", "0.71"],
    ]


def test_show_prints_values_as_they_are(packaged: Path) -> None:
    """Square brackets are Rich's markup, which a card must not be read as."""
    save_model(Sam(MODELS["nano"].config), packaged, {"data": "[bold]set[/bold] [a]"})
    assert "[bold]set[/bold] [a]" in call("show", "nano").stdout


def test_download_prints_the_file(folder: Path, mirror: Path) -> None:
    result = call("download", "toy")
    assert result.stdout == f"{folder / 'toy.pth'}\n"
    assert "toy" in result.stderr
    assert (folder / "toy.pth").read_bytes() == mirror.read_bytes()


def test_download_to_a_folder(folder: Path, mirror: Path, tmp_path: Path) -> None:
    assert call("download", "toy", "--folder", tmp_path / "here").stdout == f"{tmp_path / 'here' / 'toy.pth'}\n"
    assert (tmp_path / "here" / "toy.pth").read_bytes() == mirror.read_bytes()
    assert not folder.exists()


def test_download_of_what_is_packaged_prints_its_place(packaged: Path) -> None:
    result = call("download", "nano")
    assert result.stdout == f"{packaged}\n"
    assert result.stderr == ""


def test_the_bar_counts_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar("toy") as progress:
        progress(500_000, 0)
        progress(1_000_000, 2_000_000)
    assert "1.0/2.0 MB" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "download"])
def test_unknown_models_are_refused(command: str) -> None:
    with pytest.raises(UnknownModelError, match="vit_hh"):
        call(command, "vit_hh")


def test_a_download_that_fails_is_an_error(mirror: Path) -> None:
    mirror.unlink()
    with pytest.raises(DownloadError, match=r"toy\.pth"):
        call("download", "toy")
