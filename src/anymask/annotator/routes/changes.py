"""Changes to a photo's masks over HTTP, and who may make them."""

from __future__ import annotations

from fastapi import APIRouter

from ...data_engine.store.changes import apply_changes, changes_of
from ...data_engine.store.images import find_image, masks_of
from ...data_engine.store.leases import end_lease, take_lease
from ...errors import StaleError
from ..faults import AnswerError
from ..schemas import ChangeOut, ChangesIn, ChangesOut, LeaseOut, ObjectIn, Saved
from .people import Person, Work
from .photos import with_objects

router = APIRouter(prefix="/api/images/{image_id}", tags=["changes"])


@router.post("/lease")
def lease(work: Work, person: Person, image_id: int) -> LeaseOut:
    """Keep a photo for oneself for a while, or keep it longer."""
    with work.store.writing() as session:
        until = take_lease(session, image_id, person)
        return LeaseOut(until=until.isoformat(), version=find_image(session, image_id).version)


@router.delete("/lease")
def release(work: Work, person: Person, image_id: int) -> None:
    """Let go of a photo."""
    with work.store.writing() as session:
        end_lease(session, image_id, person)


@router.get("/changes")
def read_changes(work: Work, _: Person, image_id: int) -> ChangesOut:
    """All that was done to a photo, in its order."""
    with work.store.reading() as session:
        find_image(session, image_id)
        return ChangesOut(
            changes=[
                ChangeOut(
                    id=row.id,
                    kind=row.kind,
                    of=row.of,
                    person=row.person,
                    at=row.at.isoformat(),
                    duration_ms=row.duration_ms,
                    object_id=row.object_id,
                    undone=row.undone,
                )
                for row in changes_of(session, image_id)
            ]
        )


@router.post("/changes")
def save_changes(work: Work, person: Person, image_id: int, given: ChangesIn) -> Saved:
    """Save what somebody did, all of it or nothing; what was saved before, by its id, is not done again."""
    changes = [change.checked() for change in given.changes]
    try:
        with work.store.writing() as session:
            work.look_at(find_image(session, image_id, lock=True))
            session.flush()
            image = apply_changes(session, image_id, person, given.base_version, changes)
            masks = masks_of(session, image)
            saved = Saved(version=image.version, objects=[ObjectIn(**mask.to_dict()) for mask in masks])
    except StaleError as error:
        now = with_objects(work, image_id)
        objects = [each.model_dump() for each in now.objects]
        raise AnswerError(409, "stale", str(error), version=now.image.version, objects=objects) from error
    work.metrics.saves.inc(len(changes))
    return saved
