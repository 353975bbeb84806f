"""Images that look alike, masks that cover the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from labelled_data import BLOCK, HEIGHT, RING, WIDTH, block
from labelled_sets import add, annotations, pixels
from PIL import Image

from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.dataset.similar import Unique, copies_among, first_of_alike, near_pairs, perceptual_hash
from anymask.errors import ConfigError, ImageError
from anymask.task import rle


def distance(a, b):
    return (a ^ b).bit_count()


@pytest.fixture()
def photo():
    return np.asarray(Image.open("examples/photos/astronaut.jpg").convert("RGB"))


def test_a_hash_survives_what_does_not_change_what_is_seen(photo):
    first = perceptual_hash(photo)
    smaller = cv2.resize(photo, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    brighter = np.clip(photo.astype(int) + 12, 0, 255).astype(np.uint8)
    packed = cv2.imdecode(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    for changed in (smaller, brighter, packed):
        assert distance(first, perceptual_hash(changed)) <= 4
    for other in (photo[::-1], photo[:, ::-1], np.asarray(Image.open("examples/photos/coffee.jpg").convert("RGB"))):
        assert distance(first, perceptual_hash(other)) > 16


@pytest.mark.parametrize("bits", [0, 1, 4, 9])
def test_pairs_are_those_of_all_comparisons(bits):
    rng = np.random.default_rng(0)
    hashes = [int.from_bytes(rng.bytes(8), "big") for _ in range(40)]
    hashes += [
        number ^ sum(1 << int(bit) for bit in rng.choice(64, 1 + i % 9, False)) for i, number in enumerate(hashes)
    ]
    hashes += hashes[:2]
    expected = {(a, b) for b in range(len(hashes)) for a in range(b) if distance(hashes[a], hashes[b]) <= bits}
    found = list(near_pairs(hashes, bits))
    assert set(found) == expected and len(found) == len(expected) > 1
    with pytest.raises(ConfigError, match="0 to 20"):
        list(near_pairs(hashes, 21))


def test_a_copy_of_a_copy_that_is_no_copy_of_the_first_stays():
    assert first_of_alike([0b0, 0b11, 0b1111, 0b1], 2) == {1: 0, 3: 0}


def test_masks_that_repeat_others():
    """The best stays, else the first; other categories, crowds, and masks that overlap less stay."""
    larger, smaller = block(2, 8, 20, 33), block(2, 7, 20, 32)
    records = annotations([BLOCK, larger, smaller, RING, BLOCK, BLOCK, BLOCK])
    records[1]["predicted_iou"], records[4]["category"], records[5]["iscrowd"] = 0.9, "cup", 1
    assert copies_among(records, 0.9) == [0, 6]
    assert copies_among(records, 0.76) == [0, 2, 6]
    assert copies_among(records, 1.0) == [6]
    assert copies_among([], 0.5) == []


def test_many_masks_are_compared_as_each_with_each():
    rng = np.random.default_rng(0)
    records = []
    for number in range(60):
        top, left = rng.integers(0, HEIGHT - 8), rng.integers(0, WIDTH - 8)
        mask = block(top, top + rng.integers(3, 8), left, left + rng.integers(3, 8))
        records.append({"id": number, "segmentation": rle.encode(mask), "predicted_iou": float(rng.random())})
    table = rle.iou([each["segmentation"] for each in records], [each["segmentation"] for each in records])
    kept = []
    for place in sorted(range(60), key=lambda i: -records[i]["predicted_iou"]):
        if not any(table[place, other] >= 0.4 for other in kept):
            kept.append(place)
    assert copies_among(records, 0.4) == sorted(set(range(60)) - set(kept)) and 5 < len(kept) < 55


def test_a_set_without_what_repeats(tmp_path):
    add(tmp_path, "a", annotations([BLOCK, BLOCK]), pixels(1))
    add(tmp_path, "b", image=pixels(1) // 2)
    add(tmp_path, "c", image=pixels(2))
    (tmp_path / "d.png").write_text("no image")
    (tmp_path / "d.json").write_text((tmp_path / "c.json").read_text().replace("c.png", "d.png"))
    samples, problems = open_folder(tmp_path), Problems(keep_going=True)
    unique = Unique(samples, 0.9, 4, problems)
    assert unique.copies == {"b": "a"} and len(problems.found) == 1 and "d.png" in problems.found[0]
    found = [unique(sample) for sample in samples[:3]]
    assert [each and len(each.record["annotations"]) for each in found] == [1, None, 2]
    with pytest.raises(ImageError, match=r"d\.png"):
        Unique(samples, 0.9, 4, Problems())
    assert not Unique(samples, 0.9, None, Problems()).copies


def test_many_equal_images_are_one(monkeypatch):
    """Without a comparison of each with each."""
    assert first_of_alike([5] * 3000 + [7, 5], 4) == dict.fromkeys([*range(1, 3000), 3000, 3001], 0)
    assert first_of_alike([0b11, 0b11, 0b1, 0b11], 1) == {1: 0, 2: 0, 3: 0}
