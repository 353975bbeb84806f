"""`anymask dataset` on data that is wrong, or that a format has no room for: nothing is lost in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import BLOCK, HEIGHT, MASKS, WIDTH, coco, write_json
from labelled_sets import add, annotations, labelled_set, pixels
from PIL import Image

from anymask.dataset.formats import open_data
from anymask.dataset.shards import open_shards
from anymask.task import rle


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("anymask.dataset.shards.user_cache_path", lambda name: tmp_path / "cache")


@pytest.fixture()
def data(tmp_path):
    return labelled_set(tmp_path / "data")


def face(data):
    """An image with a face, and the file that decides to blur it."""
    add(data, "z", [], np.asarray(Image.open("examples/photos/astronaut.jpg")), width=512, height=512)
    region = {"kind": "face", "box": [181, 75, 260, 154], "score": None, "blur": True}
    return {"images": {"z": [region]}}


def test_an_image_that_was_not_looked_at_is_not_written_unblurred(anymask, data, tmp_path):
    face(data)
    record = json.loads((data / "z.json").read_text())
    record["image"]["width"] = 511
    (data / "z.json").write_text(json.dumps(record))
    result = anymask("dataset", "blur", data, "--no-plates", "--keep-going", "-o", tmp_path / "out")
    assert result.code == 3 and "z.png" in result.err and not (tmp_path / "out" / "z.png").exists()
    assert len(open_data(tmp_path / "out")) == 3, "privacy.json is no record"
    assert anymask("dataset", "validate", tmp_path / "out").code == 0


def test_decisions_of_other_data_are_refused(anymask, data, tmp_path):
    decided = write_json(tmp_path / "decided.json", face(data))
    other = labelled_set(tmp_path / "other", 2)
    result = anymask("dataset", "blur", other, "--decisions", decided, "-o", tmp_path / "out")
    assert result.code == 1 and "decides of 'z'" in result.err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["sa1b", "coco", "labelme", "yolo", "voc", "cityscapes", "instance_png"])
def test_two_images_of_one_stem_keep_their_labels(anymask, tmp_path, to):
    content = coco([MASKS[0]], file_name="a.jpg")
    content["images"].append({**content["images"][0], "id": 8, "file_name": "a.png"})
    first = content["annotations"][0]
    more = [{**first, "id": i, "image_id": 8, "segmentation": rle.encode(mask)} for i, mask in enumerate(MASKS, 2)]
    content["annotations"] += more
    path = write_json(tmp_path / "x" / "a.json", content)
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "x" / name)
    assert anymask("dataset", "convert", path, "--to", to, "-o", tmp_path / "out").code == 0
    kinds = {"coco": "annotations.json", "yolo": "data.yaml", "instance_png": "masks"}
    images = {"images": tmp_path / "out" / "images"} if to in ("coco", "instance_png") else {}
    format = "instance_png" if to == "instance_png" else "auto"
    found = open_data(tmp_path / "out" / kinds.get(to, "."), format, **images)
    assert sorted(len(sample.objects()) for sample in found) == [1, 2]


def test_an_image_that_is_missing_is_left_out(anymask, data, tmp_path):
    (data / "1.png").unlink()
    result = anymask("dataset", "convert", data, "-o", tmp_path / "out")
    assert result.code == 1 and "1.png: cannot be read (No such file" in result.err
    result = anymask("dataset", "convert", data, "--keep-going", "-o", tmp_path / "out")
    assert result.code == 3 and "2 images" in result.out


def test_what_a_mended_set_lost_is_said(anymask, data, tmp_path):
    result = anymask("dataset", "validate", data, "--fix", "--to", "yolo", "--holes", "fill", "-o", tmp_path / "a")
    assert result.code == 0 and "lost: holes filled, 3" in result.out and "without them, 3 images" in result.out
    add(data, "whole", annotations([BLOCK]))
    result = anymask("dataset", "validate", data, "--fix", "--to", "yolo", "--holes", "refuse", "-o", tmp_path / "b")
    assert result.code == 3 and result.out.count("--holes fill") == 3 and "without them, 1 images" in result.out


def test_parts_number_their_categories_alike(anymask, tmp_path):
    for number in range(8):
        add(tmp_path / "x", str(number), annotations([BLOCK], category=f"c{number}"))
    options = ("--parts", "a=.5,b=.5", "--to", "coco")
    assert anymask("dataset", "split", tmp_path / "x", "-o", tmp_path / "s", *options).code == 0
    named = [json.loads((tmp_path / "s" / part / "annotations.json").read_text())["categories"] for part in "ab"]
    assert named[0] == named[1] and [each["name"] for each in named[0]] == [f"c{number}" for number in range(8)]


def test_shards_of_any_images(anymask, tmp_path):
    path = add(tmp_path / "x", "t", file_name="t.tif").with_suffix(".png")
    Image.open(path).save(path.with_suffix(".tif"))
    path.unlink()
    assert anymask("dataset", "shard", tmp_path / "x", "-o", tmp_path / "out").code == 0
    assert [len(sample.objects()) for sample in open_shards(tmp_path / "out")] == [2]


def test_an_image_that_is_called_as_what_tells_of_the_set(anymask, tmp_path):
    path = write_json(tmp_path / "x" / "a.json", coco(file_name="source.jpg"))
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "x" / "source.jpg")
    assert anymask("dataset", "convert", path, "-o", tmp_path / "out").code == 0
    [found] = open_data(tmp_path / "out")
    assert found.name == "source_" and len(found.objects()) == 2


def test_a_shard_whose_records_changed_is_not_taken_for_done(anymask, data, tmp_path, monkeypatch):
    monkeypatch.setattr("anymask.dataset.shard_writer._finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        anymask("dataset", "shard", data, "-o", tmp_path / "out", "--per-shard", 2)
    monkeypatch.undo()
    monkeypatch.setattr("anymask.dataset.shards.user_cache_path", lambda name: tmp_path / "cache")
    add(data, "0", annotations([BLOCK]))
    result = anymask("dataset", "shard", data, "-o", tmp_path / "out", "--per-shard", 2)
    assert result.code == 1 and "other images" in result.err


def test_a_link_is_not_replaced(anymask, data, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    result = anymask("dataset", "convert", data, "-o", tmp_path / "out")
    assert result.code == 1 and "is a link" in result.err and "Traceback" not in result.err


def test_dedup_leaves_out_what_it_cannot_compare(anymask, data, tmp_path):
    (data / "1.png").write_text("no image")
    result = anymask("dataset", "dedup", data, "--keep-going", "-o", tmp_path / "out")
    assert result.code == 3 and result.err.count("1.png") == 1
    assert [sample.name for sample in open_data(tmp_path / "out")] == ["0", "2"]


def test_merged_images_have_ids_of_their_own(anymask, tmp_path):
    for name in "ab":
        add(tmp_path / name, "x", image=pixels(ord(name)), image_id=1)
    assert anymask("dataset", "merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out").code == 0
    assert anymask("dataset", "validate", tmp_path / "out").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("filter", "--min-area", 1),
        ("dedup", "--no-alike"),
        ("stats",),
        ("quality",),
        ("show",),
        ("shard",),
    ],
)
def test_an_annotation_without_a_mask_is_one_line(anymask, data, tmp_path, command):
    record = json.loads((data / "1.json").read_text())
    del record["annotations"][0]["segmentation"]
    record["annotations"][1]["category"] = ["a list"]
    (data / "1.json").write_text(json.dumps(record))
    out = () if command[0] == "quality" else ("-o", tmp_path / "out")
    stopped = anymask("dataset", command[0], data, *command[1:], *out)
    assert stopped.code == 1 and stopped.err.count("\n") == 1 and "1.json: mask 1" in stopped.err
    kept = anymask("dataset", command[0], data, *command[1:], *out, "--keep-going")
    assert kept.code == 3 and "1.json: mask 1" in kept.err
    found = anymask("dataset", "validate", data)
    assert found.code == 3 and found.out.count("1.json: image 1, mask") == 2


def test_parts_are_no_folders_above(anymask, data, tmp_path):
    for parts in ("..=.5,a=.5", ".=.5,a=.5"):
        result = anymask("dataset", "split", data, "-o", tmp_path / "o" / "s", "--parts", parts)
        assert result.code == 2 and not (tmp_path / "o").exists()
    same = anymask("dataset", "split", data, "-o", tmp_path / "o", "--group", "(x)?")
    assert same.code == 2 and "val would be empty" in same.err


def test_names_that_are_not_utf_8(anymask, data, tmp_path):
    strange = b"q\xe4".decode("utf-8", "surrogateescape")
    (data / f"{strange}.png").write_bytes((data / "0.png").read_bytes())
    record = json.loads((data / "0.json").read_text())
    record["image"] |= {"file_name": f"{strange}.png", "image_id": 9}
    (data / f"{strange}.json").write_text(json.dumps(record))
    for verb in ("convert", "shard"):
        result = anymask("dataset", verb, data, "--keep-going", "-o", tmp_path / verb)
        assert result.code == 3 and "not UTF-8" in result.err
    assert anymask("dataset", "show", data, "-o", tmp_path / "show").code == 0


def test_categories_that_are_none(anymask, tmp_path):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.jpg")
    content = {**coco(), "categories": None}
    for annotation in content["annotations"]:
        del annotation["category_id"]
    path = write_json(tmp_path / "a.json", content)
    assert anymask("dataset", "convert", path, "-o", tmp_path / "out").code == 0


@pytest.mark.parametrize("frequency", [None, "f"])
def test_images_of_one_file_and_annotations_of_no_image(anymask, tmp_path, frequency):
    """In COCO's JSON and in LVIS's."""
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.jpg")
    content = coco(file_name="a.jpg")
    if frequency:
        content["categories"][0]["frequency"] = frequency
    else:
        content["images"].append({**content["images"][0], "id": 8})
    content["annotations"].append({**content["annotations"][0], "id": 9, "image_id": 99})
    path = write_json(tmp_path / "a.json", content)
    assert anymask("dataset", "convert", path, "-o", tmp_path / "out").code == 1
    result = anymask("dataset", "convert", path, "-o", tmp_path / "out", "--keep-going")
    assert result.code == 3 and "1 images, 2 masks" in result.out and "annotation 9" in result.err
    assert ("image 8: has the file a.jpg of image 7" in result.err) == (frequency is None)
