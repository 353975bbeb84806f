"""The store's database: opened, brought up to date, and what is said where it is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from stores import a_mask, add_images, put

from anymask.data_engine.store.changes import apply_changes
from anymask.data_engine.store.database import open_database
from anymask.data_engine.store.samples import project_samples
from anymask.data_engine.store.store import Store
from anymask.data_engine.store.tables import Base
from anymask.errors import ConfigError, StoreError

SAVING = """
import sys
from uuid import uuid4
from stores import a_mask, put
from anymask.data_engine.store.changes import apply_changes
from anymask.data_engine.store.store import Store

store = Store(sys.argv[1])
version = 0
while True:
    with store.writing() as session:
        version = apply_changes(session, int(sys.argv[2]), "ann", version, [put(a_mask(version % 30))]).version
    print(version, flush=True)
"""


def test_the_tables_are_those_that_the_code_knows(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_several_may_open_it_for_the_first_time_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for store in list(pool.map(lambda _: Store(url), range(4))):
            store.close()


def test_what_a_later_version_made_is_left_alone(url: str) -> None:
    store = Store(url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreError, match="altered by another version of anymask"):
        Store(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("no url", "expected an URL"),
        ("oracle://host/name", "expected an URL|not supported|not installed"),
        ("mysql://host/name", "not installed|not supported"),
    ],
)
def test_an_url_that_is_none(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        open_database(url)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StoreError, match=r"postgresql\+psycopg://ann:\*\*\*@127\.0\.0\.1:9/x: .*try again"):
        open_database("postgresql://ann:secret@127.0.0.1:9/x")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"unable to open database file; nothing was saved"):
        open_database(f"sqlite:///{tmp_path / 'no' / 'project.sqlite'}")


def test_what_was_answered_survives_kill_9(url: str) -> None:
    """A process that saves in a loop is killed; all that it said it had saved is there, and nothing is half there."""
    store = Store(url)
    image = add_images(store, "a.jpg")[0]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", SAVING, url, str(image)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(20)][-1]
    process.send_signal(signal.SIGKILL)
    told = max([told, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
    process.wait()
    process.stdout.close()
    [sample] = project_samples(store, Path("photos"))
    assert len(sample.record["annotations"]) >= told
    with store.writing() as session:
        count = len(sample.record["annotations"])
        assert apply_changes(session, image, "ann", count, [put(a_mask())]).version == count + 1
    store.close()


def test_a_full_disk_is_told_and_costs_nothing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'project.sqlite'}")
    image = add_images(store, "a.jpg")[0]
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    version = 0
    with pytest.raises(StoreError, match=r"disk is full.*when there is space on the disk"):
        while version < 2000:
            with store.writing() as session:
                session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
                version = apply_changes(session, image, "ann", version, [put(a_mask(version % 30))]).version
    [sample] = project_samples(store, Path("photos"))
    assert len(sample.record["annotations"]) == version
    store.close()
