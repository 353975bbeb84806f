"""What is written is read again, mask by mask."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import HEIGHT, MASKS, WIDTH, write_image

from anymask.dataset.export.coco import CocoWriter
from anymask.dataset.export.cvat import CvatWriter
from anymask.dataset.export.labelme import LabelmeWriter
from anymask.dataset.export.png import InstancePngWriter, SemanticPngWriter
from anymask.dataset.export.sa1b import Sa1bWriter
from anymask.dataset.export.via import ViaWriter
from anymask.dataset.export.yolo import YoloWriter
from anymask.dataset.formats import open_data
from anymask.dataset.sample import Sample
from anymask.errors import DataError
from anymask.task import rle

WRITERS = {
    CocoWriter: ("auto", "annotations.json"),
    CvatWriter: ("auto", "annotations.xml"),
    LabelmeWriter: ("auto", "."),
    Sa1bWriter: ("auto", "."),
    ViaWriter: ("auto", "annotations.json"),
    YoloWriter: ("auto", "data.yaml"),
    InstancePngWriter: ("instance_png", "masks"),
}
"""each with the format, and the path in its folder, that it is opened by"""


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
    format, path = WRITERS[type(writer)]
    images = {} if format == "auto" and type(writer) is Sa1bWriter else {"images": writer.folder / writer.image_folder}
    return open_data(writer.folder / path, format, **images)


@pytest.mark.parametrize("kind", WRITERS)
def test_masks_and_categories_come_back(kind, samples, tmp_path):
    again = written(kind(tmp_path / "out"), samples)
    assert len(again) == len(samples)
    for found, sample in zip(again, samples, strict=True):
        assert found.image().shape == (HEIGHT, WIDTH, 3)
        expected = sample.objects()
        if kind is not InstancePngWriter:  # which has no room for categories
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


@pytest.mark.parametrize("kind", [YoloWriter, LabelmeWriter, InstancePngWriter])
def test_crowd_regions_that_are_left_out_are_counted(kind, samples, tmp_path):
    samples[0].record["annotations"][0]["iscrowd"] = 1
    writer = kind(tmp_path / "out")
    assert len(written(writer, samples[:1])[0].objects()) == 1
    assert writer.losses["crowd regions left out"] == 1


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


def test_classes_come_back_and_what_is_covered_is_counted(samples, tmp_path):
    writer = SemanticPngWriter(tmp_path / "out")
    covered = {"id": 3, "segmentation": rle.encode(np.ones((HEIGHT, WIDTH), bool)), "category": "ground"}
    samples[0].record["annotations"].append(covered)
    for sample in samples:
        writer.add(sample)
    writer.finish()
    names = {int(number): name for number, name in json.loads((tmp_path / "out" / "classes.json").read_text()).items()}
    assert names == {1: "ring", 2: "pair", 3: "ground"}
    assert writer.losses["masks drawn over others"] == 2, "ring and pair lie on the ground"
    found = open_data(tmp_path / "out" / "masks", "instance_png", tmp_path / "out" / "images", names=names)[0].objects()
    assert [each.category for each in found] == ["ring", "pair", "ground"]
    for mine, expected in zip(found, MASKS, strict=False):
        assert np.array_equal(mine.mask, expected)
    assert np.array_equal(found[2].mask, ~(MASKS[0] | MASKS[1]))
