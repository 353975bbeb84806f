"""Pascal VOC's and Cityscapes' own files."""

from __future__ import annotations

import numpy as np
import pytest
from labelled_data import BLOCK, CORNERS, HEIGHT, MASKS, WIDTH, block, check_masks, write_image, write_json, write_map

from anymask.dataset.formats import open_data
from anymask.errors import DataError


@pytest.fixture()
def voc(tmp_path):
    """A cat and a dog, with void around the one."""
    write_image(tmp_path / "JPEGImages" / "2007_1.jpg")
    void = block(0, 2, 0, 9)
    write_map(tmp_path / "SegmentationObject" / "2007_1.png", [*MASKS, void], (1, 2, 255))
    write_map(tmp_path / "SegmentationClass" / "2007_1.png", [*MASKS, void], (8, 12, 255))
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_1\n\n")
    return tmp_path


def test_voc(voc):
    for options in ({}, {"split": "val"}):
        [sample] = open_data(voc, **({"format": "voc", **options} if options else {}))
        check_masks(sample, MASKS)
        assert sample.name == "2007_1" and [each.category for each in sample.objects()] == ["cat", "dog"]
        assert all(np.array_equal(each.ignore, block(0, 2, 0, 9)) for each in sample.objects())


def test_voc_with_classes_of_its_own(voc):
    (voc / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\n" + "".join(f"c{i}:0,0,0::\n" for i in range(13))
    )
    assert [each.category for each in open_data(voc)[0].objects()] == ["c8", "c12"]
    (voc / "SegmentationClass" / "2007_1.png").unlink()
    assert [each.category for each in open_data(voc)[0].objects()] == [None, None]


def test_voc_that_is_wrong(voc):
    with pytest.raises(DataError, match=r"there are the splits val \(option split\)"):
        open_data(voc, "voc", split="test")
    with pytest.raises(DataError, match="holds no SegmentationObject"):
        open_data(voc / "ImageSets", "voc")
    write_map(voc / "SegmentationClass" / "2007_1.png", MASKS, (77, 12))
    with pytest.raises(DataError, match=r"2007_1\.png: has the classes \[77\] where an object is"):
        _ = open_data(voc)[0].record
    (voc / "JPEGImages" / "2007_1.jpg").unlink()
    with pytest.raises(DataError, match=r"2007_1\.png: no image .*2007_1\.jpg"):
        _ = open_data(voc)[0].record


@pytest.fixture()
def cityscapes(tmp_path):
    """A building that a car stands before, and a group of persons."""
    name = "aachen_000000_000019"
    write_image(tmp_path / "leftImg8bit" / "val" / "aachen" / f"{name}_leftImg8bit.png")
    whole = [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]
    objects = [
        {"label": "building", "polygon": whole},
        {"label": "car", "polygon": [list(corner) for corner in CORNERS["block"]]},
        {"label": "persongroup", "polygon": [list(corner) for corner in CORNERS["ring"]]},
    ]
    content = {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects}
    write_json(tmp_path / "gtFine" / "val" / "aachen" / f"{name}_gtFine_polygons.json", content)
    return tmp_path


def test_cityscapes(cityscapes):
    group = block(2, 12, 3, 14)
    for path, options in (("gtFine", {}), ("gtFine/val", {}), ("gtFine", {"images": cityscapes / "leftImg8bit"})):
        [sample] = open_data(cityscapes / path, **options)
        check_masks(sample, [~(BLOCK | group), BLOCK])
        assert [each.category for each in sample.objects()] == ["building", "car"]
        [crowd] = [each for each in sample.record["annotations"] if each.get("iscrowd")]
        assert crowd["category"] == "person" and np.array_equal(sample.mask(crowd), group)
        assert sample.name.endswith("aachen/aachen_000000_000019")


def test_a_label_that_ends_like_a_group_and_is_none(cityscapes):
    [file] = cityscapes.rglob("*_polygons.json")
    objects = [{"label": "rock group", "polygon": [list(corner) for corner in CORNERS["block"]]}]
    write_json(file, {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects})
    [found] = open_data(cityscapes / "gtFine")[0].objects()
    assert found.category == "rock group"


def test_cityscapes_that_is_wrong(cityscapes):
    [file] = cityscapes.rglob("*_polygons.json")
    write_json(file, {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": [{"label": "car"}]})
    with pytest.raises(DataError, match="object 0: has no 'polygon'"):
        _ = open_data(cityscapes / "gtFine")[0].record
    [image] = cityscapes.rglob("*.png")
    image.unlink()
    with pytest.raises(DataError, match="no image"):
        _ = open_data(cityscapes / "gtFine")[0].record
    with pytest.raises(DataError, match="holds no"):
        open_data(cityscapes / "leftImg8bit", "cityscapes")
