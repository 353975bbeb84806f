"""What goes over the wire, for the checks and for the OpenAPI page."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from ..data_engine.store.labels import all_labels
from ..data_engine.store.records import Change, Label, Mask, Source, Status
from ..errors import PromptError
from ..task.prompts import Prompt

MOST_CHANGES = 500
"""in one request"""


class Wire(BaseModel):
    """Refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid")


class Rle(Wire):
    """A mask as COCO RLE: [height, width], and the compressed counts, column by column."""

    size: tuple[int, int]
    counts: str


class LabelIn(Wire):
    """A label without its id."""

    name: str
    colour: str = Field(examples=["#e6194b"])
    key: str | None = Field(None, description="the digit that chooses it")

    def checked(self, label_id: str) -> Label:
        """As the store takes it. Raises DataError."""
        return Label(label_id, self.name, self.colour, self.key)


class LabelOut(LabelIn):
    """A label."""

    id: str


class Limits(Wire):
    """What the server takes at most."""

    upload_bytes: int


class Capabilities(Wire):
    """What the server can do."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    text: bool
    everything: bool
    imports: list[str] = Field(serialization_alias="import")
    exports: list[str] = Field(serialization_alias="export")


class SessionOut(Wire):
    """Who asks, and what there is."""

    person: str | None
    needs_token: bool
    project: str
    version: str
    labels: list[LabelOut]
    capabilities: Capabilities
    limits: Limits
    lease_seconds: int


class LoginIn(Wire):
    """A login."""

    name: str = Field(min_length=1, max_length=200)
    token: str = ""


class ImageOut(Wire):
    """A photo of the project."""

    id: int
    name: str
    width: int | None
    height: int | None
    status: Status
    objects: int
    version: int
    locked_by: str | None
    problem: str | None


class ImagesOut(Wire):
    """A page of the photos."""

    total: int
    images: list[ImageOut]


class ObjectIn(Wire):
    """A mask of a photo."""

    id: str
    segmentation: Rle
    label: str | None = None
    score: float | None = None
    source: Source = "model"
    order: int = Field(0, ge=-(2**31), lt=2**31)

    def checked(self) -> Mask:
        """As the store takes it. Raises DataError."""
        segmentation = {"size": list(self.segmentation.size), "counts": self.segmentation.counts}
        return Mask(self.id, segmentation, self.label, self.score, self.source, self.order)


class ImageWithObjects(Wire):
    """A photo with its masks."""

    image: ImageOut
    objects: list[ObjectIn]


class ChangeIn(Wire):
    """Something that a person did; the same id twice is done once."""

    id: str
    kind: Literal["put", "remove", "undo", "redo", "status"]
    object: ObjectIn | None = None
    object_id: str | None = None
    of: str | None = None
    status: Status | None = None
    prompts: list[dict[str, Any]] = []
    duration_ms: int = Field(0, ge=0, lt=2**31)

    def checked(self) -> Change:
        """As the store takes it. Raises DataError."""
        mask = None if self.object is None else self.object.checked()
        return Change(self.id, self.kind, mask, self.object_id, self.of, self.status, self.prompts, self.duration_ms)


class ChangesIn(Wire):
    """Changes to the version of a photo that the person saw."""

    base_version: int
    changes: list[ChangeIn] = Field(max_length=MOST_CHANGES)


class Saved(Wire):
    """A photo's version and masks after changes."""

    version: int
    objects: list[ObjectIn]


class ChangeOut(Wire):
    """A change that was made."""

    id: str
    kind: str
    of: str | None
    person: str
    at: str
    duration_ms: int
    object_id: str | None
    undone: bool


class ChangesOut(Wire):
    """All changes to a photo."""

    changes: list[ChangeOut]


class LeaseOut(Wire):
    """Until when a photo is kept for who asked, ISO 8601, and its version."""

    until: str
    version: int


class PromptIn(Wire):
    """What is pointed at, in pixels of the photo; with a text, which of the things that it names is meant."""

    points: list[tuple[float, float]] = Field([], max_length=1000)
    labels: list[int] = Field([], description="1 on the object, 0 on background, one for each point")
    box: tuple[float, float, float, float] | None = Field(None, description="x0, y0, x1, y1")
    text: str | None = Field(None, max_length=500)
    multimask: bool | None = Field(None, description="three masks; by default for a single click")
    logits: str | None = Field(None, description="of an earlier mask: base64 of float16, h×w")

    def prompt(self, mask_size: int) -> Prompt | None:
        """As the model takes it; None where nothing is pointed at. Raises PromptError."""
        if not self.points and self.box is None and self.logits is None:
            return None
        mask = None if self.logits is None else _logits(self.logits, mask_size)
        return Prompt(self.points or None, self.labels or None, self.box, mask)


class MaskOut(Wire):
    """A mask with its score (for a text: the probability that it is that) and its logits, base64 of float16 h×w."""

    segmentation: Rle
    score: float
    logits: str


class MasksOut(Wire):
    """Masks, best first where a text was asked for."""

    masks: list[MaskOut]


class FoundOut(Wire):
    """One of all masks of a photo."""

    segmentation: Rle
    predicted_iou: float
    stability_score: float
    area: int
    bbox: list[float]


class EverythingOut(Wire):
    """All masks of a photo."""

    masks: list[FoundOut]


class JobOut(Wire):
    """How far a long job is."""

    id: str
    kind: str
    state: Literal["running", "done", "failed", "cancelled"]
    done: int
    total: int
    message: str
    result: dict[str, Any] | None


class JobStarted(Wire):
    """A job that was begun."""

    job: str


class DecoderOut(Wire):
    """Where the decoder for the browser lies."""

    url: str
    state: Literal["ready", "making", "unavailable"]
    message: str


class ExportIn(Wire):
    """What to export: all photos or those that are done, with the photos themselves or without."""

    format: str
    only: Literal["all", "done"] = "all"
    images: bool = True


def _logits(text: str, size: int) -> NDArray[np.float32]:
    with suppress(binascii.Error, ValueError):
        found = np.frombuffer(base64.b64decode(text, validate=True), np.float16)
        if found.size == size * size:
            return found.reshape(size, size).astype(np.float32)
    raise PromptError(f"logits: expected base64 of {size}×{size} float16 numbers, as an answer has them")


def labels_out(session: Session) -> list[LabelOut]:
    """All labels as they go over the wire, those with keys first."""
    return [LabelOut(**vars(label)) for label in all_labels(session)]


def packed_logits(logits: NDArray[np.float32]) -> str:
    """Logits as they go over the wire."""
    return base64.b64encode(logits.astype(np.float16).tobytes()).decode()
