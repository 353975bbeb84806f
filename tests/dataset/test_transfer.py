"""Folders to and from other places."""

from __future__ import annotations

import fsspec
import pytest
from labelled_sets import labelled_set

from anymask.dataset import transfer
from anymask.dataset.sa1b import open_folder
from anymask.dataset.shard_writer import write_shards
from anymask.dataset.transfer import download, upload
from anymask.errors import ConfigError, DataError, OutputError

URL = "memory://bucket/set"


@pytest.fixture(autouse=True)
def memory():
    """An object store with nothing in it."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    return store.store


@pytest.fixture()
def folder(tmp_path):
    """Shards with checksums, a file in a folder of its own, and one that is hidden."""
    write_shards(open_folder(labelled_set(tmp_path / "x", 4)), tmp_path / "set", images=2)
    (tmp_path / "set" / "more").mkdir()
    (tmp_path / "set" / "more" / "ä b.txt").write_text("text")
    (tmp_path / "set" / ".hidden").write_text("no")
    return tmp_path / "set"


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_there_and_back(folder, tmp_path, memory):
    told = []
    assert upload(folder, URL, lambda *counts: told.append(counts)) == 7
    assert told == [(i + 1, 7) for i in range(7)] and list(memory)[-1] == "/bucket/set/checksums.sha256"
    assert not any("hidden" in name for name in memory)
    assert download(URL, tmp_path / "back") == 7
    assert contents(tmp_path / "back") == contents(folder)


def test_what_is_there_is_not_moved_again(folder, tmp_path, memory):
    upload(folder, URL)
    download(URL, tmp_path / "back")
    assert download(URL, tmp_path / "back") == 0
    (tmp_path / "back" / "data_000001.tar").unlink()
    (tmp_path / "back" / "index.parquet").write_bytes(b"cut")
    assert download(URL, tmp_path / "back") == 2
    del memory["/bucket/set/data_000000.tar"]
    assert upload(folder, URL) == 2, "what is missing, and the checksums as the last"


def test_a_file_of_the_same_size_that_is_another_is_fetched_again(folder, tmp_path):
    upload(folder, URL)
    download(URL, tmp_path / "back")
    tar = tmp_path / "back" / "data_000000.tar"
    tar.write_bytes(b"x" * tar.stat().st_size)
    assert download(URL, tmp_path / "back") == 1
    assert contents(tmp_path / "back") == contents(folder)


def test_a_file_that_is_damaged_there(folder, tmp_path):
    tar = folder / "data_000000.tar"
    tar.write_bytes(b"x" * tar.stat().st_size)
    upload(folder, URL)
    with pytest.raises(DataError, match=r"data_000000\.tar: is not as its checksum says"):
        download(URL, tmp_path / "back")
    assert not (tmp_path / "back" / "data_000000.tar").exists()


def test_a_file_that_is_missing_there(folder, tmp_path, memory):
    upload(folder, URL)
    del memory["/bucket/set/data_000001.tar"]
    with pytest.raises(DataError, match=r"lacks data_000001\.tar"):
        download(URL, tmp_path / "back")


def test_a_cut_leaves_nothing_half_written(folder, tmp_path, monkeypatch):
    upload(folder, URL)
    monkeypatch.setattr(transfer, "BLOCK", 512)
    opened = fsspec.implementations.memory.MemoryFile.read
    reads = []

    def cut(self, length=-1):
        reads.append(length)
        if len(reads) > 20:
            raise KeyboardInterrupt
        return opened(self, length)

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFile, "read", cut)
    with pytest.raises(KeyboardInterrupt):
        download(URL, tmp_path / "back")
    there = contents(tmp_path / "back")
    assert 0 < len(there) < 7 and there.items() <= contents(folder).items()
    assert not list((tmp_path / "back").glob(".*"))
    monkeypatch.undo()
    download(URL, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def test_what_cannot_be(folder, tmp_path, memory):
    with pytest.raises(DataError, match="expected data to upload"):
        upload(tmp_path / "none", URL)
    with pytest.raises(DataError, match="holds no files"):
        download("memory://nothing", tmp_path / "back")
    with pytest.raises(ConfigError, match="nowhere://x"):
        upload(folder, "nowhere://x")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        upload(folder, f"file://{tmp_path}/file/set")
    memory["/bucket/set/../out.txt"] = fsspec.implementations.memory.MemoryFile(
        path="/bucket/set/../out.txt", data=b"x"
    )
    with pytest.raises(DataError, match="leads out of the folder"):
        download(URL, tmp_path / "back")


def test_shards_that_changed_and_have_the_same_size_are_sent_again(folder, tmp_path):
    upload(folder, URL)
    again = tmp_path / "again"
    write_shards(open_folder(labelled_set(tmp_path / "x", 4, category="b")), again, images=2)
    assert [path.stat().st_size for path in sorted(again.glob("*.tar"))] == [
        path.stat().st_size for path in sorted(folder.glob("*.tar"))
    ]
    upload(again, URL)
    download(URL, tmp_path / "back")
    assert (tmp_path / "back" / "data_000000.tar").read_bytes() == (again / "data_000000.tar").read_bytes()
