"""Our model gives the numbers of segment-anything and of Hugging Face's SamModel, given their weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import ResizeLongestSide, hugging_face_sam, reference_sam, same_as
from torch import Tensor

from anymask.model.checkpoint import _from_hugging_face, load_weights, open_model, read_weights
from anymask.model.config import SamConfig, ViTConfig
from anymask.model.registry import MODELS
from anymask.model.sam import Sam

TOY, VIT_B = MODELS["test_tiny"].config, MODELS["vit_b"].config
KINDS = ["points", "points box", "box", "mask", "points mask", "box mask", "points box mask", ""]
"""which parts a prompt has"""


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    """Both within 1e-4, on values that are neither so small nor so large that the bound says nothing."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == torch.float32
    assert 0.1 < theirs.abs().max() < 50
    assert (ours - theirs).abs().max() < 1e-4


def draw_prompts(config: SamConfig, kind: str, count: int = 3, length: int = 4) -> dict[str, Any]:
    """Random `points` with labels, `boxes` and `masks` of `count` objects, in the model frame; None for the rest."""
    generator = torch.Generator().manual_seed(1)
    size, side = config.encoder.size, config.mask_size
    coords = torch.rand(count, length, 2, generator=generator) * size
    labels = torch.tensor([1, 0, 1, -1])[:length].expand(count, length)
    corners = torch.rand(count, 2, 2, generator=generator) * size / 2
    boxes = torch.stack([corners[:, 0], corners[:, 0] + corners[:, 1] + 1], dim=1).flatten(1)
    masks = torch.randn(count, 1, side, side, generator=generator) * 4
    return {
        "points": (coords, labels) if "points" in kind else None,
        "boxes": boxes if "box" in kind else None,
        "masks": masks if "mask" in kind else None,
    }


def noise(*shape: int) -> Tensor:
    """Normal noise, the same for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def draw_image(height: int, width: int, seed: int = 0) -> Tensor:
    """3×height×width float pixels of 0 to 255."""
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.fixture(scope="module")
def toy() -> tuple[Any, Sam]:
    """The reference model at toy size and ours with its weights."""
    reference = reference_sam(TOY)
    return reference, same_as(reference, TOY)


# segment-anything at toy size


@torch.no_grad()
@pytest.mark.parametrize("window", [2, 3, 4, 14])
def test_encoder_equals_the_reference(window: int) -> None:
    """With windows that fit the 4×4 grid, that need padding, and that are wider than it."""
    assert isinstance(TOY.encoder, ViTConfig)
    config = replace(TOY, encoder=replace(TOY.encoder, window=window, depth=3, global_blocks=(1,)))
    reference = reference_sam(config)
    pixels = noise(2, 3, 64, 64)
    assert_same(same_as(reference, config).image_encoder(pixels), reference.image_encoder(pixels))


@torch.no_grad()
def test_preprocess_equals_the_reference(toy: tuple[Any, Sam]) -> None:
    reference, ours = toy
    for shape in ((64, 64), (64, 41), (7, 64)):
        image = draw_image(*shape)
        assert_same(ours.preprocess(image), reference.preprocess(image))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_prompt_encoder_equals_the_reference(toy: tuple[Any, Sam], kind: str) -> None:
    reference, ours = toy
    prompts = draw_prompts(TOY, kind)
    sparse, dense = ours.prompt_encoder(**prompts)
    their_sparse, their_dense = reference.prompt_encoder(**prompts)
    if their_sparse.numel():
        assert_same(sparse, their_sparse)
    assert sparse.shape == their_sparse.shape
    assert_same(dense, their_dense)
    assert_same(ours.prompt_encoder.get_dense_pe(), reference.prompt_encoder.get_dense_pe())
    assert ours.prompt_encoder.mask_input_size == reference.prompt_encoder.mask_input_size


@torch.no_grad()
@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_decoder_equals_the_reference(toy: tuple[Any, Sam], kind: str, multimask: bool) -> None:
    reference, ours = toy
    _check_decoder(reference, ours, noise(1, 16, 4, 4), kind, multimask)


def _check_decoder(reference: Any, ours: Sam, features: Tensor, kind: str, multimask: bool) -> None:
    """Masks and predicted IoU of both decoders, from the reference's own prompt embedding."""
    sparse, dense = reference.prompt_encoder(**draw_prompts(ours.config, kind))
    arguments = features, reference.prompt_encoder.get_dense_pe(), sparse, dense, multimask
    masks, iou = ours.mask_decoder(*arguments)
    names = "image_embeddings", "image_pe", "sparse_prompt_embeddings", "dense_prompt_embeddings", "multimask_output"
    their_masks, their_iou = reference.mask_decoder(**dict(zip(names, arguments, strict=True)))
    assert_same(masks, their_masks)
    assert_same(iou, their_iou)


def _records(sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Sam.forward's input at toy size: an image with the prompts of every kind, on images of the given sizes."""
    records = []
    for i, kind in enumerate(KINDS):
        height, width = sizes[i % len(sizes)]
        frame = ResizeLongestSide.get_preprocess_shape(height, width, 64)
        prompts = draw_prompts(TOY, kind, count=i % 3 + 1)
        record = {"image": draw_image(*frame, seed=i), "original_size": (height, width)}
        if prompts["points"] is not None:
            record["point_coords"], record["point_labels"] = prompts["points"]
        if prompts["boxes"] is not None:
            record["boxes"] = prompts["boxes"]
        if prompts["masks"] is not None:
            record["mask_inputs"] = prompts["masks"]
        records.append(record)
    return records


def _check_forward(ours: list[dict[str, Tensor]], theirs: list[dict[str, Tensor]]) -> None:
    assert len(ours) == len(theirs)
    for mine, yours in zip(ours, theirs, strict=True):
        assert mine.keys() == yours.keys()
        assert_same(mine["low_res_logits"], yours["low_res_logits"])
        assert_same(mine["iou_predictions"], yours["iou_predictions"])
        assert mine["masks"].shape == yours["masks"].shape
        assert mine["masks"].dtype == torch.bool
        assert 0.01 < yours["masks"].float().mean() < 0.99
        assert (mine["masks"] != yours["masks"]).float().mean() < 1e-3  # a logit of ±1e-6 may fall on either side


@torch.no_grad()
@pytest.mark.parametrize("multimask", [True, False])
def test_forward_equals_the_reference(toy: tuple[Any, Sam], multimask: bool) -> None:
    reference, ours = toy
    records = _records([(48, 100), (301, 77), (64, 64)])
    _check_forward(ours(records, multimask), reference(records, multimask))


@torch.no_grad()
def test_forward_of_images_squeezed_into_the_square_equals_the_reference(toy: tuple[Any, Sam]) -> None:
    """The image's own size says what is padding, also where it does not follow from the original size."""
    reference, ours = toy
    record = {**_records([(48, 100)])[0], "image": draw_image(64, 64)}
    _check_forward(ours([record], True), reference([record], True))


@torch.no_grad()
@pytest.mark.parametrize("shape", [(48, 100), (301, 77), (64, 64), (1, 90), (9, 7), (200, 199)])
def test_postprocess_masks_equals_the_reference(toy: tuple[Any, Sam], shape: tuple[int, int]) -> None:
    reference, ours = toy
    logits = noise(2, 3, 16, 16)
    for frame in (ResizeLongestSide.get_preprocess_shape(*shape, 64), (64, 64), (20, 50)):
        assert_same(ours.postprocess_masks(logits, frame, shape), reference.postprocess_masks(logits, frame, shape))


# segment-anything at the size of ViT-B


@torch.no_grad()
def test_vit_b_equals_the_reference() -> None:
    reference = reference_sam(VIT_B)
    ours = same_as(reference, VIT_B)
    pixels = reference.preprocess(draw_image(1024, 700))[None]
    features = reference.image_encoder(pixels)
    assert_same(ours.image_encoder(pixels), features)
    for kind in KINDS:
        prompts = draw_prompts(VIT_B, kind)
        for mine, yours in zip(ours.prompt_encoder(**prompts), reference.prompt_encoder(**prompts), strict=True):
            if yours.numel():
                assert_same(mine, yours)
    for kind, multimask in (("points", True), ("points box mask", False)):
        _check_decoder(reference, ours, features, kind, multimask)


# Hugging Face


def _from_theirs(theirs: Any, config: SamConfig) -> Sam:
    ours = Sam(config)
    ours.load_state_dict(_from_hugging_face(theirs.state_dict()), strict=True)
    return ours.eval()


def _check_hugging_face(theirs: Any, ours: Sam, features: Tensor, kind: str, multimask: bool) -> None:
    """Both models' masks and predicted IoU from one embedding; the points come as 1 image × N objects × P × 2."""
    prompts = draw_prompts(ours.config, kind, count=1)
    coords, labels = prompts["points"] or (None, None)
    output = theirs(
        image_embeddings=features,
        input_points=None if coords is None else coords[None],
        input_labels=None if labels is None else labels[None],
        input_boxes=None if prompts["boxes"] is None else prompts["boxes"][None],
        input_masks=prompts["masks"],
        multimask_output=multimask,
    )
    sparse, dense = ours.prompt_encoder(**prompts)
    masks, iou = ours.mask_decoder(features, ours.prompt_encoder.get_dense_pe(), sparse, dense, multimask)
    assert_same(masks, output.pred_masks[0])
    assert_same(iou, output.iou_scores[0])


@torch.no_grad()
def test_encoder_equals_hugging_face() -> None:
    theirs = hugging_face_sam(TOY)
    ours = _from_theirs(theirs, TOY)
    pixels = noise(2, 3, 64, 64)
    assert_same(ours.encode(pixels).features, theirs.get_image_embeddings(pixels))


@torch.no_grad()
@pytest.mark.parametrize("size", ["toy", "vit_b"])
def test_prompts_and_decoder_equal_hugging_face(size: str) -> None:
    config = TOY if size == "toy" else replace(VIT_B, encoder=replace(VIT_B.encoder, depth=1))  # the encoder is not run
    theirs = hugging_face_sam(config)
    ours = _from_theirs(theirs, config)
    features = noise(1, config.dim, config.grid, config.grid)
    for kind, multimask in [(kind, kind != "points box") for kind in KINDS]:
        _check_hugging_face(theirs, ours, features, kind, multimask)


@torch.no_grad()
def test_a_file_of_hugging_face_opens(tmp_path: Path) -> None:
    theirs = hugging_face_sam(TOY)
    theirs.save_pretrained(tmp_path)
    ours = open_model(tmp_path / "model.safetensors")
    pixels = noise(1, 3, 64, 64)
    assert ours.config == TOY
    assert_same(ours.image_encoder(pixels), theirs.get_image_embeddings(pixels))
    _check_hugging_face(theirs, ours, ours.image_encoder(pixels), "points box mask", True)


@torch.no_grad()
def test_a_file_of_the_reference_opens(tmp_path: Path, toy: tuple[Any, Sam]) -> None:
    reference, ours = toy
    torch.save(reference.state_dict(), tmp_path / "sam.pth")
    opened = open_model(tmp_path / "sam.pth")
    filled = Sam(TOY)
    load_weights(filled, tmp_path / "sam.pth")
    state, metadata = read_weights(tmp_path / "sam.pth")
    assert opened.config == TOY
    assert metadata == {}
    for key, value in ours.state_dict().items():
        assert torch.equal(opened.state_dict()[key], value)
        assert torch.equal(filled.state_dict()[key], value)
        assert torch.equal(state[key], value)
