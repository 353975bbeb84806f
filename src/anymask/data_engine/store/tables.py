"""The tables of the store."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Number = BigInteger().with_variant(Integer, "sqlite")
"""a key that counts up; SQLite does that with INTEGER alone"""


class Moment(TypeDecorator[datetime]):
    """A moment, which SQLite keeps without its zone: UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=timezone.utc) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """All tables."""


class Setting(Base):
    """What holds for the whole project, by name."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class LabelRow(Base):
    """A label that masks may have; its id is made by whoever makes the label."""

    __tablename__ = "labels"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    colour: Mapped[str] = mapped_column(String(7))
    key: Mapped[str | None] = mapped_column(String(1))


class ImageRow(Base):
    """An image of the project's folder. Its version counts its changes."""

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    name: Mapped[str] = mapped_column(String(1000), unique=True)
    """the path inside the folder, with /"""
    width: Mapped[int | None]
    height: Mapped[int | None]
    """None for an image that nobody has looked at, or that cannot be read"""
    problem: Mapped[str | None] = mapped_column(Text)
    """why it cannot be shown"""
    status: Mapped[str] = mapped_column(String(16), default="new", index=True)
    version: Mapped[int] = mapped_column(default=0)
    objects: Mapped[int] = mapped_column(default=0)
    """how many masks it has"""
    missing: Mapped[bool] = mapped_column(Boolean, default=False)
    """whether the file was gone when the folder was last looked through"""


class ObjectRow(Base):
    """A mask as it is now; its id is made by whoever makes the mask."""

    __tablename__ = "objects"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), index=True)
    label_id: Mapped[str | None] = mapped_column(ForeignKey("labels.id"), index=True)
    counts: Mapped[str] = mapped_column(Text)
    """of its COCO RLE, compressed; the size is the image's"""
    score: Mapped[float | None] = mapped_column(Float)
    source: Mapped[str] = mapped_column(String(16))
    place: Mapped[int] = mapped_column(default=0)
    """where it comes in the order of the image's masks"""


class ChangeRow(Base):
    """What somebody did, never altered but for whether it was undone; its id is made by whoever did it."""

    __tablename__ = "changes"
    __table_args__ = (Index("changes_of_image", "image_id", "number"),)

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    kind: Mapped[str] = mapped_column(String(16))
    person: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(Moment)
    duration_ms: Mapped[int] = mapped_column(default=0)
    """how long it took, as the page measured it"""
    prompts: Mapped[Any] = mapped_column(JSON)
    """what was pointed at, in the order in which it was"""
    object_id: Mapped[str | None] = mapped_column(String(36))
    before: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    after: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    """the mask, or the status, before and after; None for none"""
    of: Mapped[str | None] = mapped_column(String(36))
    """the change that this one undoes or does again"""
    undone: Mapped[bool] = mapped_column(Boolean, default=False)


class LeaseRow(Base):
    """Who may change an image, and until when."""

    __tablename__ = "leases"

    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    person: Mapped[str] = mapped_column(String(200))
    until: Mapped[datetime] = mapped_column(Moment)


class SessionRow(Base):
    """Somebody who logged in, by the SHA-256 of what their browser keeps."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    person: Mapped[str] = mapped_column(String(200))
    until: Mapped[datetime] = mapped_column(Moment)
