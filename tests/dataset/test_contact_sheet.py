"""Pages of small pictures: every image, every mask, in HTML that is whole and fetches nothing."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from labelled_data import MASKS, RING
from labelled_sets import add, annotations, labelled_set, pixels
from PIL import Image
from pycocotools import mask as coco

from anymask.dataset.contact_sheet import SIDE, write_sheet
from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.errors import ImageError, OutputError


def sheet(page):
    """What a page shows."""
    text = page.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert text.count("</script>") == 1, "no name ends the script"
    return json.loads(re.search(r"const sheet = (.*);\n", text)[1])


def drawn(path, height, width):
    """The mask that an SVG path encloses, by the rule of even and odd crossings."""
    found = np.zeros((height, width), bool)
    for ring in path.split("z")[:-1]:
        start, *moves = re.findall(r"M(\d+) (\d+)|([hv])(-?\d+)", ring)
        x, y = int(start[0]), int(start[1])
        corners = [x, y]
        for _, _, way, by in moves:
            x, y = (x + int(by), y) if way == "h" else (x, y + int(by))
            corners += [x, y]
        found ^= coco.decode(coco.frPyObjects([corners], height, width)[0]).astype(bool)
    return found


def test_every_image_and_mask_is_there(tmp_path):
    folder = labelled_set(tmp_path / "x", 2, category="cup", predicted_iou=0.5)
    add(folder, "none", [])
    page = sheet(write_sheet(open_folder(folder), tmp_path / "out", "a title"))
    assert (page["title"], page["total"], page["pages"]) == ("a title", 3, 1)
    assert [(item["name"], len(item["masks"])) for item in page["items"]] == [("0", 2), ("1", 2), ("none", 0)]
    item = page["items"][0]
    picture = Image.open(io.BytesIO(base64.b64decode(item["image"].partition(",")[2])))
    assert picture.size == (item["width"], item["height"]) == (36, 24)
    by_size = sorted(MASKS, key=lambda mask: -mask.sum())
    for mask, expected in zip(item["masks"], by_size, strict=True):
        assert np.array_equal(drawn(mask["path"], 24, 36), expected)
    assert item["masks"][0]["about"] == "cup, mask 1, 90 pixels, predicted IoU 0.50"


def test_large_images_are_shown_small(tmp_path):
    image = pixels(0, 960, 1440)
    mask = np.kron(RING, np.ones((40, 40), bool))
    add(tmp_path / "x", "a", annotations([mask]), image, width=1440, height=960)
    [item] = sheet(write_sheet(open_folder(tmp_path / "x"), tmp_path / "out", "x"))["items"]
    assert (item["width"], item["height"], item["size"]) == (SIDE, 320, "1440×960")
    shown = drawn(item["masks"][0]["path"], 320, SIDE)
    assert abs(shown.mean() - mask.mean()) < 0.01


def test_pages(tmp_path):
    told = []
    samples = open_folder(labelled_set(tmp_path / "x", 5))
    write_sheet(samples, tmp_path / "out", "x", per_page=2, progress=lambda *counts: told.append(counts))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "page_2.html", "page_3.html"}
    last = sheet(tmp_path / "out" / "page_3.html")
    assert (last["page"], last["pages"], len(last["items"])) == (3, 3, 1) and last["names"][2] == "page_3.html"
    assert told[-1] == (5, 5)
    with pytest.raises(OutputError, match="not empty"):
        write_sheet(samples, tmp_path / "out", "x")


def test_names_that_are_no_html(tmp_path):
    add(tmp_path / "x", "ä b", annotations([RING], category="</script><b>"))
    [item] = sheet(write_sheet(open_folder(tmp_path / "x"), tmp_path / "out", "<i>"))["items"]
    assert item["masks"][0]["category"] == "</script><b>" and item["name"] == "ä b"


def test_what_is_wrong_stops_it_or_is_left_out(tmp_path):
    folder = labelled_set(tmp_path / "x", 2)
    (folder / "0.png").write_text("no image")
    with pytest.raises(ImageError, match=r"0\.png"):
        write_sheet(open_folder(folder), tmp_path / "out", "x")
    assert not (tmp_path / "out").exists()
    problems = Problems(keep_going=True)
    assert len(sheet(write_sheet(open_folder(folder), tmp_path / "out", "x", problems=problems))["items"]) == 1
    assert len(problems.found) == 1


def test_thin_masks_are_shown(tmp_path):
    mask = np.zeros((960, 2400), bool)
    mask[500:502] = True
    add(tmp_path / "x", "a", annotations([mask], category="<!--<script>"), pixels(0, 960, 2400), width=2400, height=960)
    page = write_sheet(open_folder(tmp_path / "x"), tmp_path / "out", "x")
    assert "<!--<script>" not in page.read_text()
    [item] = sheet(page)["items"]
    assert item["masks"][0]["category"] == "<!--<script>" and drawn(item["masks"][0]["path"], 192, SIDE).any()
