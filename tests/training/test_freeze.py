"""Freezing by part: what it reaches, and what it refuses."""

from __future__ import annotations

import pytest

from anymask.errors import ConfigError
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.training.freeze import freeze, trainable


def build(name="test_tiny_light"):
    return Sam(MODELS[name].config)


def frozen(sam):
    return {name for name, p in sam.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("test_tiny", ["image_encoder"]),
        ("test_tiny", ["image_encoder.blocks.0", "prompt_encoder"]),
        ("test_tiny", ["image_encoder.pos_embed"]),
        ("test_tiny_light", ["image_encoder.backbone"]),
        ("test_tiny_light", ["mask_decoder.iou_prediction_head"]),
        ("test_tiny_light", []),
    ],
)
def test_all_below_the_parts_is_frozen_and_nothing_else(model, parts):
    sam = build(model)
    freeze(sam, parts)
    below = {n for n, _ in sam.named_parameters() for part in parts if n == part or n.startswith(part + ".")}
    assert frozen(sam) == below and bool(below) == bool(parts)


def test_a_part_is_a_whole_name():
    """The tenth block is not below the first, whose name it begins with."""
    sam = build()
    freeze(sam, ["image_encoder.backbone.blocks.1"])
    assert frozen(sam) == {n for n, _ in sam.named_parameters() if n.startswith("image_encoder.backbone.blocks.1.")}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("image_encodr", "did you mean 'image_encoder'"),
        ("mask_decoder.iou_head", r"did you mean 'mask_decoder\.iou_"),
        ("image_encoder.backbone.blocks.9", r"did you mean 'image_encoder\.backbone\.blocks\."),
        ("?", "expected one of image_encoder, mask_decoder, prompt_encoder$"),
        ("", "unknown part ''"),
    ],
)
def test_an_unknown_part_is_refused(part, message):
    sam = build()
    with pytest.raises(ConfigError, match=message):
        freeze(sam, ["prompt_encoder", part])
    assert not frozen(sam)


def test_freezing_everything_is_refused():
    sam = build()
    with pytest.raises(ConfigError, match="nothing would be left"):
        freeze(sam, ["image_encoder", "prompt_encoder", "mask_decoder"])
    assert not frozen(sam)
    freeze(sam, ["image_encoder", "prompt_encoder"])
    with pytest.raises(ConfigError, match="nothing would be left"):
        freeze(sam, ["mask_decoder"])


def test_the_counts_are_by_part():
    sam = build()
    freeze(sam, ["image_encoder.backbone", "prompt_encoder"])
    counts = trainable(sam)
    assert list(counts) == ["image_encoder", "prompt_encoder", "mask_decoder"]
    assert sum(total for _, total in counts.values()) == sum(p.numel() for p in sam.parameters())
    backbone = sum(p.numel() for p in sam.image_encoder.backbone.parameters())
    learns, total = counts["image_encoder"]
    assert learns == total - backbone > 0
    assert counts["prompt_encoder"][0] == 0 < counts["prompt_encoder"][1]
    assert counts["mask_decoder"][0] == counts["mask_decoder"][1] > 0
