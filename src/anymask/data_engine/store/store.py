"""A project's store: transactions on its database, to read or to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from .database import database_errors, open_database, shown


class Store:
    """The database of a project. Several threads and processes may use it at once.

    Args:
        url: of the database, see `open_database`.

    Raises ConfigError and StoreError as that does.
    """

    def __init__(self, url: str) -> None:
        self.engine = open_database(url)

    def __str__(self) -> str:
        return shown(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that sees one state of the database. Raises StoreError where that does not answer."""
        with database_errors(self.engine), self.engine.connect() as connection, Session(connection) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is written as a whole at the end, or not at all where anything is raised.

        What was done inside is on disk when this ends. Raises StoreError where it cannot be written.
        """
        with (
            database_errors(self.engine),
            self.engine.connect().execution_options(writes=True) as connection,
            Session(connection) as session,
            connection.begin(),
        ):
            yield session
            session.flush()

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
