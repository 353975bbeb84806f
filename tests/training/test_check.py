"""The check before the first step: it counts what is sound and names each defect by file and mask."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.dataset.sa1b import open_folder
from anymask.dataset.sample import Sample
from anymask.errors import DataError
from anymask.task import rle
from anymask.training.check import check_sources

HEIGHT, WIDTH = 40, 60


def mask(height=20, width=30):
    filled = np.zeros((HEIGHT, WIDTH), bool)
    filled[:height, :width] = True
    return filled


def annotation(number=1, filled=None, **more):
    return {"id": number, "segmentation": rle.encode(mask() if filled is None else filled), **more}


def add(folder, name, *annotations, size=(WIDTH, HEIGHT), **image):
    """Write an image with its record."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", size).save(folder / f"{name}.png", **image)
    record = {"file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
    (folder / f"{name}.json").write_text(json.dumps({"image": record, "annotations": annotations}))


def check(folder, **options):
    [summary] = check_sources([(folder.name, open_folder(folder))], **options)
    return summary


def test_a_summary(tmp_path):
    crowd = {"id": 1, "iscrowd": 1, "segmentation": [[1, 2]]}
    whole = annotation("b", mask(HEIGHT, WIDTH), category="cup", area=2400.0, bbox=[0, 0, WIDTH, HEIGHT])
    add(tmp_path / "x", "a", annotation(bbox=[0, 0, 29, 0], category=None), whole, crowd)
    add(tmp_path / "x", "b", annotation(ignore=rle.encode(mask(5, 5))), annotation(2, mask(32, 32)))
    add(tmp_path / "x", "c")
    add(tmp_path / "y", "a", annotation())
    told = []
    sources = [(name, open_folder(tmp_path / name)) for name in "xy"]
    x, y = check_sources(sources, lambda *counts: told.append(counts))
    assert (x.source, x.images, x.masks, x.without_masks, x.small, x.largest_side) == ("x", 3, 4, 1, 0.5, WIDTH)
    assert (y.source, y.images, y.masks, y.without_masks, y.small, y.largest_side) == ("y", 1, 1, 0, 1.0, WIDTH)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert x.faulty == y.faulty == {} and x.sound(sources[0][1]) == sources[0][1]


def test_a_turned_photo(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    add(tmp_path / "x", "a", annotation(), size=(HEIGHT, WIDTH), exif=exif)
    assert check(tmp_path / "x").images == 1
    add(tmp_path / "x", "a", annotation(), size=(WIDTH, HEIGHT), exif=exif)
    with pytest.raises(DataError, match=r"a\.png: is 40×60 pixels .* its record says 60×40"):
        check(tmp_path / "x")


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (annotation(7, mask(0)), "mask 7: is empty; remove it"),
        (annotation(7, ignore=rle.encode(mask(30, 30))), "mask 7: is empty"),  # nothing of it counts
        (annotation(7, ignore=rle.encode(mask()[1:])), r"mask 7: has size \[39, 60\], the image \[40, 60\]"),
        (annotation(7, mask().T), r"mask 7: has size \[60, 40\], the image \[40, 60\]"),
        ({"id": 7}, "mask 7: a mask is not RLE"),
        ({"id": 7, "segmentation": [[1, 2, 3, 4, 5, 6]]}, "mask 7: a mask is not RLE"),
        ({"id": 7, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5]}}, "mask 7: RLE counts add up to 5"),
        (annotation(1), "mask 1: has the id of another mask; give each its own"),
        (annotation(None), "mask None: has no id that is a number or a name"),
        (annotation([7]), r"mask \[7\]: has no id that is a number"),
        (annotation(7, area=0), "mask 7: has the area 0; expected a positive number"),
        (annotation(7, area=float("nan")), "mask 7: has the area nan"),
        (annotation(7, area="5"), "mask 7: has the area '5'"),
        (annotation(7, category=3), "mask 7: has the category 3; expected text"),
        (annotation(7, bbox=[40, 0, 30, 10]), r"mask 7: has the bbox \[40, 0, 30, 10\]; .* inside the 60×40 image"),
        (annotation(7, bbox=[-3, 0, 30, 10]), r"mask 7: has the bbox \[-3, 0"),
        (annotation(7, bbox=[9, 9, -3, 3]), r"mask 7: has the bbox \[9, 9"),
        (annotation(7, bbox=[0, 0, float("nan"), 3]), r"mask 7: has the bbox \[0, 0, nan"),
        (annotation(7, bbox=[1, 2, 3]), r"mask 7: has the bbox \[1, 2, 3\]"),
        (annotation(7, bbox={"x": 1}), r"mask 7: has the bbox {'x': 1}"),
    ],
)
def test_a_defect_is_named_and_can_be_left_out(tmp_path, faulty, message):
    add(tmp_path / "x", "a", annotation(), faulty)
    add(tmp_path / "x", "b", annotation())
    with pytest.raises(DataError, match=rf"^defects in 1 of 2 images; .*\n.*x.a\.json: image a, {message}.*$"):
        check(tmp_path / "x")
    summary = check(tmp_path / "x", skip=True)
    assert (summary.images, summary.masks, list(summary.faulty)) == (1, 1, [0])
    assert [sample.name for sample in summary.sound(open_folder(tmp_path / "x"))] == ["b"]


def test_images_and_records_that_are_wrong(tmp_path):
    folder = tmp_path / "x"
    for name in "abcd":
        add(folder, name, annotation(7, mask(0)))
    (folder / "a.png").unlink()
    (folder / "b.png").write_text("no image")
    (folder / "c.json").write_text("{")
    add(folder, "d", annotation(), size=(3, 300))
    add(folder, "e", annotation())
    with pytest.raises(DataError) as caught:
        check(folder)
    first, *lines = str(caught.value).split("\n")
    assert first == "defects in 4 of 5 images; mend them, or leave those images out:"
    expected = [
        "a.png: cannot be read (No such file",
        "a.json: image a, mask 7: is empty",
        "b.png: not an image that Pillow can read",
        "b.json: image b, mask 7: is empty",
        "c.json: cannot be read as JSON",
        "d.png: 3×300 pixels; expected sides of at least 4",
    ]
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(str(folder / start))


def test_many_defects_are_counted(tmp_path):
    for name in "ab":
        add(tmp_path / "x", name, *(annotation(number, mask(0)) for number in range(13)))
    with pytest.raises(DataError) as caught:
        check(tmp_path / "x")
    lines = str(caught.value).split("\n")
    assert len(lines) == 22 and lines[-1] == "and 6 more" and "image b, mask 6" in lines[-2]


def test_a_source_of_which_nothing_is_left(tmp_path):
    add(tmp_path / "x", "a", annotation(7, mask(0)))
    with pytest.raises(DataError, match=r"^source x: has no image to train on; .*a\.json: image a, mask 7: is empty"):
        check(tmp_path / "x", skip=True)
    with pytest.raises(DataError, match="source none: has no image to train on; it is empty"):
        check_sources([("none", [])])


def test_records_are_let_go_of_and_pixels_are_not_read(tmp_path, monkeypatch):
    add(tmp_path / "x", "a", annotation())
    monkeypatch.delattr(Sample, "image")
    monkeypatch.delattr(Sample, "mask")
    samples = open_folder(tmp_path / "x")
    check_sources([("x", samples)])
    assert "record" not in vars(samples[0])


def test_the_data_packs_are_sound(shared_data):
    samples = open_folder(shared_data / "train" / "coco_mval_train")
    [summary] = check_sources([("coco", samples)])
    assert (summary.images, summary.masks) == (424, 473)
