"""The command line in this process, with a toy model in a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from reference import fill_with_noise

from anymask.cli.main import run
from anymask.model.checkpoint import save_model
from anymask.model.registry import MODELS
from anymask.model.sam import Sam


@dataclass
class Result:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture()
def anymask(monkeypatch, capfd):
    """Run `anymask ARGUMENTS` as the installed script does."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["anymask", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        try:
            run()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture()
def interrupted(monkeypatch):
    """Count the calls of a method in a list, and interrupt the run at a call before which it has so many entries."""

    def arrange(owner, method, at):
        done = []
        plain = getattr(owner, method)

        def watched(self, *arguments):
            if len(done) == at:
                raise KeyboardInterrupt
            done.append(1)
            return plain(self, *arguments)

        monkeypatch.setattr(owner, method, watched)
        return done

    return arrange


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """The weights file of a toy model."""
    sam = Sam(MODELS["test_tiny_light"].config)
    fill_with_noise(sam)
    path = tmp_path_factory.mktemp("weights") / "toy.safetensors"
    save_model(sam, path)
    return path


@pytest.fixture()
def photo(tmp_path):
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path
