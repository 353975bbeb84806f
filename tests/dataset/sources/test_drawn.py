"""Shapes that people drew: VIA, LabelMe, VISOR and WoodScape."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from labelled_data import (
    BLOCK,
    CORNERS,
    HALVES,
    HEIGHT,
    HOLE_CORNERS,
    RING,
    TWO_PARTS,
    WIDTH,
    block,
    check_masks,
    write_image,
    write_json,
)
from PIL import Image

from anymask.dataset.sources.labelme import open_labelme
from anymask.dataset.sources.shapes import ellipse, polygons, rectangle
from anymask.dataset.sources.via import open_via
from anymask.dataset.sources.visor import open_visor
from anymask.dataset.sources.woodscape import open_woodscape
from anymask.errors import DataError
from anymask.task import rle

BOXES = [(2, 15, 7, 20), (22, 15, 30, 20)]
"""of the two halves, as x0, y0, x1, y1"""


@pytest.fixture()
def folder(tmp_path):
    write_image(tmp_path / "a.jpg")
    return tmp_path


def disc(cx, cy, rx, ry, angle=0.0):
    """Pixel by pixel: whether its centre lies in an ellipse."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            turned = complex(x + 0.5 - cx, y + 0.5 - cy) * np.exp(-1j * angle)
            mask[y, x] = (turned.real / rx) ** 2 + (turned.imag / ry) ** 2 <= 1
    return mask


def test_parts_holes_and_union():
    outer, hole = CORNERS["ring"], HOLE_CORNERS
    np.testing.assert_array_equal(rle.decode(polygons([outer, hole], HEIGHT, WIDTH, holes=True)), RING)
    np.testing.assert_array_equal(rle.decode(polygons([outer, hole], HEIGHT, WIDTH)), block(2, 12, 3, 14))
    assert not rle.decode(polygons([], HEIGHT, WIDTH)).any()
    halves = [rectangle(x0, y0, x1 - x0, y1 - y0, HEIGHT, WIDTH) for x0, y0, x1, y1 in BOXES]
    np.testing.assert_array_equal(rle.decode(rle.union(halves)), TWO_PARTS)
    np.testing.assert_array_equal(rle.decode(rle.union(halves[:1])), HALVES[0])


def test_what_leads_out_of_the_image_is_cut():
    np.testing.assert_array_equal(rle.decode(rectangle(-9, 20, 14, 30, HEIGHT, WIDTH)), block(20, HEIGHT, 0, 5))
    np.testing.assert_array_equal(rle.decode(rectangle(5, 20, -5, -30, HEIGHT, WIDTH)), block(0, 20, 0, 5))


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_an_ellipse(angle):
    found = rle.decode(ellipse((15, 10.5), (9, 4), HEIGHT, WIDTH, angle))
    np.testing.assert_array_equal(found, disc(15, 10.5, 9, 4, angle))


def polygon(name, kind="polygon"):
    x, y = zip(*CORNERS[name], strict=True)
    return {"name": kind, "all_points_x": x, "all_points_y": y}


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


REGIONS = [
    region(polygon("block"), kind="cup", colour="red"),
    region(polygon("ring", "polyline"), kind="owl"),
    region({"name": "rect", "x": 2, "y": 15, "width": 5, "height": 5}),
    region({"name": "circle", "cx": 10, "cy": 12, "r": 5.5}),
    region({"name": "ellipse", "cx": 10, "cy": 12, "rx": 7, "ry": 4, "theta": 0.4}),
    region({"name": "point", "cx": 3, "cy": 3}),
]
SHAPES = [BLOCK, block(2, 12, 3, 14), HALVES[0], disc(10, 12, 5.5, 5.5), disc(10, 12, 7, 4, 0.4)]


def via(regions=REGIONS, filename="a.jpg"):
    return {f"{filename}123": {"filename": filename, "size": 123, "regions": regions, "file_attributes": {}}}


@pytest.mark.parametrize(
    "content",
    [via(), {"_via_img_metadata": via(), "_via_settings": {}}, via(dict(enumerate(REGIONS)))],
    ids=["export", "project", "version 1"],
)
def test_a_via_json(folder, content):
    [sample] = open_via(write_json(folder / "via.json", content))
    check_masks(sample, SHAPES)
    first, second, *_ = sample.objects()
    assert first.category is None and second.category == "owl"  # the first has two texts
    assert first.record["attributes"] == {"kind": "cup", "colour": "red"}
    [sample] = open_via(folder / "via.json", category="kind")
    assert [one.category for one in sample.objects()] == ["cup", "owl", None, None, None]


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([region({"name": "star"})], r"region 0: has the shape 'star'; expected polygon"),
        ([*REGIONS[:1], region({"name": "rect", "x": 1})], "region 1: has no 'y'"),
        ([region(polygon("ring") | {"all_points_y": [1, 2]})], "region 0: is malformed"),
        ([region({"name": "circle", "cx": 1, "cy": 1, "r": 0})], "region 0: .* are no ellipse"),
        ([{}], "region 0: has no 'shape_attributes'"),
    ],
)
def test_a_region_that_is_wrong_is_named(folder, regions, message):
    [sample] = open_via(write_json(folder / "via.json", via(regions)))
    with pytest.raises(DataError, match=rf"via\.json: image a, {message}"):
        _ = sample.record


def test_a_via_json_that_is_wrong(folder):
    path = folder / "via.json"
    for content, message in (([], "is malformed"), ({"a": {"filename": "a.jpg"}}, "has no 'regions'")):
        with pytest.raises(DataError, match=rf"via\.json: {message}.*expected a VIA JSON"):
            open_via(write_json(path, content))
    with pytest.raises(DataError, match=r"lists the image a\.jpg 2 times"):
        open_via(write_json(path, via() | {"again": via()["a.jpg123"]}))
    [sample] = open_via(write_json(path, via(filename="b.jpg")))
    with pytest.raises(DataError, match=r"image b: no image .*b\.jpg"):
        _ = sample.record


def labelme(shapes, **content):
    return {"imagePath": "..\\a.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes, **content}


def shape(kind, points, label="cup", **more):
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, **more}


def painted():
    buffer = io.BytesIO()
    Image.fromarray(RING[2:12, 3:14]).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_labelme_folder(folder):
    (x0, y0, x1, y1), (x2, y2, x3, y3) = BOXES
    shapes = [
        {"label": "cup", "points": CORNERS["block"]},
        shape("rectangle", [[x0, y0], [x1, y1]], "pair", group_id=1, flags={"old": True}),
        shape("point", [[1, 1]]),
        shape("circle", [[10, 12], [14, 15]]),
        shape("rectangle", [[x3, y3], [x2, y2]], "pair", group_id=1),
        shape("mask", [[3, 2], [13, 11]], "ring", mask=painted()),
        shape("linestrip", [[1, 1], [2, 2]]),
    ]
    write_json(folder / "a.json", labelme(shapes))
    for path in (folder, folder / "a.json"):
        [sample] = open_labelme(path)
        check_masks(sample, [BLOCK, TWO_PARTS, disc(10, 12, 5, 5), RING])
        assert [one.category for one in sample.objects()] == ["cup", "pair", "cup", "ring"]
    assert sample.objects()[1].record["flags"] == {"old": True} and sample.objects()[1].record["group_id"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (labelme([shape("star", [[1, 1]])]), "shape 0: has the shape_type 'star'"),
        (labelme([shape("rectangle", [[1, 1]])]), "shape 0: is malformed"),
        (labelme([{"points": CORNERS["block"]}]), "shape 0: has no 'label'"),
        (labelme([shape("mask", [[3, 2], [13, 11]], mask="AAAA")]), "shape 0: is malformed"),
        (labelme([shape("mask", [[3, 2], [13, 12]], mask=painted())]), "shape 0: its mask of shape .* does not fill"),
        (labelme([], imageHeight=9), "says its image is 36×9 pixels .*a.jpg is 36×24"),
        ({"imagePath": "a.jpg"}, "has no 'shapes'"),
        ([], "is malformed"),
    ],
)
def test_a_labelme_json_that_is_wrong(folder, content, message):
    write_json(folder / "a.json", content)
    with pytest.raises(DataError, match=rf"a\.json: {message}"):
        _ = open_labelme(folder)[0].record


def test_a_labelme_folder_that_is_wrong(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json; expected LabelMe's"):
        open_labelme(tmp_path)
    write_json(tmp_path / "a.json", labelme([]))
    with pytest.raises(DataError, match=r"a\.json: no image .*photos/a\.jpg"):
        _ = open_labelme(tmp_path, tmp_path / "photos")[0].record
    write_image(tmp_path / "photos" / "a.png")
    check_masks(open_labelme(tmp_path, tmp_path / "photos")[0], [])


def visor(**annotation):
    pan = {"id": "x1", "name": "pan", "class_id": 5, "segments": [CORNERS["ring"], HOLE_CORNERS]}
    hidden = {"id": "x2", "name": "lid", "segments": []}
    image = {"name": "P01_1.jpg", "image_path": "P01/x.jpg"}
    return {"video_annotations": [{"image": image, "annotations": [hidden, {**pan, **annotation}]}]}


def test_a_visor_folder(tmp_path):
    write_json(tmp_path / "annotations" / "P01.json", visor())
    write_image(tmp_path / "frames" / "P01" / "P01_1" / "P01_1.jpg")
    [sample] = open_visor(tmp_path / "annotations", tmp_path / "frames")
    check_masks(sample, [RING])
    [pan] = sample.objects()
    assert pan.category == "pan" and pan.record["source_id"] == "x1" and pan.record["class_id"] == 5
    check_masks(open_visor(tmp_path / "annotations" / "P01.json", tmp_path / "frames")[0], [RING])


def test_a_visor_folder_that_is_wrong(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json; expected VISOR's"):
        open_visor(tmp_path)
    write_json(tmp_path / "P01.json", {"video_annotations": [{"image": {}}]})
    with pytest.raises(DataError, match=r"P01\.json: has no 'name'; expected a VISOR JSON"):
        open_visor(tmp_path)
    write_json(tmp_path / "P01.json", visor(segments=[[[1, "a"]]]))
    with pytest.raises(DataError, match=r"P01\.json: frame P01_1: no image .*P01_1\.jpg"):
        _ = open_visor(tmp_path)[0].record
    write_image(tmp_path / "P01_1.jpg")
    with pytest.raises(DataError, match=r"P01\.json: frame P01_1, annotation 1: is no polygon"):
        _ = open_visor(tmp_path)[0].record


def woodscape(**annotation):
    car = {"id": "c", "tags": ["car"], "segmentation": CORNERS["block"], "z_order": 1, "states": {}}
    content = {"image_width": WIDTH, "image_height": HEIGHT, "annotation": [{**car, **annotation}]}
    return {"1_FV.json": content}


def test_a_woodscape_folder(tmp_path):
    write_json(tmp_path / "labels" / "1_FV.json", woodscape())
    write_image(tmp_path / "images" / "1_FV.png")
    [sample] = open_woodscape(tmp_path / "labels", tmp_path / "images")
    check_masks(sample, [BLOCK])
    [car] = sample.objects()
    assert car.category == "car" and car.record["z_order"] == 1 and sample.name == "1_FV"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (woodscape(tags=[]), "annotation 0: is malformed"),
        (woodscape(segmentation=[1]), "annotation 0: is no polygon"),
        ({"a": {"image_width": 3}}, "has no 'image_height'"),
        ({}, "is malformed"),
    ],
)
def test_a_woodscape_json_that_is_wrong(tmp_path, content, message):
    write_json(tmp_path / "1_FV.json", content)
    with pytest.raises(DataError, match=r"1_FV\.json: no image .*1_FV\.png"):
        _ = open_woodscape(tmp_path)[0].record
    write_image(tmp_path / "1_FV.png")
    with pytest.raises(DataError, match=rf"1_FV\.json: {message}"):
        _ = open_woodscape(tmp_path)[0].record


def test_a_woodscape_folder_that_is_empty(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json; expected WoodScape's"):
        open_woodscape(tmp_path)
