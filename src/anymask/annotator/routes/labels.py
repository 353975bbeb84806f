"""Labels over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from ...data_engine.store.labels import put_label, remove_label
from ...data_engine.store.records import checked_id
from ...errors import DataError
from ..faults import AnswerError
from ..schemas import LabelIn, LabelOut, labels_out
from .people import Person, Work

router = APIRouter(prefix="/api/labels", tags=["labels"])


@router.get("")
def read_labels(work: Work, _: Person) -> list[LabelOut]:
    """All labels, those with keys first."""
    with work.store.reading() as session:
        return labels_out(session)


@router.put("/{label_id}")
def write_label(work: Work, _: Person, label_id: str, given: LabelIn) -> list[LabelOut]:
    """Make or alter a label; all labels then."""
    label = given.checked(label_id)
    with work.store.writing() as session:
        put_label(session, label)
        session.flush()
        return labels_out(session)


@router.delete("/{label_id}")
def delete_label(work: Work, _: Person, label_id: str) -> list[LabelOut]:
    """Take away a label that no mask has; all labels then."""
    with work.store.writing() as session:
        try:
            remove_label(session, checked_id(label_id))
        except DataError as error:
            raise AnswerError(409, "in_use", str(error)) from error
        session.flush()
        return labels_out(session)
