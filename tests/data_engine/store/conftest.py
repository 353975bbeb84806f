"""The databases that tests of the store run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
from stores import new_database

from anymask.data_engine.store.store import Store


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL server; the test is skipped where none is installed."""
    if not postgresql.is_installed():
        pytest.skip("no PostgreSQL server; apt-get install postgresql")
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'project.sqlite'}"
    return new_database(request.getfixturevalue("postgresql_server"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    opened = Store(url)
    yield opened
    opened.close()
