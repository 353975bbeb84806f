"""CVAT's XML: every shape with an area, groups as one object, what is wrong named with its place."""

from __future__ import annotations

import numpy as np
import pytest
from labelled_data import BLOCK, CORNERS, HALVES, HEIGHT, TWO_PARTS, WIDTH, write_image

from anymask.dataset.formats import open_data
from anymask.errors import DataError

POINTS = ";".join(f"{x},{y}" for x, y in CORNERS["block"])
POLYGON = f'<polygon label="block" points="{POINTS}"><attribute name="colour">red</attribute></polygon>'
BOXES = "".join(
    f'<box label="pair" group_id="4" xtl="{x.min()}" ytl="{y.min()}" xbr="{x.max() + 1}" ybr="{y.max() + 1}"/>'
    for y, x in (np.nonzero(half) for half in HALVES)
)
PAINTED = '<mask label="dots" left="1" top="2" width="3" height="2" rle="1, 2, 3"/>'
OTHER = '<points label="nose" points="1,2"/><polyline label="line" points="1,2;3,4"/>'


def write(folder, shapes, name="photo.png"):
    write_image(folder / "images" / "photo.png")
    image = f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
    path = folder / "annotations.xml"
    path.write_text(f"<annotations><version>1.1</version>{image}</annotations>", encoding="utf-8")
    return path


def test_shapes_become_objects(tmp_path):
    [sample] = open_data(write(tmp_path, POLYGON + BOXES + OTHER + PAINTED))
    block, pair, dots = sample.objects()
    assert [each.category for each in (block, pair, dots)] == ["block", "pair", "dots"]
    assert np.array_equal(block.mask, BLOCK) and block.record["attributes"] == {"colour": "red"}
    assert np.array_equal(pair.mask, TWO_PARTS)
    assert np.argwhere(dots.mask).tolist() == [[2, 2], [2, 3]]


def test_an_ellipse_is_turned(tmp_path):
    turned = '<ellipse label="egg" cx="12" cy="12" rx="8" ry="3" rotation="90"/>'
    [sample] = open_data(write(tmp_path, turned))
    rows, columns = np.nonzero(sample.objects()[0].mask)
    assert np.ptp(rows) == 15 and np.ptp(columns) == 5


@pytest.mark.parametrize(
    ("shapes", "name", "message"),
    [
        ('<polygon label="a" points="1,2;3"/>', "photo.png", "polygon 0"),
        ('<mask label="a" left="1" top="2" width="3" height="2" rle="1, 2"/>', "photo.png", "do not fit the image"),
        ('<star label="a"/>', "photo.png", "is a star"),
        ('<box label="a" xtl="1"/>', "photo.png", "has no 'ytl'"),
        (POLYGON, "../photo.png", "leads out of the folder"),
        (POLYGON, "gone.png", "no image"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, shapes, name, message):
    with pytest.raises(DataError, match=message) as caught:
        _ = [sample.record for sample in open_data(write(tmp_path, shapes, name))]
    assert "annotations.xml" in str(caught.value)


@pytest.mark.parametrize("content", ["<annotations", "<annotations/>"])
def test_what_is_no_such_xml_is_refused(tmp_path, content):
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(DataError, match=r"a\.xml"):
        open_data(tmp_path / "a.xml")
