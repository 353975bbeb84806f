"""Label Studio and CVAT as they ask an annotator for masks."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from anymask.annotator.brush import pack_brush
from anymask.annotator.settings import AnnotatorSettings
from anymask.model.sam import Sam
from anymask.task import rle

from .conftest import Annotator

CONFIG = """<View><Image name="photo" value="$image"/>
<{tag}Labels name="masks" toName="photo"><Label value="cat"/></{tag}Labels>
<KeyPointLabels name="points" toName="photo" smart="true"><Label value="cat"/></KeyPointLabels></View>"""


def unpacked(packed: list[int]) -> NDArray[np.uint8]:
    """The bytes of a packed picture, read as the format's description says."""
    bits = np.unpackbits(np.array(packed, np.uint8))
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int("".join(map(str, bits[at - count : at])), 2)

    size, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < size:
        repeated, length = take(1), take(sizes[take(2)]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    return np.array(values, np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (300, 451)])
def test_a_brush_comes_back_from_its_packing(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(shape) > 0.5
    mask[: shape[0] // 2] = True
    pixels = unpacked(pack_brush(mask)).reshape(*shape, 4)
    assert (pixels == 255 * mask[..., None]).all()


def ask(image: str, tag: str = "Brush", **more: Any) -> dict[str, Any]:
    """What Label Studio sends after a smart point."""
    common = {"original_width": 451, "original_height": 300, "image_rotation": 0, "from_name": "points"}
    value = {"x": 100 * 240 / 451, "y": 50, "width": 0.3, "keypointlabels": ["cat"]}
    point = {**common, "value": value, "is_positive": True, "type": "keypointlabels", "to_name": "photo", **more}
    params = {"context": {"result": [point]}}
    return {"tasks": [{"id": 1, "data": {"image": image}}], "label_config": CONFIG.format(tag=tag), "params": params}


@pytest.mark.parametrize(
    "image", ["/data/local-files/?d=photos/chelsea.jpg", "https://host/data/upload/1/chelsea.jpg", "data"]
)
def test_label_studio_gets_a_brush_for_a_point(client: TestClient, photos: Path, image: str) -> None:
    if image == "data":
        image = "data:image/jpeg;base64," + base64.b64encode((photos / "chelsea.jpg").read_bytes()).decode()
    client.headers.pop("X-Anymask")
    assert client.get("/integrations/label-studio/health").json()["status"] == "UP"
    assert "nano" in client.post("/integrations/label-studio/setup", json={"project": "1"}).json()["model_version"]
    [found] = client.post("/integrations/label-studio/predict", json=ask(image)).json()["results"]
    [region] = found["result"]
    assert (region["from_name"], region["to_name"], region["type"]) == ("masks", "photo", "brushlabels")
    assert region["value"]["brushlabels"] == ["cat"]
    pixels = unpacked(region["value"]["rle"]).reshape(300, 451, 4)
    assert pixels[150, 240, 3] == 255
    assert 0.05 < (pixels > 0).mean() < 0.9


def test_label_studio_gets_polygons_where_it_has_those(client: TestClient) -> None:
    [found] = client.post("/integrations/label-studio/predict", json=ask("x/chelsea.jpg", "Polygon")).json()["results"]
    points = np.array(found["result"][0]["value"]["points"])
    assert found["result"][0]["type"] == "polygonlabels"
    assert points.min() >= 0
    assert points.max() <= 100


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (ask("nothing.jpg"), "no photos of this name"),
        (ask("chelsea.jpg", "Choice"), "needs an Image, and BrushLabels"),
        ({**ask("chelsea.jpg"), "label_config": "<"}, "is no XML"),
        (ask("chelsea.jpg", type="choices"), "neither a point nor a box"),
        (ask("chelsea.jpg", value={}), "not understood"),
    ],
)
def test_label_studio_is_told_what_is_wrong(client: TestClient, asked: dict[str, Any], reason: str) -> None:
    answer = client.post("/integrations/label-studio/predict", json=asked)
    assert answer.status_code == 422
    assert reason in answer.json()["error"]["message"]


def test_nothing_was_pointed_at_yet(client: TestClient) -> None:
    answer = client.post("/integrations/label-studio/predict", json={"tasks": [], "params": {}})
    assert answer.json()["results"] == []


def test_label_studio_shows_the_token_as_a_password(guarded: Annotator) -> None:
    client = TestClient(guarded.app, "http://localhost:8017")
    at = "/integrations/label-studio/setup"
    assert client.post(at, json={}).status_code == 401
    assert client.post(at, json={}, auth=("x", "guess")).status_code == 401
    assert client.post(at, json={}, auth=("x", "secret")).status_code == 200


def test_cvat_finds_a_function_and_gets_a_mask(
    settings: AnnotatorSettings, nano: Sam, made: Path, photos: Path
) -> None:
    running = Annotator(replace(settings, cvat=True, token="secret"), nano)
    client = TestClient(running.app, "http://localhost:8017", headers={"x-nuclio-function-name": "anymask"})
    [function] = client.get("/api/functions").json().values()
    assert function["metadata"]["annotations"]["type"] == "interactor"
    assert function["status"]["state"] == "ready"
    assert client.get("/api/functions/anymask").json() == function
    image = base64.b64encode((photos / "chelsea.jpg").read_bytes()).decode()
    asked = {"image": image, "pos_points": [[240, 150]], "neg_points": [[440, 20]], "obj_bbox": None}
    found = client.post("/api/function_invocations", json=asked).json()
    mask = np.array(found["mask"])
    assert mask.shape == (300, 451)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[150, 240] == 255
    assert len(found["points"]) > 3
    boxed = client.post("/api/function_invocations", json={"image": image, "obj_bbox": [[20, 5], [430, 298]]})
    assert rle.area(rle.encode(np.array(boxed.json()["mask"]) > 0)) > 30_000
    assert client.post("/api/function_invocations", json={"image": "§"}).status_code == 422
    assert client.get("/api/images").status_code == 401
    running.services.close()


def test_cvat_is_not_answered_unless_it_is_wanted(client: TestClient) -> None:
    assert client.get("/api/functions").status_code == 404
