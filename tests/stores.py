"""Stores for tests, on SQLite and on PostgreSQL, with a labelled image in each."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
from sqlalchemy import create_engine

from anymask.data_engine.store.images import list_images, note_images
from anymask.data_engine.store.records import Change, Mask
from anymask.data_engine.store.store import Store
from anymask.task import rle

SHAPE = (20, 30)


def new_database(server: str) -> str:
    """The URL of an empty database on a PostgreSQL server."""
    name = f"test_{uuid4().hex}"
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.rsplit("/", 1)[0] + f"/{name}"


def add_images(store: Store, *names: str) -> list[int]:
    """Note images of SHAPE in a store; their ids."""
    with store.writing() as session:
        note_images(session, names)
        for image in list_images(session)[1]:
            image.height, image.width = SHAPE
        return [image.id for image in list_images(session)[1]]


def a_mask(column: int = 0, **more: object) -> Mask:
    """A mask of one column of an image of SHAPE."""
    pixels = np.zeros(SHAPE, bool)
    pixels[:, column] = True
    return Mask(str(more.pop("id", uuid4())), rle.encode(pixels), **more)  # type: ignore[arg-type]


def put(mask: Mask) -> Change:
    """The change that makes a mask."""
    return Change(str(uuid4()), "put", mask)


def undo(change: Change, kind: str = "undo") -> Change:
    """The change that takes another one back, or does it again."""
    return Change(str(uuid4()), kind, of=change.id)  # type: ignore[arg-type]
