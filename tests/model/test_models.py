"""Every model of the registry: shapes, forward, a gradient for each parameter, other sizes, save and load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import fill_with_noise, reference_sam
from torch import Tensor
from torch.nn import functional as F

from anymask.errors import ConfigError, UnknownModelError
from anymask.model.checkpoint import open_model, read_card, save_model
from anymask.model.config import LightConfig, SamConfig, ViTConfig
from anymask.model.mask_decoder import MaskDecoder
from anymask.model.registry import MODELS, entry, sam_model_registry
from anymask.model.sam import Sam
from anymask.task.prompts import Prompt, PromptBatch

VITS = [name for name in MODELS if isinstance(MODELS[name].config.encoder, ViTConfig)]
LARGE = {"vit_b", "vit_l", "vit_h"}
SMALL = [name for name in MODELS if name not in LARGE]
TOYS = ["test_tiny", "test_tiny_light"]


def build(name: str) -> Sam:
    """A model with noise in every parameter, in evaluation mode."""
    sam = Sam(MODELS[name].config)
    fill_with_noise(sam)
    return sam.eval()


def draw_pixels(size: int, count: int = 1) -> Tensor:
    """Preprocessed images."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def every_prompt(sam: Sam, size: int | None = None) -> PromptBatch:
    """Four objects that between them use every kind of token, a mask and no mask, in an image of 300×400."""
    frame = replace(sam.frame(300, 400), size=size or sam.config.encoder.size)
    side = sam.config.mask_size * frame.size // sam.config.encoder.size
    return PromptBatch.pad(every_object(side), frame, side)


def every_object(side: int) -> list[Prompt]:
    """The objects of `every_prompt`; masks are side×side."""
    mask = np.random.default_rng(0).normal(size=(side, side)) * 4
    return [
        Prompt([[200, 150], [30, 40]], [1, 0]),
        Prompt(box=[100, 50, 300, 250]),
        Prompt([[120, 90]], [0], box=[20, 50, 300, 250], mask=mask),
        Prompt(mask=mask),
    ]


@torch.no_grad()
def check_forward(sam: Sam, size: int) -> None:
    """Shapes and finite values for images of `size`, which need not be the config's."""
    config = sam.config
    grid = size // config.encoder.stride
    embedding = sam.encode(draw_pixels(size))
    assert embedding.features.shape == (1, config.dim, grid, grid)
    assert embedding.model == config.name
    if isinstance(config.encoder, LightConfig):
        fine = [(1, config.dim // 4, 2 * grid, 2 * grid), (1, config.dim // 8, 4 * grid, 4 * grid)]
        assert [tuple(f.shape) for f in embedding.fine] == fine
    prompts = every_prompt(sam, size)
    every_mask, every_iou = sam.decode_all(embedding, prompts)
    for multimask, count, chosen in ((True, 3, slice(1, 4)), (False, 1, slice(0, 1))):
        masks, iou = sam.decode(embedding, prompts, multimask)
        assert torch.equal(masks, every_mask[:, :, chosen])
        assert torch.equal(iou, every_iou[:, :, chosen])
        assert masks.shape == (1, 4, count, 4 * grid, 4 * grid)
        assert iou.shape == (1, 4, count)
        assert torch.isfinite(masks).all()
        assert torch.isfinite(iou).all()
        assert (masks[0].flatten(1).std(dim=1) > 0).all()


# shapes


@pytest.mark.parametrize("name", VITS)
def test_keys_and_shapes_are_the_reference_s(name: str) -> None:
    config = MODELS[name].config
    with torch.device("meta"):  # no memory is taken
        ours, theirs = Sam(config), reference_sam(config, noise=False)
    shapes = {key: tuple(value.shape) for key, value in ours.state_dict().items()}
    assert shapes == {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    parameters = {key for key, _ in ours.named_parameters()}
    assert parameters == {key for key, _ in theirs.named_parameters()}


def test_builders_have_the_reference_s_names() -> None:
    assert {"default", "vit_b", "vit_l", "vit_h"} <= sam_model_registry.keys()
    assert sam_model_registry["default"] is sam_model_registry["vit_h"]
    assert sam_model_registry["vit_b"].__name__ == "build_vit_b"


def test_an_unknown_name_gives_the_nearest_one() -> None:
    with pytest.raises(UnknownModelError, match="did you mean vit_b"):
        entry("vit_bb")
    with pytest.raises(UnknownModelError, match="known are nano, vit_b"):
        entry("?")


# forward and backward


@pytest.mark.parametrize("name", SMALL)
def test_forward(name: str) -> None:
    check_forward(build(name), MODELS[name].config.encoder.size)


@pytest.mark.parametrize(("name", "size"), [("nano", 256), ("test_tiny", 96), ("test_tiny_light", 96), ("vit_b", 256)])
def test_forward_at_another_size(name: str, size: int) -> None:
    """Positions are taken relative to the frame, so that they hold at any size."""
    sam = build(name)
    check_forward(sam, size)
    grid = size // sam.config.encoder.stride
    cell = grid // 3
    centre = torch.full((1, 1, 2), (cell + 0.5) * sam.config.encoder.stride - 0.5)
    prompts = PromptBatch(centre[None], torch.ones(1, 1, 1, dtype=torch.long))
    token, _, _ = sam.prompt_encoder.embed(prompts, (grid, grid))
    position = token[0, 0] - sam.prompt_encoder.point_embeddings[1].weight[0]
    torch.testing.assert_close(position, sam.prompt_encoder.get_dense_pe((grid, grid))[0, :, cell, cell])


def check_gradients(sam: Sam) -> None:
    """Every parameter gets a gradient that is finite and not all zero."""
    sam.train()
    masks, iou = sam.decode_all(sam.encode(draw_pixels(sam.config.encoder.size)), every_prompt(sam))
    generator = torch.Generator().manual_seed(0)
    loss = (masks * torch.randn(masks.shape, generator=generator)).mean()
    (loss + (iou * torch.randn(iou.shape, generator=generator)).mean()).backward()
    for key, parameter in sam.named_parameters():
        assert parameter.requires_grad, key
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        # What is added to all keys alike leaves the softmax as it is, so its true gradient is zero.
        assert parameter.grad.abs().max() > 0 or key.endswith("k_proj.bias"), key


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    check_gradients(build(name))


@pytest.mark.parametrize(
    "name", ["vit_b", pytest.param("vit_l", marks=pytest.mark.slow), pytest.param("vit_h", marks=pytest.mark.slow)]
)
def test_large_models_on_a_small_frame(name: str, tmp_path: Path) -> None:
    """All of what the small ones are tested for, at full width and depth; the frame is what makes them slow."""
    config = MODELS[name].config
    sam = Sam(replace(config, encoder=replace(config.encoder, size=64)))
    fill_with_noise(sam)
    check_forward(sam.eval(), 64)
    check_ragged(sam)
    check_file(sam, tmp_path)
    check_gradients(sam)


@pytest.mark.parametrize("name", SMALL)
def test_ragged_prompts_are_as_one_by_one(name: str) -> None:
    check_ragged(build(name))


@torch.no_grad()
def check_ragged(sam: Sam) -> None:
    """Objects with different tokens in one call answer as each alone does."""
    embedding = sam.encode(draw_pixels(sam.config.encoder.size))
    batch = every_prompt(sam)
    masks, iou = sam.decode_all(embedding, batch)
    frame = sam.frame(300, 400)
    for i, prompt in enumerate(every_object(sam.config.mask_size)):
        alone, iou_alone = sam.decode_all(embedding, PromptBatch.pad([prompt], frame, sam.config.mask_size))
        scale = max(1.0, float(alone.abs().max()))
        torch.testing.assert_close(masks[:, i : i + 1] / scale, alone / scale, atol=1e-5, rtol=0)
        torch.testing.assert_close(iou[:, i : i + 1], iou_alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", TOYS)
def test_each_image_of_a_batch_is_as_alone(name: str) -> None:
    """In double precision, for a layer norm over the toy's two finest channels magnifies rounding."""
    sam = build(name).double()
    embedding = sam.encode(draw_pixels(64, count=2).double())
    prompts = every_prompt(sam)
    parts = [prompts.coords.double(), prompts.labels, prompts.present, prompts.masks.double(), prompts.has_mask]
    masks, iou = sam.decode_all(embedding, PromptBatch(*(torch.cat([part, part.flip(1)]) for part in parts)))
    for i in range(2):
        one = PromptBatch(*(part.flip(1) if i else part for part in parts))
        alone, iou_alone = sam.decode_all(sam.encode(draw_pixels(64, count=2)[i : i + 1].double()), one)
        torch.testing.assert_close(masks[i : i + 1], alone, atol=1e-9, rtol=0)
        torch.testing.assert_close(iou[i : i + 1], iou_alone, atol=1e-9, rtol=0)
    assert (masks[0] - masks[1].flip(0)).abs().max() > 0.1  # the two images do differ


# the decoder's upscaling


@torch.no_grad()
@pytest.mark.parametrize("with_fine", [False, True])
def test_upscaling_in_blocks_equals_the_plain_convolutions(with_fine: bool) -> None:
    decoder = MaskDecoder(dim=32, heads=2, mlp=16, iou_hidden=16)
    fill_with_noise(decoder)
    generator = torch.Generator().manual_seed(0)
    images, objects, (h, w) = 2, 3, (5, 7)
    count = images * objects
    image = torch.randn(count, 32, h, w, generator=generator)
    weights = torch.randn(count, 4, 4, generator=generator)
    fine4 = torch.randn(images, 8, 2 * h, 2 * w, generator=generator) * with_fine
    fine2 = torch.randn(images, 4, 4 * h, 4 * w, generator=generator) * with_fine

    up1, norm, act1, up2, act2 = decoder.output_upscaling
    x = act1(norm(up1(image) + fine4.repeat_interleave(objects, 0)))
    x = act2(up2(x) + fine2.repeat_interleave(objects, 0))
    plain = torch.einsum("nchw,nmc->nmhw", x, weights)

    tokens = image.flatten(2).transpose(1, 2)
    blocked = decoder.upscale(tokens, weights, (h, w), (fine4, fine2) if with_fine else ())
    torch.testing.assert_close(blocked, plain, atol=1e-5, rtol=1e-5)
    if not with_fine:
        torch.testing.assert_close(x, decoder.output_upscaling(image))


def test_padding_of_the_light_convolutions_is_tensorflow_s() -> None:
    """With stride 2 on an even side the first window starts at the first pixel, not before it."""
    from anymask.model.light import SameConv2d

    conv = SameConv2d(1, 1, 3, stride=2)
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    plain = F.conv2d(F.pad(x, (0, 1, 0, 1)), conv.weight, conv.bias, stride=2)
    assert torch.equal(conv(x), plain)
    assert conv(x).shape == (1, 1, 4, 4)
    wide = SameConv2d(1, 1, 5, stride=2)
    assert torch.equal(wide(x), F.conv2d(F.pad(x, (1, 2, 1, 2)), wide.weight, wide.bias, stride=2))


# config and file


@pytest.mark.parametrize("name", MODELS)
def test_config_survives_json(name: str) -> None:
    config = MODELS[name].config
    assert SamConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.name == name


@pytest.mark.parametrize(
    "change",
    [
        {"colour": 1},
        {"encoder": {"kind": "resnet"}},
        {"encoder": {"kind": "vit"}},
        {"encoder": {"kind": "light", "colour": 1}},
        {"encoder": None},
        {"encoder": {"kind": "vit", "width": 10, "depth": 1, "heads": 3, "global_blocks": []}},
    ],
)
def test_a_config_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SamConfig.from_dict({**MODELS["nano"].config.to_dict(), **change})


@pytest.mark.parametrize("name", SMALL)
def test_save_and_open(name: str, tmp_path: Path) -> None:
    check_file(build(name), tmp_path)


@torch.no_grad()
def check_file(sam: Sam, tmp_path: Path) -> None:
    """What is saved opens as the same model, with its card."""
    card = {"licence": "CC0", "score": 0.5, "data": ["é"]}
    save_model(sam, tmp_path / "model.safetensors", card)
    opened = open_model(tmp_path / "model.safetensors")
    assert read_card(tmp_path / "model.safetensors") == card
    assert opened.config == sam.config
    assert not opened.training
    assert opened.weights_hash
    for key, value in sam.state_dict().items():
        assert torch.equal(opened.state_dict()[key], value), key
    prompts, pixels = every_prompt(sam), draw_pixels(sam.config.encoder.size)
    for mine, again in zip(
        sam.decode_all(sam.encode(pixels), prompts), opened.decode_all(opened.encode(pixels), prompts), strict=True
    ):
        assert torch.equal(mine, again)


def test_half_precision_on_disk(tmp_path: Path) -> None:
    sam = build("test_tiny_light")
    save_model(sam, tmp_path / "half.safetensors", half=True)
    save_model(sam, tmp_path / "full.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * (tmp_path / "full.safetensors").stat().st_size
    opened = open_model(tmp_path / "half.safetensors")
    for key, value in sam.state_dict().items():
        assert opened.state_dict()[key].dtype == torch.float32
        assert torch.equal(opened.state_dict()[key], value.half().float()), key
    assert read_card(tmp_path / "half.safetensors") == {}
