"""Leases: who may change an image, until when, unless it is renewed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import LockedError
from .images import find_image
from .tables import LeaseRow

LEASE_SECONDS = 60
"""how long an image is kept for somebody who is not heard of"""


def take_lease(session: Session, image_id: int, person: str, now: datetime | None = None) -> datetime:
    """Keep an image for a person, who may have it already; until when.

    Raises LockedError where somebody else has it, and MissingError where there is no such image.
    """
    now = now or datetime.now(timezone.utc)
    find_image(session, image_id, lock=True)
    until = now + timedelta(seconds=LEASE_SECONDS)
    lease = session.get(LeaseRow, image_id)
    if lease is None:
        session.add(LeaseRow(image_id=image_id, person=person, until=until))
        return until
    if lease.person != person and lease.until > now:
        raise LockedError(
            f"{lease.person} is working on this image; it is free in {(lease.until - now).seconds + 1} s at the "
            "earliest: take another one meanwhile",
            lease.person,
            lease.until.isoformat(),
        )
    lease.person, lease.until = person, until
    return until


def end_lease(session: Session, image_id: int, person: str) -> None:
    """Let go of an image, if the person has it."""
    lease = session.get(LeaseRow, image_id)
    if lease is not None and lease.person == person:
        session.delete(lease)


def holders(session: Session, image_ids: list[int], now: datetime | None = None) -> dict[int, str]:
    """Who works on which of some images now."""
    now = now or datetime.now(timezone.utc)
    rows = session.scalars(select(LeaseRow).where(LeaseRow.image_id.in_(image_ids)))
    return {row.image_id: row.person for row in rows if row.until > now}
