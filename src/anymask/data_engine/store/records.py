"""What goes into the store and comes out of it: masks, labels and changes, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from uuid import UUID

from ...errors import DataError
from ...task import rle

Source = Literal["model", "text", "everything", "brush", "polygon", "copy", "import"]
"""how a mask came to be"""
Status = Literal["new", "started", "done", "skipped"]
"""how far an image is"""
Kind = Literal["put", "remove", "undo", "redo", "status"]
MOST_PROMPTS = 10_000
"""prompts of one change"""


def checked_id(value: str) -> str:
    """A UUID in its usual form. Raises DataError for what is none."""
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise DataError(f"id {value!r}: expected a UUID") from None


@dataclass(frozen=True)
class Mask:
    """A mask of an image.

    Attributes:
        id: a UUID, made by whoever made the mask.
        segmentation: COCO RLE, compressed, of the image's size.
        label: id of its label, or None.
        score: what the model thinks of it, or None.
        source: how it came to be.
        order: where it comes among the masks of its image.

    Raises DataError for what is none.
    """

    id: str
    segmentation: rle.RLE
    label: str | None = None
    score: float | None = None
    source: Source = "model"
    order: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", checked_id(self.id))
        if self.label is not None:
            object.__setattr__(self, "label", checked_id(self.label))
        if self.source not in get_args(Source):
            raise DataError(f"mask {self.id}: source {self.source!r}; expected one of {', '.join(get_args(Source))}")

    def check(self, shape: tuple[int, int]) -> None:
        """Raise DataError where it is no mask of an image of (height, width), or holds nothing."""
        size, runs = rle.runs(self.segmentation)
        if size != list(shape):
            raise DataError(f"mask {self.id}: is of {size[1]}×{size[0]} pixels, the image of {shape[1]}×{shape[0]}")
        if not isinstance(self.segmentation["counts"], str):
            raise DataError(f"mask {self.id}: counts: expected COCO's compressed text")
        if not runs[1::2].any():
            raise DataError(f"mask {self.id}: is empty; remove the mask instead")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "id": self.id,
            "label": self.label,
            "segmentation": self.segmentation,
            "score": self.score,
            "source": self.source,
            "order": self.order,
        }


@dataclass(frozen=True)
class Label:
    """A label: a UUID, a name that no other has, a colour as #rrggbb, and the key that chooses it, a digit or None.

    Raises DataError for what is none.
    """

    id: str
    name: str
    colour: str
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", checked_id(self.id))
        object.__setattr__(self, "name", " ".join(str(self.name).split()))
        if not 1 <= len(self.name) <= 200:
            raise DataError("label: its name is empty or over 200 characters long; give it a short one")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.colour):
            raise DataError(f"label {self.name}: colour {self.colour!r}; expected one such as #1f77b4")
        if self.key is not None and not re.fullmatch(r"[0-9]", self.key):
            raise DataError(f"label {self.name}: key {self.key!r}; expected a digit")


@dataclass(frozen=True)
class Change:
    """Something that a person did to an image.

    Attributes:
        id: a UUID, made by whoever did it: what comes twice is done once.
        kind: "put" makes or alters a mask, "remove" takes one away, "status" says how far the image is, and "undo" and
            "redo" take an earlier change back, and do it again.
        mask: for put.
        object_id: for remove.
        of: for undo and redo, the id of the change.
        status: for status.
        prompts: what was pointed at.
        duration_ms: how long it took.

    Raises DataError for what is none.
    """

    id: str
    kind: Kind
    mask: Mask | None = None
    object_id: str | None = None
    of: str | None = None
    status: Status | None = None
    prompts: list[dict[str, Any]] = field(default_factory=list)
    duration_ms: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", checked_id(self.id))
        needed = {"put": "mask", "remove": "object_id", "undo": "of", "redo": "of", "status": "status"}
        if self.kind not in needed:
            raise DataError(f"change {self.id}: kind {self.kind!r}; expected one of {', '.join(needed)}")
        if getattr(self, needed[self.kind]) is None:
            raise DataError(f"change {self.id}: {self.kind} needs {needed[self.kind].replace('mask', 'object')}")
        if self.status is not None and self.status not in get_args(Status):
            raise DataError(f"change {self.id}: status {self.status!r}; expected one of {', '.join(get_args(Status))}")
        if len(self.prompts) > MOST_PROMPTS:
            raise DataError(f"change {self.id}: {len(self.prompts)} prompts; at most {MOST_PROMPTS} are kept")
