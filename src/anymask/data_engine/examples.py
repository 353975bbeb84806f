"""Pages of example predictions, one for each validation of a run, and the index that shows how the figures went."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..dataset.sample import Object
from ..files import remove, replacing, write_json
from ..predict.render import AMBER, GREEN, RED, WHITE
from ..task.boxes import mask_boxes
from ..task.prompts import Label, Prompt

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SIDE = 288
"""longer side of a picture, in pixels"""
FACTOR = 2.2
"""how much longer a side of what it shows is than the object"""
LEAST = 64
"""shortest longer side of what it shows, in pixels of the image"""
PINK, BLACK = (255, 0, 128), (20, 20, 20)
LEFT, RIGHT, TOP, BOTTOM = 44, 664, 12, 250
"""where the lines of the chart lie"""
NOTABLE = 0.02
"""changes of an IoU from here on are coloured"""
HISTORY = "history.json"
"""the figures of all validations, for the index"""

Record = dict[str, Any]
"""a validation: its `step`, the `figures`, and the `ious` of the objects shown, by their name and the prompt's"""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model made of a prompt.

    Attributes:
        prompt: what was asked.
        mask: H×W.
        iou: of the mask with the object.
    """

    prompt: Prompt
    mask: Mask
    iou: float


@dataclass(frozen=True, eq=False)
class Example:
    """An object with the answers of a model.

    Attributes:
        image: name of the image.
        pixels: H×W×3 uint8 RGB.
        target: the object.
        answers: by the prompt's name.
    """

    image: str
    pixels: Pixels
    target: Object
    answers: Mapping[str, Answer]

    @property
    def name(self) -> str:
        """Unique in a data set."""
        return f"{self.image}, object {self.target.id}"


class Gallery:
    """The page of one validation while it is made: pictures are kept, images are not."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._ious: dict[str, dict[str, float]] = {}
        self._pictures: dict[str, dict[str, str]] = {}
        self._categories: dict[str, str | None] = {}

    def __len__(self) -> int:
        """How many objects are shown."""
        return len(self._ious)

    def add(self, example: Example) -> None:
        """Show an object."""
        self._ious[example.name] = {name: answer.iou for name, answer in example.answers.items()}
        self._pictures[example.name] = {name: picture(example, answer) for name, answer in example.answers.items()}
        self._categories[example.name] = example.target.category

    def write(self, folder: Path, figures: Mapping[str, float]) -> None:
        """Write the page and the index anew; pages of later steps, which a run that went on will write again, go."""
        known = _read_history(folder)
        history = [record for record in known if record["step"] < self.step]
        for record in known[len(history) :]:
            remove(folder / page_name(record["step"]))
        record = {"step": self.step, "figures": dict(figures), "ious": self._ious}
        _write(folder / page_name(self.step), f"Step {self.step:,}", self._page(record, history))
        _write(folder / "index.html", "Validation", _index([*history, record]))
        write_json(folder / HISTORY, [*history, record])

    def _page(self, record: Record, history: Sequence[Record]) -> str:
        links = [_link("index.html", "all steps")]
        if history:
            links.append(_link(page_name(history[0]["step"]), f"first: {_step(history[0])}"))
            links.append(_link(page_name(history[-1]["step"]), f"previous: {_step(history[-1])}"))
        return "\n".join(
            [
                f"<nav>{' '.join(links)}</nav>",
                f"<h1>{_step(record).capitalize()}</h1>",
                f"<p>{_in_words(record['figures'])}</p>",
                _LEGEND,
                *(self._row(name, history) for name in self._ious),
            ]
        )

    def _row(self, name: str, history: Sequence[Record]) -> str:
        earlier = history[0]["ious"].get(name, {}) if history else {}
        category = f" <span>{escape(str(self._categories[name]))}</span>" if self._categories[name] else ""
        figures = []
        for prompt, value in self._ious[name].items():
            was = f"<br>{_change(value, earlier[prompt], history[0])}" if prompt in earlier else ""
            figures.append(
                f'<figure><img src="{self._pictures[name][prompt]}" alt="The mask of {escape(prompt)}">'
                f"<figcaption>{escape(prompt)}: IoU <b>{_two_digits(value)}</b>{was}</figcaption></figure>"
            )
        return f'<section><h2>{escape(name)}{category}</h2><div class="views">{"".join(figures)}</div></section>'


_LEGEND = (
    '<p class="legend note"><span><i class="key truth"></i>labelled</span>'
    '<span><i class="key predicted"></i>predicted</span>'
    "<span>green and red dots: clicks on the object and on what is none of it; amber: the box</span></p>"
)


def page_name(step: int) -> str:
    """The file of a validation's page."""
    return f"step_{step:06}.html"


def _read_history(folder: Path) -> list[Record]:
    path = folder / HISTORY
    records: list[Record] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return records


def _write(path: Path, title: str, body: str) -> None:
    template = (resources.files(__package__) / "examples.html").read_text(encoding="utf-8")
    with replacing(path) as temporary:
        text = template.replace("__TITLE__", f"{escape(title)}, examples").replace("__BODY__", body)
        temporary.write_text(text, encoding="utf-8")


# words


def _step(record: Record) -> str:
    return f"step {record['step']:,}"


def _link(target: str, text: str) -> str:
    return f'<a href="{target}">{escape(text)}</a>'


def _two_digits(value: float) -> str:
    """An IoU as in the tables: .63, or 1.00."""
    return f"{value:.2f}".removeprefix("0")


def _in_words(figures: Mapping[str, float]) -> str:
    means = ", ".join(f"{name} <b>{value:.3f}</b>" for name, value in figures.items() if name != "objects")
    return f"Mean IoU over {figures['objects']:.0f} objects of images held out: {means}"


def _change(value: float, earlier: float, first: Record) -> str:
    kind = "up" if value - earlier >= NOTABLE else "down" if earlier - value >= NOTABLE else "was"
    return f'<span class="{kind}">was {_two_digits(earlier)} at {_step(first)}</span>'


# the index


def _index(history: Sequence[Record]) -> str:
    """The page that links all validations."""
    names = list(history[-1]["figures"])
    best = {name: max(record["figures"][name] for record in history) for name in names if name != "objects"}
    rows = []
    for record in history:
        cells = []
        for name in names:
            value = record["figures"][name]
            text = f"{value:.0f}" if name == "objects" else f"{value:.3f}"
            cells.append(f"<td>{f'<strong>{text}</strong>' if value == best.get(name) else text}</td>")
        rows.append(f"<tr><td>{_link(page_name(record['step']), _step(record))}</td>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in ["step", *names])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return (
        "<h1>Validation</h1>\n<p>Mean IoU on images held out; the best of each kind is bold. "
        "Each step has a page on which the same objects are shown.</p>\n"
        f'{_chart(history, list(best))}\n<div class="scroll">{table}</div>'
    )


def _chart(history: Sequence[Record], names: Sequence[str]) -> str:
    """Lines of the figures by step, as SVG; empty for a single step."""
    if len(history) < 2:
        return ""
    steps = [record["step"] for record in history]
    values = [record["figures"][name] for record in history for name in names]
    spacing = 0.1 if max(values) - min(values) > 0.25 else 0.05
    levels = spacing * np.arange(np.floor(min(values) / spacing), np.floor(max(values) / spacing) + 2)

    def x(step: int) -> float:
        return float(np.interp(step, [steps[0], steps[-1]], [LEFT, RIGHT]))

    def y(value: float) -> float:
        return float(np.interp(value, [levels[0], levels[-1]], [BOTTOM, TOP]))

    parts = []
    for level in levels:
        parts.append(f'<path class="grid" d="M{LEFT} {y(level):.1f}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(level) + 4:.1f}" text-anchor="end">{_two_digits(level)}</text>')
    for step in steps[:: -(-len(steps) // 8)]:
        parts.append(f'<text x="{x(step):.1f}" y="{BOTTOM + 22}" text-anchor="middle">{step:,}</text>')
    ends = _apart([y(history[-1]["figures"][name]) for name in names], 16)
    for i, (name, end) in enumerate(zip(names, ends, strict=True)):
        points = [(x(record["step"]), y(record["figures"][name])) for record in history]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5"/>' for px, py in points)
        label = f'<text class="name" x="{RIGHT + 12}" y="{end + 4:.1f}">{escape(name)}</text>'
        parts.append(f'<g class="line{i}"><polyline points="{line}"/>{dots}{label}</g>')
    return (
        f'<section><svg viewBox="0 0 {RIGHT + 96} {BOTTOM + 32}" role="img" aria-label="Mean IoU by step">'
        f"{''.join(parts)}</svg></section>"
    )


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Places moved down as far as they must be so that no two are nearer than `least`."""
    moved = [0.0] * len(places)
    last = -least
    for i in np.argsort(places):
        last = moved[i] = max(places[i], last + least)
    return moved


# pictures


def picture(example: Example, answer: Answer) -> str:
    """The object with the prompt and both outlines, as the data URL of a JPEG."""
    window, scale = _window(example.target.mask)
    rows, columns = window
    size = (max(1, round((columns.stop - columns.start) * scale)), max(1, round((rows.stop - rows.start) * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas: Pixels = np.array(cv2.resize(example.pixels[window], size, interpolation=method), np.uint8)
    predicted, truth = (
        cv2.resize(mask[window].astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
        for mask in (answer.mask, example.target.mask)
    )
    canvas[predicted] = (0.72 * canvas[predicted] + 0.28 * np.array(PINK)).astype(np.uint8)
    for mask, lines in ((truth, ((BLACK, 4), (WHITE, 2))), (predicted, ((PINK, 2),))):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for colour, width in lines:
            cv2.drawContours(canvas, contours, -1, colour, width, cv2.LINE_AA)
    _draw_prompt(canvas, answer.prompt, np.array([columns.start, rows.start]), scale)
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "JPEG", quality=76)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _window(mask: Mask) -> tuple[tuple[slice, slice], float]:
    """A square around an object, moved into the image or cut to it: rows and columns, and the picture's scale."""
    x0, y0, x1, y1 = (mask_boxes(mask[None])[0] + [0, 0, 1, 1]).tolist()
    length = max(LEAST, FACTOR * max(x1 - x0, y1 - y0))
    sides = []
    for low, high, limit in ((y0, y1, mask.shape[0]), (x0, x1, mask.shape[1])):
        start = int(min(max(0.0, (low + high - length) / 2), max(0.0, limit - length)))
        sides.append(slice(start, min(limit, start + int(np.ceil(length)))))
    rows, columns = sides
    return (rows, columns), SIDE / max(rows.stop - rows.start, columns.stop - columns.start)


def _draw_prompt(canvas: Pixels, prompt: Prompt, corner: NDArray[np.int64], scale: float) -> None:
    """Draw box and clicks; those outside of the picture are not seen."""
    if prompt.box is not None:
        first, last = np.floor((prompt.box.reshape(2, 2) - corner) * scale).astype(int).tolist()
        cv2.rectangle(canvas, first, last, AMBER, 1, cv2.LINE_AA)
    for point, label in zip(prompt.points, prompt.labels, strict=True):
        centre = np.floor((point - corner) * scale).astype(int).tolist()
        cv2.circle(canvas, centre, 7, WHITE, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, 5, GREEN if label == Label.FOREGROUND else RED, -1, cv2.LINE_AA)
