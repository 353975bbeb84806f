"""An annotator with two photos, asked without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from anymask import load_model
from anymask.annotator import services
from anymask.annotator.app import create_app
from anymask.annotator.services import Services
from anymask.annotator.settings import AnnotatorSettings
from anymask.model.sam import Sam


@pytest.fixture(scope="session")
def nano() -> Sam:
    return load_model("nano")


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """A folder with a photo, another one in a subfolder, and one that is none."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    shutil.copy(photos / "chelsea.jpg", tmp_path / "photos" / "chelsea.jpg")
    Image.fromarray(np.full((1200, 700, 3), 90, np.uint8)).save(tmp_path / "photos" / "more" / "grey.png")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    return tmp_path / "photos"


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> AnnotatorSettings:
    project = tmp_path / "project"
    project.mkdir()
    return AnnotatorSettings(folder, project, f"sqlite:///{project / 'project.sqlite'}", person="ann")


class _Made:
    """Stands for the decoder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.problem = folder, ""

    def close(self) -> None:
        """Nothing is going on."""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the decoder, which takes too long to make here."""
    decoder = tmp_path / "decoder"
    decoder.mkdir()
    (decoder / "manifest.json").write_text(json.dumps({"format": 1}))
    monkeypatch.setattr(services, "Decoder", lambda sam: _Made(decoder))
    return decoder


class Annotator:
    """A running annotator, and clients of it."""

    def __init__(self, settings: AnnotatorSettings, sam: Sam) -> None:
        self.services = Services(settings, sam)
        self.app = create_app(self.services)

    def client(self, **headers: str) -> TestClient:
        """A client with the header that the page sends, and more."""
        return TestClient(self.app, "http://localhost:8017", headers={"X-Anymask": "1", **headers})


@pytest.fixture
def annotator(settings: AnnotatorSettings, nano: Sam, made: Path) -> Iterator[Annotator]:
    running = Annotator(settings, nano)
    yield running
    running.services.close()


@pytest.fixture
def guarded(settings: AnnotatorSettings, nano: Sam, made: Path) -> Iterator[Annotator]:
    """An annotator with a token."""
    running = Annotator(replace(settings, token="secret"), nano)
    yield running
    running.services.close()


@pytest.fixture
def client(annotator: Annotator) -> TestClient:
    return annotator.client()


@pytest.fixture
def chelsea(client: TestClient) -> dict[str, Any]:
    """The photo of a cat, as the server tells of it."""
    found = client.get("/api/images", params={"search": "chelsea"}).json()["images"]
    return dict(found[0])
