"""The images of a project in its store: which there are, how far they are, and their masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ...errors import MissingError
from ...task import rle
from .records import Mask
from .tables import ImageRow, ObjectRow

Order = Literal["name", "status", "id"]
PARTS = 500
"""names that go into one query"""


def find_image(session: Session, image_id: int, lock: bool = False) -> ImageRow:
    """An image by its id; with `lock`, kept from all other transactions that lock it. Raises MissingError."""
    image = session.get(ImageRow, image_id, with_for_update=lock, populate_existing=lock)
    if image is None:
        raise MissingError(f"image {image_id}: there is none; it may have been of another project: reload the page")
    return image


def note_images(session: Session, names: Iterable[str]) -> int:
    """Note which images there are in the folder now, by their names; how many are new.

    Those that are gone keep their masks and are marked as missing.
    """
    there = set(names)
    known = {name: missing for name, missing in session.execute(select(ImageRow.name, ImageRow.missing))}
    changed = [name for name, missing in known.items() if missing == (name in there)]
    for start in range(0, len(changed), PARTS):
        part = ImageRow.name.in_(changed[start : start + PARTS])
        session.execute(update(ImageRow).where(part).values(missing=~ImageRow.missing))
    new = sorted(there - known.keys())
    session.add_all(ImageRow(name=name) for name in new)
    session.flush()
    return len(new)


def list_images(
    session: Session,
    search: str = "",
    status: str = "",
    order: Order = "name",
    offset: int = 0,
    limit: int | None = None,
    after: str = "",
) -> tuple[int, Sequence[ImageRow]]:
    """How many images there are of a status, or of any, whose names hold what is searched for; and a page of them.

    `after` leaves out those whose names come before it, and itself.
    """
    wanted = select(ImageRow).where(ImageRow.missing.is_(False))
    if search:
        wanted = wanted.where(ImageRow.name.icontains(search, autoescape=True))
    if status:
        wanted = wanted.where(ImageRow.status == status)
    if after:
        wanted = wanted.where(ImageRow.name > after)
    total = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    first = {"name": ImageRow.name, "status": ImageRow.status, "id": ImageRow.id}[order]
    page = wanted.order_by(first, ImageRow.id).offset(offset).limit(limit)
    return total, session.scalars(page).all()


def masks_of(session: Session, image: ImageRow) -> list[Mask]:
    """The masks of an image in their order."""
    wanted = select(ObjectRow).where(ObjectRow.image_id == image.id).order_by(ObjectRow.place, ObjectRow.id)
    return [as_mask(row, image) for row in session.scalars(wanted)]


def as_mask(row: ObjectRow, image: ImageRow) -> Mask:
    """A mask as it goes out of the store."""
    segmentation: rle.RLE = {"size": [image.height, image.width], "counts": row.counts}
    return Mask(row.id, segmentation, row.label_id, row.score, row.source, row.place)  # type: ignore[arg-type]
