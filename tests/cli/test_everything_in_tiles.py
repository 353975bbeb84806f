"""`anymask everything --tile`: a large image, tile by tile, which goes on where it was cut."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask import SamAutomaticMaskGenerator, everything_in_tiles, load_model
from anymask.predict.automask import presets
from anymask.task import rle

OPTIONS = {"pred_iou_thresh": -9.0, "stability_score_thresh": 0.0, "box_nms_thresh": 0.9, "points_per_side": 2}


@pytest.fixture(autouse=True)
def easy(monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "objects", OPTIONS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)  # put back behind the test


@pytest.fixture()
def pixels():
    return np.random.default_rng(0).integers(0, 256, (300, 170, 3), np.uint8)


@pytest.fixture()
def array(tmp_path, pixels):
    np.save(tmp_path / "city.npy", pixels)
    return tmp_path / "city.npy"


@pytest.fixture()
def tiles_done(interrupted):
    """The tiles that were looked at, one entry each; where there are three, a run is interrupted."""
    return interrupted(SamAutomaticMaskGenerator, "candidates", at=3)


def test_an_array_gives_the_masks_of_its_tiles(anymask, toy, array, pixels, tmp_path):
    result = anymask("everything", array, "--tile", 100, "--model", toy, "-o", tmp_path / "out", "--cutouts", "--json")
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "out" / "city.json").read_text())
    generator = SamAutomaticMaskGenerator(load_model(toy), output_mode="coco_rle", **OPTIONS)
    expected = everything_in_tiles(generator, pixels, 100)
    assert [each["segmentation"] for each in record["annotations"]] == [each.mask for each in expected] != []
    assert record["image"]["height"] == 300 and record["anymask"]["options"]["tile"] == 100
    summary = json.loads(result.out)
    assert summary["masks"] == len(expected) == len(list((tmp_path / "out" / "city_cutouts").iterdir()))
    assert set(summary["files"]) == {"overlay", "record"}
    with Image.open(tmp_path / "out" / "city_cutouts" / "001.png") as cutout:
        whole = rle.decode(expected[0].mask)
        solid = np.asarray(cutout)[..., 3] > 127
        assert abs(int(solid.sum()) - int(whole.sum())) < 0.1 * whole.sum()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"city.json", "city_overlay.jpg", "city_cutouts"}


def test_a_photo_over_pillows_limit_is_done_with_a_tile_alone(anymask, toy, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "city.png")
    command = ("everything", tmp_path / "city.png", "--model", toy, "-o", tmp_path / "out")
    whole = anymask(*command)
    assert whole.code == 1 and "--tile" in whole.err and whole.err.count("\n") == 1
    assert anymask(*command, "--tile", 200).code == 0


def test_a_run_that_is_cut_goes_on_behind_its_last_tile(anymask, toy, array, tmp_path, tiles_done):
    command = ("everything", array, "--tile", 100, "--model", toy, "-o", tmp_path / "out")
    assert anymask(*command).code == 130
    assert [p.suffix for p in (tmp_path / "out").iterdir()] == [".jsonl"]
    tiles_done[:] = [0] * 9  # of 2×4 tiles, 2 that see half as finely, and one that sees all
    assert anymask(*command).code == 0
    assert len(tiles_done) == 9 + 8, "those that were left"
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert "done before" in anymask(*command).out
    other = anymask(*command[:3], 120, *command[4:])
    assert other.code == 0 and "done before" not in other.out


def test_a_run_that_does_it_again_goes_on_as_well(anymask, toy, array, tmp_path, tiles_done):
    command = ("everything", array, "--tile", 100, "--model", toy, "-o", tmp_path / "out")
    assert anymask(*command[:2], *command[4:5], *command[5:]).code == 1, "an array without tiles"
    tiles_done[:] = [0] * 9
    assert anymask(*command).code == 0
    tiles_done.clear()
    assert anymask(*command, "--again").code == 130
    tiles_done[:] = [0] * 9
    assert anymask(*command).code == 0 and len(tiles_done) == 9 + 8
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"city.json", "city_overlay.jpg"}


def test_a_folder_of_photos_and_arrays(anymask, toy, array, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "town.png")
    result = anymask("everything", tmp_path, "--tile", 200, "--model", toy, "-o", tmp_path / "out", "--json")
    assert result.code == 0
    first, second = (json.loads(line) for line in result.out.splitlines())
    assert first["masks"] == second["masks"] > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((50, 60)), "expected an array of H×W×3 uint8, got float64 of (50, 60)"),
        (np.array([{}], object), "written with numpy.save"),
        (b"no", "written with numpy.save"),
        (b"", "written with numpy.save"),
        (b"PK", "written with numpy.save"),
    ],
)
def test_what_is_no_image_ends_in_one_line(anymask, toy, tmp_path, content, message):
    path = tmp_path / "city.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content, allow_pickle=True)
    result = anymask("everything", path, "--tile", 100, "--model", toy, "-o", tmp_path / "out")
    assert result.code == 1 and message in result.err and result.err.count("\n") == 1, result.err


def test_a_tile_is_not_too_small(anymask, toy, array, tmp_path):
    result = anymask("everything", array, "--tile", 20, "--model", toy, "-o", tmp_path / "out")
    assert result.code == 2 and "--tile" in result.err
