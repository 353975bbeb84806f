"""What is found is blurred, and nothing else; a person may decide; a record says what was done."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import onnx
import pytest
from labelled_sets import add, labelled_set, pixels
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from anymask.dataset import detectors
from anymask.dataset.convert import Target, convert
from anymask.dataset.detectors import Region, faces, onnx_detector, plates
from anymask.dataset.privacy import Blur, blur, detect, read_decisions, write_decisions
from anymask.dataset.privacy_page import write_review
from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.errors import ConfigError, DataError, ImageError

FACE = (181, 75, 260, 154)
"""of the astronaut, in examples/photos"""


@pytest.fixture(scope="module")
def astronaut():
    return np.asarray(Image.open("examples/photos/astronaut.jpg").convert("RGB"))


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inter / (sum(areas) - inter)


def test_the_cascade_finds_a_face_at_any_size(astronaut):
    for scale in (1.0, 3.5):
        image = cv2.resize(astronaut, None, fx=scale, fy=scale)
        found = faces()(image)
        assert max(overlap([side / scale for side in region.box], FACE) for region in found) > 0.7
        assert all(region.kind == "face" for region in found)
    assert faces()(astronaut[:9, :300]) == []


def test_plates_are_looked_for_where_opencv_can(monkeypatch, tmp_path):
    """OpenCV 4 carries a cascade, 5 none; what stands for the former finds a box on the small image."""
    monkeypatch.setattr(cv2, "data", type("Data", (), {"haarcascades": str(tmp_path)}), raising=False)
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    assert plates() is None

    class Cascade:
        def __init__(self, file):
            assert file.endswith("russian_plate_number.xml")

        def detectMultiScale(self, grey, *_):  # noqa: N802  OpenCV's name
            assert grey.shape == (640, 1280)
            return [(100, 50, 40, 20)]

    monkeypatch.setattr(cv2, "CascadeClassifier", Cascade, raising=False)
    assert plates() is None, "the class without the file is not enough"
    (tmp_path / detectors.PLATE_CASCADE).write_text("")
    assert plates()(np.zeros((1280, 2560, 3), np.uint8)) == [Region("plate", (200, 100, 280, 140))]


def write_detector(path, output, names=None, sides=(64, 64)):
    """An ONNX file that gives the same output for every image, but for no more than 0 where the image is black."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
            helper.make_node("Sign", ["brightest"], ["is_lit"]),
            helper.make_node("Mul", ["boxes", "is_lit"], ["output"]),
        ],
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *sides])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, list(output.shape))],
        [numpy_helper.from_array(output.astype(np.float32), "boxes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if names:
        helper.set_model_props(model, {"names": str(names)})
    onnx.save(model, path)
    return path


CENTRES = np.array([[[32, 33, 10], [32, 32, 40], [16, 16, 8], [8, 8, 8], [0.9, 0.8, 0.1], [0.1, 0.2, 0.7]]])
"""two boxes that overlap, the first the surer one, and one of the second class"""
CORNERS = np.array(
    [[[24, 28, 40, 36, 0.9, 0], [25, 28, 41, 36, 0.8, 0], [6, 36, 14, 44, 0.7, 1], [0, 0, 9, 9, 0.1, 1]]]
)
"""the same, and one that is not sure"""


@pytest.mark.parametrize("output", [CENTRES, CORNERS])
def test_a_detector_in_a_file(tmp_path, output):
    """An image of 256×128 is fitted into 64×64 at a quarter, with 16 rows of border above."""
    path = write_detector(tmp_path / "d.onnx", output, {0: "face", 1: "plate"})
    image = np.full((128, 256, 3), 9, np.uint8)
    found = onnx_detector(path)(image)
    assert [(region.kind, region.box) for region in found] == [
        ("face", (96, 48, 160, 80)),
        ("plate", (24, 80, 56, 112)),
    ]
    assert [region.score for region in found] == [0.9, 0.7]
    assert [region.kind for region in onnx_detector(path, "head", 0.8)(image)] == ["head"]


def test_files_that_are_no_detectors(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    flat = write_detector(tmp_path / "flat.onnx", np.zeros((1, 3)))
    for path, message in ((tmp_path / "none.onnx", "no such file"), (tmp_path / "text.onnx", "cannot be read as ONNX")):
        with pytest.raises(ConfigError, match=message):
            onnx_detector(path)
    with pytest.raises(ConfigError, match=r"gives \(1, 3\); expected"):
        onnx_detector(flat)(np.zeros((8, 8, 3), np.uint8))


def test_what_is_blurred_cannot_be_recognised_and_the_rest_stays(astronaut):
    before = astronaut.copy()
    found = blur(astronaut, [Region("face", FACE), Region("far", (900, 900, 950, 950))])
    assert np.array_equal(astronaut, before)
    x0, y0, x1, y1 = FACE
    detail = [cv2.Laplacian(image[y0:y1, x0:x1], cv2.CV_64F).std() for image in (astronaut, found)]
    assert detail[1] < 0.05 * detail[0]
    assert not any(overlap(region.box, FACE) > 0.3 for region in faces()(found))
    changed = (found != astronaut).any(2)
    assert changed[y0:y1, x0:x1].mean() > 0.95
    y, x = np.nonzero(changed)
    assert x.min() >= x0 - 13 and x.max() <= x1 + 13 and y.min() >= y0 - 13 and y.max() <= y1 + 13


def test_a_region_at_the_edge():
    image = pixels(0, 60, 90)
    found = blur(image, [Region("face", (-20, -10, 12, 12))])
    assert found.shape == image.shape and (found[:12, :12] != image[:12, :12]).any(2).mean() > 0.9
    assert np.array_equal(blur(image, []), image)


@pytest.fixture()
def folder(tmp_path, astronaut):
    folder = labelled_set(tmp_path / "x", 2)
    records = json.loads((folder / "0.json").read_text())["annotations"]
    add(folder, "z", records[:0], astronaut, width=512, height=512)
    return folder


def test_images_are_written_blurred_and_the_others_as_they_were(folder, tmp_path):
    samples = open_folder(folder)
    found = detect(samples, [faces()])
    assert found.keys() == {"0", "1", "z"} and found["z"] and not found["0"]
    convert(samples, tmp_path / "out", Target(images="link"), change=Blur(found))
    again = {sample.name: sample for sample in open_folder(tmp_path / "out")}
    assert (tmp_path / "out" / "0.png").read_bytes() == (folder / "0.png").read_bytes()
    assert not (tmp_path / "out" / "z.png").is_symlink()
    assert np.array_equal(again["z"].image(), blur(samples[2].image(), found["z"]))
    told = again["z"].record["image"]["blurred"]
    assert len(told) == len(found["z"]) and {"kind", "box", "score"} == told[0].keys()
    assert "blurred" not in again["0"].record["image"]


def test_a_camera_that_was_held_upright_is_blurred_where_a_person_sees_it(tmp_path):
    image = pixels(3, 40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = add(tmp_path / "x", "a", [], image, width=40, height=60).with_suffix(".png")
    Image.fromarray(image).save(path, exif=exif)
    samples = open_folder(tmp_path / "x")
    convert(samples, tmp_path / "out", Target(), change=Blur({"a": [Region("face", (2, 4, 20, 30))]}))
    [again] = open_folder(tmp_path / "out")
    assert np.array_equal(again.image(), blur(samples[0].image(), [Region("face", (2, 4, 20, 30))]))


def test_images_that_cannot_be_read(folder):
    (folder / "1.png").write_text("no image")
    with pytest.raises(ImageError, match=r"1\.png"):
        detect(open_folder(folder), [])
    problems = Problems(keep_going=True)
    assert detect(open_folder(folder), [], problems).keys() == {"0", "z"} and len(problems.found) == 1


def test_decisions(tmp_path):
    decided = {"a": [Region("face", (1, 2, 3, 4), 0.5), Region("drawn", (5, 6, 7, 8))], "b": []}
    write_decisions(tmp_path / "d.json", decided, "how")
    assert read_decisions(tmp_path / "d.json") == {"a": decided["a"]}
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["how"] == "how" and content["looked_at"] == 2
    content["images"]["a"][0]["blur"] = False
    (tmp_path / "d.json").write_text(json.dumps(content))
    assert read_decisions(tmp_path / "d.json") == {"a": decided["a"][1:]}


REGIONS = ('[{"kind": "x"}]', '[{"kind": "x", "box": [5, 5, 1, 1]}]', '{"kind": "x"}')


@pytest.mark.parametrize("content", ["{", "[]", "{}", *(f'{{"images": {{"a": {regions}}}}}' for regions in REGIONS)])
def test_decisions_that_are_none(tmp_path, content):
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(DataError, match=r"d\.json: holds no decisions"):
        read_decisions(tmp_path / "d.json")


def test_the_page_of_a_review(folder, tmp_path):
    samples = open_folder(folder)
    found = {"z": [Region("face", FACE, 0.5)]}
    assert write_review(tmp_path / "page.html", samples, found) == 1
    [item] = json.loads(re.search(r"const images = (\[.*?\]);\n", (tmp_path / "page.html").read_text(), re.DOTALL)[1])
    assert item["name"] == "z" and (item["width"], item["height"]) == (512, 512)
    assert item["regions"] == [{"kind": "face", "box": list(FACE), "score": 0.5, "blur": True}]
    assert write_review(tmp_path / "page.html", samples, found, everything=True) == 3
    with pytest.raises(DataError, match="nothing was found"):
        write_review(tmp_path / "none.html", samples, {})
    assert not (tmp_path / "none.html").exists()
