"""SA-1B folders: what is read, and what is said of records that are none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.dataset.sa1b import open_folder
from anymask.errors import DataError
from anymask.task import rle

MASK = np.zeros((20, 30), bool)
MASK[5:12, 8:20] = True


@pytest.fixture()
def folder(tmp_path):
    Image.new("RGB", (30, 20), "gray").save(tmp_path / "a.png")
    return tmp_path


def write(folder, **changes):
    annotations = [{"id": 7, "segmentation": rle.encode(MASK)}, {"id": 8, "iscrowd": 1}]
    record = {"image": {"file_name": "a.png", "width": 30, "height": 20}, "annotations": annotations, **changes}
    (folder / "a.json").write_text(json.dumps(record))
    return open_folder(folder)[0]


def test_image_mask_and_area(folder):
    sample = write(folder)
    assert sample.image().shape == (20, 30, 3)
    [annotation] = sample.annotations
    np.testing.assert_array_equal(sample.mask(annotation), MASK)
    assert sample.area(annotation) == MASK.sum() and sample.area({"area": 12.0}) == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"image": []},
        {"image": {"file_name": "a.png"}},
        {"image": {"file_name": 3, "width": 30, "height": 20}},
        {"image": {"file_name": "a.png", "width": "30", "height": 20}},
        {"annotations": {}},
        {"annotations": [1]},
    ],
)
def test_a_record_that_is_none_is_named(folder, changes):
    with pytest.raises(DataError, match=r"a\.json: expected an SA-1B record"):
        _ = write(folder, **changes).annotations


def test_masks_that_are_none_are_named(folder):
    small = rle.encode(MASK[:10])
    for segmentation, message in (([[1, 2, 3, 4, 5, 6]], "mask 1: a mask is not RLE"), (small, "mask 1 has size")):
        sample = write(folder, annotations=[{"id": 1, "segmentation": segmentation}])
        with pytest.raises(DataError, match=message):
            sample.mask(sample.annotations[0])


def test_an_image_of_another_size_or_place_is_refused(folder):
    with pytest.raises(DataError, match="record says 20×30"):
        write(folder, image={"file_name": "a.png", "width": 20, "height": 30}).image()
    with pytest.raises(DataError, match="same folder"):
        write(folder, image={"file_name": "../a.png", "width": 30, "height": 20}).image()


def test_no_json_and_no_folder(folder):
    with pytest.raises(DataError, match=r"no \.json"):
        open_folder(folder)
    (folder / "a.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        _ = open_folder(folder)[0].record
    with pytest.raises(DataError, match="no such folder"):
        open_folder(folder / "none")
