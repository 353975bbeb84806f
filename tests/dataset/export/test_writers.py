"""What is written is read again, mask by mask."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from labelled_data import HEIGHT, MASKS, WIDTH, write_image
from PIL import Image
from pycocotools.coco import COCO

from anymask.dataset.export.cityscapes import CityscapesWriter
from anymask.dataset.export.coco import CocoWriter
from anymask.dataset.export.cvat import CvatWriter
from anymask.dataset.export.labelme import LabelmeWriter
from anymask.dataset.export.lvis import LvisWriter
from anymask.dataset.export.png import InstancePngWriter, SemanticPngWriter
from anymask.dataset.export.sa1b import Sa1bWriter
from anymask.dataset.export.via import ViaWriter
from anymask.dataset.export.voc import VocWriter
from anymask.dataset.export.yolo import YoloWriter
from anymask.dataset.formats import open_data
from anymask.dataset.sample import Sample
from anymask.errors import DataError
from anymask.task import rle

WRITERS = {
    CityscapesWriter: ("auto", "gtFine"),
    LvisWriter: ("auto", "annotations.json"),
    VocWriter: ("auto", "."),
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
    beside = isinstance(writer, (Sa1bWriter, CityscapesWriter, VocWriter))
    images = {} if beside else {"images": writer.folder / writer.image_folder}
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


@pytest.mark.parametrize("kind", [CocoWriter, CityscapesWriter, LabelmeWriter, VocWriter])
def test_what_is_to_be_ignored_is_kept_or_counted(kind, samples, tmp_path):
    sample = samples[0]
    ignore = rle.encode(np.eye(HEIGHT, WIDTH, dtype=bool))
    for annotation in sample.record["annotations"]:
        annotation["ignore"] = ignore
    writer = kind(tmp_path / "out")
    [again] = written(writer, [sample])
    if kind is VocWriter:
        for mine, theirs in zip(again.objects(), sample.objects(), strict=True):
            assert np.array_equal(mine.ignore, theirs.ignore)
            assert np.array_equal(mine.counted(mine.mask), theirs.counted(theirs.mask))
    assert (+writer.losses).get("regions to ignore left out", 0) == (0 if kind is VocWriter else 2)


def test_voc_in_its_own_tools(samples, tmp_path):
    """Palettes, lists, boxes that count from 1, and a limit of 254 masks."""
    writer = VocWriter(tmp_path / "out")
    written(writer, samples)
    with Image.open(tmp_path / "out" / "SegmentationObject" / "a__photo.png") as picture:
        assert picture.mode == "P" and picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    assert (tmp_path / "out" / "ImageSets" / "Segmentation" / "train.txt").read_text() == "a__photo\nb__photo\n"
    root = ElementTree.parse(tmp_path / "out" / "Annotations" / "a__photo.xml").getroot()
    assert [int(side.text) for side in root.find("object/bndbox")] == [4, 3, 14, 12]
    assert [each.text for each in root.findall("object/name")] == ["ring", "pair"]
    assert [sample.name for sample in open_data(tmp_path / "out", "voc", split="train")] == ["a__photo", "b__photo"]
    samples[0].record["annotations"] *= 128
    with pytest.raises(DataError, match="256 masks"):
        VocWriter(tmp_path / "many").add(samples[0])


@pytest.mark.parametrize("kind", [VocWriter, InstancePngWriter])
def test_masks_that_others_hide_are_counted(kind, samples, tmp_path):
    halves = [MASKS[0] & (np.arange(WIDTH) < 8), MASKS[0] & (np.arange(WIDTH) >= 8)]
    samples[0].record["annotations"] += [
        {"id": 9 + i, "segmentation": rle.encode(half)} for i, half in enumerate(halves)
    ]
    writer = kind(tmp_path / "out")
    [again] = written(writer, samples[:1])
    assert len(again.objects()) == 3 and writer.losses["masks hidden by others"] == 1


def test_lvis_says_what_is_frequent_and_what_is_not_there(samples, tmp_path):
    crowd = {"id": 9, "segmentation": rle.encode(MASKS[0]), "category": "crowd", "iscrowd": 1}
    samples[0].record["annotations"].append(crowd)
    samples[0].record["image"] |= {"neg_categories": ["dog", "ring"], "not_exhaustive_categories": ["pair"]}
    found = written(LvisWriter(tmp_path / "out"), samples)
    about = found[0].record["image"]
    assert about["neg_categories"] == ["dog", "ring"] and about["not_exhaustive_categories"] == ["pair", "crowd"]
    assert {each.record["frequency"] for each in found[0].objects()} == {"r"} and len(found[0].objects()) == 2
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    counts = {each["name"]: each["image_count"] for each in content["categories"]}
    assert counts == {"ring": 2, "pair": 1, "dog": 0, "crowd": 0}


def test_crowds_of_cityscapes_are_groups(samples, tmp_path):
    samples[0].record["annotations"][1]["iscrowd"] = 1
    [again] = written(CityscapesWriter(tmp_path / "out"), samples[:1])
    assert [(each["category"], each.get("iscrowd")) for each in again.record["annotations"]] == [
        ("ring", None),
        ("pair", 1),
    ]


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


@pytest.mark.parametrize("kind", [CocoWriter, LvisWriter])
def test_pycocotools_reads_the_same(kind, samples, tmp_path, capsys):
    written(kind(tmp_path / "out"), samples)
    read = COCO(tmp_path / "out" / "annotations.json")
    assert [image["file_name"] for image in read.loadImgs(read.getImgIds())] == ["a__photo.png", "b__photo.png"]
    for number, sample in zip(read.getImgIds(), samples, strict=True):
        found = read.loadAnns(read.getAnnIds(imgIds=[number]))
        for annotation, expected in zip(found, sample.objects(), strict=True):
            assert np.array_equal(read.annToMask(annotation), expected.mask)
            assert annotation["area"] == expected.mask.sum()
            assert read.cats[annotation["category_id"]]["name"] == expected.category
    capsys.readouterr()  # it prints how long it took
