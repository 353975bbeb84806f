"""Weights of text detectors: the one inside the package, and files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import CheckpointError, ConfigError
from ..checkpoint import CARD_KEY, CONFIG_KEY, fill, read_record, read_weights, save_weights
from ..weights import checked_device
from .detector import DetectorConfig, TextDetector

PACKAGED = "nano_text"
"""name of the detector inside the package"""


def load_detector(model: str | Path = PACKAGED, device: str = "cpu") -> TextDetector:
    """A text detector in evaluation mode: the packaged one by its name, or that of a weights file.

    Raises CheckpointError where the file is not there or holds no text detector.
    """
    path = detector_path() if model == PACKAGED else Path(model).expanduser()
    state, metadata = read_weights(path)
    if CONFIG_KEY not in metadata:
        raise CheckpointError(f"{path}: is no text detector's; expected a file of `anymask train-text`, or {PACKAGED}")
    try:
        config = DetectorConfig.from_dict(read_record(metadata, CONFIG_KEY, path))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
    detector = TextDetector(config)
    fill(detector, state, path, config.name, lambda: f"give a text detector's weights, or {PACKAGED}")
    return detector.eval().to(checked_device(device))


def save_detector(detector: TextDetector, path: str | Path, card: dict[str, Any] | None = None) -> None:
    """Write the weights in half precision, with config and card in the metadata. Raises OutputError."""
    save_weights(detector, {CONFIG_KEY: detector.config.to_dict(), CARD_KEY: card or {}}, path, half=True)


def detector_path() -> Path:
    """Where the packaged detector lies. Raises CheckpointError where it does not."""
    path = Path(__file__).parents[1] / "weights_data" / f"{PACKAGED}.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{path}: the packaged weights of {PACKAGED} are missing; install anymask again")
    return path
