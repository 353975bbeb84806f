"""What the annotator's page sends, for tests of the server."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
from fastapi.testclient import TestClient

from anymask.task import rle


def an_object(image: dict[str, Any], column: int = 0, **more: Any) -> dict[str, Any]:
    """A mask of some columns of a photo, as the page sends it."""
    pixels = np.zeros((image["height"], image["width"]), bool)
    pixels[:, column : column + 40] = True
    return {"id": str(uuid4()), "segmentation": rle.encode(pixels), **more}


def a_put(thing: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The change that makes a mask, as the page sends it."""
    return {"id": str(uuid4()), "kind": "put", "object": thing, **more}


def save(client: TestClient, image: dict[str, Any], version: int, *changes: dict[str, Any]) -> Any:
    """The answer to changes."""
    body = {"base_version": version, "changes": list(changes)}
    return client.post(f"/api/images/{image['id']}/changes", json=body)
