"""`anymask dataset convert`: another format, as a whole or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import HEIGHT, MASKS, WIDTH, write_image

from anymask.dataset import convert as module
from anymask.dataset.export.yolo import YoloWriter
from anymask.dataset.formats import open_data
from anymask.task import rle


@pytest.fixture()
def data(tmp_path):
    """Three images in SA-1B's format."""
    for i in range(3):
        write_image(tmp_path / "data" / f"{i}.png")
        annotations = [{"id": j, "segmentation": rle.encode(mask), "category": "a"} for j, mask in enumerate(MASKS)]
        image = {"image_id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT}
        record = {"image": image, "annotations": annotations}
        (tmp_path / "data" / f"{i}.json").write_text(json.dumps(record))
    return tmp_path / "data"


def test_there_and_back(anymask, data, tmp_path):
    result = anymask("dataset", "convert", data, "--to", "yolo", "-o", tmp_path / "yolo")
    assert result.code == 0 and "3 images, 6 masks" in result.out
    assert anymask("dataset", "convert", tmp_path / "yolo", "-o", tmp_path / "again").code == 0
    found = open_data(tmp_path / "again")
    for sample, expected in zip(found, open_data(data), strict=True):
        for mine, theirs in zip(sample.objects(), expected.objects(), strict=True):
            assert np.array_equal(mine.mask, theirs.mask)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "yolo", "again"}


def test_what_is_lost_is_said(anymask, data, tmp_path):
    result = anymask("dataset", "convert", data, "--to", "yolo", "--holes", "fill", "-o", tmp_path / "yolo")
    assert "lost: holes filled, 3" in result.out
    refused = anymask("dataset", "convert", data, "--to", "yolo", "--holes", "refuse", "-o", tmp_path / "other")
    assert refused.code == 1 and "--holes fill" in refused.err and not (tmp_path / "other").exists()


def test_what_is_wrong_stops_it_or_is_left_out(anymask, data, tmp_path):
    record = json.loads((data / "1.json").read_text())
    record["annotations"][0]["segmentation"]["size"] = [3, 4]
    (data / "1.json").write_text(json.dumps(record))
    command = ("dataset", "convert", data, "--to", "coco", "-o", tmp_path / "coco")
    stopped = anymask(*command)
    assert stopped.code == 1 and "1.json: mask 0" in stopped.err and stopped.err.count("\n") == 1
    assert not (tmp_path / "coco").exists()
    kept = anymask(*command, "--keep-going", "--json")
    counts = json.loads(kept.out)
    assert kept.code == 3 and counts["images"] == 2 and "1.json" in counts["skipped"][0] and "1.json" in kept.err
    assert len(open_data(tmp_path / "coco" / "annotations.json", images=tmp_path / "coco" / "images")) == 2


def test_nothing_half_written_stays_and_nothing_is_written_over(anymask, data, tmp_path, interrupted):
    interrupted(YoloWriter, "add", at=1)
    command = ("dataset", "convert", data, "--to", "yolo", "-o", tmp_path / "yolo")
    assert anymask(*command).code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    full = anymask("dataset", "convert", data, "-o", data)
    assert full.code == 1 and "not empty" in full.err
    unknown = anymask("dataset", "convert", data, "--to", "doc", "-o", tmp_path / "doc")
    assert unknown.code == 1 and "coco" in unknown.err


def test_every_format_is_known():
    assert {"sa1b", "coco", "yolo", "labelme", "via", "cvat", "instance_png", "semantic_png"} <= module.WRITTEN.keys()
