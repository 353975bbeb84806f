"""RLE goes both ways, in both forms, as pycocotools and the reference write it; a broken record is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from reference import amg

from anymask.errors import DataError
from anymask.task import rle

SHAPES = [(1, 1), (1, 17), (17, 1), (2, 3), (40, 33), (333, 481)]


def draw_masks(shape: tuple[int, int]) -> Iterator[NDArray[np.bool_]]:
    """Empty, full, noise of several densities, and blobs."""
    rng = np.random.default_rng(0)
    yield np.zeros(shape, bool)
    yield np.ones(shape, bool)
    for share in (0.1, 0.5, 0.9):
        yield rng.random(shape) < share
    y, x = np.mgrid[: shape[0], : shape[1]]
    yield (x - shape[1] / 2) ** 2 + (y - shape[0] / 2) ** 2 < (min(shape) / 3) ** 2
    yield (x // 5 + y // 7) % 2 == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_survive(shape: tuple[int, int]) -> None:
    for mask in draw_masks(shape):
        for record in (rle.encode(mask), rle.to_uncompressed(mask)):
            record = json.loads(json.dumps(record))
            assert record["size"] == list(shape)
            back = rle.decode(record)
            assert back.dtype == bool
            assert np.array_equal(back, mask)
            assert rle.area(record) == mask.sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_compressed_is_what_pycocotools_writes(shape: tuple[int, int]) -> None:
    for mask in draw_masks(shape):
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle.encode(mask) == {"size": list(shape), "counts": theirs["counts"].decode()}
        assert rle.encode(mask.astype(np.int64)) == rle.encode(mask)
        assert np.array_equal(rle.decode(theirs), mask)  # counts as bytes


@pytest.mark.parametrize("shape", SHAPES)
def test_uncompressed_is_what_the_reference_writes(shape: tuple[int, int]) -> None:
    masks = list(draw_masks(shape))
    theirs = amg.mask_to_rle_pytorch(torch.tensor(np.stack(masks)))
    for mask, record in zip(masks, theirs, strict=True):
        ours = rle.to_uncompressed(mask)
        assert ours == record
        assert np.array_equal(amg.rle_to_mask(ours), mask)
        assert amg.area_from_rle(ours) == rle.area(ours)
        assert amg.coco_encode_rle(ours) == rle.encode(mask)


def test_empty_runs_are_read() -> None:
    """A first run of no background, and a run of nothing between two, are both legal."""
    assert rle.decode({"size": [2, 2], "counts": [0, 4]}).all()
    assert rle.decode({"size": [2, 2], "counts": [1, 1, 0, 2]}).tolist() == [[False, True], [True, True]]


GOOD = rle.encode(np.random.default_rng(0).random((20, 20)) < 0.5)


@pytest.mark.parametrize(
    "record",
    [
        None,
        "a string",
        {},
        {"size": [2, 2]},
        {"counts": "04"},
        {"size": [2, 2], "counts": [3]},
        {"size": [2, 2], "counts": [3, 2]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": ["4"]},
        {"size": [2, 2], "counts": None},
        {"size": [2, 2], "counts": 4},
        {"size": [4], "counts": [4]},
        {"size": None, "counts": [4]},
        {"size": ["2", 2], "counts": "04"},
        {"size": [-2, -2], "counts": [4]},
        {"size": [2, 2], "counts": "é"},
        {"size": [2, 2], "counts": ""},
        {"size": [20, 21], "counts": GOOD["counts"]},
        {"size": [20, 19], "counts": GOOD["counts"]},
        {"size": [20, 20], "counts": GOOD["counts"][: len(GOOD["counts"]) // 2]},
        {"size": [20, 20], "counts": GOOD["counts"] + "1"},
    ],
)
def test_a_broken_record_is_refused(record: rle.RLE) -> None:
    with pytest.raises(DataError):
        rle.decode(record)


@pytest.mark.parametrize("corner", [(0, 0), (2, 3), (4, 0)])
@pytest.mark.parametrize("kind", ["noise", "full", "empty", "nothing", "one"])
def test_part_of_a_mask_encodes_as_the_whole(kind, corner):
    shape = (9, 8)
    part = {
        "noise": np.random.default_rng(0).random((5, 4)) > 0.5,
        "full": np.ones((5, 4), bool),
        "empty": np.zeros((5, 4), bool),
        "nothing": np.zeros((0, 0), bool),
        "one": np.eye(1, dtype=bool),
    }[kind]
    top, left = corner
    whole = np.zeros(shape, bool)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    assert rle.encode_part(part, top, left, shape) == rle.encode(whole)


def test_columns_that_run_into_each_other_encode_as_one_run():
    whole = np.zeros((5, 6), bool)
    whole[:, 1:4] = True
    assert rle.encode_part(whole[:, 1:4], 0, 1, whole.shape) == rle.encode(whole)
    assert rle.encode_part(np.ones((5, 6), bool), 0, 0, (5, 6)) == rle.encode(np.ones((5, 6), bool))


def test_points_are_looked_up_without_decoding():
    rng = np.random.default_rng(3)
    for mask in draw_masks((40, 33)):
        points = rng.uniform(-3, 45, (300, 2))
        column, row = np.floor(points).astype(int).T
        inside = (column >= 0) & (column < 33) & (row >= 0) & (row < 40)
        expected = np.zeros(300, bool)
        expected[inside] = mask[row[inside], column[inside]]
        np.testing.assert_array_equal(rle.contains(rle.encode(mask), points), expected)


def test_a_union_is_of_all_pixels():
    masks = list(draw_masks((40, 33)))
    for chosen in (masks[:1], masks[2:4], [masks[0], masks[5], masks[6]]):
        assert rle.union([rle.encode(mask) for mask in chosen]) == rle.encode(np.any(chosen, axis=0))


@pytest.mark.parametrize("step", [1, 3])
def test_a_part_is_decoded_as_of_the_whole(step):
    mask = np.zeros((40, 60), bool)
    mask[7:30, 11:50] = np.random.default_rng(0).random((23, 39)) < 0.6
    record = rle.encode(mask)
    for x0, y0, x1, y1 in ((0, 0, 60, 40), (15, 3, 40, 20), (0, 0, 9, 9), (50, 30, 60, 40)):
        found = rle.decode_part(record, (x0, y0, x1, y1), step)
        assert np.array_equal(found, mask[y0:y1:step, x0:x1:step])
    assert np.array_equal(rle.Decoded([record], step)[0], mask[::step, ::step])
    assert not rle.decode_part(rle.encode(np.zeros((40, 60), bool)), (0, 0, 60, 40), step).any()


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_a_part_whose_pixels_stand_for_several(step):
    rng = np.random.default_rng(step)
    for _ in range(40):
        part = rng.random(rng.integers(1, 9, 2)) < rng.choice([0.2, 0.5, 0.9])
        top, left = rng.integers(0, 6, 2)
        large = part.repeat(step, 0).repeat(step, 1)
        shape = top + large.shape[0] - rng.integers(0, step), left + large.shape[1] - rng.integers(0, step)
        whole = np.zeros(shape, bool)
        whole[top : top + large.shape[0], left : left + large.shape[1]] = large[: shape[0] - top, : shape[1] - left]
        found = rle.encode_part(part, int(top), int(left), tuple(int(side) for side in shape), step)
        assert found == rle.encode(whole)


def test_many_masks_at_once():
    masks = np.random.default_rng(0).random((6, 7, 5)) < 0.4
    masks[0], masks[1] = False, True
    found = rle.decode_all([rle.encode(mask) for mask in masks], (7, 5))
    assert np.array_equal(found, masks) and rle.decode_all([], (7, 5)).shape == (0, 7, 5)
    with pytest.raises(DataError, match=r"mask at place 1 has size \[5, 7\], expected \[7, 5\]"):
        rle.decode_all([rle.encode(masks[0]), rle.encode(masks[0].T)], (7, 5))
