"""A detector's boxes, and average precision in cases whose figure is known."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from anymask.errors import DataError
from anymask.evaluation.instance_ap import Detection, coco_ap, lvis_ap, read_detections
from anymask.task import rle

SIDE = 120
CAT, DOG, EEL = 3, 5, 8  # frequent, common, rare


def rectangle(x, y, width, height):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + height, x : x + width] = True
    return rle.encode(mask)


SMALL, MEDIUM, LARGE = rectangle(0, 0, 20, 20), rectangle(30, 30, 50, 50), rectangle(10, 10, 100, 100)
ELSEWHERE = rectangle(90, 0, 25, 25)
NOTHING = rectangle(0, 0, 0, 0)


def truth(image, category, mask, **more):
    return {"image_id": image, "category_id": category, "segmentation": mask, "area": rle.area(mask), **more}


def result(image, category, mask, score):
    return {"image_id": image, "category_id": category, "segmentation": mask, "score": score}


def ground_truth(*annotations, negative=(), partial=()):
    """Four images; `negative` and `partial` are the (image, category) that LVIS's lists name."""
    images = [
        {
            "id": number,
            "height": SIDE,
            "width": SIDE,
            "neg_category_ids": [category for image, category in negative if image == number],
            "not_exhaustive_category_ids": [category for image, category in partial if image == number],
        }
        for number in (1, 2, 3, 4)
    ]
    names = {CAT: "f", DOG: "c", EEL: "r"}
    categories = [{"id": number, "name": letter, "frequency": letter} for number, letter in names.items()]
    return {"images": images, "categories": categories, "annotations": list(annotations)}


@pytest.fixture
def detections(tmp_path):
    path = tmp_path / "boxes.json"

    def read(records):
        path.write_text(records if isinstance(records, str) else json.dumps(records))
        return read_detections(path, [1, 2], {CAT, DOG})

    return read


GOOD = {"image_id": 1, "category_id": CAT, "bbox": [10, 20, 30.5, 40], "score": 0.5}


def test_detections_come_by_image(detections):
    found = detections([GOOD, {**GOOD, "image_id": 2, "score": 1}, {**GOOD, "category_id": DOG, "area": 7}])
    assert found == {
        1: [Detection((10, 20, 40.5, 60), CAT, 0.5), Detection((10, 20, 40.5, 60), DOG, 0.5)],
        2: [Detection((10, 20, 40.5, 60), CAT, 1)],
    }
    assert detections([]) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, "image_id 9"),
        ({"image_id": "1"}, "image_id '1'"),
        ({"image_id": [1]}, r"image_id \[1\]"),
        ({"category_id": EEL}, "category_id 8"),
        ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\]"),
        ({"bbox": [1, 2, 0, 5]}, "width and height above 0"),
        ({"bbox": [1, 2, 3, "4"]}, r"bbox \[1, 2, 3, '4'\]"),
        ({"bbox": [1, 2, 3, float("nan")]}, "bbox"),
        ({"bbox": None}, "bbox None"),
        ({"score": "high"}, "score 'high'"),
        ({"score": True}, "score True"),
        ({"score": float("inf")}, "score inf"),
    ],
)
def test_a_wrong_detection_is_named(detections, change, message):
    with pytest.raises(DataError, match=rf"boxes\.json: detection 1: .*{message}") as caught:
        detections([GOOD, {**GOOD, **change}])
    assert "\n" not in str(caught.value)


def test_a_file_of_something_else_is_refused(detections, tmp_path):
    with pytest.raises(DataError, match=r"boxes\.json: expected a list"):
        detections({"annotations": []})
    with pytest.raises(DataError, match="cannot be read as JSON"):
        detections("[{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_detections(tmp_path / "none.json", [], [])
    with pytest.raises(DataError, match="detection 0: expected a record with image_id"):
        detections([3])
    for key in GOOD:
        with pytest.raises(DataError, match=f"detection 0 has no '{key}'"):
            detections([{name: value for name, value in GOOD.items() if name != key}])


@pytest.mark.parametrize("average_precision", [coco_ap, lvis_ap])
def test_perfect_masks_give_1_and_none_give_0(average_precision, capsys):
    whole = ground_truth(truth(1, CAT, SMALL), truth(1, DOG, LARGE), truth(2, CAT, MEDIUM), truth(4, EEL, SMALL))
    perfect = [result(a["image_id"], a["category_id"], a["segmentation"], 0.3) for a in whole["annotations"]]
    before = copy.deepcopy((whole, perfect))
    figures = dict(average_precision(whole, perfect))
    assert len(figures) >= 6 and all(value == pytest.approx(1) for value in figures.values())
    assert (whole, perfect) == before, "what was handed in stays as it was"
    assert set(dict(average_precision(whole, [])).values()) == {0}
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("average_precision", [coco_ap, lvis_ap])
def test_by_size_and_half_found(average_precision):
    """One of two objects found reaches 51 of the 101 recalls; figures without an object are left out."""
    whole = ground_truth(truth(1, CAT, SMALL), truth(2, CAT, MEDIUM))
    figures = dict(average_precision(whole, [result(1, CAT, SMALL, 0.9)]))
    assert figures["AP"] == pytest.approx(51 / 101)
    assert figures["APs"] == pytest.approx(1) and figures["APm"] == 0 and "APl" not in figures


def test_coco_by_hand(tmp_path):
    """An IoU of .82 counts at 7 of 10 thresholds; a mistake within a crowd is passed over."""
    crowd = truth(2, CAT, LARGE, iscrowd=1)
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(ground_truth(truth(1, CAT, rectangle(0, 0, 20, 50), id=0), crowd)))
    results = [result(2, CAT, rectangle(40, 40, 20, 20), 0.9), result(1, CAT, rectangle(0, 0, 20, 41), 0.8)]
    figures = dict(coco_ap(path, results))
    assert figures == pytest.approx({"AP": 0.7, "AP50": 1, "AP75": 1, "APs": 0.7})


def test_lvis_frequencies():
    """Of two frequent objects one is found, the common one to an IoU of .82, the rare one not."""
    whole = ground_truth(
        truth(1, CAT, SMALL), truth(2, CAT, SMALL), truth(1, DOG, rectangle(0, 0, 20, 50)), truth(3, EEL, SMALL)
    )
    results = [result(1, CAT, SMALL, 0.9), result(1, DOG, rectangle(0, 0, 20, 41), 0.9)]
    figures = dict(lvis_ap(whole, results))
    frequent, common, rare = 51 / 101, 0.7, 0
    assert figures == pytest.approx(
        {
            "AP": (frequent + common + rare) / 3,
            "APr": rare,
            "APc": common,
            "APf": frequent,
            "APs": (frequent + common + rare) / 3,
        }
    )


WRONG = result(2, CAT, ELSEWHERE, 0.9)
RIGHT = result(1, CAT, SMALL, 0.8)


@pytest.mark.parametrize(
    ("lists", "wrong", "expected"),
    [
        ({}, WRONG, 1),  # nobody looked for a cat in image 2
        ({"negative": [(2, CAT)]}, WRONG, 0.5),  # at every recall one of the two best is right
        ({"negative": [(3, CAT)]}, WRONG, 1),
        ({"negative": [(2, DOG)]}, WRONG, 1),
        ({"negative": [(2, CAT)]}, {**WRONG, "score": 0.7}, 1),  # ranked below what is right it takes nothing away
        ({"negative": [(2, CAT)]}, {**WRONG, "segmentation": NOTHING}, 1),
        ({}, {**WRONG, "image_id": 1}, 0.5),  # image 1 shows a cat, so all cats were labelled,
        ({"partial": [(1, CAT)]}, {**WRONG, "image_id": 1}, 1),  # unless it says otherwise
        ({"partial": [(1, DOG)]}, {**WRONG, "image_id": 1}, 0.5),
    ],
)
def test_what_lvis_counts_as_a_mistake(lists, wrong, expected):
    whole = ground_truth(truth(1, CAT, SMALL), **lists)
    assert dict(lvis_ap(whole, [wrong, RIGHT]))["AP"] == pytest.approx(expected)


@pytest.mark.parametrize(("ahead", "expected"), [(299, 1), (300, 0)])
def test_lvis_looks_at_300_masks_of_an_image(ahead, expected):
    """The masks ahead fill the limit although their category was never looked for."""
    whole = ground_truth(truth(1, CAT, SMALL), truth(2, CAT, SMALL))
    results = [RIGHT, result(2, CAT, SMALL, 0.5)] + [result(1, DOG, ELSEWHERE, 0.9)] * ahead
    # of two objects the one in image 2 is found in any case
    assert dict(lvis_ap(whole, results))["AP"] == pytest.approx(1 if expected else 51 / 101)


@pytest.mark.parametrize("average_precision", [coco_ap, lvis_ap])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, "result 1: image_id 9"),
        ({"category_id": 9}, "result 1: category_id 9"),
        ({"score": None}, "result 1: score None"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, "result 1: a mask is not RLE"),
        ({"segmentation": rle.encode(np.ones((4, 5), bool))}, r"result 1: .* \[4, 5\], image 1 \[120, 120\]"),
    ],
)
def test_a_wrong_result_is_named(average_precision, change, message):
    with pytest.raises(DataError, match=message):
        average_precision(ground_truth(truth(1, CAT, SMALL)), [RIGHT, {**RIGHT, **change}])
    with pytest.raises(DataError, match="result 0 has no 'score'"):
        average_precision(ground_truth(truth(1, CAT, SMALL)), [{k: v for k, v in RIGHT.items() if k != "score"}])


def test_a_wrong_ground_truth_is_named(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text("[]")
    with pytest.raises(DataError, match=r"coco\.json: expected COCO's form"):
        coco_ap(path, [])
    with pytest.raises(DataError, match=r"ground truth: annotations\[0\]: category_id 77"):
        coco_ap(ground_truth(truth(1, 77, SMALL)), [])
    coco = ground_truth(truth(1, CAT, SMALL))
    del coco["images"][2]["neg_category_ids"]
    assert dict(coco_ap(coco, [RIGHT]))["AP"] == pytest.approx(1)
    with pytest.raises(DataError, match=r"images\[2\] has no 'neg_category_ids'"):
        lvis_ap(coco, [RIGHT])
