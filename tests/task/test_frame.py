"""ImageFrame rounds as the reference does, and what goes to the model frame comes back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from reference import ResizeLongestSide

from anymask.task.frame import ImageFrame

SIDES = [1, 2, 3, 5, 7, 13, 63, 64, 65, 99, 127, 333, 479, 640, 683, 1023, 1024, 1025, 1499, 2049, 4001]
SHAPES = [(1, 1), (3, 2), (37, 53), (64, 64), (120, 77), (481, 640), (1025, 683)]


@pytest.mark.parametrize("size", [64, 256, 512, 1024])
def test_resized_is_the_reference_s(size: int) -> None:
    for height, width in itertools.product(SIDES, SIDES):
        theirs = ResizeLongestSide.get_preprocess_shape(height, width, size)
        frame = ImageFrame(height, width, size)
        assert frame.resized == tuple(max(1, side) for side in theirs)  # the reference fails on sides of 0
        assert max(frame.resized) == size
        assert frame.shape == (height, width)


def test_resized_is_the_reference_s_for_random_sides() -> None:
    rng = np.random.default_rng(0)
    for height, width in rng.integers(20, 6000, (2000, 2)).tolist():
        theirs = ResizeLongestSide.get_preprocess_shape(height, width, 1024)
        assert ImageFrame(height, width, 1024).resized == theirs


@pytest.mark.parametrize("shape", SHAPES)
def test_points_and_boxes_are_the_reference_s(shape: tuple[int, int]) -> None:
    frame, theirs = ImageFrame(*shape, 1024), ResizeLongestSide(1024)
    points = np.random.default_rng(0).uniform(0, shape[::-1], (4, 5, 2))
    boxes = np.random.default_rng(1).uniform(0, 50, (6, 4))
    before = points.copy()
    assert np.array_equal(frame.to_model(points), theirs.apply_coords(points, shape))
    assert np.array_equal(frame.boxes_to_model(boxes), theirs.apply_boxes(boxes, shape))
    assert np.array_equal(frame.boxes_to_model(boxes[0])[None], theirs.apply_boxes(boxes[0], shape))
    assert np.array_equal(points, before)
    coords, corners = torch.tensor(points).float(), torch.tensor(boxes).float()
    torch.testing.assert_close(frame.to_model(coords), theirs.apply_coords_torch(coords, shape))
    torch.testing.assert_close(frame.boxes_to_model(corners), theirs.apply_boxes_torch(corners, shape))


def test_whole_numbers_scale_as_fractions_do() -> None:
    shape = (300, 100)
    frame, theirs = ImageFrame(*shape, 1024), ResizeLongestSide(1024)
    points = np.array([[10, 20], [99, 299]])
    assert np.array_equal(frame.to_model(points), theirs.apply_coords(points, shape))
    coords = torch.tensor(points)
    torch.testing.assert_close(frame.to_model(coords), theirs.apply_coords_torch(coords, shape))
    torch.testing.assert_close(frame.boxes_to_model(coords.reshape(1, 4)), frame.to_model(coords).reshape(1, 4))


@pytest.mark.parametrize("shape", SHAPES)
def test_images_are_the_reference_s(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for size in (64, 333):
        frame = ImageFrame(*shape, size)
        resized = frame.resize_image(image)
        assert resized.dtype == np.uint8
        assert np.array_equal(resized, ResizeLongestSide(size).apply_image(image))


def test_resize_tensor_is_near_resize_image() -> None:
    y, x = np.mgrid[:300, :417]
    image = np.stack([x / 2, y / 2, 127 + 120 * np.sin(x / 30) * np.cos(y / 20)], axis=-1).astype(np.uint8)
    frame = ImageFrame(300, 417, 128)
    pixels = frame.resize_tensor(torch.tensor(image).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0)
    assert pixels.shape == (*frame.resized, 3)
    assert np.abs(pixels.numpy() - frame.resize_image(image)).max() < 1.5


@pytest.mark.parametrize("shape", SHAPES)
def test_points_come_back(shape: tuple[int, int]) -> None:
    """Each point keeps its place in the image, the last corner comes to lie on the last corner."""
    frame = ImageFrame(*shape, 512)
    height, width = shape
    points = np.random.default_rng(0).uniform(0, [width, height], (100, 2))
    there = frame.to_model(points)
    assert np.allclose(there / np.array(frame.scale), points)
    assert np.allclose(frame.to_model(np.array([width, height])), frame.resized[::-1])
    assert (there >= 0).all()
    assert (there <= frame.resized[::-1]).all()


@pytest.mark.parametrize("shape", [(3, 2), (37, 53), (64, 64), (120, 77), (481, 640)])
def test_masks_come_back(shape: tuple[int, int]) -> None:
    """A rectangle that is drawn in the frame where its corners lie comes back to where it was."""
    frame = ImageFrame(*shape, 256)
    height, width = shape
    box = np.array([width // 3, height // 4, width - width // 5, height - height // 6])
    x0, y0, x1, y1 = np.rint(frame.boxes_to_model(box) / 4)
    logits = torch.full((2, 1, 64, 64), -8.0)
    logits[1, 0, int(y0) : int(y1), int(x0) : int(x1)] = 8.0
    masks = frame.masks_to_original(logits) > 0
    assert masks.shape == (2, 1, height, width)
    assert not masks[0].any()
    truth = torch.zeros(height, width, dtype=torch.bool)
    truth[box[1] : box[3], box[0] : box[2]] = True
    overlap = (masks[1, 0] & truth).sum() / (masks[1, 0] | truth).sum()
    assert overlap > 0.85


@pytest.mark.parametrize("shape", [(37, 53), (64, 64), (900, 640), (3, 2000)])
@pytest.mark.parametrize("occupied", [None, (250, 256)])
def test_masks_over_a_threshold_are_those_of_the_logits(shape: tuple[int, int], occupied: tuple[int, int]) -> None:
    """But for pixels that are on the threshold to within rounding."""
    frame = ImageFrame(*shape, 256, occupied=occupied)
    logits = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 8
    full = frame.masks_to_original(logits)
    masks = frame.masks_over(logits, 0.7)
    assert masks.dtype == torch.bool and masks.shape == full.shape
    differs = masks != (full > 0.7)
    assert ((full - 0.7).abs() * differs).max() < 1e-4
    assert masks.any() and not masks.all()


@pytest.mark.parametrize("shape", [(37, 53), (64, 64), (481, 640)])
def test_a_mask_prompt_comes_back(shape: tuple[int, int]) -> None:
    """What `mask_to_logits` makes of a mask, `masks_to_original` undoes, but for the edge."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = (x - shape[1] * 0.55) ** 2 + (y - shape[0] * 0.5) ** 2 < (min(shape) * 0.35) ** 2
    frame = ImageFrame(*shape, 1024)
    logits = frame.mask_to_logits(mask, 256)
    assert logits.shape == (256, 256)
    assert logits.dtype == np.float32
    assert (logits < 0).any()
    assert (logits > 0).any()
    back = frame.masks_to_original(torch.tensor(logits)[None, None])[0, 0].numpy() > 0
    assert (back & mask).sum() / (back | mask).sum() > 0.95
    h, w = ImageFrame(*shape, 256).resized
    assert (logits[h:] < 0).all()
    assert (logits[:, w:] < 0).all()
    assert (frame.mask_to_logits(np.zeros(shape, bool), 256) < 0).all()
    assert (frame.mask_to_logits(np.ones(shape, bool), 256)[:h, :w] > 0).all()


def test_padding_is_at_the_right_and_at_the_bottom() -> None:
    frame = ImageFrame(100, 64, 64)
    image = torch.ones(2, 3, *frame.resized)
    padded = frame.pad_image(image)
    assert padded.shape == (2, 3, 64, 64)
    assert torch.equal(padded[..., :64, :41], image)
    assert not padded[..., 41:].any()


def test_a_crop_knows_its_place() -> None:
    crop = ImageFrame(20, 30, 64, left=100, top=7)
    assert crop.to_image(np.array([[1.0, 2.0], [0.5, 0.0]])).tolist() == [[101.0, 9.0], [100.5, 7.0]]
    assert ImageFrame(20, 30, 64).to_image(np.array([1.0, 2.0])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("sides", [(0, 5, 64), (5, 0, 64), (5, 5, 0), (-1, 5, 64)])
def test_an_empty_frame_is_refused(sides: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        ImageFrame(*sides)
