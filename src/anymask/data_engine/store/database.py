"""Opening the store's database, SQLite or PostgreSQL, and bringing its tables up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from ...errors import ConfigError, StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 20
"""how long a change waits for another one to be written"""
CONNECTIONS = 20
"""to PostgreSQL, at most"""


def open_database(url: str) -> Engine:
    """The database at an URL, with all tables as this version of the package has them.

    Args:
        url: such as "sqlite:///folder/file.sqlite" or "postgresql://user:password@host/name".

    Raises ConfigError for an URL that is none, and StoreError for a database that cannot be opened, or that a later
    version has altered.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediately)
    else:
        engine = create_engine(parsed, pool_size=CONNECTIONS, max_overflow=0, pool_pre_ping=True)
    try:
        with database_errors(engine):
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError(
            f"database {url!r}: expected an URL such as postgresql://user:password@host/name or sqlite:///FILE"
        ) from None
    except ImportError as error:
        raise ConfigError(f"database: {error.name} is not installed; pip install 'anymask[postgresql]'") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"database: {parsed.get_backend_name()} is not supported; use SQLite or PostgreSQL")
    return parsed


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer, and each commit on disk before it is told."""
    connection.isolation_level = None  # for SQLAlchemy to say BEGIN
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: Any) -> None:
    """Take the lock at the beginning: a transaction that reads before it writes could not get it later."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _migrate(engine: Engine) -> None:
    """Bring the tables up to date; several processes may do so at once."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7201)")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"{shown(engine)}: was altered by another version of anymask, this one knows {head} ({error}); "
                "install the version that made it, or a later one"
            ) from None


@contextmanager
def database_errors(engine: Engine) -> Iterator[None]:
    """Raise StoreError, in one line, where the database does not answer, or cannot write."""
    try:
        yield
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise StoreError(f"{shown(engine)}: {reason}; nothing was saved: try again {_remedy(reason)}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StoreError(f"{shown(engine)}: the connection was lost; nothing was saved: try again") from error


def _remedy(reason: str) -> str:
    if "full" in reason or "No space" in reason:
        return "when there is space on the disk"
    return "when the database is there and can be written"


def shown(engine: Engine) -> str:
    """The database as an error names it, without its password."""
    return engine.url.database or "" if engine.dialect.name == "sqlite" else engine.url.render_as_string()
