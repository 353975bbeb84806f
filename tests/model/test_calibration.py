"""Calibration: logits are steeper, and nothing that a person sees of the masks changes, click after click."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import fill_with_noise

from anymask.errors import ConfigError
from anymask.model.calibration import scale_logits
from anymask.model.checkpoint import open_model, save_model
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.predictor import SamPredictor
from anymask.predict.refine import Refinement

FACTOR = 4.0


def model(name: str) -> Sam:
    sam = Sam(MODELS[name].config)
    fill_with_noise(sam)
    return sam.eval()


@pytest.mark.parametrize("name", ["test_tiny", "test_tiny_light"])
def test_masks_stay_and_logits_get_steeper(name, tmp_path):
    plain, steep = model(name), model(name)
    scale_logits(steep, FACTOR)
    save_model(steep, tmp_path / "steep.safetensors")
    photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    states = []
    for sam in (plain, open_model(tmp_path / "steep.safetensors")):
        predictor = SamPredictor(sam, "torch")
        predictor.set_image(photo)
        clicks = Refinement(predictor, keep_parts=True)
        clicks.add_point(30, 20)
        clicks.add_point(5, 5, 0)
        states.append(clicks.add_point(60, 40))
    np.testing.assert_array_equal(states[0].mask, states[1].mask)
    assert states[0].mask.any()
    assert states[1].score == pytest.approx(states[0].score, abs=1e-5)
    np.testing.assert_allclose(states[1].logits, FACTOR * states[0].logits, rtol=1e-3, atol=1e-3)


def test_what_would_move_masks_is_refused():
    sam = model("test_tiny")
    with pytest.raises(ConfigError, match="factor"):
        scale_logits(sam, 0)
    sam.mask_threshold = 0.3
    with pytest.raises(ConfigError, match="cut-off"):
        scale_logits(sam, 2)
    with torch.no_grad():
        assert all((a == b).all() for a, b in zip(sam.parameters(), model("test_tiny").parameters(), strict=True))
