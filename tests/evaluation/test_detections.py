"""A detector's boxes as prompts: perfect answers have an AP of 1, by COCO's rules and by LVIS's."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from anymask.errors import ConfigError, DataError
from anymask.evaluation.baselines import Disc
from anymask.evaluation.clicker import AT_ONCE
from anymask.evaluation.detections import Detections
from anymask.predict.predictor import Prediction
from anymask.task import rle

SHAPE = (120, 130)
LISTS = {"neg_category_ids": [], "not_exhaustive_category_ids": []}


@pytest.fixture()
def objects(block):
    """By image: small, medium and large objects, each with its category."""
    return {
        7: [(block(0, 20, 0, 30, SHAPE), 3), (block(30, 100, 40, 90, SHAPE), 5)],
        9: [(block(5, 115, 5, 125, SHAPE), 3)],
        11: [],
    }


@pytest.fixture()
def write(tmp_path, objects):
    """Writes the truth, and the boxes that a detector found; the protocol comes back."""

    def write(boxes, lvis=False, rounds=1):
        size = {"height": SHAPE[0], "width": SHAPE[1], **(LISTS if lvis else {})}
        truth = {
            "images": [{"id": number, **size} for number in objects],
            "categories": [{"id": 3, "name": "cup", "frequency": "f"}, {"id": 5, "name": "eel", "frequency": "r"}],
            "annotations": [
                {"image_id": number, "category_id": category, "segmentation": rle.encode(mask), "area": int(mask.sum())}
                for number, some in objects.items()
                for mask, category in some
            ],
        }
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "boxes.json").write_text(json.dumps(boxes))
        return Detections(str(tmp_path / "boxes.json"), str(tmp_path / "truth.json"), rounds)

    return write


@pytest.fixture()
def images(labelled):
    """The images as the protocol sees them; it takes its objects from the truth, not from them."""
    return [labelled([], str(number), SHAPE, {"image_id": number}) for number in (7, 9, 11)]


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(n) for n in (columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0])]


def perfect(objects, score=0.4):
    """The boxes of all objects."""
    return [
        {"image_id": number, "category_id": category, "bbox": box_of(mask), "score": score}
        for number, some in objects.items()
        for mask, category in some
    ]


def fill(prompt, several):
    """All of the box, which is how the objects are."""
    mask = np.zeros(SHAPE, bool)
    x0, y0, x1, y1 = prompt.box.astype(int)
    mask[y0:y1, x0:x1] = True
    return [mask], [0.9]


@pytest.mark.parametrize("lvis", [False, True])
def test_perfect_boxes_and_a_true_answer_have_an_ap_of_1(write, objects, images, scripted, figures, lvis):
    segmenter = scripted(fill)
    found = figures(write(perfect(objects), lvis), segmenter, *images)
    assert found.pop("boxes") == 3
    sizes = {"APs", "APm", "APl"}
    assert set(found) == sizes | ({"AP", "APr", "APf"} if lvis else {"AP", "AP50", "AP75"})
    assert all(value == pytest.approx(1) for value in found.values())
    assert segmenter.images == [images[0].pixels, images[1].pixels], "an image without boxes is not embedded"
    assert [several for _, several in segmenter.calls] == [False, False]


def test_worse_masks_boxes_and_categories_have_less(write, objects, images, scripted, figures):
    def half(prompt, several):
        [mask], score = fill(prompt, several)
        return [mask & (np.arange(SHAPE[1]) < prompt.box[[0, 2]].mean())], score

    assert figures(write(perfect(objects)), scripted(half), *images)["AP"] == pytest.approx(0.1)  # IoU .5: 1 of 10
    one = [each for each in perfect(objects) if each["image_id"] == 9]
    assert figures(write(one), scripted(fill), *images)["AP"] == pytest.approx(51 / 101 / 2)
    swapped = [{**each, "category_id": 8 - each["category_id"]} for each in perfect(objects)]
    assert figures(write(swapped), scripted(fill), *images)["AP"] == 0


def test_rows_are_results_in_the_format_of_coco(write, objects, images, scripted):
    [row] = write(perfect(objects)).evaluate(scripted(fill), images[0])
    [first, second] = row["results"]
    assert {k: v for k, v in first.items() if k != "segmentation"} == {"image_id": 7, "category_id": 3, "score": 0.4}
    np.testing.assert_array_equal(rle.decode(second["segmentation"]), objects[7][1][0])
    assert json.loads(json.dumps(row)) == row


def test_a_second_round_sees_the_box_and_the_first_logits(write, objects, images, scripted):
    segmenter = scripted(lambda prompt, several: fill(prompt, several) if prompt.mask is not None else ([ONES], [1]))
    [row] = write(perfect(objects), rounds=2).evaluate(segmenter, images[0])
    (first, three), (second, one) = segmenter.calls
    assert three and not one, "the first answer is ambiguous, the last is not"
    assert [prompt.mask for prompt in first] == [None, None]
    assert [prompt.box.tolist() for prompt in first] == [prompt.box.tolist() for prompt in second]
    assert [float(prompt.mask[0, 0]) for prompt in second] == [0, 1]
    np.testing.assert_array_equal(
        rle.decode(row["results"][0]["segmentation"]), objects[7][0][0], "the last answer counts"
    )


ONES = np.ones(SHAPE, bool)


def test_a_segmenter_without_logits_is_asked_with_the_box_alone(write, objects, images, scripted):
    segmenter = scripted(fill)
    segmenter.predict_many = lambda prompts, multimask_output: [
        Prediction(ONES[None], np.ones(1, np.float32), np.zeros((1, 0, 0), np.float32))
        for prompt in prompts
        if prompt.mask is None
    ]
    [row] = write(perfect(objects), rounds=2).evaluate(segmenter, images[0])
    assert len(row["results"]) == 2


def test_many_boxes_are_asked_in_parts(write, objects, images, scripted, figures):
    segmenter = scripted(fill)
    boxes = perfect(objects) + [{**perfect(objects)[0], "score": 0.01 * n} for n in range(AT_ONCE)]
    [row] = write(boxes).evaluate(segmenter, images[0])
    assert [len(prompts) for prompts, _ in segmenter.calls] == [AT_ONCE, 2]
    assert [result["score"] for result in row["results"]] == [each["score"] for each in boxes if each["image_id"] == 7]


@pytest.mark.parametrize(("key", "value"), [("image_id", 8), ("category_id", 4)])
def test_ids_of_another_data_set_are_named(write, objects, images, scripted, key, value):
    boxes = perfect(objects)
    boxes[1][key] = value
    with pytest.raises(DataError, match=rf"boxes\.json: detection 1: {key} {value} is not in the ground truth"):
        write(boxes).evaluate(scripted(fill), images[0])


def test_no_box_for_the_images_is_an_error(write, objects, images, scripted, figures):
    with pytest.raises(DataError, match=r"boxes\.json: holds no box for these images"):
        figures(write([]), scripted(fill), *images)
    some = [each for each in perfect(objects) if each["image_id"] == 7]
    with pytest.raises(DataError, match="holds no box"):
        figures(write(some), scripted(fill), images[2])


def test_images_that_have_no_id_are_named(write, objects, labelled, scripted):
    with pytest.raises(DataError, match="photo: its record has no image_id"):
        write(perfect(objects)).evaluate(scripted(fill), labelled([]))


def test_a_truth_that_is_none_is_named(write, objects, images, scripted, tmp_path):
    for content in ("[]", "{}", "{", '{"images": [], "annotations": []}'):
        protocol = write(perfect(objects))
        (tmp_path / "truth.json").write_text(content)
        with pytest.raises(DataError, match=r"truth\.json: expected labels in the format of COCO or LVIS"):
            protocol.evaluate(scripted(fill), images[0])
    with pytest.raises(DataError, match="nowhere"):
        Detections(str(tmp_path / "boxes.json"), "nowhere").evaluate(scripted(fill), images[0])


def test_at_least_one_round():
    with pytest.raises(ConfigError, match="rounds: expected at least 1"):
        Detections("boxes.json", "truth.json", 0)


def test_the_truth_of_images_that_were_left_out_does_not_count(write, objects, images, scripted, figures):
    some = [each for each in perfect(objects) if each["image_id"] == 7]
    assert figures(write(some), scripted(fill), *images)["AP"] < 1
    assert figures(write(some), scripted(fill), images[0], images[2])["AP"] == pytest.approx(1)


def test_a_box_outside_its_image_names_file_and_image(write, objects, images):
    away = [{**perfect(objects)[0], "bbox": [5000, 5000, 10, 10]}]
    baseline = Disc()
    baseline.set_image(np.zeros((*SHAPE, 3), np.uint8))
    with pytest.raises(DataError, match=r"boxes\.json: image 7: box .* lies outside"):
        write(away).evaluate(baseline, replace(images[0], pixels=np.zeros((*SHAPE, 3), np.uint8)))
