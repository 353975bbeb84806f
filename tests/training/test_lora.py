"""Adapters: nothing changes at first, they alone learn, they fold in, and their small file loads."""

from __future__ import annotations

import copy

import pytest
import torch
from reference import fill_with_noise

from anymask.errors import ConfigError
from anymask.model.checkpoint import open_model, save_model
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.task.prompts import Prompt, PromptBatch
from anymask.training.lora import TARGETS, AdaptedLinear, Lora, add_lora, merge_lora

TOYS = ["test_tiny", "test_tiny_light"]


def build(name="test_tiny"):
    sam = Sam(MODELS[name].config)
    fill_with_noise(sam)
    return sam


def answer(sam):
    """Logits and predicted IoU of a point and of a box on one image."""
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = [Prompt([[20, 30]], [1]), Prompt(box=[5, 5, 40, 50])]
    batch = PromptBatch.pad(prompts, sam.frame(64, 64), sam.config.mask_size)
    batch = PromptBatch(batch.coords.expand(2, -1, -1, -1), batch.labels.expand(2, -1, -1))
    return sam.decode_all(sam.encode(pixels), batch)


def loss(sam):
    masks, iou = answer(sam)
    weights = torch.linspace(-1, 1, masks.numel()).view_as(masks)
    return (weights * masks).mean() + iou.square().mean()


def learn(sam, steps=3):
    """Move the adapters well away from zero."""
    adapters = [p for name, p in sam.named_parameters() if ".lora_" in name]
    optimizer = torch.optim.SGD(adapters, lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(sam).backward()
        torch.nn.utils.clip_grad_norm_(adapters, 5.0)
        optimizer.step()


def same(ours, theirs, atol=1e-4):
    return all(torch.allclose(a, b, atol=atol, rtol=1e-4) for a, b in zip(ours, theirs, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("name", TOYS)
def test_the_start_is_the_model_as_it_was(name):
    sam = build(name)
    before = answer(sam)
    add_lora(sam, Lora(4))
    assert same(answer(sam), before, atol=1e-5)


@pytest.mark.parametrize("targets", [TARGETS, ("q", "v"), ("k",), ("out",)])
def test_merging_keeps_the_outputs_and_the_plain_keys(targets):
    sam = build()
    keys, before = list(sam.state_dict()), answer(sam)
    add_lora(sam, Lora(4, 8.0), targets)
    learn(sam)
    adapted = answer(sam)
    assert not same(adapted, before, atol=1e-3)
    merge_lora(sam)
    assert list(sam.state_dict()) == keys
    assert same(answer(sam), adapted)
    assert not any(isinstance(module, AdaptedLinear) for module in sam.modules())


def adapters(sam):
    """The weights of the adapters."""
    return {name: value for name, value in sam.state_dict().items() if ".lora_" in name}


def test_a_merged_model_saves_and_opens(tmp_path):
    sam = build()
    add_lora(sam, Lora(2))
    learn(sam)
    merged = copy.deepcopy(sam)
    merge_lora(merged)
    save_model(merged, tmp_path / "merged.safetensors")
    assert same(answer(open_model(tmp_path / "merged.safetensors")), answer(sam))
    assert adapters(sam), "the copy alone was merged"


def test_of_the_adapted_parts_the_adapters_alone_learn_and_each_gets_a_gradient():
    sam = build()
    add_lora(sam, Lora(3))
    learn(sam, steps=2)
    for name, parameter in sam.named_parameters():
        learns = ".lora_" in name or name.startswith("prompt_encoder.")
        assert parameter.requires_grad == learns, name
        if ".lora_" in name:
            assert parameter.grad.abs().max() > 0, name


def test_the_places_of_the_adapters():
    sam = build()
    depth = len(sam.image_encoder.blocks)
    add_lora(sam, Lora(3), ("q", "v"))
    state = adapters(sam)
    encoder = {key for key in state if key.startswith("image_encoder.")}
    assert encoder == {
        f"image_encoder.blocks.{i}.attn.qkv.{side}.{name}"
        for i in range(depth)
        for side in ("lora_a", "lora_b")
        for name in ("q", "v")
    }
    assert state["image_encoder.blocks.0.attn.qkv.lora_a.q"].shape == (3, 16)
    assert state["image_encoder.blocks.0.attn.qkv.lora_b.v"].shape == (16, 3)
    assert "mask_decoder.transformer.final_attn_token_to_image.v_proj.lora_b.v" in state
    assert len(state.keys() - encoder) == 7 * 2 * 2  # three attentions in each of two blocks, and a last one


@torch.no_grad()
def test_an_adapter_changes_its_own_slice_alone():
    layer = torch.nn.Linear(5, 12)
    adapted = AdaptedLinear(layer, ("q", "k", "v"), ("k",), rank=2, alpha=6.0)
    x = torch.randn(7, 5)
    adapted.lora_b["k"].normal_()
    change = adapted(x) - layer(x)
    assert torch.equal(change[:, :4], torch.zeros(7, 4)) and torch.equal(change[:, 8:], torch.zeros(7, 4))
    torch.testing.assert_close(change[:, 4:8], 3.0 * x @ adapted.lora_a["k"].T @ adapted.lora_b["k"].T)


def test_parts_that_are_not_adapted_go_on_training():
    sam = build()
    add_lora(sam, Lora(parts=("image_encoder",)))
    assert all(p.requires_grad for p in sam.mask_decoder.parameters())
    assert not any(".lora_" in name for name in sam.mask_decoder.state_dict())


def test_a_light_model_has_adapters_in_its_decoder_alone():
    sam = build("test_tiny_light")
    add_lora(sam, Lora())
    assert {key.split(".")[0] for key in adapters(sam)} == {"mask_decoder"}
    assert all(p.requires_grad for p in sam.image_encoder.parameters())
    with pytest.raises(ConfigError, match=r"nothing there to adapt.*mask_decoder among the parts"):
        add_lora(build("test_tiny_light"), Lora(parts=("image_encoder",)))


def test_adapters_are_not_put_on_adapters():
    sam = build()
    add_lora(sam, Lora())
    with pytest.raises(ConfigError, match="already; merge"):
        add_lora(sam, Lora())


def test_bfloat16_and_checkpointing_leave_the_gradients_near():
    sam = build()
    add_lora(sam, Lora(2))
    learn(sam, steps=1)
    sam.train().image_encoder.checkpointing = True
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(sam)
    half.backward()
    assert half.item() == pytest.approx(loss(sam).item(), rel=0.1)
    assert all(torch.isfinite(p.grad).all() for n, p in sam.named_parameters() if ".lora_" in n)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank at least 1"),
        ({"rank": 2.5}, "rank: expected int"),
        ({"alpha": 0}, "alpha above 0"),
        ({"parts": ()}, "some parts"),
        ({"parts": ("mask_decoders",)}, "did you mean 'mask_decoder'"),
        ({"parts": ("prompt_encoder", "mask_decoder")}, "unknown part for adapters 'prompt_encoder'"),
    ],
)
def test_settings_that_are_none_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Lora(**settings)


def test_an_unknown_projection_is_refused():
    with pytest.raises(ConfigError, match="unknown projection 'values'"):
        add_lora(build(), Lora(), ("values",))
