"""What is told of masks without a truth, and how far two sets agree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import BLOCK, HALVES, HEIGHT, HOLE, MASKS, RING, WIDTH
from labelled_sets import add, annotations, labelled_set

from anymask.dataset.agreement import agree
from anymask.dataset.problems import Problems
from anymask.dataset.quality import Limits, assess
from anymask.dataset.sa1b import open_folder
from anymask.errors import DataError
from anymask.task import rle

LIMITS = Limits(region=30)


def records(masks, **scores):
    found = annotations(masks)
    for record, values in zip(found, zip(*scores.values(), strict=True), strict=True):
        record |= {key: value for key, value in zip(scores, values, strict=True) if value is not None}
    return found


@pytest.fixture()
def folder(tmp_path):
    whole = np.ones((HEIGHT, WIDTH), bool)
    masks = [RING, HALVES[0] | HALVES[1], BLOCK, whole & ~HOLE, HOLE]
    add(
        tmp_path / "x",
        "a",
        records(masks, predicted_iou=(0.9, 0.8, None, 1.0, 0.9), stability_score=(1, 0.9, 0.96, 1, 1)),
    )
    add(tmp_path / "x", "b", [{**annotations([BLOCK])[0], "iscrowd": 1}])
    return tmp_path / "x"


def test_what_is_counted(folder):
    """Both halves are 25 and 40 pixels, the holes 20, and the hole as a mask is small."""
    found = assess(open_folder(folder), LIMITS).summary()
    assert (found["images"], found["masks"]) == (2, 5)
    assert found["scores"]["predicted_iou"] == {"masks": 4, "mean": pytest.approx(0.9), "least": 0.8, "below_limit": 1}
    assert found["scores"]["stability_score"]["masks"] == 5 and found["scores"]["stability_score"]["below_limit"] == 1
    counted = {
        key: found[key] for key in ("several_parts", "with_holes", "stray_parts", "stray_holes", "small", "passing")
    }
    assert counted == {
        "several_parts": 1,
        "with_holes": 2,
        "stray_parts": 1,
        "stray_holes": 2,
        "small": 1,
        "passing": 1,
    }
    assert [(poor["id"], poor["misses"]) for poor in found["poorest"][:2]] == [
        ("2", ("predicted_iou", "stability_score", "stray_parts")),
        ("5", ("small",)),
    ]
    assert len(found["poorest"]) == 4


def test_it_is_the_same_in_processes(tmp_path):
    add(labelled_set(tmp_path / "x", 40, predicted_iou=0.5), "z", records(MASKS, predicted_iou=(0.1, 0.9)))
    alone, together = (assess(open_folder(tmp_path / "x"), LIMITS, keep=5, workers=n).summary() for n in (1, 2))
    assert json.dumps(alone) == json.dumps(together)
    assert alone["masks"] == 82 and len(alone["poorest"]) == 5 and alone["poorest"][0]["image"] == "z"


def test_a_set_without_scores(tmp_path):
    found = assess(open_folder(labelled_set(tmp_path / "x")), LIMITS).summary()
    assert found["scores"] == {} and found["masks"] == 6 and json.dumps(found)


def moved(mask, by):
    return np.roll(mask, by, axis=1)


@pytest.fixture()
def pair(tmp_path):
    """Masks that people moved by one or two columns, one that they removed and one that they added."""
    add(tmp_path / "a", "x", annotations([RING, BLOCK, HALVES[0]]))
    add(tmp_path / "a", "y", annotations([BLOCK]))
    add(tmp_path / "a", "z")
    second = annotations([moved(RING, 1), moved(BLOCK, 2), RING])
    second[2]["id"] = 7
    add(tmp_path / "b", "x", second)
    add(tmp_path / "b", "y", annotations([BLOCK]))
    return open_folder(tmp_path / "a"), open_folder(tmp_path / "b")


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_masks_of_one_id_are_pairs(pair):
    found = agree(*pair)
    expected = [iou(RING, moved(RING, 1)), iou(BLOCK, moved(BLOCK, 2)), 1.0]
    assert found.ious == pytest.approx(expected) and found.images == 2
    assert found.alone == (1, 1) and found.missing == (1, 0)
    assert found.over(0.9) == pytest.approx(1 / 3) and found.over(0.7) == pytest.approx(
        np.mean(np.array(expected) > 0.7)
    )
    assert found.summary()["pairs"] == 3


def test_masks_that_overlap_most_are_pairs(pair):
    found = agree(*pair, match="best")
    assert sorted(found.ious) == pytest.approx(sorted([1.0, iou(BLOCK, moved(BLOCK, 2)), 1.0]))
    assert found.alone == (1, 1)


def test_sets_that_cannot_be_compared(pair, tmp_path):
    with pytest.raises(DataError, match="share no image"):
        agree(pair[0][2:], pair[1])
    other = np.zeros((HEIGHT + 1, WIDTH), bool)
    image = np.zeros((HEIGHT + 1, WIDTH, 3), np.uint8)
    add(tmp_path / "c", "x", [{"id": 1, "segmentation": rle.encode(other)}], image, height=HEIGHT + 1)
    with pytest.raises(DataError, match=r"x\.json: its image is \[24, 36\], that of .* \[25, 36\]"):
        agree(pair[0], open_folder(tmp_path / "c"))
    problems = Problems(keep_going=True)
    found = agree(pair[0], open_folder(tmp_path / "c"), problems=problems)
    assert found.images == 0 and len(problems.found) == 1 and json.dumps(found.summary())
