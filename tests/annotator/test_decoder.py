"""The decoder that the annotator makes for the browser, while the model is at work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from anymask.annotator.services import Services
from anymask.annotator.settings import AnnotatorSettings
from anymask.model.checkpoint import build_model, weights_hash
from anymask.model.registry import entry

pytest.importorskip("onnxscript")


def test_masks_are_right_while_the_decoder_is_made(
    settings: AnnotatorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch lets no other thread of a process compute while it traces."""
    monkeypatch.setenv("ANYMASK_CACHE", str(tmp_path / "cache"))
    sam = build_model(entry("test_tiny").config)
    sam.weights_hash = weights_hash(sam)
    pixels = torch.rand(1, 3, sam.config.encoder.size, sam.config.encoder.size)
    with torch.no_grad():
        expected = sam.encode(pixels).features
    services = Services(settings, sam)
    rounds = 0
    while services.decoder.folder is None:
        assert not services.decoder.problem
        found = services.segmenter.predictor.runtime.encode(pixels).features
        assert torch.allclose(found, expected, atol=1e-5)
        rounds += 1
    manifest = json.loads((services.decoder.folder / "manifest.json").read_text())
    assert manifest["weights"] == sam.weights_hash
    assert rounds > 1
    services.close()
