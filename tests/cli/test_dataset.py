"""`anymask dataset`: new data as a whole or not at all, and what is said of faults."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import coco, write_image, write_json
from labelled_sets import add, labelled_set, pixels
from PIL import Image

from anymask.dataset.export.formats import WRITTEN
from anymask.dataset.export.yolo import YoloWriter
from anymask.dataset.formats import open_data


@pytest.fixture()
def data(tmp_path):
    """Three images in SA-1B's format."""
    return labelled_set(tmp_path / "data")


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
    assert stopped.code == 1 and "1.json: mask 1" in stopped.err and stopped.err.count("\n") == 1
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
    assert {"sa1b", "coco", "yolo", "labelme", "via", "cvat", "instance_png", "semantic_png"} <= WRITTEN.keys()


def names(path):
    return [sample.name for sample in open_data(path)]


def test_a_card_is_written_beside_the_data(anymask, data, tmp_path):
    write_json(data / "source.json", {"name": "x", "licence": "CC0", "origin": "a | b", "kind": "by hand"})
    record = json.loads((data / "1.json").read_text())
    settings = {"model": "nano", "weights": "ab12", "options": {"pred_iou_thresh": 0.88}, "image": "0"}
    (data / "1.json").write_text(json.dumps({**record, "anymask": settings}))
    assert anymask("dataset", "convert", data, "-o", tmp_path / "a").code == 0
    assert (
        anymask("dataset", "convert", tmp_path / "a", "--to", "yolo", "--holes", "fill", "-o", tmp_path / "b").code == 0
    )
    for folder in ("a", "b"):
        card = (tmp_path / folder / "DATA_CARD.md").read_text()
        assert "| x | CC0 | a \\| b | by hand |" in card and "anymask dataset convert" in card
        assert "| images | 3 |" in card and "| objects | 6 |" in card and "| a | 6 |" in card
        assert "Masks of 1 images are a model's: model nano; options pred_iou_thresh 0.88; weights ab12." in card
    assert "holes filled, 3" in card and "holes" not in (tmp_path / "a" / "DATA_CARD.md").read_text()
    facts = json.loads((tmp_path / "a" / "source.json").read_text())
    assert facts["licence"] == "CC0" and facts["categories"] == {"a": 6} and facts["models"][0]["images"] == 1
    bad = write_json(data / "source.json", ["no table"])
    result = anymask("dataset", "convert", data, "-o", tmp_path / "c")
    assert result.code == 1 and str(bad) in result.err


def test_merge(anymask, data, tmp_path):
    more = labelled_set(tmp_path / "more" / "data", 1, category="b")
    add(more, "other")
    result = anymask("dataset", "merge", data, more, "-o", tmp_path / "all", "--to", "coco")
    assert result.code == 0 and "5 images, 10 masks" in result.out
    found = open_data(tmp_path / "all" / "annotations.json", images=tmp_path / "all" / "images")
    kinds = {sample.name: {each.category for each in sample.objects()} for sample in found}
    parent = tmp_path.name
    assert kinds == {f"{parent}__data__0": {"a"}, "1": {"a"}, "2": {"a"}, "more__data__0": {"b"}, "other": {"object"}}


def test_split_sample_and_filter(anymask, data, tmp_path):
    result = anymask("dataset", "split", data, "-o", tmp_path / "s", "--parts", "a=.67,b=.33", "--to", "coco", "--json")
    assert result.code == 0 and {part["images"] for part in json.loads(result.out)["parts"].values()} == {1, 2}
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"a", "b"}
    few = anymask("dataset", "split", data, "-o", tmp_path / "t", "--parts", "a=.99,b=.01")
    assert few.code == 2 and "b would be empty" in few.err and not (tmp_path / "t").exists()
    for wrong in ("a", "a=x", "a/b=1", "a=.5"):
        assert anymask("dataset", "split", data, "-o", tmp_path / "t", "--parts", wrong).code in (1, 2)
    assert anymask("dataset", "sample", data, "-n", 2, "-o", tmp_path / "n").code == 0
    assert len(names(tmp_path / "n")) == 2
    assert anymask("dataset", "filter", data, "--name", "[12]", "--min-area", 70, "-o", tmp_path / "f").code == 0
    assert names(tmp_path / "f") == ["1", "2"]
    assert all(len(sample.objects()) == 1 for sample in open_data(tmp_path / "f"))
    none = anymask("dataset", "filter", data, "--category", "dog", "-o", tmp_path / "g")
    assert none.code == 1 and "no image is left" in none.err and not (tmp_path / "g").exists()


def test_dedup(anymask, data, tmp_path):
    add(data, "copy", image=pixels(7))
    add(data, "first", image=pixels(7))
    result = anymask("dataset", "dedup", data, "-o", tmp_path / "d")
    assert result.code == 0 and names(tmp_path / "d") == ["0", "1", "2", "copy"]
    assert "not taken: 1 images" in result.out and "first: looks like copy" in result.err


def test_validate(anymask, data, tmp_path):
    good = anymask("dataset", "validate", data)
    assert good.code == 0 and "3 images, 0 defects" in good.out
    (data / "1.png").write_text("no image")
    found = anymask("dataset", "validate", data)
    assert found.code == 3 and "1.png: not an image" in found.out and "3 images, 1 defects" in found.out
    fixed = anymask("dataset", "validate", data, "--fix", "-o", tmp_path / "fixed", "--json")
    assert fixed.code == 3 and len(json.loads(fixed.out)["defects"]) == 1
    assert anymask("dataset", "validate", tmp_path / "fixed").code == 0 and names(tmp_path / "fixed") == ["0", "2"]
    assert anymask("dataset", "validate", data, "--fix").code == 2


def test_records_of_a_coco_json_that_are_wrong_are_left_out_one_by_one(anymask, tmp_path):
    write_image(tmp_path / "a.jpg")
    content = coco()
    ring, pair = content["annotations"]
    wrong = [{**ring, "id": 2}, {**ring, "id": 5, "image_id": 8}, {**ring, "id": 6, "category_id": 9}, {}, "text"]
    content["annotations"] += [*wrong, {**pair, "id": 7, "bbox": [3, 15, 27, 5], "unknown": 1}]
    content["images"].append({**content["images"][0], "file_name": "b.jpg"})
    path = write_json(tmp_path / "ä.json", content)
    stopped = anymask("dataset", "convert", path, "-o", tmp_path / "out")
    assert stopped.code == 1 and stopped.err.count("\n") == 1 and "ä.json: image 7: occurs twice" in stopped.err
    kept = anymask("dataset", "convert", path, "-o", tmp_path / "out", "--keep-going")
    assert kept.code == 3 and "1 images, 3 masks" in kept.out and kept.err.count("left out: ") == 6
    for fault in (
        "annotation 2: occurs twice",
        "annotation 5: has the image_id 8",
        "annotation 6",
        "at place 5",
        "at place 6",
    ):
        assert fault in kept.err


def test_stats(anymask, data, tmp_path):
    more = labelled_set(tmp_path / "more", 1)
    result = anymask("dataset", "stats", data, more, "-o", tmp_path / "out", "--json")
    assert result.code == 0
    assert {name: each["masks"] for name, each in json.loads(result.out).items()} == {"data": 6, "more": 2}
    assert (tmp_path / "out" / "report.html").exists()
    (data / "0.json").write_text("{")
    assert anymask("dataset", "stats", data, "-o", tmp_path / "out").code == 1
    some = anymask("dataset", "stats", data, "-o", tmp_path / "out", "--keep-going")
    assert some.code == 3 and "2 images" in some.out and "0.json" in some.err


@pytest.mark.parametrize("verb", ["convert", "sample", "filter", "dedup", "split"])
def test_a_folder_for_the_new_data_is_asked_for(anymask, data, verb):
    result = anymask("dataset", verb, data, *(("-n", 1) if verb == "sample" else ()))
    assert result.code == 2 and "-o" in result.err


def test_quality_and_agreement(anymask, data):
    result = anymask("dataset", "quality", data, "--region", 50)
    assert result.code == 0 and "with holes: 3 (50.0%)" in result.out and "poor: 0, mask 2: stray parts" in result.out
    assert json.loads(anymask("dataset", "quality", data, "--json").out)["masks"] == 6
    result = anymask("dataset", "agreement", data, data)
    assert result.code == 0 and "3 images, 6 pairs" in result.out and "IoU over 0.90: 100.0% (SA-1B 94%)" in result.out
    assert json.loads(anymask("dataset", "agreement", data, data, "--match", "best", "--json").out)["pairs"] == 6


def test_shards_there_and_back(anymask, data, tmp_path, monkeypatch):
    monkeypatch.setattr("anymask.dataset.shards.user_cache_path", lambda name: tmp_path / "cache")
    result = anymask("dataset", "shard", data, "-o", tmp_path / "shards", "--per-shard", 2)
    assert result.code == 0 and "3 images, 6 masks" in result.out
    url = f"file://{tmp_path}/there"
    assert "6 files sent" in anymask("dataset", "upload", tmp_path / "shards", url).out
    assert "6 files fetched" in anymask("dataset", "download", url, tmp_path / "back").out
    assert names(tmp_path / "back") == ["0", "1", "2"]
    nowhere = anymask("dataset", "download", f"file://{tmp_path}/nowhere", tmp_path / "x")
    assert nowhere.code == 1 and nowhere.err.count("\n") == 1 and not (tmp_path / "x").exists()


def test_show(anymask, data, tmp_path):
    result = anymask("dataset", "show", data, "-o", tmp_path / "sheet", "--limit", 2)
    assert result.code == 0 and "index.html" in result.out
    assert (tmp_path / "sheet" / "index.html").read_text().count('"path": ') == 4, "two images, two masks each"


def test_blur(anymask, data, tmp_path):
    add(data, "z", [], np.asarray(Image.open("examples/photos/astronaut.jpg")), width=512, height=512)
    page = tmp_path / "page.html"
    result = anymask("dataset", "blur", data, "--review", page, "--no-plates")
    assert result.code == 0 and "1 images" in result.out and page.exists()
    assert anymask("dataset", "blur", data, "--no-plates", "-o", tmp_path / "a").code == 0
    found = json.loads((tmp_path / "a" / "privacy.json").read_text())
    assert found["how"] == "scikit-image's cascade of faces" and list(found["images"]) == ["z"]
    found["images"]["z"] = found["images"]["z"][:1]
    decided = write_json(tmp_path / "decided.json", found)
    result = anymask("dataset", "blur", data, "--decisions", decided, "-o", tmp_path / "b")
    assert result.code == 0 and "blurred: 1 regions" in result.out
    assert len(json.loads((tmp_path / "b" / "z.json").read_text())["image"]["blurred"]) == 1
    assert anymask("dataset", "blur", data, "--no-faces", "--no-plates", "-o", tmp_path / "c").code == 2
    assert anymask("dataset", "blur", data, "--place", "none", "-o", tmp_path / "c").code == 2
    missing = anymask("dataset", "blur", data, "--detector", tmp_path / "none.onnx", "-o", tmp_path / "c")
    assert missing.code == 1 and "no such file" in missing.err and not (tmp_path / "c").exists()
