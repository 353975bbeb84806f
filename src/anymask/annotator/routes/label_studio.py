"""Label Studio's machine learning backend: smart points and boxes in it become masks.

In Label Studio: Settings, Model, Connect Model, with the address of this server and `/integrations/label-studio`, the
token as the password of basic authentication, and "interactive preannotations" on. Its tasks are of photos that lie in
this project's folder, too, by their file names, or of photos inside the task (data URLs).
"""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

from fastapi import APIRouter, Body
from sqlalchemy import select

from ... import __version__
from ...data_engine.store.tables import ImageRow
from ...errors import DataError, PromptError
from ...task import rle
from ...task.polygons import polygons
from ...task.prompts import Prompt
from ..brush import pack_brush
from ..segmenter import Photo
from ..services import Services
from .people import Person, Work

router = APIRouter(prefix="/integrations/label-studio", tags=["Label Studio"])

Json = Annotated[dict[str, Any], Body()]


@router.get("/health")
def health() -> dict[str, str]:
    """Whether the backend is there."""
    return {"status": "UP", "model_class": "anymask"}


@router.post("/setup")
def setup(work: Work, _: Person, __: Json) -> dict[str, str]:
    """What Label Studio asks when it connects."""
    return {"model_version": _version(work)}


@router.post("/predict")
def predict(work: Work, _: Person, given: Json) -> dict[str, Any]:
    """A mask for the points and the box that somebody just made; nothing where there are none."""
    context = ((given.get("params") or {}).get("context") or {}).get("result") or []
    tasks = given.get("tasks") or []
    if not context or not tasks:
        return {"results": [], "model_version": _version(work)}
    try:
        kind, from_name, to_name, key = _tags(given.get("label_config") or "")
        prompt, label = _prompt(context)
        photo = _photo(work, str(tasks[0]["data"][key]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"Label Studio sent what is not understood ({type(error).__name__}: {error})") from None
    found = work.segmenter.segment(photo, prompt)
    mask, score, _logits = max(found, key=lambda each: each[1])
    height, width = mask["size"]
    common = {"from_name": from_name, "to_name": to_name, "type": kind, "score": score, "image_rotation": 0}
    common |= {"original_width": width, "original_height": height, "readonly": False}
    result = [{"id": uuid4().hex[:10], **common, "value": value} for value in _values(kind, mask, label)]
    answer = {"result": result, "score": score, "model_version": _version(work)}
    return {"results": [answer], "model_version": _version(work)}


def _version(work: Services) -> str:
    return f"anymask-{__version__}-{work.segmenter.sam.config.name}"


def _tags(config: str) -> tuple[str, str, str, str]:
    """Kind and name of the tag that takes masks, the name of the image's tag, and the key of tasks that it shows."""
    try:
        root = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise DataError(f"label_config: is no XML ({error})") from None
    image = root.find(".//Image")
    for tag, kind in (("BrushLabels", "brushlabels"), ("PolygonLabels", "polygonlabels")):
        found = root.find(f".//{tag}")
        if found is not None and image is not None:
            return kind, found.attrib["name"], found.attrib["toName"], image.attrib["value"].removeprefix("$")
    raise DataError("label_config: needs an Image, and BrushLabels or PolygonLabels for the masks")


def _prompt(context: list[dict[str, Any]]) -> tuple[Prompt, str]:
    """The points and the box of what somebody made, in pixels, and their label."""
    points, labels, box, label = [], [], None, ""
    for each in context:
        value = each["value"]
        across, down = each["original_width"] / 100, each["original_height"] / 100
        x, y = value["x"] * across, value["y"] * down
        label = (value.get(each["type"]) or value.get("labels") or [""])[0]
        if each["type"].startswith("keypoint"):
            points.append([x, y])
            labels.append(int(each.get("is_positive", True)))
        elif each["type"].startswith("rectangle"):
            box = [x, y, x + value["width"] * across, y + value["height"] * down]
    if not points and box is None:
        raise PromptError("Label Studio sent neither a point nor a box; make them with smart labels")
    return Prompt(points or None, labels or None, box), label


def _photo(work: Services, given: str) -> Photo:
    """The photo that a task shows. Raises DataError for one that is neither in the folder nor in the task."""
    if given.startswith("data:"):
        try:
            content = base64.b64decode(given.partition(",")[2], validate=True)
        except ValueError:
            raise DataError("the task's photo: is no data URL in base64") from None
        return Photo.of_bytes(content, "the task's photo")
    parts = urlsplit(given)
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]  # local files of Label Studio are asked for by ?d=
    name = PurePosixPath(path).name
    with work.store.reading() as session:
        ids = list(session.scalars(select(ImageRow.id).where(ImageRow.name.endswith(name, autoescape=True))))
    if len(ids) != 1:
        raise DataError(f"{name}: {len(ids) or 'no'} photos of this name are in the project; give one, with this name")
    return work.photo(work.find(ids[0]))


def _values(kind: str, mask: rle.RLE, label: str) -> list[dict[str, Any]]:
    """The mask as values of regions: one for a brush, one a part for polygons, whose holes are left out."""
    pixels = rle.decode(mask)
    if kind == "brushlabels":
        return [{"format": "rle", "rle": pack_brush(pixels), kind: [label]}]
    height, width = pixels.shape
    return [
        {"points": [[100 * x / width, 100 * y / height] for x, y in part.outer.tolist()], "closed": True, kind: [label]}
        for part in polygons(pixels)
    ]
