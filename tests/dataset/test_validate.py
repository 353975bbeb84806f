"""Every defect is named, and what is mended has none."""

from __future__ import annotations

import json

import pytest
from labelled_data import BLOCK, HEIGHT, MASKS, WIDTH
from labelled_sets import add, annotations, labelled_set

from anymask.dataset.convert import Target, convert
from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.dataset.validate import Mend, validate
from anymask.task import rle

RING, PAIR = (rle.encode(mask) for mask in MASKS)
AREA, BOX = rle.area(PAIR), rle.box(PAIR)


def defects(folder, workers=1):
    return [defect for found in validate(open_folder(folder), workers) for defect in found.defects]


def mended(folder, tmp_path):
    """The records of a set after it is mended."""
    mend, problems = Mend(), Problems(keep_going=True)
    convert(open_folder(folder), tmp_path / "mended", Target(), change=mend, problems=problems)
    assert not problems.found and mend.defects == defects(folder)
    assert defects(tmp_path / "mended") == []
    return {sample.name: sample.record for sample in open_folder(tmp_path / "mended")}


@pytest.mark.parametrize(
    ("faulty", "message", "left"),
    [
        ({"segmentation": rle.encode(BLOCK[1:])}, "has size [23, 36], the image [24, 36]", None),
        ({"segmentation": rle.encode(BLOCK & False)}, "is empty; remove it", None),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [5]}}, "RLE counts add up to 5", None),
        ({"segmentation": RING}, "is the same mask as an earlier one; remove it", None),
        ({"id": 1}, "has the id of another mask; give each its own", {"id": 2}),
        ({"id": None}, "has no id that is a number or a name", {"id": 2}),
        ({"area": 0}, "has the area 0; expected a positive number", {"id": 2, "area": AREA}),
        ({"area": 500}, "has the area 500, its mask 65", {"id": 2, "area": AREA}),
        ({"area": AREA * 1.3}, None, {"id": 2}),  # as measured on a polygon
        ({"bbox": [0, 0, 99, 5]}, "has the bbox [0, 0, 99, 5]; expected", {"id": 2, "bbox": BOX}),
        ({"bbox": [2, 15, 9, 5]}, "has the bbox [2, 15, 9, 5], its mask", {"id": 2, "bbox": BOX}),
        ({"bbox": [1, 15, 29, 6]}, None, {"id": 2}),
        ({"category": 7}, "has the category 7; expected text", {"id": 2}),
        ({"predicted_iou": float("nan")}, "has the predicted_iou nan; expected a number", {"id": 2}),
        ({"stability_score": "high"}, "has the stability_score 'high'", {"id": 2}),
        ({"more": ["that", "nobody", "knows"]}, None, {"id": 2, "more": ["that", "nobody", "knows"]}),
    ],
)
def test_a_mask(tmp_path, faulty, message, left):
    records = [*annotations([MASKS[0]]), {"id": 2, "segmentation": PAIR, **faulty}]
    path = add(tmp_path / "x", "a", records)
    found = defects(tmp_path / "x")
    assert len(found) == (message is not None)
    if message:
        assert found[0].startswith(f"{path}: image a, mask {records[1]['id']}: {message}")
    [first, *others] = mended(tmp_path / "x", tmp_path)["a"]["annotations"]
    assert first["id"] == 1 and first["segmentation"] == RING
    assert len(others) == (left is not None)
    if left:
        assert others[0]["segmentation"] == PAIR and left.items() <= others[0].items()
        if message and "area" not in left and "bbox" not in left:
            assert {**others[0], **faulty} != others[0], "what was wrong is gone"


def test_images(tmp_path):
    folder = labelled_set(tmp_path / "x", 2)
    for name in "abc":
        add(folder, name, file_name=f"{name}.png")
    (folder / "a.png").unlink()
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:90])
    (folder / "c.json").write_text("{")
    add(folder, "d", width=WIDTH + 1, file_name="d.png")
    add(folder, "e", file_name="../x/e.png")
    for workers in (1, 2):
        found = defects(folder, workers)
        at_fault = ["a.png", "b.png", "c.json", "d.png", "d.json", "d.json", "e.json"]
        assert [line.split(": ")[0] for line in found] == [str(folder / name) for name in at_fault]
        assert all("\n" not in line for line in found)
    assert mended(folder, tmp_path).keys() == {"0", "1"}


def test_an_id_that_two_images_have(tmp_path):
    folder = labelled_set(tmp_path / "x", 1)
    for name in "abc":
        add(folder, name, image_id=7)
    found = defects(folder)
    assert len(found) == 2 and all("has the image_id 7 of another" in line for line in found)
    records = mended(folder, tmp_path)
    assert [record["image"]["image_id"] for record in records.values()] == ["0", 7, "b", "c"]


def test_what_is_right_stays_as_it_is(tmp_path):
    folder = labelled_set(tmp_path / "x", 2, predicted_iou=0.5, attributes={"colour": "red"})
    assert defects(folder) == []
    for name, record in mended(folder, tmp_path).items():
        before = json.loads((folder / f"{name}.json").read_text())
        assert [before["annotations"][i].items() <= each.items() for i, each in enumerate(record["annotations"])]
        assert record["image"] == before["image"]


def test_the_data_packs_are_sound(shared_data):
    assert defects(shared_data / "val" / "berkeley", workers=2) == []
