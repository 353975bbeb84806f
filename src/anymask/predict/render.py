"""Pictures of masks: a cut-out with alpha, an overlay to look at, a label map."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..task.clicks import centre_click
from ..task.prompts import Label, Prompt

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

GREEN, RED, WHITE, AMBER = (46, 204, 113), (231, 76, 60), (255, 255, 255), (255, 190, 60)


def cutout(image: Image, mask: Mask) -> Image:
    """The object on a transparent ground, cropped to it: h×w×4. The edge is softened over about a pixel."""
    alpha = cv2.GaussianBlur(mask.astype(np.uint8) * 255, (0, 0), 0.7)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return np.zeros((1, 1, 4), np.uint8)
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.dstack([image[window], alpha[window]])


def label_map(masks: Sequence[Mask], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """H×W numbers: 0 for background, i + 1 for mask i; where masks overlap the smaller one shows."""
    labels = np.zeros(shape, np.uint16)
    for i in _large_to_small(masks):
        labels[masks[i]] = i + 1
    return labels


def overlay(
    image: Image, masks: Sequence[Mask], prompt: Prompt | None = None, names: Sequence[str | None] = ()
) -> Image:
    """The image with masks tinted and outlined: H×W×3.

    One mask stands out against a dimmed background; many get a colour each. The prompt is drawn where it is given, and
    the name of each mask that has one.
    """
    scale = max(1.0, max(image.shape[:2]) / 800)
    canvas = _spotlight(image, masks[0], scale) if len(masks) == 1 else _mosaic(image, masks, scale)
    if prompt is not None:
        _draw_prompt(canvas, prompt, scale)
    for mask, name in zip(masks, names, strict=False):
        if name and (middle := centre_click(mask)):
            _write(canvas, name, middle, scale)
    return canvas


def _write(canvas: Image, name: str, middle: tuple[float, float], scale: float) -> None:
    """A name around a point, dark on a light ground; letters that the font lacks are question marks."""
    font, size, line = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, max(1, round(scale))
    (width, height), base = cv2.getTextSize(name, font, size, line)
    x = int(np.clip(middle[0] - width / 2, 2, max(2, canvas.shape[1] - width - 2)))
    y = int(np.clip(middle[1] + height / 2, height + 2, max(height + 2, canvas.shape[0] - base - 2)))
    cv2.rectangle(canvas, (x - 3, y - height - 3), (x + width + 3, y + base + 1), WHITE, -1)
    cv2.putText(canvas, name, (x, y), font, size, (20, 20, 20), line, cv2.LINE_AA)


def palette(count: int) -> list[tuple[int, int, int]]:
    """RGB colours that stay apart however many there are: hues by the golden ratio, two tiers of brightness."""
    colours = []
    for i in range(count):
        r, g, b = colorsys.hsv_to_rgb((0.58 + i * 0.618034) % 1.0, (0.62, 0.85)[i % 2], (1.0, 0.88)[i // 2 % 2])
        colours.append((round(r * 255), round(g * 255), round(b * 255)))
    return colours


def _spotlight(image: Image, mask: Mask, scale: float) -> Image:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    ground = (0.35 * grey + 0.15 * image).astype(np.uint8)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[:, :, None]
    canvas = (image * soft + ground * (1 - soft)).astype(np.uint8)
    _outline(canvas, mask, WHITE, round(2 * scale))
    return canvas


def _mosaic(image: Image, masks: Sequence[Mask], scale: float) -> Image:
    canvas = image.copy()
    colours = palette(len(masks))
    order = _large_to_small(masks)
    for i in order:
        canvas[masks[i]] = (0.5 * image[masks[i]] + 0.5 * np.array(colours[i])).astype(np.uint8)
    for i in order:
        _outline(canvas, masks[i], WHITE, max(1, round(scale)))
    return canvas


def _outline(canvas: Image, mask: Mask, colour: tuple[int, int, int], width: int) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, colour, width, cv2.LINE_AA)


def _draw_prompt(canvas: Image, prompt: Prompt, scale: float) -> None:
    if prompt.box is not None:
        x0, y0, x1, y1 = (round(n) for n in prompt.box)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), AMBER, round(2 * scale), cv2.LINE_AA)
    for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
        centre = (round(x), round(y))
        cv2.circle(canvas, centre, round(8 * scale), WHITE, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, round(6 * scale), GREEN if label == Label.FOREGROUND else RED, -1, cv2.LINE_AA)


def _large_to_small(masks: Sequence[Mask]) -> list[int]:
    """Indices in the order of drawing, so that small masks end on top."""
    return sorted(range(len(masks)), key=lambda i: -int(masks[i].sum()))
