"""The annotator's server: photos, masks by the model, saving, and what is said where something is wrong."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient
from page_requests import a_put, an_object, save
from PIL import Image

from anymask import SamPredictor
from anymask.annotator import segmenter
from anymask.export.browser import unpack_embedding
from anymask.model.sam import Sam
from anymask.task import rle
from anymask.task.image import read_image


def error(answer: Any) -> tuple[int, str, str]:
    """Status, code and message of an error."""
    told = answer.json()["error"]
    return answer.status_code, told["code"], told["message"]


def job(client: TestClient, answer: Any) -> dict[str, Any]:
    """A job's last state, from its events."""
    with client.stream("GET", f"/api/jobs/{answer.json()['job']}/events") as events:
        lines = [line.removeprefix("data: ") for line in events.iter_lines() if line.startswith("data: ")]
    return dict(json.loads(lines[-1]))


def test_the_photos_of_the_folder_and_what_is_wrong_with_them(client: TestClient) -> None:
    found = client.get("/api/images").json()
    assert found["total"] == 3
    told = {image["name"]: (image["width"], image["height"], image["problem"]) for image in found["images"]}
    assert told["chelsea.jpg"] == (451, 300, None)
    assert told["more/grey.png"] == (700, 1200, None)
    assert told["broken.jpg"][0] is None
    assert "not an image" in told["broken.jpg"][2]


def test_pictures_are_upright_and_tiles_cover_the_photo(client: TestClient, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((600, 1100, 3), np.uint8)).save(folder / "turned.jpg", exif=exif)
    with (folder / "turned.jpg").open("rb") as file:
        image = client.post("/api/images", files={"file": ("held.jpg", file)}).json()
    assert (image["name"], image["width"], image["height"]) == ("held.jpg", 600, 1100)
    at = f"/api/images/{image['id']}"
    assert Image.open(io.BytesIO(client.get(f"{at}/thumbnail").content)).size == (140, 256)
    assert Image.open(io.BytesIO(client.get(f"{at}/preview").content)).size == (600, 1100)
    sizes = {
        (level, x, y): Image.open(io.BytesIO(client.get(f"{at}/tiles/{level}/{x}/{y}").content)).size
        for level, x, y in [(0, 0, 0), (0, 1, 2), (1, 0, 1), (2, 0, 0)]
    }
    assert sizes == {(0, 0, 0): (512, 512), (0, 1, 2): (88, 76), (1, 0, 1): (300, 38), (2, 0, 0): (150, 275)}
    assert error(client.get(f"{at}/tiles/0/2/0"))[:2] == (404, "missing")
    assert error(client.get(f"{at}/tiles/99/0/0"))[:2] == (404, "missing")


def test_what_was_fetched_is_not_sent_again(client: TestClient, chelsea: dict[str, Any]) -> None:
    for what in ("thumbnail", "preview", "tiles/0/0/0", "embedding"):
        at = f"/api/images/{chelsea['id']}/{what}"
        tag = client.get(at).headers["etag"]
        again = client.get(at, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")


def test_the_embedding_is_the_models(client: TestClient, chelsea: dict[str, Any], nano: Sam, photos: Path) -> None:
    answer = client.get(f"/api/images/{chelsea['id']}/embedding")
    assert answer.headers["x-anymask-model"] == "nano"
    assert answer.headers["x-anymask-weights"] == nano.weights_hash
    predictor = SamPredictor(nano)
    predictor.set_image(photos / "chelsea.jpg")
    found = unpack_embedding(answer.content, nano, predictor.frame)
    assert np.abs(found.features.numpy() - predictor.embedding.features.numpy()).max() < 0.02


def test_masks_by_points_are_those_of_the_predictor(
    client: TestClient, chelsea: dict[str, Any], nano: Sam, photos: Path
) -> None:
    predictor = SamPredictor(nano)
    predictor.set_image(photos / "chelsea.jpg")
    at = f"/api/images/{chelsea['id']}/segment"
    first = client.post(at, json={"points": [[240, 150]], "labels": [1]}).json()["masks"]
    masks, scores, _ = predictor.predict([[240, 150]], [1])
    assert [round(each["score"], 1) for each in first] == [round(float(score), 1) for score in scores]
    assert rle.iou([each["segmentation"] for each in first], [rle.encode(m) for m in masks]).diagonal().min() > 0.98
    second = {"points": [[240, 150], [440, 20]], "labels": [1, 0], "logits": first[0]["logits"]}
    [mask] = client.post(at, json=second).json()["masks"]
    assert len(base64.b64decode(mask["logits"])) == 2 * 256 * 256
    [boxed] = client.post(at, json={"box": [20, 5, 430, 298]}).json()["masks"]
    assert rle.area(boxed["segmentation"]) > 30_000


def test_a_text_finds_things_and_a_photo_may_come_along(
    client: TestClient, chelsea: dict[str, Any], photos: Path
) -> None:
    pytest.importorskip("wordllama")
    found = client.post(f"/api/images/{chelsea['id']}/segment", json={"text": "cat"}).json()["masks"]
    assert found[0]["score"] > 0.5
    with (photos / "chelsea.jpg").open("rb") as file:
        prompt = json.dumps({"points": [[240, 150]], "labels": [1]})
        sent = client.post("/api/segment", files={"file": file}, data={"prompt": prompt}).json()["masks"]
    assert len(sent) == 3
    with (photos / "chelsea.jpg").open("rb") as file:
        embedded = client.post("/api/embedding", files={"file": file})
    assert embedded.content == client.get(f"/api/images/{chelsea['id']}/embedding").content


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ({}, "nothing to segment"),
        ({"points": [[1, 2]], "labels": [1, 1]}, "labels: expected one for each"),
        ({"points": [[1, 2]], "labels": [5]}, "labels: expected 1"),
        ({"points": [[9999, 2]], "labels": [1]}, "lies outside the image"),
        ({"box": [5, 5, 1, 1]}, "empty or inverted"),
        ({"points": [[1, 2]], "labels": [1], "logits": "AAAA"}, "logits: expected base64 of 256×256"),
        ({"points": [[1, 2]], "labels": [1], "logits": "§"}, "logits: expected base64"),
        ({"points": [[1, "x"]]}, "body.points"),
        ({"pints": [[1, 2]]}, "Extra inputs"),
    ],
)
def test_what_is_no_prompt(client: TestClient, chelsea: dict[str, Any], prompt: dict[str, Any], reason: str) -> None:
    status, _, message = error(client.post(f"/api/images/{chelsea['id']}/segment", json=prompt))
    assert status == 422
    assert reason in message
    assert "\n" not in message


def test_everything_is_a_job_whose_progress_is_told(
    client: TestClient, chelsea: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenter, "POINTS_PER_SIDE", 4)
    at = f"/api/images/{chelsea['id']}/everything"
    assert error(client.get(at))[:2] == (404, "not_made")
    began = client.post(at)
    state = job(client, began)
    assert (state["state"], state["done"], state["total"]) == ("done", 16, 16)
    masks = client.get(at).json()["masks"]
    assert len(masks) == state["result"]["masks"] > 1
    assert rle.area(masks[0]["segmentation"]) == masks[0]["area"]


def test_a_job_that_nobody_wants_ends(annotator: Any, chelsea: dict[str, Any]) -> None:
    client = annotator.client()
    began = client.post(f"/api/images/{chelsea['id']}/everything").json()["job"]
    assert client.delete(f"/api/jobs/{began}").json()["state"] == "cancelled"
    assert error(client.get(f"/api/images/{chelsea['id']}/everything"))[:2] == (404, "not_made")
    assert error(client.get("/api/jobs/none"))[:2] == (404, "missing")


def test_what_is_saved_comes_back_with_who_and_how(client: TestClient, chelsea: dict[str, Any]) -> None:
    label = {"name": "cat", "colour": "#e6194b", "key": "1"}
    label_id = str(uuid4())
    assert client.put(f"/api/labels/{label_id}", json=label).json() == [{"id": label_id, **label}]
    thing = an_object(chelsea, 10, label=label_id, score=0.9, source="model", order=1)
    point = {"kind": "point", "x": 1.5, "y": 2, "label": 1}
    saved = save(client, chelsea, 0, a_put(thing, prompts=[point], duration_ms=1500))
    assert saved.json() == {"version": 1, "objects": [thing]}
    at = f"/api/images/{chelsea['id']}"
    shown = client.get(at).json()
    assert shown["objects"] == [thing]
    assert (shown["image"]["status"], shown["image"]["objects"], shown["image"]["locked_by"]) == ("started", 1, "ann")
    [told] = client.get(f"{at}/changes").json()["changes"]
    assert (told["kind"], told["person"], told["duration_ms"], told["undone"]) == ("put", "ann", 1500, False)
    assert error(client.delete(f"/api/labels/{label_id}"))[:2] == (409, "in_use")


def test_undo_goes_on_after_a_reload(client: TestClient, chelsea: dict[str, Any]) -> None:
    change = a_put(an_object(chelsea))
    save(client, chelsea, 0, change)
    [told] = client.get(f"/api/images/{chelsea['id']}/changes").json()["changes"]
    undone = save(client, chelsea, 1, {"id": str(uuid4()), "kind": "undo", "of": told["id"]})
    assert undone.json() == {"version": 2, "objects": []}
    redone = save(client, chelsea, 2, {"id": str(uuid4()), "kind": "redo", "of": told["id"]})
    assert [each["id"] for each in redone.json()["objects"]] == [change["object"]["id"]]


def test_an_old_version_is_told_what_is_there_now(client: TestClient, chelsea: dict[str, Any]) -> None:
    mine, theirs = a_put(an_object(chelsea, 0)), a_put(an_object(chelsea, 100))
    save(client, chelsea, 0, theirs)
    refused = save(client, chelsea, 0, mine)
    assert error(refused)[:2] == (409, "stale")
    told = refused.json()["error"]
    assert told["version"] == 1
    assert [each["id"] for each in told["objects"]] == [theirs["object"]["id"]]
    assert save(client, chelsea, 1, mine).json()["version"] == 2
    assert save(client, chelsea, 1, mine).json()["version"] == 2  # whose answer got lost


def test_two_people_on_one_photo(annotator: Any, chelsea: dict[str, Any]) -> None:
    ann, bob = annotator.client(), annotator.client()
    ann.post("/api/login", json={"name": "Ann"})
    bob.post("/api/login", json={"name": "Bob"})
    at = f"/api/images/{chelsea['id']}"
    assert ann.post(f"{at}/lease").status_code == 200
    status, code, message = error(bob.post(f"{at}/lease"))
    assert (status, code) == (423, "locked")
    assert message.startswith("Ann is working on this image")
    refused = save(bob, chelsea, 0, a_put(an_object(chelsea)))
    assert refused.json()["error"]["by"] == "Ann"
    assert bob.get(at).json()["image"]["locked_by"] == "Ann"
    ann.delete(f"{at}/lease")
    assert save(bob, chelsea, 0, a_put(an_object(chelsea))).status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "put"}, "put needs object"),
        ({"kind": "remove", "object_id": "x"}, "there is none"),
        ({"kind": "undo", "of": str(uuid4())}, "there is none"),
        ({"kind": "status", "status": "lost"}, "status"),
        ({"kind": "fly"}, "kind"),
        ({"kind": "put", "object": {"id": "x", "segmentation": {"size": [1, 1], "counts": "1"}}}, "expected a UUID"),
        (
            {"kind": "put", "object": {"id": str(uuid4()), "segmentation": {"size": [1, 1], "counts": "01"}}},
            "is of 1×1 pixels, the image of 451×300",
        ),
        (
            {"kind": "put", "object": {"id": str(uuid4()), "segmentation": {"size": [300, 451], "counts": "0"}}},
            "add up to 0 pixels",
        ),
    ],
)
def test_what_is_no_change(client: TestClient, chelsea: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    status, _, message = error(save(client, chelsea, 0, {"id": str(uuid4()), **change}))
    assert status in (404, 422)
    assert reason in message
    assert client.get(f"/api/images/{chelsea['id']}").json()["image"]["version"] == 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/x.png", "x.png"),
        ("C:\\temp\\..\\y.png", "y.png"),
        (".hidden.png", "hidden.png"),
        ("chelsea.png", "chelsea.png"),
        ("a?b*.png", "a_b_.png"),
        ("....png", "photo.png"),
    ],
)
def test_uploads_stay_in_the_folder(client: TestClient, folder: Path, name: str, kept: str) -> None:
    content = io.BytesIO()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(content, "PNG")
    image = client.post("/api/images", files={"file": (name, content.getvalue())}).json()
    assert image["name"] == kept
    assert read_image(folder / kept).shape == (20, 20, 3)
    again = client.post("/api/images", files={"file": (name, content.getvalue())}).json()
    assert again["name"] == kept.replace(".png", "-2.png")


def test_what_is_no_photo_is_not_kept(client: TestClient, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for content, reason in ((b"", "is empty"), (b"GIF89a", "not an image"), (b"<svg/>", "not an image")):
        status, code, message = error(client.post("/api/images", files={"file": ("x.png", content)}))
        assert (status, code) == (422, "image")
        assert reason in message
    assert sorted(folder.rglob("*")) == before


def test_a_link_out_of_the_folder_is_not_followed(client: TestClient, folder: Path, photos: Path) -> None:
    (folder / "out.jpg").symlink_to(photos / "coffee.jpg")
    with (photos / "coffee.jpg").open("rb") as file:
        client.post("/api/images", files={"file": ("in.jpg", file)})
    found = {image["name"]: image for image in client.get("/api/images").json()["images"]}
    assert "leads out of the folder" in found["out.jpg"]["problem"]
    assert error(client.get(f"/api/images/{found['out.jpg']['id']}/preview"))[:2] == (422, "image")


def test_exported_masks_come_back_by_import(client: TestClient, chelsea: dict[str, Any]) -> None:
    things = [an_object(chelsea, 10), an_object(chelsea, 200)]
    save(client, chelsea, 0, *(a_put(thing) for thing in things))
    state = job(client, client.post("/api/export", json={"format": "coco"}))
    assert (state["state"], state["result"]["images"], state["result"]["masks"]) == ("done", 1, 2)
    content = client.get(state["result"]["url"]).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert any(name.endswith("chelsea.jpg") for name in archive.namelist())
    removals = [{"id": str(uuid4()), "kind": "remove", "object_id": thing["id"]} for thing in things]
    save(client, chelsea, 2, *removals)
    sent = {"file": ("labels.zip", content)}
    state = job(client, client.post("/api/import", files=sent))
    assert state["result"] == {"images": 1, "masks": 2, "known": 0, "unmatched": 0, "problems": []}
    state = job(client, client.post("/api/import", files=sent))
    assert (state["result"]["masks"], state["result"]["known"]) == (0, 2)
    back = client.get(f"/api/images/{chelsea['id']}").json()["objects"]
    ious = rle.iou([each["segmentation"] for each in things], [each["segmentation"] for each in back])
    assert ious.max(axis=1).tolist() == [1, 1]


@pytest.mark.parametrize("format", ["sa1b", "yolo", "labelme", "via", "cvat", "instance_png"])
def test_every_format_is_exported(client: TestClient, chelsea: dict[str, Any], format: str) -> None:
    save(client, chelsea, 0, a_put(an_object(chelsea, 10)))
    state = job(client, client.post("/api/export", json={"format": format, "images": False}))
    assert state["state"] == "done", state
    assert client.get(state["result"]["url"]).status_code == 200


def test_an_export_of_nothing_and_an_import_of_nonsense_say_so(client: TestClient) -> None:
    for only, reason in (("all", "no photo has masks"), ("done", "no photo is done")):
        state = job(client, client.post("/api/export", json={"format": "coco", "only": only}))
        assert reason in state["message"]
    state = job(client, client.post("/api/import", files={"file": ("x.json", b"{}")}))
    assert (state["state"], "its format cannot be told" in state["message"]) == ("failed", True)
    for name in ("..%2Fproject.sqlite", "none.zip", "%2Fetc%2Fpasswd"):
        assert error(client.get(f"/api/exports/{name}"))[0] == 404


def test_a_zip_that_grows_too_large_is_refused(client: TestClient) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b"0" * (30 << 20))
    state = job(client, client.post("/api/import", files={"file": ("bomb.zip", content.getvalue())}))
    assert "unpacks to 30 MB, which is too much" in state["message"]


def test_the_decoder_is_told_of_and_fetched(client: TestClient, made: Path) -> None:
    told = client.get("/api/decoder").json()
    assert told["state"] == "ready"
    answer = client.get(told["url"] + "manifest.json")
    assert answer.content == (made / "manifest.json").read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    assert error(client.get("/decoders/other-0000/manifest.json"))[0] == 404
    assert error(client.get(told["url"] + "..%2f..%2fproject%2fproject.sqlite"))[0] == 404


def test_health_figures_and_the_description(client: TestClient, chelsea: dict[str, Any]) -> None:
    save(client, chelsea, 0, a_put(an_object(chelsea)))
    assert client.get("/health").json() == {"status": "ok"}
    figures = client.get("/metrics").text
    assert "anymask_changes_saved_total 1.0" in figures
    assert 'anymask_requests_total{route="/api/images/{image_id}/changes",status="200"} 1.0' in figures
    assert "/api/images/{image_id}/segment" in client.get("/openapi.json").json()["paths"]
