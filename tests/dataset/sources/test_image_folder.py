"""Folders of images without labels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from anymask.dataset.sa1b import IMAGE_SUFFIXES
from anymask.dataset.sources.image_folder import open_images
from anymask.errors import DataError, ImageError


def write(path, height=20, width=30, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path, **options)


@pytest.mark.parametrize("suffix", [*IMAGE_SUFFIXES, ".JPG"])
def test_any_kind_of_image_is_found_in_subfolders_too(tmp_path, suffix):
    write(tmp_path / f"b{suffix}")
    write(tmp_path / "deep" / "er" / f"a{suffix}", height=40)
    (tmp_path / "notes.txt").write_text("no image")
    samples = open_images(tmp_path)
    assert [sample.name for sample in samples] == ["b", "deep/er/a"]
    assert [sample.size for sample in samples] == [[20, 30], [40, 30]]
    assert samples[0].image().shape == (20, 30, 3)
    assert samples[0].annotations == [] and samples[0].objects() == []


def test_a_photo_is_as_a_person_sees_it(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    write(tmp_path / "a.jpg", height=20, width=30, exif=turned)
    [sample] = open_images(tmp_path)
    assert sample.size == [30, 20] and sample.image().shape == (30, 20, 3)


def test_files_that_differ_by_suffix_have_names_of_their_own_and_hidden_ones_none(tmp_path):
    for name in ("a.png", "a.jpg", "._a.jpg", ".thumbnails/a.jpg"):
        write(tmp_path / name)
    assert [sample.name for sample in open_images(tmp_path)] == ["a.jpg", "a.png"]


def test_files_are_read_when_they_are_looked_at_and_then_named(tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    _, broken = pickle.loads(pickle.dumps(open_images(tmp_path)))
    with pytest.raises(ImageError, match=r"b\.png"):
        _ = broken.size


def test_no_images_are_no_source(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_images(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no images"):
        open_images(tmp_path)
