"""Toy models with noise in every parameter, exported once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference import fill_with_noise

import anymask.runtime.kept
from anymask.export.write import export_model
from anymask.model.checkpoint import weights_hash
from anymask.model.registry import MODELS
from anymask.model.sam import Sam


def noisy(name: str) -> Sam:
    sam = Sam(MODELS[name].config)
    fill_with_noise(sam)
    sam.eval().weights_hash = weights_hash(sam)
    return sam


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the tests' own for what is kept."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(anymask.runtime.kept.CACHE_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="session")
def vit() -> Sam:
    return noisy("test_tiny")


@pytest.fixture(scope="session")
def light() -> Sam:
    return noisy("test_tiny_light")


@pytest.fixture(scope="session")
def exported_vit(vit: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy ViT, its weights beside the files."""
    folder = tmp_path_factory.mktemp("exported") / "vit"
    export_model(vit, folder, licence="of toys", external=1)
    return folder


@pytest.fixture(scope="session")
def exported_light(light: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "light"
    export_model(light, folder)
    return folder
