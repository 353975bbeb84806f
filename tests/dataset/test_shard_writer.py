"""Tar shards: what is packed is read again, an index tells where, and a cut run goes on."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile

import datasets
import numpy as np
import pyarrow.parquet
import pytest
from labelled_sets import add, annotations, labelled_set
from PIL import Image

from anymask.dataset import shard_writer, shards
from anymask.dataset.convert import Origin
from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.dataset.shard_writer import write_shards
from anymask.dataset.shards import open_shards
from anymask.errors import DataError, OutputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "user_cache_path", lambda name: tmp_path / "cache" / name)


@pytest.fixture()
def folder(tmp_path):
    """Seven images, one of a name in other letters, with all that a record may say."""
    folder = labelled_set(tmp_path / "x", 6, category="cup", predicted_iou=0.9)
    add(folder, "日本", annotations(annotator=3), country="Japan")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_packed_is_read_again(folder, tmp_path):
    told = []
    result = write_shards(open_folder(folder), tmp_path / "out", images=3, progress=lambda *counts: told.append(counts))
    assert (result.images, result.masks) == (7, 14) and told == [(3, 7), (6, 7), (7, 7)]
    names = [
        *(f"data_00000{i}.tar" for i in range(3)),
        "checksums.sha256",
        "index.parquet",
        "source.json",
        "DATA_CARD.md",
    ]
    assert sorted(contents(tmp_path / "out")) == sorted(names)
    again = open_shards(tmp_path / "out")
    for mine, before in zip(again, open_folder(folder), strict=True):
        assert mine.name == before.name and np.array_equal(mine.image(), before.image())
        assert mine.record["image"] == before.record["image"]
        for one, other in zip(mine.record["annotations"], before.record["annotations"], strict=True):
            assert other.items() <= one.items() and one["area"] == before.mask(other).sum()


def test_checksums_are_those_of_sha256sum(folder, tmp_path):
    write_shards(open_folder(folder), tmp_path / "out", images=3)
    done = subprocess.run(["sha256sum", "-c", "checksums.sha256"], cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == 3


def test_the_index_says_where_all_lies(folder, tmp_path):
    write_shards(open_folder(folder), tmp_path / "out", images=3)
    rows = pyarrow.parquet.read_table(tmp_path / "out" / "index.parquet").to_pylist()
    assert [row["name"] for row in rows] == ["0", "1", "2", "3", "4", "5", "日本"]
    for row in rows:
        tar = (tmp_path / "out" / row["shard"]).read_bytes()
        image = tar[row["image_start"] :][: row["image_bytes"]]
        record = json.loads(tar[row["record_start"] :][: row["record_bytes"]])
        assert Image.open(io.BytesIO(image)).size == (row["width"], row["height"])
        assert len(record["annotations"]) == row["masks"] == 2
        assert hashlib.sha256(image).hexdigest() == row["image_sha256"]


def test_the_same_bytes_with_any_number_of_processes(folder, tmp_path):
    for workers in (1, 2):
        write_shards(open_folder(folder), tmp_path / str(workers), images=2, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_cut_run_goes_on(folder, tmp_path, monkeypatch):
    write_shards(open_folder(folder), tmp_path / "whole", images=2)
    add_, added = shard_writer._add, []

    def interrupted(tar, sample, names):
        if len(added) == 5:
            raise KeyboardInterrupt
        added.append(sample.name)
        return add_(tar, sample, names)

    monkeypatch.setattr(shard_writer, "_add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_shards(open_folder(folder), tmp_path / "cut", images=2)
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        ".index",
        "data_000000.tar",
        "data_000001.tar",
    ]
    (tmp_path / "cut" / ".data_000002.tar.x1.tar").write_bytes(b"left by a process that was killed")
    monkeypatch.setattr(shard_writer, "_add", lambda *all: added.append(all[1].name) or add_(*all))
    write_shards(open_folder(folder), tmp_path / "cut", images=2)
    assert added == ["0", "1", "2", "3", "4", "4", "5", "日本"], "what was done is not done again"
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    with pytest.raises(OutputError, match="all shards are done"):
        write_shards(open_folder(folder), tmp_path / "cut", images=2)


def test_shards_of_other_images_are_not_mixed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_writer, "_finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_shards(open_folder(folder), tmp_path / "out", images=2)
    with pytest.raises(OutputError, match="other images"):
        write_shards(open_folder(folder), tmp_path / "out", images=3)


def test_what_is_wrong_is_left_out_and_told_after_a_cut_too(folder, tmp_path, monkeypatch):
    (folder / "1.json").write_text("{")
    (folder / "3.png").unlink()
    with pytest.raises(DataError, match=r"1\.json"):
        write_shards(open_folder(folder), tmp_path / "out", images=2)
    assert not list((tmp_path / "out").glob("*.tar"))
    finish = shard_writer._finish
    monkeypatch.setattr(shard_writer, "_finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_shards(open_folder(folder), tmp_path / "out", images=2, problems=Problems(keep_going=True))
    monkeypatch.setattr(shard_writer, "_finish", finish)
    problems = Problems(keep_going=True)
    result = write_shards(open_folder(folder), tmp_path / "out", images=2, problems=problems)
    assert result.images == 5 and [sample.name for sample in open_shards(tmp_path / "out")] == [
        "0",
        "2",
        "4",
        "5",
        "日本",
    ]
    assert len(problems.found) == 2 and "1.json" in problems.found[0] and "3.png" in problems.found[1]


def test_a_shard_of_which_nothing_is_left_is_none(folder, tmp_path):
    for name in "01":
        (folder / f"{name}.json").write_text("{")
    write_shards(open_folder(folder), tmp_path / "out", images=2, problems=Problems(keep_going=True))
    assert len(open_shards(tmp_path / "out")) == 5
    for path in folder.glob("*.json"):
        path.write_text("{")
    with pytest.raises(DataError, match="no image is right"):
        write_shards(open_folder(folder), tmp_path / "none", images=2, problems=Problems(keep_going=True))


def test_files_of_others_are_left_alone(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data_000000.tar").write_bytes(b"mine")
    with pytest.raises(OutputError, match="not empty"):
        write_shards(open_folder(folder), tmp_path / "out")
    assert contents(tmp_path / "out") == {"data_000000.tar": b"mine"}


def test_shards_of_a_cut_run_that_had_more_to_do_go(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_writer, "_finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_shards(open_folder(folder), tmp_path / "out", images=2)
    monkeypatch.undo()
    monkeypatch.setattr(shards, "user_cache_path", lambda name: tmp_path / "cache" / name)
    write_shards(open_folder(folder)[:4], tmp_path / "out", images=2)
    assert [path.name for path in sorted((tmp_path / "out").glob("*.tar"))] == ["data_000000.tar", "data_000001.tar"]
    assert len(open_shards(tmp_path / "out")) == 4


def test_two_images_of_one_name(folder, tmp_path):
    samples = open_folder(folder)
    with pytest.raises(DataError, match="another image is called 0"):
        write_shards([samples[0], samples[0]], tmp_path / "out")


def test_a_tar_that_others_read(folder, tmp_path):
    write_shards(open_folder(folder), tmp_path / "out", origin=Origin((), "by hand"))
    with tarfile.open(tmp_path / "out" / "data_000000.tar") as tar:
        assert tar.getnames()[:4] == ["0.png", "0.json", "1.png", "1.json"]
        assert {(member.mtime, member.uid, member.mode) for member in tar} == {(0, 0, 0o644)}
    assert "by hand" in (tmp_path / "out" / "DATA_CARD.md").read_text()


def test_datasets_reads_them_as_a_web_dataset(folder, tmp_path):
    """Another reader of the same tars finds the same."""
    write_shards(open_folder(folder), tmp_path / "out", images=3)
    tars = sorted(str(path) for path in (tmp_path / "out").glob("*.tar"))
    rows = datasets.load_dataset("webdataset", data_files={"train": tars}, split="train", streaming=True)
    for row, sample in zip(rows, open_shards(tmp_path / "out"), strict=True):
        assert row["__key__"] == sample.name
        found = [each["segmentation"]["counts"] for each in row["json"]["annotations"]]
        assert found == [each["segmentation"]["counts"] for each in sample.record["annotations"]]
        assert np.array_equal(np.asarray(row["png"].convert("RGB")), sample.image())
