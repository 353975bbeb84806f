"""Average recall of proposals, against pycocotools on random rectangles and by hand."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from anymask.errors import DataError
from anymask.evaluation.average_recall import match, recall_rows, summarise
from anymask.task import rle

SIDE = 140
SIZES = ["", " small", " medium", " large"]


def rectangle(x, y, width, height):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + height, x : x + width] = True
    return rle.encode(mask)


def random_image(rng):
    """Truths as (rectangle, is a crowd, frequency) and proposals near them or anywhere, some of them twice."""
    truths, proposals, x, y = [], [], 0, 0
    for _ in range(rng.integers(0, 9)):
        width, height = rng.choice([31, 32, 33, 95, 96, 97], 2)  # 32×32 and 96×96 lie on the borders of the sizes
        if rng.random() < 0.5:  # else over the one before, so that proposals must choose
            x, y = rng.integers(0, SIDE - 96, 2)
        truths.append((rectangle(x, y, width, height), rng.random() < 0.15, "fcr"[rng.integers(3)]))
        for _ in range(rng.integers(0, 5)):
            dx, dy, grow = rng.integers(0, 5, 3)
            proposals.append(rectangle(x + dx, y + dy, width + grow, height))
    proposals += [rectangle(*rng.integers(0, 70, 2), *rng.integers(5, 70, 2)) for _ in range(rng.integers(0, 4))]
    proposals += proposals[:2]
    rng.shuffle(proposals)
    return truths, proposals


def official_recall(images, limits):
    """COCOeval's mean recall over the thresholds without categories: sizes × limits, -1 for no ground truth."""
    truths, results = [], []
    for number, (marked, proposals) in enumerate(images, start=1):
        for mask, crowd, _ in marked:
            truths.append({"image_id": number, "category_id": 1, "segmentation": mask, "iscrowd": int(crowd)})
            truths[-1] |= {"area": rle.area(mask), "id": len(truths)}
        for rank, mask in enumerate(proposals):
            results.append({"image_id": number, "category_id": 1, "segmentation": mask, "score": 1 / (1 + rank)})
    whole = {"categories": [{"id": 1}], "annotations": truths}
    whole["images"] = [{"id": number, "height": SIDE, "width": SIDE} for number in range(1, len(images) + 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = whole
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.useCats = 0
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["recall"][:, 0].mean(axis=0)


def our_recall(images, limits):
    rows = []
    for marked, proposals in images:
        objects = [(mask, frequency) for mask, crowd, frequency in marked if not crowd]
        masks, frequencies = [mask for mask, _ in objects], [frequency for _, frequency in objects]
        rows += recall_rows(proposals, masks, frequencies=frequencies, limits=limits)
    return dict(summarise(json.loads(json.dumps(rows))))


@pytest.mark.parametrize("limits", [(1, 3, 6), (1, 10, 100, 1000)])
@pytest.mark.parametrize("seed", range(12))
def test_equals_cocoeval(seed, limits):
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(4)]
    expected, ours = official_recall(images, limits), our_recall(images, limits)
    for limit, recall in zip(limits, expected[0], strict=True):
        assert ours[f"AR@{limit}"] == pytest.approx(recall)
    for size, recall in zip(SIZES, expected[:, -1], strict=True):
        assert ours.get(f"AR@{limits[-1]}{size}", -1) == pytest.approx(recall)


@pytest.mark.parametrize("seed", range(6))
def test_a_frequency_is_measured_against_the_truths_of_its_categories_alone(seed):
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(4)]
    ours = our_recall(images, (1, 1000))
    for letter, name in (("f", "frequent"), ("c", "common"), ("r", "rare")):
        subset = [([truth for truth in marked if truth[2] == letter], proposals) for marked, proposals in images]
        assert ours.get(f"AR@1000 {name}", -1) == pytest.approx(official_recall(subset, (1, 1000))[0, -1])


def test_each_proposal_takes_one_mask_and_the_best_ranked_goes_first():
    ious = np.array([[0.6, 0.9], [0.2, 0.95], [0.7, 0.0]])
    ranks = match(ious, np.array([0.5, 0.8, 0.93]))
    assert ranks.tolist() == [[2, 0], [np.inf, 0], [np.inf, 1]]
    assert match(np.array([[0.6, 0.6], [0.0, 0.9]]), np.array([0.5])).tolist() == [[np.inf, 0]], "the last of equals"


def test_a_size_is_matched_by_itself():
    """The proposal fits both, the medium mask better; of the small ones it finds the only one, to an IoU of .825."""
    truths = [rectangle(0, 0, 33, 30), rectangle(0, 0, 40, 36)]
    small, medium = recall_rows([rectangle(0, 0, 40, 30)], truths)
    assert small["AR@1000"] == 0 and small["AR@1000 small"] == 0.7
    assert medium["AR@1000"] == medium["AR@1000 medium"] == 0.7


def test_recall_by_hand():
    """A whole mask, one found to an IoU of .72, so at 5 of 10 thresholds, and one not at all."""
    truths = [rectangle(0, 0, 20, 20), rectangle(30, 30, 50, 50), rectangle(100, 100, 9, 9)]
    proposals = [rectangle(30, 30, 36, 50), rectangle(0, 0, 20, 20)]
    rows = recall_rows(proposals, truths, frequencies="frr")
    assert [row["AR@1"] for row in rows] == [0, 0.5, 0]
    assert dict(summarise(rows)) == pytest.approx(
        {
            "AR@1": 0.5 / 3,
            "AR@10": 0.5,
            "AR@100": 0.5,
            "AR@1000": 0.5,
            "AR@1000 small": 0.5,
            "AR@1000 medium": 0.5,
            "AR@1000 frequent": 1.0,
            "AR@1000 rare": 0.25,
            "objects": 3,
        }
    )
    assert [name for name, _ in summarise(rows)][-3:] == ["AR@1000 frequent", "AR@1000 rare", "objects"]


def test_the_annotated_area_decides_the_size():
    [row] = recall_rows([], [rectangle(0, 0, 32, 33)], areas=[1000.5])
    assert row == {"AR@1": 0, "AR@10": 0, "AR@100": 0, "AR@1000": 0, "AR@1000 small": 0}


def test_no_masks_are_no_score():
    assert recall_rows([rectangle(0, 0, 5, 5)], []) == []
    with pytest.raises(DataError, match="no masks"):
        dict(summarise([]))


def test_masks_of_another_image_are_refused():
    other = rle.encode(np.ones((SIDE, SIDE + 1), bool))
    with pytest.raises(DataError, match=r"proposal 1 has size \[140, 141\], .* \[140, 140\]"):
        recall_rows([rectangle(0, 0, 5, 5), other], [rectangle(0, 0, 5, 5)])
    with pytest.raises(DataError, match="ground-truth mask 1 has size"):
        recall_rows([rectangle(0, 0, 5, 5)], [rectangle(0, 0, 5, 5), other])


def test_an_unknown_frequency_is_refused():
    with pytest.raises(DataError, match="'x'"):
        recall_rows([], [rectangle(0, 0, 5, 5)], frequencies=["x"])
