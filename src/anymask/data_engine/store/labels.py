"""The labels of a project in its store."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...errors import DataError, MissingError
from .records import Label
from .tables import LabelRow, ObjectRow

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#12a5b5", "#d6249f", "#7f9b00", "#9a6324", "#008080")
"""which new labels get, one after another"""


def all_labels(session: Session) -> list[Label]:
    """The labels, those with keys first."""
    rows = session.scalars(select(LabelRow).order_by(LabelRow.key.is_(None), LabelRow.key, LabelRow.name))
    return [Label(row.id, row.name, row.colour, row.key) for row in rows]


def put_label(session: Session, label: Label) -> None:
    """Make or alter a label; a key that another had goes over to it. Raises DataError for a name that another has."""
    same = session.scalar(select(LabelRow).where(LabelRow.name == label.name, LabelRow.id != label.id))
    if same is not None:
        raise DataError(f"label {label.name}: there is one of this name; choose that one, or give another name")
    if label.key is not None:
        for other in session.scalars(select(LabelRow).where(LabelRow.key == label.key, LabelRow.id != label.id)):
            other.key = None
    session.merge(LabelRow(id=label.id, name=label.name, colour=label.colour, key=label.key))


def remove_label(session: Session, label_id: str) -> None:
    """Take a label away. Raises MissingError where there is none, and DataError where masks have it."""
    row = session.get(LabelRow, label_id, with_for_update=True)
    if row is None:
        raise MissingError(f"label {label_id}: there is none; reload the page")
    used = session.scalar(select(func.count()).where(ObjectRow.label_id == label_id))
    if used:
        raise DataError(f"label {row.name}: {used} masks have it; give them another one first")
    session.delete(row)


def labels_by_name(session: Session, names: Iterable[str]) -> dict[str, str]:
    """The ids of the labels of some names; those that are not there are made, with colours and free keys."""
    found = {label.name: label for label in all_labels(session)}
    keys = [key for key in "1234567890" if key not in {label.key for label in found.values()}]
    given: dict[str, str] = {}
    for name in dict.fromkeys(names):
        label = Label(str(uuid4()), name, COLOURS[len(found) % len(COLOURS)], keys[0] if keys else None)
        if label.name not in found:
            keys = keys[1:]
            put_label(session, label)
            found[label.name] = label
        given[name] = found[label.name].id
    return given
