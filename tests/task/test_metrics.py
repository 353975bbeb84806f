"""IoU, boundary IoU and NoC, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anymask.task.metrics import boundary_iou, iou, number_of_clicks

Mask = NDArray[np.bool_]


def draw_mask(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Rectangles, some over the border, with a few pixels turned over."""
    mask = np.zeros(shape, bool)
    for _ in range(3):
        top, left = rng.integers(-8, shape[0]), rng.integers(-8, shape[1])
        bottom, right = top + rng.integers(1, 18), left + rng.integers(1, 18)
        mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    flipped: Mask = mask ^ (rng.random(shape) < 0.01)
    return flipped


def band(mask: Mask, steps: int) -> Mask:
    """The pixels of a mask from which at most so many king's moves lead outside it, or outside the image."""
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    near = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        near[y, x] = np.abs(outside - [y, x]).max(axis=1).min() <= steps
    return near


def defined(a: Mask, b: Mask, steps: int) -> float:
    inner_a, inner_b = band(a, steps), band(b, steps)
    union = (inner_a | inner_b).sum()
    return float((inner_a & inner_b).sum() / union) if union else 1.0


@pytest.mark.parametrize(("width", "steps"), [(0.001, 1), (0.02, 1), (0.05, 2), (0.07, 3), (0.1, 4), (0.4, 18)])
@pytest.mark.parametrize("seed", range(6))
def test_boundary_iou_is_as_defined(seed: int, width: float, steps: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (27, 36)  # a diagonal of 45 pixels
    a, b = draw_mask(rng, shape), draw_mask(rng, shape)
    assert boundary_iou(a, b, width) == pytest.approx(defined(a, b, steps))


def test_boundary_iou_of_plain_cases() -> None:
    everything, nothing = np.ones((9, 12), bool), np.zeros((9, 12), bool)
    assert boundary_iou(everything, everything) == boundary_iou(nothing, nothing) == 1
    assert boundary_iou(everything, nothing) == 0
    pixel = np.ones((1, 1), bool)
    assert boundary_iou(pixel, pixel) == 1 and boundary_iou(pixel, ~pixel) == 0


def test_the_border_of_the_image_is_an_outline() -> None:
    """The bands are the frame of the image, and that of its left half: 38 and 26 pixels, 19 of them shared."""
    whole = np.ones((9, 12), bool)
    half = whole.copy()
    half[:, 6:] = False
    assert boundary_iou(whole, half) == pytest.approx(19 / (38 + 26 - 19))


def test_boundary_iou_sees_an_outline_that_iou_hardly_does() -> None:
    truth = np.zeros((300, 400), bool)
    truth[50:250, 50:350] = True
    shrunk = np.zeros_like(truth)
    shrunk[55:245, 55:345] = True
    assert iou(shrunk, truth) > 0.9
    assert boundary_iou(shrunk, truth) < 0.4


def test_iou_broadcasts_and_counts_two_empty_masks_as_equal() -> None:
    a = np.zeros((3, 2, 4, 5), bool)
    b = np.zeros((2, 4, 5), bool)
    a[0, 0, :2], b[0, 1:3] = True, True
    a[1, 1, 0, 0] = True
    found = iou(a, b)
    assert found.shape == (3, 2)
    assert found.tolist() == [[pytest.approx(1 / 3), 1], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("ious", "target", "clicks"),
    [
        ([0.2, 0.85, 0.95], 0.85, 2),
        ([0.2, 0.8499, 0.95], 0.85, 3),
        ([0.9], 0.9, 1),
        ([0.95, 0.1], 0.9, 1),  # reached once is reached
        ([0.1, 0.2], 0.9, None),
        ([], 0.5, None),
    ],
)
def test_number_of_clicks(ious: list[float], target: float, clicks: int | None) -> None:
    assert number_of_clicks(ious, target) == clicks
