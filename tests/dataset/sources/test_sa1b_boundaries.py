"""SA-1B records beside PNGs of boundaries, one bit a person."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import HEIGHT, RING, WIDTH, block, write_image
from PIL import Image

from anymask.dataset.sources.sa1b_boundaries import open_sa1b_boundaries
from anymask.errors import DataError
from anymask.task import rle

FIRST, THIRD, LAST = block(4, 5, 0, WIDTH), block(0, HEIGHT, 7, 8), block(4, 9, 30, 31)


@pytest.fixture()
def write(tmp_path):
    """Writes an image, its record and the map of its boundaries; the samples come back."""

    def write(bits, name="a"):
        write_image(tmp_path / f"{name}.jpg")
        size = {"file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH}
        annotations = [{"id": 1, "segmentation": rle.encode(RING)}]
        (tmp_path / f"{name}.json").write_text(json.dumps({"image": size, "annotations": annotations}))
        if bits is not None:
            Image.fromarray(bits).save(tmp_path / f"{name}.png")
        return open_sa1b_boundaries(tmp_path)

    return write


def test_each_bit_is_a_person(write):
    [sample] = write((FIRST * 1 | THIRD * 4 | LAST * 128).astype(np.uint8))
    drawn = [rle.decode(each) for each in sample.record["boundaries"]]
    assert len(drawn) == 3, "who drew nothing is left out"
    for found, expected in zip(drawn, (FIRST, THIRD, LAST), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(sample.objects()[0].mask, RING)
    assert sample.image().shape == (HEIGHT, WIDTH, 3) and sample.name == "a"


def test_nobody_drew_anything(write):
    [sample] = write(np.zeros((HEIGHT, WIDTH), np.uint8))
    assert sample.record["boundaries"] == []


def test_each_image_has_its_own(write):
    write(FIRST.astype(np.uint8), "b")
    first, second = write(LAST.astype(np.uint8), "a")
    np.testing.assert_array_equal(rle.decode(first.record["boundaries"][0]), LAST)
    np.testing.assert_array_equal(rle.decode(second.record["boundaries"][0]), FIRST)


def test_a_record_that_is_forgotten_is_read_anew(write, tmp_path):
    """Nothing of it is kept elsewhere."""
    [sample] = write(FIRST.astype(np.uint8))
    assert len(sample.record["annotations"]) == 1
    record = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**record, "annotations": []}))
    Image.fromarray(LAST.astype(np.uint8)).save(tmp_path / "a.png")
    assert len(sample.record["annotations"]) == 1
    sample.forget()
    assert sample.record["annotations"] == []
    np.testing.assert_array_equal(rle.decode(sample.record["boundaries"][0]), LAST)


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (None, "cannot be read .*expected a PNG of boundaries beside the record"),
        (np.zeros((HEIGHT, WIDTH - 1), np.uint8), r"and \[24, 36\], got uint8 \[24, 35\]"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), r"one channel of 8 bits and \[24, 36\], got uint8 \[24, 36, 3\]"),
        (np.zeros((HEIGHT, WIDTH), np.uint16), "got uint16"),
        (np.zeros((HEIGHT, WIDTH), bool), "got bool"),
    ],
)
def test_a_map_that_does_not_fit_is_named(write, bits, message):
    [sample] = write(bits)
    with pytest.raises(DataError, match=rf"a\.png: .*{message}") as caught:
        _ = sample.record
    assert "\n" not in str(caught.value)


def test_a_map_or_record_that_is_broken_is_named(write, tmp_path):
    [sample] = write(FIRST.astype(np.uint8))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        _ = sample.record
    (tmp_path / "a.png").write_bytes(whole)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(DataError, match=r"a\.json: expected an SA-1B record"):
        _ = sample.record


def test_no_records_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json records"):
        open_sa1b_boundaries(tmp_path)
