"""`anymask eval human`: from labelled images to a page, and from ratings to figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.task import rle


@pytest.fixture()
def folder(tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    for name in "abc":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
        mask = np.zeros((64, 64), bool)
        mask[10:50, 10:50] = True
        record = {"image": {"file_name": f"{name}.png", "width": 64, "height": 64}}
        record["annotations"] = [{"id": 1, "segmentation": rle.encode(mask)}]
        (folder / f"{name}.json").write_text(json.dumps(record))
    return folder


def test_from_images_to_a_table(anymask, folder, toy, tmp_path):
    made = anymask("eval", "human", "page", folder, "--model", toy, "--objects", 2, "-o", tmp_path / "study")
    assert made.code == 0 and "4 masks to rate" in made.out, made.err
    key = json.loads((tmp_path / "study" / "key.json").read_text())
    assert "ground truth" not in (tmp_path / "study" / "study.html").read_text(), "it does not say whose a mask is"
    values = {"toy": 3, "ground truth": 9}
    ratings = {number: {"rating": values[item["source"]], "seconds": 2} for number, item in key["items"].items()}
    saved = tmp_path / "ada.json"
    saved.write_text(json.dumps({"study": key["study"], "rater": "Ada", "ratings": ratings}))
    read = anymask("eval", "human", "read", saved, "--key", tmp_path / "study" / "key.json", "--json")
    figures = json.loads(read.out)
    assert figures["toy, mean rating"]["value"] == 3 and figures["ground truth, mean rating"]["value"] == 9
    shown = anymask("eval", "human", "read", saved, "--key", tmp_path / "study" / "key.json")
    assert "ground truth, mean rating" in shown.out and "9.00" in shown.out


def test_what_does_not_fit_is_one_line(anymask, folder, toy, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")
    for arguments, message in (
        (("page", folder, "--model", toy, "--objects", 9, "-o", tmp_path / "study"), "3 objects"),
        (("read", wrong, "--key", tmp_path / "key.json"), "key.json"),
        (("page", tmp_path / "gone"), "gone: no such folder"),
    ):
        result = anymask("eval", "human", *arguments)
        assert result.code == 1 and message in result.err and result.err.count("\n") == 1, result.err
    assert not (tmp_path / "study").exists()
