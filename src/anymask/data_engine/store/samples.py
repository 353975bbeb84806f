"""The masks of a project as samples, for all that reads labelled images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from sqlalchemy import or_, select

from ...dataset.sample import Record, Sample
from ...dataset.sources.records import sample_names
from ...task import rle
from .images import find_image, masks_of
from .labels import all_labels
from .store import Store
from .tables import ImageRow

Only = Literal["all", "done"]
"""which images: those that have masks or are done, or those that are done alone"""


def project_samples(store: Store, folder: Path, only: Only = "all") -> list[Sample]:
    """The images of a project with their masks, by name; each is read when it is looked at.

    Args:
        store: the project's.
        folder: where its images lie.
        only: which images.
    """
    wanted = select(ImageRow.id, ImageRow.name).where(ImageRow.missing.is_(False), ImageRow.width.is_not(None))
    done = ImageRow.status == "done"
    wanted = wanted.where(done if only == "done" else or_(done, ImageRow.objects > 0)).order_by(ImageRow.name)
    with store.reading() as session:
        rows = list(session.execute(wanted))
    names = sample_names([Path(name) for _, name in rows], folder)
    return [
        Sample(folder / file, name, partial(_record, store, image_id), folder / file)
        for (image_id, file), name in zip(rows, names, strict=True)
    ]


def _record(store: Store, image_id: int) -> Record:
    """SA-1B's record of an image as it is now."""
    with store.reading() as session:
        image = find_image(session, image_id)
        labels = {label.id: label.name for label in all_labels(session)}
        masks = masks_of(session, image)
    annotations: list[Record] = []
    for number, mask in enumerate(masks, 1):
        area = rle.area(mask.segmentation)
        annotation: Record = {"id": number, "segmentation": mask.segmentation, "area": area, "source": mask.source}
        annotation |= {"uuid": mask.id, "bbox": rle.box(mask.segmentation)}
        if mask.score is not None:
            annotation["predicted_iou"] = mask.score
        if mask.label is not None:
            annotation["category"] = labels[mask.label]
        annotations.append(annotation)
    size = {"width": image.width, "height": image.height}
    return {"image": {"file_name": Path(image.name).name, **size}, "annotations": annotations}
