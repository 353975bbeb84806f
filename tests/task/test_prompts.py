"""Prompts: what is accepted, what is refused and in which words, and the tokens they become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from anymask.errors import PromptError
from anymask.task.frame import ImageFrame
from anymask.task.prompts import Label, Prompt, PromptBatch

FRAME = ImageFrame(300, 400, 1024)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "an empty prompt"),
        ({"points": np.zeros((0, 2))}, "an empty prompt"),
        ({"points": [[1, 2, 3]]}, r"points: expected P×2.*\(1, 3\)"),
        ({"points": [1, 2, 3]}, "points: expected P×2"),
        ({"points": [[[1, 2]]]}, "points: expected P×2"),
        ({"points": [[1], [1, 2]]}, "points: expected numbers"),
        ({"points": "ab"}, "points: expected numbers"),
        ({"points": [[np.nan, 2]]}, "points: expected finite numbers"),
        ({"points": [[np.inf, 2]]}, "points: expected finite numbers"),
        ({"points": [[1, 2]], "labels": [1, 0]}, "labels: expected one for each of 1 points, got 2"),
        ({"points": [[1, 2]], "labels": []}, "labels: expected one for each of 1 points, got 0"),
        ({"labels": [1]}, "labels: expected one for each of 0 points"),
        ({"points": [[1, 2]], "labels": [2]}, r"labels: expected 1 \(object\) or 0 \(background\), got \[?2\]?"),
        ({"points": [[1, 2]], "labels": [-1]}, "labels: expected 1"),
        ({"points": [[1, 2]], "labels": [0.5]}, "labels: expected 1"),
        ({"points": [[1, 2]], "labels": [np.nan]}, "labels: expected finite numbers"),
        ({"points": [[1, 2]], "labels": ["a"]}, "labels: expected numbers"),
        ({"box": [1, 2, 3]}, "box: expected x0, y0, x1, y1, got 3 numbers"),
        ({"box": [[1, 2, 3, 4], [1, 2, 3, 4]]}, "got 8 numbers"),
        ({"box": [5, 2, 3, 4]}, "box 5,2,3,4 is empty or inverted"),
        ({"box": [1, 9, 3, 4]}, "box 1,9,3,4 is empty or inverted"),
        ({"box": [1, 2, 1, 4]}, "empty or inverted"),
        ({"box": [1, 2, np.nan, 4]}, "box: expected finite numbers"),
        ({"mask": np.zeros((2, 8, 8))}, r"mask: expected H×W or 1×H×W logits, got shape \(2, 8, 8\)"),
        ({"mask": np.zeros(8)}, "mask: expected H×W"),
        ({"mask": np.full((8, 8), np.nan)}, "mask: expected finite numbers"),
    ],
)
def test_what_is_no_prompt_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Prompt(**arguments)


def test_points_come_in_many_forms() -> None:
    for points in ([3, 4], [[3, 4]], (3.0, 4.0), np.array([[3, 4]], np.uint16), torch.tensor([[3.0, 4.0]])):
        prompt = Prompt(points)
        assert prompt.points.tolist() == [[3.0, 4.0]]
        assert prompt.labels.tolist() == [1]
        assert prompt.is_ambiguous
    assert Prompt([[3, 4], [5, 6]], torch.tensor([True, False])).labels.tolist() == [1, 0]
    assert Prompt([], box=[1, 2, 3, 4]).points.shape == (0, 2)


def test_boxes_and_masks_come_in_many_forms() -> None:
    for box in ([1, 2, 3, 4], np.array([[1, 2, 3, 4]]), torch.tensor([1, 2, 3, 4])):
        assert Prompt(box=box).box.tolist() == [1, 2, 3, 4]
    for mask in (np.ones((8, 8)), torch.ones(1, 8, 8, requires_grad=True), torch.ones(8, 8, dtype=torch.bfloat16)):
        prompt = Prompt(mask=mask)
        assert prompt.mask.shape == (8, 8)
        assert prompt.mask.dtype == np.float32


def test_one_click_alone_is_ambiguous() -> None:
    assert Prompt([[1, 2]]).is_ambiguous
    assert not Prompt([[1, 2], [3, 4]]).is_ambiguous
    assert not Prompt([[1, 2]], box=[0, 0, 5, 5]).is_ambiguous
    assert not Prompt([[1, 2]], mask=np.zeros((8, 8))).is_ambiguous
    assert not Prompt(box=[0, 0, 5, 5]).is_ambiguous


@pytest.mark.parametrize("point", [[-1, 5], [5, -0.5], [401, 5], [5, 300.5]])
def test_a_point_outside_the_image_is_refused(point: list[float]) -> None:
    with pytest.raises(PromptError, match=r"lies outside the image of 400×300 pixels"):
        Prompt([[5, 5], point]).check_inside(FRAME)


@pytest.mark.parametrize("box", [[400, 5, 500, 50], [5, 300, 50, 400], [-50, 5, 0, 50], [5, -50, 50, 0]])
def test_a_box_beside_the_image_is_refused(box: list[float]) -> None:
    with pytest.raises(PromptError, match="lies outside the image"):
        Prompt(box=box).check_inside(FRAME)


def test_a_point_on_the_border_and_a_box_over_it_are_inside() -> None:
    Prompt([[0, 0], [400, 300], [0, 300]], box=[-20, -20, 450, 450]).check_inside(FRAME)


def test_tokens() -> None:
    """Points first, then the box's corners; points alone are followed by a token that is no point."""
    scale = 1024 / 400
    coords, labels = Prompt([[100, 50], [4, 8]], [1, 0]).tokens(FRAME)
    assert coords.tolist() == [[100 * scale, 50 * scale], [4 * scale, 8 * scale], [0, 0]]
    assert labels == [Label.FOREGROUND, Label.BACKGROUND, Label.NOT_A_POINT]
    coords, labels = Prompt([[100, 50]], [0], box=[1, 2, 30, 40]).tokens(FRAME)
    assert np.allclose(coords, np.array([[100, 50], [1, 2], [30, 40]]) * scale)
    assert labels == [Label.BACKGROUND, Label.BOX_TOP_LEFT, Label.BOX_BOTTOM_RIGHT]
    coords, labels = Prompt(mask=np.zeros((8, 8))).tokens(FRAME)
    assert coords.shape == (0, 2)
    assert labels == []


def test_padding_of_a_ragged_list() -> None:
    mask = np.arange(64.0).reshape(8, 8)
    batch = PromptBatch.pad([Prompt([[100, 50]]), Prompt([[1, 1]], box=[1, 2, 30, 40], mask=mask)], FRAME, mask_size=8)
    assert batch.shape == (1, 2)
    assert batch.coords.dtype == torch.float32
    assert batch.labels.tolist() == [[[1, -1, -1], [1, 2, 3]]]
    assert batch.present is not None
    assert batch.present.tolist() == [[[True, True, False], [True, True, True]]]
    assert batch.masks is not None
    assert batch.masks.shape == (1, 2, 1, 8, 8)
    assert not batch.masks[0, 0].any()
    assert torch.equal(batch.masks[0, 1, 0], torch.tensor(mask).float())
    assert batch.has_mask is not None
    assert batch.has_mask.tolist() == [[False, True]]
    assert PromptBatch.pad([Prompt([[1, 1]])], FRAME, device="meta").coords.device.type == "meta"


def test_a_batch_refuses_no_prompts_and_masks_of_another_size() -> None:
    with pytest.raises(PromptError, match="no prompts"):
        PromptBatch.pad([], FRAME)
    with pytest.raises(PromptError, match=r"mask: expected the 256×256 logits.*\(300, 400\)"):
        PromptBatch.pad([Prompt([[1, 1]]), Prompt(mask=np.zeros((300, 400)))], FRAME)
