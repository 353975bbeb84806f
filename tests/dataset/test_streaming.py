"""Shards read once from begin to end, from disk and from elsewhere."""

from __future__ import annotations

import gzip
import http.server
import io
import json
import tarfile
from functools import partial
from threading import Thread

import fsspec
import numpy as np
import pytest
from labelled_data import MASKS, check_masks
from labelled_sets import labelled_set

from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.dataset.shard_writer import write_shards
from anymask.dataset.streaming import stream
from anymask.errors import DataError


@pytest.fixture()
def folder(tmp_path):
    """Three shards of two images."""
    write_shards(open_folder(labelled_set(tmp_path / "x", 6)), tmp_path / "shards", images=2)
    return tmp_path / "shards"


@pytest.fixture()
def served(folder, monkeypatch):
    """The folder at a URL."""
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def names(samples):
    return [sample.name for sample in samples]


def pack(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            told = tarfile.TarInfo(name)
            told.size = len(content)
            tar.addfile(told, io.BytesIO(content))
    return path


def members(tar):
    with tarfile.open(tar) as opened:
        return [(member.name, opened.extractfile(member).read()) for member in opened]


def test_from_disk(folder):
    for sample, before in zip(stream(str(folder)), open_folder(folder.parent / "x"), strict=True):
        check_masks(sample, MASKS)
        assert sample.name == before.name and np.array_equal(sample.image(), before.image())
    assert names(stream(f"{folder}/data_00000{{0..1}}.tar")) == ["0", "1", "2", "3"]
    assert names(stream([f"{folder}/data_000002.tar", f"{folder}/data_000000.tar"])) == ["4", "5", "0", "1"]


def test_workers_share_the_shards(folder):
    parts = [names(stream(str(folder), part=(i, 2))) for i in range(2)]
    assert parts == [["0", "1", "4", "5"], ["2", "3"]]


def test_from_elsewhere(folder, served):
    assert names(stream(f"{served}/data_00000{{0..2}}.tar")) == list("012345")
    with fsspec.open("memory://set/a.tar", "wb") as file:
        file.write((folder / "data_000001.tar").read_bytes())
    [first, _] = stream("memory://set/a.tar")
    check_masks(first, MASKS)


def test_compressed_tars_and_what_others_put_beside(folder, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress((folder / "data_000000.tar").read_bytes()))
    assert names(stream(str(tmp_path / "a.tar.gz"))) == ["0", "1"]
    more = [("source.json", b"{}"), ("0.txt", b"a caption"), *members(folder / "data_000000.tar"), ("._1.png", b"")]
    assert names(stream(str(pack(tmp_path / "b.tar", more)))) == ["0", "1"]


def test_what_is_wrong_names_the_shard_and_the_rest_is_read(folder, tmp_path):
    cut = folder / "data_000000.tar"
    cut.write_bytes(cut.read_bytes()[:-6000])
    whole = members(folder / "data_000001.tar")
    pack(folder / "data_000001.tar", [*whole[:2], whole[2], ("x.json", b"{}"), whole[3]])
    with pytest.raises(DataError, match=r"data_000000\.tar: cannot be read"):
        list(stream(str(folder)))
    problems = Problems(keep_going=True)
    assert names(stream(str(folder), problems=problems)) == ["0", "2", "4", "5"]
    assert len(problems.found) == 2 and "after 0.json" in problems.found[0]
    assert problems.found[1].endswith("3 has no record right beside it; pack the two one after the other")


def test_what_cannot_be_reached(tmp_path, served):
    with pytest.raises(DataError, match=r"no such file"):
        list(stream(str(tmp_path / "none.tar")))
    for url in (f"{served}/none.tar", "nowhere://x/a.tar", "memory://none.tar"):
        with pytest.raises(DataError, match=url):
            list(stream(url))


def test_a_record_that_is_none(folder, tmp_path):
    whole = members(folder / "data_000000.tar")
    [sample] = stream(str(pack(tmp_path / "a.tar", [whole[0], (whole[1][0], json.dumps({}).encode()[:1])])))
    with pytest.raises(DataError, match=r"a\.tar/0\.json: cannot be read as JSON"):
        _ = sample.record
