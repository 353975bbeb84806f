"""Which images and masks stay, and which parts they come into."""

from __future__ import annotations

import numpy as np
import pytest
from labelled_data import BLOCK, MASKS
from labelled_sets import add, annotations, labelled_set, pixels

from anymask.dataset.sa1b import open_folder
from anymask.dataset.selection import Filter, choose
from anymask.dataset.split import split
from anymask.errors import ConfigError
from anymask.task import rle


@pytest.fixture()
def sample(tmp_path):
    """One image: a ring of 90 pixels, two parts of 65 and a block of 72."""
    assert [int(mask.sum()) for mask in [*MASKS, BLOCK]] == [90, 65, 72]
    records = annotations([*MASKS, BLOCK])
    for record, category, score in zip(records, ("cup", "cat", None), (0.9, 0.5, None), strict=True):
        record |= {"category": category, "predicted_iou": score, "stability_score": score}
    add(tmp_path / "x", "a", records)
    return open_folder(tmp_path / "x")[0]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [1, 2, 3]),
        ({"categories": ["c*"]}, [1, 2]),
        ({"categories": ["c*"], "without": ["cat"]}, [1]),
        ({"min_area": 70}, [1, 3]),
        ({"min_area": 70, "max_area": 80}, [3]),
        ({"max_area": 72 / (24 * 36)}, [2, 3]),
        ({"min_area": 1, "max_area": 1}, [1, 2, 3]),  # a pixel, and the whole image
        ({"min_iou": 0.5}, [1, 2]),
        ({"min_stability": 0.6}, [1]),
        ({"names": ["a"]}, [1, 2, 3]),
        ({"names": ["b*"]}, None),
        ({"min_masks": 4}, None),
        ({"max_masks": 2}, None),
        ({"min_area": 80, "max_masks": 2}, [1]),
        ({"categories": ["dog"]}, None),
        ({"categories": ["dog"], "min_masks": 0}, []),
    ],
)
def test_what_stays(sample, options, kept):
    found = Filter(**options)(sample)
    assert (None if found is None else [each["id"] for each in found.record["annotations"]]) == kept


def test_areas_that_no_mask_has():
    with pytest.raises(ConfigError, match="min_area 9: is over max_area 8"):
        Filter(min_area=9, max_area=8)


def test_a_choice_by_chance(tmp_path):
    samples = open_folder(labelled_set(tmp_path / "x", 9))
    names = [each.name for each in choose(samples, 4)]
    assert names == [each.name for each in choose(samples, 4)] == sorted(names) and len(set(names)) == 4
    assert any([each.name for each in choose(samples, 4, seed)] != names for seed in range(1, 4))
    for wrong in (0, 10):
        with pytest.raises(ConfigError, match="1 to 9"):
            choose(samples, wrong)


def test_parts_have_their_shares_and_no_image_twice(tmp_path):
    samples = open_folder(labelled_set(tmp_path / "x", 20))
    parts = split(samples, {"train": 0.7, "val": 0.2, "test": 0.1})
    assert {part: len(found) for part, found in parts.items()} == {"train": 14, "val": 4, "test": 2}
    names = [sample.name for found in parts.values() for sample in found]
    assert sorted(names) == sorted(sample.name for sample in samples)
    again = split(samples[::-1], {"train": 0.7, "val": 0.2, "test": 0.1})
    for part in parts:
        assert {sample.name for sample in again[part]} == {sample.name for sample in parts[part]}
    other = split(samples, {"train": 0.7, "val": 0.2, "test": 0.1}, seed=1)
    assert any({s.name for s in other[part]} != {s.name for s in parts[part]} for part in parts)


def side(parts, name):
    [found] = [part for part, samples in parts.items() if name in [sample.name for sample in samples]]
    return found


def test_copies_under_other_names_stay_together(tmp_path):
    """Copies of every image, and a little changed ones: neither may lie on another side."""
    rng = np.random.default_rng(0)
    for number in range(12):
        image = pixels(number)
        noisy = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        for name, shown in (("first", image), ("copy", image), ("near", noisy)):
            add(tmp_path / "x", f"{name}{number}", image=shown)
    samples = open_folder(tmp_path / "x")
    plain = [split(samples, {"a": 0.5, "b": 0.5}, seed=seed) for seed in range(3)]
    for parts in plain:
        assert all(side(parts, f"first{number}") == side(parts, f"copy{number}") for number in range(12))
    assert any(side(parts, f"first{n}") != side(parts, f"near{n}") for parts in plain for n in range(12))
    near = split(samples, {"a": 0.5, "b": 0.5}, near=8)
    assert all(side(near, f"first{number}") == side(near, f"near{number}") for number in range(12))
    assert {part: len(found) for part, found in near.items()} == {"a": 18, "b": 18}


def test_frames_of_a_video_stay_together(tmp_path):
    for video in "abcd":
        for frame in range(5):
            add(tmp_path / "x", f"{video}_{frame}")
    parts = split(open_folder(tmp_path / "x"), {"a": 0.5, "b": 0.5}, group="^(.*)_")
    for found in parts.values():
        assert len(found) == 10 and len({sample.name[0] for sample in found}) == 2


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_that_are_none(shares):
    with pytest.raises(ConfigError, match="sum to 1"):
        split([], shares)


def test_an_expression_that_is_none():
    with pytest.raises(ConfigError, match=r"group '\(': is no regular expression"):
        split([], {"a": 1.0}, group="(")


def test_iou_without_decoding():
    masks = [rle.encode(mask) for mask in [*MASKS, BLOCK, BLOCK | MASKS[0]]]
    found = rle.iou(masks[:2], masks)
    decoded = [rle.decode(mask) for mask in masks]
    expected = [[(a & b).sum() / (a | b).sum() for b in decoded] for a in decoded[:2]]
    np.testing.assert_allclose(found, expected)
