"""What is written is read again, mask by mask."""

from __future__ import annotations

import numpy as np
import pytest
from labelled_data import HEIGHT, MASKS, WIDTH, write_image

from anymask.dataset.export.coco import CocoWriter
from anymask.dataset.export.yolo import YoloWriter
from anymask.dataset.formats import open_data
from anymask.dataset.sample import Sample
from anymask.errors import DataError
from anymask.task import rle

WRITERS = {CocoWriter: "annotations.json", YoloWriter: "data.yaml"}
"""each with what it is opened by"""


@pytest.fixture()
def samples(tmp_path):
    """Two images in two folders, under one name, with masks of two parts and with a hole, and noise."""
    noisy = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5
    found = []
    for folder, masks in (("a", MASKS), ("b", [noisy])):
        path = write_image(tmp_path / folder / "photo.png")
        annotations = [
            {"id": i + 1, "segmentation": rle.encode(mask), "category": ("ring", "pair")[i % 2]}
            for i, mask in enumerate(masks)
        ]
        record = {
            "image": {"file_name": "photo.png", "width": WIDTH, "height": HEIGHT},
            "annotations": annotations,
        }
        found.append(Sample(path.with_suffix(".json"), f"{folder}/photo", lambda record=record: record, path))
    return found


def written(writer, samples):
    for sample in samples:
        writer.add(sample)
    writer.finish()
    return open_data(writer.folder / WRITERS[type(writer)], images=writer.folder / writer.image_folder)


@pytest.mark.parametrize("kind", WRITERS)
def test_masks_and_categories_come_back(kind, samples, tmp_path):
    again = written(kind(tmp_path / "out"), samples)
    assert len(again) == len(samples)
    for found, sample in zip(again, samples, strict=True):
        assert found.image().shape == (HEIGHT, WIDTH, 3)
        expected = sample.objects()
        assert [each.category for each in found.objects()] == [each.category for each in expected]
        for mine, theirs in zip(found.objects(), expected, strict=True):
            assert np.array_equal(mine.mask, theirs.mask)


def test_what_a_line_cannot_hold_is_counted_or_refused(samples, tmp_path):
    writer = YoloWriter(tmp_path / "filled", holes="fill")
    found = written(writer, samples[:1])
    assert writer.losses["holes filled"] == 1 and writer.losses["parts made objects of their own"] == 1
    assert len(found[0].objects()) == 3
    with pytest.raises(DataError, match="--holes"):
        YoloWriter(tmp_path / "refused", holes="refuse").add(samples[0])


def test_images_are_copied_linked_or_left(samples, tmp_path):
    for images, there, linked in (("copy", True, False), ("link", True, True), ("none", False, False)):
        writer = CocoWriter(tmp_path / images, images=images)
        writer.add(samples[0])
        path = tmp_path / images / "images" / "a__photo.png"
        assert (path.exists(), path.is_symlink()) == (there, linked)


def test_two_images_of_one_name_are_refused(samples, tmp_path):
    writer = CocoWriter(tmp_path / "out")
    writer.add(samples[0])
    with pytest.raises(DataError, match="a__photo"):
        writer.add(samples[0])
