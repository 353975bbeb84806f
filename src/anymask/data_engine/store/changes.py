"""Changes to an image: each is a row, done once, and undone and done again by further rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import DataError, MissingError, StaleError
from .images import as_mask, find_image
from .leases import take_lease
from .records import Change, Mask
from .tables import ChangeRow, ImageRow, LabelRow, ObjectRow

State = dict[str, Any] | None
"""a mask, {"status": …}, or None for no mask"""


def apply_changes(
    session: Session,
    image_id: int,
    person: str,
    base_version: int,
    changes: Sequence[Change],
    now: datetime | None = None,
) -> ImageRow:
    """Do what a person did, all of it or nothing, and keep the image for them; the image as it is then.

    Changes that were done before, by their ids, are not done again: who did not hear of an answer may ask again.

    Args:
        session: of `Store.writing`.
        image_id: the image.
        person: who.
        base_version: of the image that the person saw.
        changes: in their order.
        now: the time.

    Raises MissingError for an image or a change that is not there, LockedError where somebody else works on the image,
    StaleError where it was changed since, and DataError for a change that cannot be.
    """
    now = now or datetime.now(timezone.utc)
    image = find_image(session, image_id, lock=True)
    known = {
        row.id: row.image_id
        for row in session.scalars(select(ChangeRow).where(ChangeRow.id.in_([change.id for change in changes])))
    }
    if any(found != image_id for found in known.values()):
        raise DataError("a change has the id of one to another image; make a new id for each")
    fresh = [change for change in changes if change.id not in known]
    if not fresh:
        return image
    take_lease(session, image_id, person, now)
    if base_version + len(known) != image.version:
        raise StaleError(
            f"{image.name}: was changed meanwhile, it has version {image.version}, not {base_version}; "
            "read it again and put your changes on top"
        )
    for change in fresh:
        _apply(session, image, person, change, now)
        session.flush()
    return image


def changes_of(session: Session, image_id: int) -> Sequence[ChangeRow]:
    """All changes to an image, in their order."""
    return session.scalars(select(ChangeRow).where(ChangeRow.image_id == image_id).order_by(ChangeRow.number)).all()


def _apply(session: Session, image: ImageRow, person: str, change: Change, now: datetime) -> None:
    row = ChangeRow(
        id=change.id,
        image_id=image.id,
        kind=change.kind,
        person=person,
        at=now,
        duration_ms=change.duration_ms,
        prompts=change.prompts,
        of=change.of,
    )
    _DO[change.kind](session, image, change, row)
    session.add(row)
    image.version += 1


def _put(session: Session, image: ImageRow, change: Change, row: ChangeRow) -> None:
    mask = change.mask
    assert mask is not None  # as Change sees to
    if image.height is None or image.width is None:
        raise DataError(f"{image.name}: cannot be read, so it takes no masks")
    mask.check((image.height, image.width))
    if mask.label is not None and session.get(LabelRow, mask.label) is None:
        raise DataError(f"mask {mask.id}: there is no label {mask.label}; reload the page")
    row.object_id = mask.id
    row.before, row.after = _state(session, image, mask.id), mask.to_dict()
    _set(session, image, mask.id, row.after)
    if image.status == "new":
        image.status = "started"


def _remove(session: Session, image: ImageRow, change: Change, row: ChangeRow) -> None:
    row.object_id = change.object_id
    row.before = _state(session, image, change.object_id or "")
    if row.before is None:
        raise MissingError(f"mask {change.object_id}: there is none in {image.name}; somebody may have removed it")
    _set(session, image, change.object_id or "", None)


def _set_status(session: Session, image: ImageRow, change: Change, row: ChangeRow) -> None:
    row.before, row.after = {"status": image.status}, {"status": change.status}
    image.status = change.status or "new"


def _undo(session: Session, image: ImageRow, change: Change, row: ChangeRow) -> None:
    earlier = _earlier(session, image, change, undone=False)
    _go_to(session, image, row, earlier, earlier.before)
    earlier.undone = True


def _redo(session: Session, image: ImageRow, change: Change, row: ChangeRow) -> None:
    earlier = _earlier(session, image, change, undone=True)
    _go_to(session, image, row, earlier, earlier.after)
    earlier.undone = False


_DO: dict[str, Callable[[Session, ImageRow, Change, ChangeRow], None]] = {
    "put": _put,
    "remove": _remove,
    "status": _set_status,
    "undo": _undo,
    "redo": _redo,
}


def _earlier(session: Session, image: ImageRow, change: Change, undone: bool) -> ChangeRow:
    """The change that another one undoes or does again. Raises MissingError, and DataError where that cannot be."""
    earlier = session.scalar(select(ChangeRow).where(ChangeRow.id == change.of, ChangeRow.image_id == image.id))
    if earlier is None:
        raise MissingError(f"change {change.of}: there is none in {image.name}; reload the page")
    if earlier.kind in ("undo", "redo") or earlier.undone != undone:
        raise DataError(f"change {change.of}: cannot be {'done again' if undone else 'undone'} now; reload the page")
    later = select(ChangeRow).where(
        ChangeRow.image_id == image.id,
        ChangeRow.number > earlier.number,
        ChangeRow.object_id.is_not_distinct_from(earlier.object_id),
        ChangeRow.kind.in_(("put", "remove", "status")),
        ChangeRow.undone.is_(False),
    )
    if session.scalar(later.limit(1)) is not None:
        raise DataError(f"change {change.of}: what it changed was changed again since; undo that first")
    return earlier


def _go_to(session: Session, image: ImageRow, row: ChangeRow, earlier: ChangeRow, state: State) -> None:
    """Bring what an earlier change changed into a state."""
    row.object_id, row.after = earlier.object_id, state
    if earlier.kind == "status":
        row.before = {"status": image.status}
        image.status = (state or {})["status"]
    else:
        row.before = _state(session, image, earlier.object_id or "")
        _set(session, image, earlier.object_id or "", state)


def _state(session: Session, image: ImageRow, object_id: str) -> State:
    """A mask of the image as it is now. Raises DataError where the id is that of another image's mask."""
    found = session.get(ObjectRow, object_id)
    if found is None:
        return None
    if found.image_id != image.id:
        raise DataError(f"mask {object_id}: is one of another image; make a new id for each mask")
    return as_mask(found, image).to_dict()


def _set(session: Session, image: ImageRow, object_id: str, state: State) -> None:
    """Bring a mask into a state. A label that was deleted meanwhile is left out."""
    found = session.get(ObjectRow, object_id)
    image.objects += (state is not None) - (found is not None)
    if state is None:
        if found is not None:
            session.delete(found)
        return
    mask = Mask(**state)
    label = mask.label if mask.label and session.get(LabelRow, mask.label) else None
    if found is None:
        found = ObjectRow(id=object_id, image_id=image.id)
        session.add(found)
    found.counts, found.label_id = mask.segmentation["counts"], label
    found.score, found.source, found.place = mask.score, mask.source, mask.order
