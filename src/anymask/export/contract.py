"""What whoever runs an exported model has to know: how photos go in, what made the files, on what terms."""

from __future__ import annotations

import json
from typing import Any

from .. import __version__
from ..model.sam import Sam
from .precision import Precision


def preprocessing(sam: Sam) -> dict[str, Any]:
    """How a photo becomes the encoder's input, and where its points lie."""
    config = sam.config
    return {
        "size": config.encoder.size,
        "resize": "longest side to size, each side to floor(side * size / longest + 0.5), at least 1; "
        "bilinear, antialiased, rounded to whole numbers",
        "channels": sam.image_format,
        "range": [0, 255],
        "mean": list(config.pixel_mean),
        "std": list(config.pixel_std),
        "pad": "at the right and the bottom to size × size, with 0 "
        + ("before the mean is taken off" if config.pad_black else "after (x - mean) / std"),
        "in_the_graph": ["mean", "std", "pad"],
        "points": "(x, y) in pixels of the resized photo: x * resized width / width, y * resized height / height",
    }


def about(sam: Sam, precision: Precision, licence: str) -> dict[str, str]:
    """What is written into each file, by key."""
    return {
        "anymask.model": sam.config.name,
        "anymask.weights": sam.weights_hash,
        "anymask.precision": precision,
        "anymask.preprocessing": json.dumps(preprocessing(sam)),
        "anymask.mask_threshold": str(sam.mask_threshold),
        "anymask.licence": licence,
        "anymask.version": __version__,
    }
