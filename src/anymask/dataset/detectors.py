"""What finds faces and licence plates: cascades that come inside well-known packages, or an ONNX file (§5)."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..offline import import_onnxruntime
from ..task.boxes import nms
from ..task.image import fit_within

Image = NDArray[np.uint8]

LONGEST = 1280
"""longest side, in pixels, of the images that cascades look at; larger ones are made smaller"""
SMALLEST = 20
"""side of the smallest face there"""
INPUT = 640
"""side of what a detector looks at whose file does not say"""
CLASSES = 2000
"""of a detector at most; an output of more rows has its boxes there, in a form of older exports"""
OVERLAP = 0.5
"""IoU from which on two boxes are of one thing"""
PLATE_CASCADE = "haarcascade_russian_plate_number.xml"


@dataclass(frozen=True)
class Region:
    """A box around something that may not be seen.

    Attributes:
        kind: such as "face" or "plate".
        box: x0, y0, x1, y1 in pixels.
        score: how sure the detector is, 0 to 1, or None where it does not say.
    """

    kind: str
    box: tuple[float, float, float, float]
    score: float | None = None


Detector = Callable[[Image], list[Region]]
"""gives the regions of an H×W×3 uint8 RGB image"""


def faces() -> Detector:
    """The frontal faces that scikit-image's cascade of local binary patterns finds, and some things that are none.

    Raises ConfigError where scikit-image is missing.
    """
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError:
        raise ConfigError("faces: their detector needs scikit-image; pip install 'anymask[data]'") from None
    cascade = Cascade(lbp_frontal_face_cascade_filename())

    def detect(image: Image) -> list[Region]:
        small, scale = fit_within(image, LONGEST)
        sides = {"min_size": (SMALLEST, SMALLEST), "max_size": (max(small.shape[:2]),) * 2}
        if min(small.shape[:2]) < SMALLEST:
            return []
        found = cascade.detect_multi_scale(img=small, scale_factor=1.2, step_ratio=1, **sides)
        boxes = ((f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]) for f in found)
        return [_region("face", box, scale) for box in boxes]

    return detect


def plates() -> Detector | None:
    """The licence plates that OpenCV's cascade finds; None where the installed OpenCV, as from 5 on, has none."""
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    file = Path(folder, PLATE_CASCADE)
    if not hasattr(cv2, "CascadeClassifier") or not file.is_file():
        return None
    cascade = cv2.CascadeClassifier(str(file))

    def detect(image: Image) -> list[Region]:
        small, scale = fit_within(image, LONGEST)
        found = cascade.detectMultiScale(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 1.1, 4)
        return [_region("plate", (x, y, x + width, y + height), scale) for x, y, width, height in found]

    return detect


def onnx_detector(path: Path, kind: str | None = None, threshold: float = 0.25) -> Detector:
    """What a detector in an ONNX file finds, in the form in which the YOLO family is exported.

    Its input is 1×3×H×W, RGB from 0 to 1; its output 1×(4 + classes)×N, centres, sizes and a score for each class, or
    1×N×6, corners, score and class. Both are in pixels of the input, into which images are fitted with grey borders.

    Args:
        path: the file.
        kind: what it finds; the names of its classes where it is None, of which the metadata `names` tells.
        threshold: least score.

    Raises ConfigError where the file or onnxruntime is missing, or the file is no such detector.
    """
    session, names = _session(path)
    told = session.get_inputs()[0]
    sides = [side if isinstance(side, int) else INPUT for side in told.shape[2:]]

    def detect(image: Image) -> list[Region]:
        fitted, scale, left, top = _fitted(image, *sides)
        try:
            [output, *_] = session.run(None, {told.name: fitted})
        except Exception as error:  # onnxruntime has errors of its own
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{path}: cannot take a 1×3×{sides[0]}×{sides[1]} image ({reason})") from None
        boxes, scores, classes = _parsed(path, np.asarray(output))
        sure = scores >= threshold
        boxes, scores, classes = boxes[sure], scores[sure], classes[sure]
        boxes = (boxes - (left, top, left, top)) / scale
        kept = nms(boxes, scores, OVERLAP)
        limits = (*image.shape[1::-1], *image.shape[1::-1])
        return [
            _region(kind or names.get(int(classes[i]), "object"), boxes[i].clip(0, limits), 1.0, float(scores[i]))
            for i in kept
        ]

    return detect


def _session(path: Path) -> tuple[Any, dict[int, str]]:
    try:
        onnxruntime = import_onnxruntime()
    except ImportError:
        raise ConfigError(f"{path}: needs onnxruntime; pip install 'anymask[onnx]'") from None
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected a detector as ONNX")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = ast.literal_eval(session.get_modelmeta().custom_metadata_map.get("names", "{}"))
        named = {int(number): str(name) for number, name in dict(names).items()}
    except Exception as error:  # onnxruntime raises nearly anything on damaged files
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: cannot be read as ONNX ({reason}); expected a detector") from None
    if len(session.get_inputs()[0].shape) != 4:
        raise ConfigError(f"{path}: its input is {session.get_inputs()[0].shape}; expected 1×3×H×W")
    return session, named


def _fitted(image: Image, height: int, width: int) -> tuple[NDArray[np.float32], float, int, int]:
    """An image in the middle of a 1×3×height×width one, with its scale there and the borders left and above."""
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas = np.full((height, width, 3), 114, np.uint8)  # the grey with which such detectors are trained
    canvas[top : top + inner[0], left : left + inner[1]] = cv2.resize(image, inner[::-1])
    return (canvas.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32), scale, left, top


def _parsed(path: Path, output: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """N×4 corners, N scores and N classes of either form of output."""
    if output.ndim == 3 and output.shape[2] == 6:
        return output[0, :, :4], output[0, :, 4], output[0, :, 5]
    if output.ndim == 3 and 5 <= output.shape[1] <= 4 + CLASSES:
        rows = output[0].T
        centres, halves = rows[:, :2], rows[:, 2:4] / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)
        return boxes, rows[:, 4:].max(1), rows[:, 4:].argmax(1)
    raise ConfigError(f"{path}: gives {output.shape}; expected 1×(4 + classes)×N or 1×N×6, as the YOLO family")


def _region(kind: str, box: Any, scale: float, score: float | None = None) -> Region:
    x0, y0, x1, y1 = (round(float(side) / scale, 1) for side in box)
    return Region(kind, (x0, y0, x1, y1), score if score is None else round(score, 4))
