"""What the commands write for an image: pictures, a label map and an SA-1B record."""

from __future__ import annotations

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


def output_folder(path: Path) -> Path:
    """Make the folder for results. Raises OutputError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made a folder ({error.strerror}); name another with -o") from None
    return path


def write_image(path: Path, pixels: NDArray[Any]) -> Path:
    """Write a picture whose kind the suffix tells, whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, quality=92)
    return path


def write_common(
    out: Path,
    stem: str,
    image: NDArray[np.uint8],
    masks: Sequence[NDArray[np.bool_]],
    record: dict[str, Any],
    prompt: Prompt | None = None,
) -> dict[str, str]:
    """Write the overlay, the label map and, last, the record, which says that the image is done."""
    files = {
        "overlay": write_image(out / f"{stem}_overlay.jpg", overlay(image, masks, prompt)),
        "labels": write_image(out / f"{stem}_labels.png", label_map(masks, (image.shape[0], image.shape[1]))),
        "record": out / f"{stem}.json",
    }
    write_json(files["record"], record)
    return {kind: str(path) for kind, path in files.items()}


def sa1b_record(
    source: Path, image: NDArray[np.uint8], annotations: list[dict[str, Any]], settings: dict[str, Any]
) -> dict[str, Any]:
    """An SA-1B record of one image, with the settings that made it under the key `anymask`."""
    height, width = image.shape[:2]
    return {
        "image": {"image_id": 1, "width": width, "height": height, "file_name": source.name},
        "annotations": [{"id": i + 1, **annotation} for i, annotation in enumerate(annotations)],
        "anymask": settings,
    }
