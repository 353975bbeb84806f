"""The same samples for PyTorch and for `datasets`."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from labelled_data import HEIGHT, MASKS, WIDTH
from labelled_sets import add, annotations, labelled_set

from anymask.dataset.loader import MaskDataset, StreamDataset, loader, to_datasets
from anymask.dataset.sa1b import open_folder
from anymask.dataset.shard_writer import write_shards
from anymask.errors import DataError
from anymask.task import rle


@pytest.fixture()
def samples(tmp_path):
    folder = labelled_set(tmp_path / "x", 5, category="cup")
    add(folder, "9", [])
    return open_folder(folder)


def test_an_item(samples):
    data = MaskDataset(samples)
    assert len(data) == 6
    item, empty = data[0], data[5]
    assert "record" not in vars(samples[0]), "records are let go of"
    assert item["name"] == "0" and item["categories"] == ["cup", "cup"] and item["ids"] == [1, 2]
    assert item["image"].shape == (3, HEIGHT, WIDTH) and item["image"].dtype == torch.uint8
    assert np.array_equal(item["image"].permute(1, 2, 0), samples[0].image())
    assert item["masks"].dtype == torch.bool and np.array_equal(item["masks"], MASKS)
    assert item["boxes"].tolist() == [[3, 2, 14, 12], [2, 15, 30, 20]] and item["crowd"] == [False, False]
    assert empty["masks"].shape == (0, HEIGHT, WIDTH) and empty["boxes"].shape == (0, 4)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(samples, workers):
    data = MaskDataset(samples, _name_and_area)
    batches = list(loader(data, 4, num_workers=workers))
    assert [len(batch) for batch in batches] == [4, 2]
    assert [name for batch in batches for name, _ in batch] == ["0", "1", "2", "3", "4", "9"]
    assert batches[0][0][1] == sum(int(mask.sum()) for mask in MASKS)


def _name_and_area(item):
    return item["name"], int(item["masks"].sum())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_is_read_once_whatever_the_workers(samples, tmp_path, workers):
    write_shards(samples, tmp_path / "shards", images=2)
    data = StreamDataset(str(tmp_path / "shards"), _name_and_area)
    found = [name for batch in loader(data, 2, num_workers=workers) for name, _ in batch]
    assert sorted(found) == ["0", "1", "2", "3", "4", "9"]


def test_a_stream_passes_over_what_is_wrong(samples, tmp_path):
    write_shards(samples, tmp_path / "shards", images=2)
    (tmp_path / "shards" / "data_000001.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match="data_000001"):
        list(StreamDataset(str(tmp_path / "shards")))
    assert len(list(StreamDataset(str(tmp_path / "shards"), keep_going=True))) == 4


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_of_datasets(samples, tmp_path, monkeypatch, streaming):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = list(to_datasets(samples, streaming))
    assert [row["name"] for row in rows] == ["0", "1", "2", "3", "4", "9"]
    for row, sample in zip(rows, samples, strict=True):
        assert np.array_equal(np.asarray(row["image"].convert("RGB")), sample.image())
        assert (row["width"], row["height"]) == (WIDTH, HEIGHT)
        for one, annotation in zip(row["objects"], sample.record["annotations"], strict=True):
            assert one["category"] == "cup" and one["area"] == rle.area(annotation["segmentation"])
            assert np.array_equal(rle.decode(one["segmentation"]), sample.mask(annotation))


def test_a_name_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    add(tmp_path / "x", "a", annotations(category=None))
    [row] = to_datasets(open_folder(tmp_path / "x"), streaming=True)
    assert [one["category"] for one in row["objects"]] == [None, None]
