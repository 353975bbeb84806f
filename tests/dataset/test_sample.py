"""The objects of a labelled image: decoded, checked, and each fault named with its file and mask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_data import BLOCK, HEIGHT, MASKS, RING, TWO_PARTS, WIDTH, block, write_image

from anymask.dataset.sample import Object, Sample
from anymask.errors import DataError, ImageError
from anymask.task import rle

EMPTY = block(0, 0, 0, 0)


def annotation(number, mask, **more):
    return {"id": number, "segmentation": rle.encode(mask), **more}


def sample_of(*annotations):
    """A sample whose record, of the file a.json, holds these annotations; it counts how often it is read."""
    reads = []

    def read():
        reads.append(1)
        return {
            "image": {"file_name": "a.jpg", "height": HEIGHT, "width": WIDTH},
            "annotations": list(annotations),
        }

    return Sample(Path("set") / "a.json", "a", read), reads


def test_objects_as_they_are_labelled():
    ignore = block(0, 3, 0, WIDTH)
    records = [annotation(7, RING, category="cup", ignore=rle.encode(ignore)), annotation("b", TWO_PARTS)]
    crowd = {"id": 7, "iscrowd": 1, "segmentation": {"counts": "?"}}
    sample, _ = sample_of(*records, crowd)
    first, second = sample.objects()
    assert (first.id, first.category, first.record) == (7, "cup", records[0])
    assert (second.id, second.category, second.ignore, second.record) == ("b", None, None, records[1])
    for found, mask in ((first, RING), (second, TWO_PARTS)):
        np.testing.assert_array_equal(found.mask, mask)
        assert found.mask.dtype == bool
    np.testing.assert_array_equal(first.ignore, ignore)


def test_what_is_ignored_does_not_count():
    target = Object(1, RING, ignore=block(0, 5, 0, WIDTH))
    several = np.stack([RING, BLOCK, ~RING])
    counted = target.counted(several)
    assert not counted[:, :5].any()
    np.testing.assert_array_equal(counted[:, 5:], several[:, 5:])
    np.testing.assert_array_equal(Object(1, RING).counted(several), several)


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (annotation(8, EMPTY), "mask 8 is empty; remove it, or leave such out with --skip-empty"),
        (annotation("b", EMPTY), "mask b is empty"),
        (annotation(8, RING, ignore=rle.encode(~EMPTY)), "mask 8 is empty"),  # nothing of it counts
        (annotation(7, TWO_PARTS), "two masks have the id 7; give each its own"),
        (annotation(None, TWO_PARTS), "a mask has the id None; expected a number or a name of its own"),
        ({"segmentation": rle.encode(RING)}, "a mask has the id None"),
        (annotation([1], TWO_PARTS), r"a mask has the id \[1\]"),
        (annotation(1.5, TWO_PARTS), "a mask has the id 1.5"),
        (annotation(8, RING[:, :-1]), r"mask 8 has size \[24, 35\], the image \[24, 36\]"),
        (annotation(8, RING.T), r"mask 8 has size \[36, 24\], the image \[24, 36\]"),
        (annotation(8, RING, ignore=rle.encode(RING[1:])), r"mask 8 has size \[23, 36\], the image \[24, 36\]"),
        ({"id": 8}, "mask 8: a mask is not RLE"),
        ({"id": 8, "segmentation": [[1, 2, 3, 4, 5, 6]]}, "mask 8: a mask is not RLE"),
        ({"id": 8, "segmentation": {"size": [24, 36], "counts": [5]}}, "mask 8: RLE counts add up to 5 pixels"),
    ],
)
def test_each_fault_names_the_file_and_the_mask(faulty, message):
    sample, _ = sample_of(annotation(7, RING), faulty)
    with pytest.raises(DataError, match=rf"^set.a\.json: {message}") as caught:
        sample.objects()
    assert "\n" not in str(caught.value)


def test_empty_masks_may_be_skipped_and_nothing_else():
    hidden = annotation(9, RING, ignore=rle.encode(RING))
    sample, _ = sample_of(annotation(7, RING), annotation(8, EMPTY), hidden, annotation(10, BLOCK))
    assert [each.id for each in sample.objects(skip_empty=True)] == [7, 10]
    sample, _ = sample_of(annotation(7, RING), annotation(7, BLOCK))
    with pytest.raises(DataError, match="two masks have the id 7"):
        sample.objects(skip_empty=True)
    assert sample_of()[0].objects() == []


def test_the_record_is_read_once_and_again_when_forgotten():
    sample, reads = sample_of(*(annotation(n, mask) for n, mask in enumerate(MASKS)))
    assert len(sample.objects()) == len(sample.objects()) == 2 and sample.size == [HEIGHT, WIDTH]
    assert len(reads) == 1
    sample.forget()
    sample.forget()
    assert len(sample.objects()) == 2 and len(reads) == 2


def test_pixels_that_lie_inside_another_file(tmp_path):
    content = write_image(tmp_path / "a.png").read_bytes()
    inside = replace(sample_of()[0], given_path=tmp_path / "a.tar" / "a.png", read_bytes=lambda: content)
    assert inside.image().shape == (HEIGHT, WIDTH, 3)
    inside.check_image()
    cut = replace(inside, read_bytes=lambda: content[:30])
    for read in (cut.image, cut.check_image):
        with pytest.raises(ImageError, match=r"a\.tar.a\.png: "):
            read()


def test_an_image_is_checked_without_its_pixels(tmp_path):
    sample = replace(sample_of()[0], given_path=tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png: cannot be read"):
        sample.check_image()
    write_image(tmp_path / "a.png")
    sample.check_image()
    write_image(tmp_path / "a.png", WIDTH, HEIGHT)
    for check in (sample.check_image, sample.image):
        with pytest.raises(DataError, match=rf"a\.png: is {HEIGHT}×{WIDTH} pixels .* its record says {WIDTH}×{HEIGHT}"):
            check()
