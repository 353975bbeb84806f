"""Learning rates and weight decay by parameter, and the schedules over time."""

from __future__ import annotations

import math

import pytest
import torch

from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.training.freeze import freeze
from anymask.training.lora import Lora, add_lora
from anymask.training.optim import make_optimizer, schedule


def build(name):
    return Sam(MODELS[name].config)


def settings(sam, optimizer):
    """Each optimised parameter's name to its peak learning rate and weight decay."""
    names = {id(p): name for name, p in sam.named_parameters()}
    return {
        names[id(p)]: (group["peak_lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }


# parameters


def test_every_parameter_is_in_one_group():
    for name in ("test_tiny", "test_tiny_light"):
        sam = build(name)
        optimizer = make_optimizer(sam, 1e-3, layer_decay=0.8, encoder_lr=0.4)
        assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(sam.parameters()))
        assert len(settings(sam, optimizer)) == len(list(sam.parameters()))


def test_of_a_light_model_matrices_decay_and_the_backbone_learns_more_slowly():
    sam = build("test_tiny_light")
    found = settings(sam, make_optimizer(sam, 1e-3, weight_decay=0.05, layer_decay=0.5, encoder_lr=0.4))
    for name, parameter in sam.named_parameters():
        lr = 4e-4 if name.startswith("image_encoder.backbone") else 1e-3
        token = name.endswith(("_token.weight", "_tokens.weight", "_embed.weight")) or ".point_embeddings." in name
        assert found[name] == (pytest.approx(lr), 0.05 if parameter.ndim > 1 and not token else 0.0), name


def test_positions_of_a_vit_do_not_decay():
    sam = build("test_tiny")
    found = settings(sam, make_optimizer(sam, 1e-3, weight_decay=0.1))
    for name in ("pos_embed", "blocks.0.attn.rel_pos_h", "blocks.1.attn.rel_pos_w", "blocks.0.norm1.weight"):
        assert found[f"image_encoder.{name}"] == (1e-3, 0.0)
    for name in ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "neck.0.weight"):
        assert found[f"image_encoder.{name}"] == (1e-3, 0.1)
    assert found["image_encoder.blocks.0.attn.qkv.bias"] == (1e-3, 0.0)


def test_layers_of_a_vit_learn_more_slowly_the_earlier_they_are():
    """Two blocks: the last one has the decay once, the first twice, the embeddings three times."""
    sam = build("test_tiny")
    found = settings(sam, make_optimizer(sam, 1.0, layer_decay=0.5, encoder_lr=0.1))
    expected = {
        "image_encoder.pos_embed": 0.125,
        "image_encoder.patch_embed.proj.weight": 0.125,
        "image_encoder.blocks.0.attn.rel_pos_h": 0.25,
        "image_encoder.blocks.0.mlp.lin1.bias": 0.25,
        "image_encoder.blocks.1.norm2.weight": 0.5,
        "image_encoder.neck.0.weight": 1.0,
        "prompt_encoder.no_mask_embed.weight": 1.0,
        "mask_decoder.transformer.layers.0.self_attn.q_proj.weight": 1.0,
    }
    assert {name: found[name][0] for name in expected} == expected


def test_what_is_frozen_is_left_out_and_adapters_go_with_their_block():
    sam = build("test_tiny")
    add_lora(sam, Lora(parts=("image_encoder",)))
    freeze(sam, ["prompt_encoder"])
    found = settings(sam, make_optimizer(sam, 1.0, layer_decay=0.5))
    assert found.keys() == {name for name, p in sam.named_parameters() if p.requires_grad}
    assert found["image_encoder.blocks.0.attn.qkv.lora_a.q"][0] == 0.25


def test_the_optimiser_is_adamw_and_takes_its_settings():
    sam = build("test_tiny_light")
    optimizer = make_optimizer(sam, 3e-4, betas=(0.8, 0.95))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.95)}
    assert {group["lr"] for group in optimizer.param_groups} == {3e-4}


# schedules


@pytest.mark.parametrize("kind", ["step", "cosine", "constant"])
def test_every_schedule_warms_up_linearly(kind):
    rates = [schedule(kind, step, 100, 10, (50,), 20) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0 and rates[10:] == sorted(rates[10:], reverse=True)


def test_without_warm_up_the_first_step_is_at_the_peak():
    assert [schedule(kind, 0, 10) for kind in ("step", "cosine", "constant")] == [1.0] * 3


def test_the_step_schedule_drops_to_a_tenth_each_time():
    """The paper's: 90,000 steps, down at 60,000 and at 86,666."""
    drops = (60_000, 86_666)
    steps = [250, 59_999, 60_000, 86_665, 86_666, 89_999]
    rates = [schedule("step", step, 90_000, 250, drops) for step in steps]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_cosine_goes_to_zero():
    assert schedule("cosine", 55, 100, 10) == pytest.approx(0.5)
    assert schedule("cosine", 99, 100, 10) == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))
    assert schedule("cosine", 100, 100, 10) == pytest.approx(0)


def test_the_constant_schedule_comes_down_at_the_end():
    rates = [schedule("constant", step, 100, 10, decay=20) for step in range(100)]
    assert rates[10:80] == [1.0] * 70
    assert rates[79:] == pytest.approx([1 - 0.99 * i / 20 for i in range(21)])
    assert rates[-1] == pytest.approx(0.01)
    assert schedule("constant", 99, 100) == 1.0
