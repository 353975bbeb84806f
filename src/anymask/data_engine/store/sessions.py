"""Who is logged in: the store keeps a digest of what a browser shows, never the thing itself."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from sqlalchemy import delete
from sqlalchemy.orm import Session

from .tables import SessionRow

DAYS = 30
"""for which a login holds"""


def begin_session(session: Session, person: str) -> str:
    """Log a person in; the secret by which their browser is known from then on."""
    now = datetime.now(timezone.utc)
    session.execute(delete(SessionRow).where(SessionRow.until < now))
    secret = secrets.token_urlsafe(32)
    session.add(SessionRow(digest=_digest(secret), person=person, until=now + timedelta(days=DAYS)))
    return secret


def person_of(session: Session, secret: str) -> str | None:
    """Whose secret it is; None for nobody's, or one that is too old."""
    row = session.get(SessionRow, _digest(secret))
    return row.person if row is not None and row.until > datetime.now(timezone.utc) else None


def end_session(session: Session, secret: str) -> None:
    """Log out."""
    row = session.get(SessionRow, _digest(secret))
    if row is not None:
        session.delete(row)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
