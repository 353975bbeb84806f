"""`anymask everything`: a photo, a folder that goes on where it stopped, files that fail."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.cli import everything as verb
from anymask.predict.automask import presets
from anymask.predict.automask.generator import SamAutomaticMaskGenerator
from anymask.task import rle


@pytest.fixture(autouse=True)
def easy(monkeypatch):
    """Few points and no thresholds, so that a toy model finds something at once."""
    loose = {"pred_iou_thresh": -9.0, "stability_score_thresh": 0.0, "box_nms_thresh": 0.9, "points_per_side": 3}
    monkeypatch.setitem(presets.PRESETS, "objects", loose)


@pytest.fixture()
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.png", "c.jpg", "c.png")):
        pixels = np.random.default_rng(i).integers(0, 256, (50, 70, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_photo_gives_pictures_and_a_record(anymask, toy, photo, tmp_path):
    result = anymask("everything", photo, "--model", toy, "-o", tmp_path / "out", "--json")
    assert result.code == 0
    summary = json.loads(result.out)
    record = json.loads((tmp_path / "out" / "photo.json").read_text())
    assert len(record["annotations"]) == summary["masks"] > 0
    for annotation in record["annotations"]:
        mask = rle.decode(annotation["segmentation"])
        assert mask.shape == (60, 90) and mask.sum() == annotation["area"]
        assert {"id", "bbox", "predicted_iou", "stability_score", "point_coords", "crop_box"} <= annotation.keys()
    labels = np.array(Image.open(summary["files"]["labels"]))
    assert labels.dtype == np.uint16 and labels.max() <= summary["masks"]


def test_a_folder_goes_on_where_it_stopped(anymask, toy, folder, tmp_path, interrupted):
    done = interrupted(SamAutomaticMaskGenerator, "generate", at=2)
    command = ("everything", folder, "--model", toy, "-o", tmp_path / "out")
    assert anymask(*command).code == 130
    assert {p.name for p in (tmp_path / "out").glob("*.json")} == {"a.json", "b.json"}
    done[:] = [0, 0, 0]
    assert anymask(*command).code == 0
    assert len(done) == 3 + 2, "the two that were left"
    names = {p.name for p in (tmp_path / "out").glob("*.json")}
    assert names == {"a.json", "b.json", "c.jpg.json", "c.png.json"}, "photos that share a stem keep apart"
    assert not list((tmp_path / "out").glob(".*")), "nothing temporary is left"


@pytest.mark.parametrize(("flags", "precision"), [([], "fast"), (["--precision", "exact"], "exact")])
def test_the_fast_preset_has_its_precision_unless_another_is_named(anymask, toy, photo, tmp_path, flags, precision):
    assert anymask("everything", photo, "--model", toy, "--preset", "fast", *flags, "-o", tmp_path / "out").code == 0
    settings = json.loads((tmp_path / "out" / "photo.json").read_text())["anymask"]
    assert settings["precision"] == precision and settings["options"]["skip_covered"] == 4


def test_cutouts_of_each_mask_on_demand(anymask, toy, photo, tmp_path):
    command = ("everything", photo, "--model", toy, "-o", tmp_path / "out", "--json")
    assert anymask(*command).code == 0 and not (tmp_path / "out" / "photo_cutouts").exists()
    summary = json.loads(anymask(*command, "--cutouts").out)
    cutouts = sorted((tmp_path / "out" / "photo_cutouts").iterdir())
    assert len(cutouts) == summary["masks"]
    with Image.open(cutouts[0]) as cutout:
        assert cutout.mode == "RGBA"


def test_other_settings_do_a_photo_anew(anymask, toy, folder, tmp_path, monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "parts", presets.PRESETS["objects"])
    command = ("everything", folder / "a.png", "--model", toy, "-o", tmp_path / "out", "--json")

    def done_before(*options):
        return json.loads(anymask(*command, *options).out)["done_before"]

    assert [done_before(), done_before()] == [False, True]
    assert not done_before("--preset", "parts") and done_before("--preset", "parts")
    assert not done_before("--preset", "parts", "--again")
    Image.new("RGB", (70, 50), "red").save(folder / "a.png")
    assert not done_before("--preset", "parts"), "another picture under the same name"
    (tmp_path / "out" / "a_overlay.jpg").unlink()
    assert not done_before("--preset", "parts"), "a picture of the results is gone"


def test_labels_of_others_are_not_replaced(anymask, toy, folder, tmp_path):
    labels = folder / "a.json"
    labels.write_text('{"annotations": []}')
    inside = anymask("everything", folder, "--model", toy, "-o", folder)
    assert inside.code == 2 and "among the photos" in inside.err
    single = anymask("everything", folder / "a.png", "--model", toy, "-o", folder)
    assert single.code == 1 and "was not written by anymask" in single.err
    segment = anymask("segment", folder / "a.png", "--point", "9,9", "--model", toy, "-o", folder)
    assert segment.code == 1 and "was not written by anymask" in segment.err
    assert labels.read_text() == '{"annotations": []}'
    assert {p.name for p in folder.iterdir()} == {"a.json", "a.png", "b.png", "c.jpg", "c.png", "notes.txt"}


def test_a_bad_file_is_reported_at_the_end_and_does_not_end_the_run(anymask, toy, folder, tmp_path):
    (folder / "b.png").write_bytes(b"")
    result = anymask("everything", folder, "--model", toy, "-o", tmp_path / "out")
    assert result.code == verb.SOME_FAILED
    assert "failed:" in result.err and "b.png" in result.err and "Traceback" not in result.err
    assert {p.name for p in (tmp_path / "out").glob("*.json")} == {"a.json", "c.jpg.json", "c.png.json"}


def test_what_is_no_photo_ends_in_one_line(anymask, toy, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "bad.jpg").write_text("no")
    for source, message in (("gone", "no such file"), ("none", "holds no photos"), ("bad.jpg", "not an image")):
        result = anymask("everything", tmp_path / source, "--model", toy, "-o", tmp_path / "out")
        assert result.code == 1 and message in result.err and result.err.count("\n") == 1, result.err
