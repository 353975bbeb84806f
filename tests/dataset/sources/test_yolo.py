"""YOLO's labels for segmentation: where they lie, what a line becomes, and what is said of one that is wrong."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from labelled_data import BLOCK, CORNERS, HEIGHT, WIDTH, block, check_masks, write_image
from PIL import Image

from anymask.dataset.sources.yolo import open_yolo
from anymask.errors import ConfigError, DataError


def line(label, corners):
    """A line of labels, from corners in pixels."""
    return " ".join([str(label), *(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in corners)])


LINES = f"{line(0, CORNERS['block'])}\n\n{line(2, CORNERS['ring'])}\n"
OUTLINE = block(2, 12, 3, 14)
"""the ring, whose hole a polygon does not show"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def add(folder, name, text=LINES):
    """Write an image, and its labels where there are some."""
    write_image(folder / "images" / f"{name}.jpg")
    if text is not None:
        write(folder / "labels" / f"{name}.txt", text)


def names_of(samples):
    return [sample.name for sample in samples]


# where they lie


def test_a_folder_of_images_and_labels(tmp_path):
    add(tmp_path, "b")
    add(tmp_path, "a", None)
    write_image(tmp_path / "images" / "sub" / "c.v2.png")
    write(tmp_path / "labels" / "sub" / "c.v2.txt", "")
    for path in (tmp_path, tmp_path / "labels", str(tmp_path)):
        background, labelled, empty = open_yolo(path)
        assert names_of([background, labelled, empty]) == ["a", "b", "sub/c.v2"]
        check_masks(labelled, [BLOCK, OUTLINE])
        check_masks(background, [])
        check_masks(empty, [])
    assert [one.category for one in labelled.objects()] == [None, None]
    assert [one.id for one in labelled.objects()] == [1, 3]  # the numbers of the lines
    assert [one.record["class_id"] for one in labelled.objects()] == [0, 2]
    check_masks(pickle.loads(pickle.dumps(labelled)), [BLOCK, OUTLINE])


def test_images_elsewhere(tmp_path):
    write_image(tmp_path / "photos" / "a.jpg")
    write(tmp_path / "set" / "labels" / "a.txt", LINES)
    check_masks(open_yolo(tmp_path / "set" / "labels", tmp_path / "photos")[0], [BLOCK, OUTLINE])
    write_image(tmp_path / "set" / "images" / "b.jpg")
    write(tmp_path / "set" / "data.yaml", "train: images")
    check_masks(open_yolo(tmp_path / "set" / "data.yaml", tmp_path / "photos")[0], [BLOCK, OUTLINE])


def test_labels_beside_their_images(tmp_path):
    write_image(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", LINES)
    write(tmp_path / "classes.txt", "cup\nowl\npan\n")
    [sample] = open_yolo(tmp_path)
    assert [one.category for one in sample.objects()] == ["cup", "pan"]


def test_a_turned_photo(tmp_path):
    """Shares are of the sides as a person sees them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (HEIGHT, WIDTH), "gray").save(tmp_path / "images" / "a.jpg", exif=exif)
    write(tmp_path / "labels" / "a.txt", LINES)
    check_masks(open_yolo(tmp_path)[0], [BLOCK, OUTLINE])


@pytest.mark.parametrize("place", ["{what}/{split}", "{split}/{what}"])
def test_a_folder_that_is_divided(tmp_path, place):
    for split in ("train", "valid"):
        write_image(tmp_path / place.format(what="images", split=split) / f"{split}.jpg")
        write(tmp_path / place.format(what="labels", split=split) / f"{split}.txt", LINES)
    assert names_of(open_yolo(tmp_path)) == ["train"]
    assert names_of(open_yolo(tmp_path, split="valid")) == ["valid"]


def test_a_part_that_is_not_there(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / "labels" / split / "a.txt", LINES)
    with pytest.raises(DataError, match=r"option split=test: .*labels is divided into train, val; name one"):
        open_yolo(tmp_path, split="test")


@pytest.mark.parametrize(
    "names", ["[cup, owl, pan]", "{0: cup, 1: owl, 2: pan}", "\n  0: cup\n  2: pan", "\n- cup\n- owl\n- pan"]
)
def test_a_data_yaml(tmp_path, names):
    add(tmp_path / "train", "a")
    add(tmp_path / "valid", "b", "")
    file = write(tmp_path / "data.yaml", f"train: train/images\nval: valid/images\nnc: 3\nnames: {names}\n")
    for path in (file, tmp_path):
        [sample] = open_yolo(path)
        assert sample.name == "a" and [one.category for one in sample.objects()] == ["cup", "pan"]
    assert names_of(open_yolo(file, split="val")) == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        "path: set\ntrain: images/train",
        "path: /where/it/was/made\ntrain: set/images/train",
        "train: ../set/images/train",  # as Roboflow writes it
        "train: [set/images/train]",
        "train: set/list.txt",
        "train: {folder}/set/images/train",
    ],
)
def test_how_a_data_yaml_names_folders(tmp_path, text):
    write_image(tmp_path / "set" / "images" / "train" / "a.jpg")
    write(tmp_path / "set" / "labels" / "train" / "a.txt", LINES)
    write(tmp_path / "set" / "list.txt", "./images/train/a.jpg\n")
    file = write(tmp_path / "any.yaml", text.format(folder=tmp_path))
    [sample] = open_yolo(file)
    check_masks(sample, [BLOCK, OUTLINE])
    assert sample.name == "a"


def test_a_data_yaml_with_several_folders(tmp_path):
    add(tmp_path / "x", "a")
    add(tmp_path / "y", "a")
    file = write(tmp_path / "data.yaml", "train: [x/images, y/images]")
    assert names_of(open_yolo(file)) == ["x/images/a", "y/images/a"]
    with pytest.raises(DataError, match=r"--images: .*data\.yaml lists several places for train; expected one folder"):
        open_yolo(file, tmp_path / "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: none", r"data\.yaml: names .*none, which is not there"),
        ("val: images", r"data\.yaml: names no folder of images for the split 'train'; it has val"),
        ("train:", "it has none"),
        ("train: [3]", "names no folder of images"),
        ("train: images\nnames: 3", r"data\.yaml: has the names 3; expected a list, or numbers"),
        ("train: images\nnames: {a: b}", "expected a list, or numbers"),
        ("train: images\nnames: [cup", r"data\.yaml: cannot be read as YAML \(line 2\); expected a data\.yaml"),
        ("train: \0", r"data\.yaml: cannot be read as YAML"),
        ("- train", r"data\.yaml: is no table of keys"),
        ("", r"data\.yaml: is no table of keys"),
    ],
)
def test_a_data_yaml_that_is_wrong(tmp_path, text, message):
    add(tmp_path, "a")
    file = write(tmp_path / "data.yaml", text)
    with pytest.raises(DataError, match=message) as caught:
        open_yolo(file)
    assert "\n" not in str(caught.value)


def test_without_pyyaml(tmp_path, monkeypatch):
    add(tmp_path, "a")
    write(tmp_path / "data.yaml", "train: images")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"data\.yaml: reading it needs PyYAML; pip install 'anymask\[train\]'"):
        open_yolo(tmp_path)
    assert names_of(open_yolo(tmp_path / "labels")) == ["a"]


def test_folders_that_are_wrong(tmp_path):
    for path, message in (
        ("none", "none: no such file or folder; expected a data.yaml"),
        (".", "holds no labels; expected NAME.txt"),
    ):
        with pytest.raises(DataError, match=message):
            open_yolo(tmp_path / path)
    write(tmp_path / "labels" / "a.txt", LINES)
    with pytest.raises(DataError, match="images: no such folder; expected one of images"):
        open_yolo(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"labels.a\.txt: has no image .*images.a\.jpg"):
        open_yolo(tmp_path)
    write(tmp_path / "list.txt", "images/a.jpg\n")
    file = write(tmp_path / "data.yaml", "train: list.txt")
    with pytest.raises(DataError, match=r"labels.a\.txt: no image .*a\.jpg"):
        _ = open_yolo(file)[0].record
    (tmp_path / "labels" / "a.txt").unlink()
    with pytest.raises(DataError, match=r"list\.txt: none of the 1 images that it lists has labels"):
        open_yolo(file)


# what a line becomes


def test_corners_that_are_rounded(tmp_path):
    add(tmp_path, "a", "0 -0.004 0 1.009 0 1.001 1.0 0 1\n1.0 0 0 0.5 0 0.5 0.5 0 0.5 0 0")
    everything = np.ones((HEIGHT, WIDTH), bool)
    check_masks(open_yolo(tmp_path)[0], [everything, block(0, HEIGHT // 2, 0, WIDTH // 2)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0 0.5 0.5 0.2 0.1",
            "is a label for detection, a class and a box, and not for segmentation; expected class x1",
        ),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.93", "has 7 coordinates, an odd number; .* without a score at its end"),
        ("0 0.5 0.5 0.2 0.1 0.9", "has 5 coordinates, an odd number"),
        ("0 0.1 0.1", "has 1 points, too few for a polygon"),
        ("0", "has 0 points, too few"),
        ("0 0.1 0.1 0.2 1.02 0.2 0.2", "has corners from 0.1 to 1.02; expected shares of the image's width and height"),
        ("0 -0.02 0.1 0.2 0.1 0.2 0.2", "has corners from -0.02 to 0.2"),
        ("0 10 10 30 10 30 30", "has corners from 10 to 30"),
        ("0 nan 0.1 0.2 0.1 0.2 0.2", "has corners from nan"),
        ("0 inf 0.1 0.2 0.1 0.2 0.2", "has corners from 0.1 to inf"),
        ("cup 0.1 0.1 0.2 0.1 0.2 0.2", "is no list of numbers: 'cup 0.1"),
        ("0,0.1,0.1,0.2,0.1,0.2,0.2", "is no list of numbers"),
        ("-1 0.1 0.1 0.2 0.1 0.2 0.2", "has the class -1; expected a whole number from 0 on"),
        ("0.5 0.1 0.1 0.2 0.1 0.2 0.2", "has the class 0.5; expected a whole number"),
        ("nan 0.1 0.1 0.2 0.1 0.2 0.2", "has the class nan"),
        ("3 0.1 0.1 0.2 0.1 0.2 0.2", "has the class 3, which has no name; expected one of 0 to 2"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, text, message):
    add(tmp_path, "a", f"{LINES}{text}\n")
    write(tmp_path / "classes.txt", "cup\nowl\npan")
    [sample] = open_yolo(tmp_path)
    with pytest.raises(DataError, match=rf"labels.a\.txt: line 4 {message}") as caught:
        _ = sample.record
    assert "\n" not in str(caught.value)


def test_labels_that_are_no_text(tmp_path):
    add(tmp_path, "a")
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"a\.txt: cannot be read as text"):
        _ = open_yolo(tmp_path)[0].record
