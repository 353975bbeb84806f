"""What the commands write for an image: pictures, a label map and an SA-1B record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import OutputError
from ..files import replacing, write_json
from ..predict.render import label_map, overlay
from ..task.prompts import Prompt


def write_image(path: Path, pixels: NDArray[Any]) -> Path:
    """Write a picture whose kind the suffix tells, whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, quality=92)
    return path


def common_files(out: Path, stem: str) -> dict[str, str]:
    """Where the results of one image lie."""
    names = {"overlay": f"{stem}_overlay.jpg", "labels": f"{stem}_labels.png", "record": f"{stem}.json"}
    return {kind: str(out / name) for kind, name in names.items()}


def write_common(
    out: Path,
    stem: str,
    image: NDArray[np.uint8],
    masks: Sequence[NDArray[np.bool_]],
    record: dict[str, Any],
    prompt: Prompt | None = None,
) -> dict[str, str]:
    """Write the overlay, the label map and, last, the record, which says that the image is done."""
    files = common_files(out, stem)
    names = [annotation.get("category") for annotation in record["annotations"]]
    write_image(Path(files["overlay"]), overlay(image, masks, prompt, names))
    write_image(Path(files["labels"]), label_map(masks, (image.shape[0], image.shape[1])))
    write_json(files["record"], record)
    return files


def keep_foreign(path: Path) -> None:
    """Raise OutputError where a file is no record of ours: somebody's labels, perhaps."""
    if not path.exists():
        return
    try:
        ours = "anymask" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise OutputError(f"{path}: exists and was not written by anymask; name another folder with -o")


def sa1b_record(
    source: Path, shape: tuple[int, int], annotations: list[dict[str, Any]], settings: dict[str, Any]
) -> dict[str, Any]:
    """An SA-1B record of one image of (height, width), with the settings that made it under the key `anymask`."""
    height, width = shape
    return {
        "image": {"image_id": 1, "width": width, "height": height, "file_name": source.name},
        "annotations": [{"id": i + 1, **annotation} for i, annotation in enumerate(annotations)],
        "anymask": settings,
    }
