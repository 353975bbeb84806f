"""Examples as prompts: the ranking, what is left out, and what is no example."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.cli.find import _row, _unrow
from anymask.errors import PromptError
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.model.text.detector import DetectorConfig, TextDetector
from anymask.predict.automask.generator import SamAutomaticMaskGenerator
from anymask.predict.similar import Described, Describer, predict_similar
from anymask.task import rle

LEFT, RIGHT = np.zeros((2, 20, 30), bool)
LEFT[5:15, 2:12], RIGHT[5:15, 18:28] = True, True
STAGES = ((1, 4, 1, 1, 3), (2, 4, 1, 2, 3), (2, 6, 1, 2, 5), (2, 6, 1, 2, 3), (2, 8, 1, 2, 3))


def described(*pairs):
    records = [{"segmentation": rle.encode(mask), "name": name} for name, mask, _ in pairs]
    return Described(records, np.array([shows for *_, shows in pairs], np.float32).reshape(len(pairs), 2))


IMAGES = {
    "first": described(("itself", LEFT, [1, 0]), ("other", RIGHT, [0.8, 0.6])),
    "empty": described(),
    "second": described(("best", RIGHT, [0.96, 0.28]), ("unlike", LEFT, [0, 1])),
}
EXAMPLE = np.array([1, 0], np.float32)


def names(found):
    return [(match.image, match.record["name"]) for match in found]


def test_the_most_alike_come_first_from_all_images():
    found = predict_similar(EXAMPLE, IMAGES)
    assert names(found) == [("first", "itself"), ("second", "best"), ("first", "other")]
    assert [round(match.score, 2) for match in found] == [1, 0.96, 0.8]
    assert names(predict_similar(EXAMPLE, iter(IMAGES.items()), most=1)) == [("first", "itself")]
    assert len(predict_similar(EXAMPLE, IMAGES, threshold=-1)) == 4 and predict_similar(EXAMPLE, IMAGES, 1.01) == []


def test_the_example_does_not_find_itself_nor_a_part_of_itself():
    part = LEFT & (np.arange(30) < 7)
    images = {**IMAGES, "third": described(("part", part, [1, 0]))}
    found = predict_similar(EXAMPLE, images, leave_out=("third", LEFT))
    assert ("third", "part") not in names(found) and ("first", "itself") in names(found), "in its own image alone"
    found = predict_similar(EXAMPLE, images, leave_out=("first", LEFT))
    assert names(found) == [("third", "part"), ("second", "best"), ("first", "other")]


def test_what_is_kept_of_an_image_comes_back_with_masks_or_without():
    for image in IMAGES.values():
        again = _unrow(_row(image), 2)
        assert again.records == image.records and np.allclose(again.descriptors, image.descriptors, atol=1e-3)
        assert again.descriptors.shape == (len(image.records), 2)


def test_what_is_no_example_is_told():
    generator = SamAutomaticMaskGenerator(Sam(MODELS["test_tiny_light"].config), output_mode="coco_rle")
    small = DetectorConfig("toy", size=64, stem=4, stages=STAGES, width=8, mixers=(1, 1))
    describer = Describer(generator, TextDetector(small))
    image = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(PromptError, match="a mask or a box, one of both"):
        describer.example(image)
    with pytest.raises(PromptError, match="its mask is empty"):
        describer.example(image, np.zeros((20, 30), bool))
    with pytest.raises(PromptError, match=r"its mask is \(5, 5\), the image \(20, 30\)"):
        describer.example(image, np.ones((5, 5), bool))
    mask, shown = describer.example(image, LEFT)
    assert (mask == LEFT).all() and shown.shape == (256,) and np.linalg.norm(shown) == pytest.approx(1, abs=1e-4)
    assert describer.finder.describe(np.zeros((0, 20, 30), bool)).shape == (0, 256)
