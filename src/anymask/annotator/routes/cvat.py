"""What CVAT asks of a Nuclio server with one function: an interactor that makes masks of points and boxes.

For CVAT, started with NUCLIO_HOST and CVAT_NUCLIO_PORT set to this server's and CVAT_NUCLIO_INVOKE_METHOD=dashboard. It
sends no token and each photo along; nothing of the project can be reached by these routes.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel

from ...errors import PromptError
from ...task import rle
from ...task.polygons import polygons
from ...task.prompts import Prompt
from ..segmenter import Photo
from .people import Work

router = APIRouter(prefix="/api", tags=["CVAT"])

NAME = "anymask"


class Invocation(BaseModel):
    """What CVAT sends: a photo in base64, points, and a box as its two corners."""

    image: str
    pos_points: list[tuple[float, float]] = []
    neg_points: list[tuple[float, float]] = []
    obj_bbox: list[tuple[float, float]] | None = None


@router.get("/functions")
def read_functions(work: Work) -> dict[str, Any]:
    """The functions that there are, by name."""
    return {NAME: read_function(work, NAME)}


@router.get("/functions/{name}")
def read_function(work: Work, name: str) -> dict[str, Any]:
    """The one function, whatever it is called."""
    sam = work.segmenter.sam
    about = {
        "name": f"anymask, {sam.config.name}",
        "type": "interactor",
        "framework": "pytorch",
        "spec": "",
        "version": "2",
        "min_pos_points": "1",
        "min_neg_points": "0",
        "startswith_box_optional": "true",
        "help_message": "Click on the thing, and beside it where the mask is too large.",
        "animated_gif": "",
    }
    return {
        "metadata": {"name": NAME, "namespace": "nuclio", "annotations": about},
        "spec": {"description": "Segment anything by points and boxes"},
        "status": {"state": "ready", "httpPort": work.settings.port},
    }


@router.post("/function_invocations")
def invoke(work: Work, given: Invocation) -> dict[str, Any]:
    """The mask for points and a box, H×W of 0 and 255, and the line around its largest part."""
    try:
        content = base64.b64decode(given.image, validate=True)
    except ValueError:
        raise PromptError("image: expected a photo in base64") from None
    points = [*given.pos_points, *given.neg_points]
    labels = [1] * len(given.pos_points) + [0] * len(given.neg_points)
    box = np.ravel(given.obj_bbox) if given.obj_bbox else None
    prompt = Prompt(points or None, labels or None, box)
    found = work.segmenter.segment(Photo.of_bytes(content, "image"), prompt)
    mask = rle.decode(max(found, key=lambda each: each[1])[0])
    parts = polygons(mask)
    largest = max(parts, key=lambda part: len(part.outer)).outer.tolist() if parts else []
    return {"mask": (mask * np.uint8(255)).tolist(), "points": largest}
