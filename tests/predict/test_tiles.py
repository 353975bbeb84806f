"""Large images: every object once and whole, however many tiles it crosses; prompts read no more than they need."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from reference import fill_with_noise

from anymask import load_model
from anymask.errors import ConfigError, ImageError, OutputError, PromptError
from anymask.model.checkpoint import build_model
from anymask.model.registry import MODELS
from anymask.predict.automask.candidates import Candidate
from anymask.predict.automask.generator import SamAutomaticMaskGenerator
from anymask.predict.automask.tiles import everything_in_tiles, tile_grid
from anymask.predict.tiles import TilePredictor
from anymask.task import rle
from anymask.task.metrics import iou
from anymask.task.prompts import Prompt


class ByColour:
    """Finds what has one colour and hangs together, as a perfect model would; black is background."""

    box_nms_thresh = 0.7

    def __init__(self, looked_at: int = 1) -> None:
        self.looked_at = looked_at
        """every how many pixels a colour is looked for"""

    def candidates(self, pixels):
        return list(self._each(pixels))

    def _each(self, pixels):
        colours = pixels[..., 0] * np.int32(65536) + pixels[..., 1] * np.int32(256) + pixels[..., 2]
        for colour in np.unique(colours[:: self.looked_at, :: self.looked_at]):
            if colour == 0:
                continue
            same = colours == colour
            rows, columns = np.flatnonzero(same.any(1)), np.flatnonzero(same.any(0))
            part = same[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
            count, labels, stats, _ = cv2.connectedComponentsWithStats(part)
            for i in range(1, count):
                x, y, w, h, _ = (int(n) for n in stats[i])
                row, column = np.argwhere(labels == i)[0]
                mask = rle.encode_part(labels == i, int(rows[0]), int(columns[0]), pixels.shape[:2])
                left, top = int(columns[0]) + x, int(rows[0]) + y
                point = (float(columns[0] + column), float(rows[0] + row))
                crop = (0, 0, pixels.shape[1], pixels.shape[0])
                yield Candidate(mask, (left, top, left + w - 1, top + h - 1), 0.9, 0.9, point, crop)


@dataclass
class Endless:
    """A large image made when it is read: discs on a lattice, each of its own colour. Notes the most that was read."""

    side: int
    lattice: int = 2500
    radius: int = 900
    most: int = field(default=0)

    @property
    def shape(self):
        return self.side, self.side, 3

    def __getitem__(self, key):
        rows, columns = (np.arange(*part.indices(self.side)) for part in key)
        self.most = max(self.most, len(rows) * len(columns))
        y, x = rows[:, None], columns
        i, j = y // self.lattice, x // self.lattice
        inside = np.hypot(y % self.lattice - self.lattice / 2, x % self.lattice - self.lattice / 2) < self.radius
        number = i * (self.side // self.lattice) + j + 1
        colours = np.stack([number // 16 * 16, number % 16 * 16, np.full_like(number, 40)], axis=-1)
        return (colours * inside[..., None]).astype(np.uint8)


def mosaic():
    """Objects of all kinds of size: some in one tile, some across seams, one across four tiles and one across all."""
    image = np.zeros((1300, 1700, 3), np.uint8)
    cv2.ellipse(image, (850, 650), (780, 300), 10, 0, 360, (200, 0, 0), 40)  # a ring over all tiles
    cv2.circle(image, (450, 450), 90, (0, 200, 0), -1)  # on a corner of four tiles
    cv2.rectangle(image, (20, 20), (60, 50), (0, 0, 200), -1)
    cv2.rectangle(image, (840, 1200), (900, 1290), (0, 200, 200), -1)
    cv2.circle(image, (820, 640), 12, (200, 200, 0), -1)  # small, in an overlap
    cv2.circle(image, (860, 640), 12, (200, 200, 0), -1)  # its neighbour of the same colour
    return image


@pytest.mark.parametrize(("tile", "overlap"), [(512, 0.25), (300, 0.2), (2000, 0.25), (700, 0.5)])
def test_each_object_is_found_once_and_whole(tile, overlap):
    image = mosaic()
    expected = {candidate.mask["counts"]: candidate.box for candidate in ByColour().candidates(image)}
    assert len(expected) == 6
    calls = []
    found = everything_in_tiles(ByColour(), image, tile, overlap, lambda *done: calls.append(done))
    assert {candidate.mask["counts"]: candidate.box for candidate in found} == expected
    assert len(found) == 6
    sides = [(-(-1300 // step), -(-1700 // step)) for step in (1, 2, 4, 8, 16) if step == 1 or tile * step // 2 < 1700]
    tiles = sum(len(row) for shape in sides for row in tile_grid(*shape, tile, overlap))
    assert calls == [(i + 1, tiles) for i in range(tiles)]
    for candidate in found:
        assert rle.contains(candidate.mask, np.array([candidate.point])).all(), "the click lies in the image's pixels"


def test_a_call_that_was_cut_goes_on(tmp_path):
    """With a toy model, so that settings are those of a real generator: a tile is read once, over both calls."""
    sam = build_model(MODELS["test_tiny_light"].config)
    fill_with_noise(sam)
    loose = {"pred_iou_thresh": -9.0, "stability_score_thresh": 0.0, "box_nms_thresh": 0.9, "points_per_side": 2}
    generator = SamAutomaticMaskGenerator(sam, runtime="torch", **loose)
    image = Recorder(np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8))
    expected = everything_in_tiles(generator, image.array, 70)
    assert expected

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    journal = tmp_path / "tiles.jsonl"
    with pytest.raises(KeyboardInterrupt):
        everything_in_tiles(generator, image, 70, progress=stop, journal=journal)
    journal.write_bytes(journal.read_bytes() + b'{"image": "cut')
    assert everything_in_tiles(generator, image, 70, journal=journal) == expected
    assert len(image.read) == len(set(image.read)) == 9
    with pytest.raises(OutputError, match="tile 70, not 80"):
        everything_in_tiles(generator, image, 80, journal=journal)


@pytest.mark.parametrize("shape", [(40, 700), (16, 512), (700, 40)])
def test_long_and_narrow_images(shape):
    """A model takes no image of a few pixels' height, which the coarser levels of these would be."""
    sam = build_model(MODELS["test_tiny_light"].config)
    generator = SamAutomaticMaskGenerator(sam, runtime="torch", points_per_side=2, pred_iou_thresh=-9.0)
    assert isinstance(everything_in_tiles(generator, np.zeros((*shape, 3), np.uint8), 64), list)


def test_tiles_cover_the_image_and_overlap():
    for shape, side, overlap in [((1000, 700), 512, 0.25), ((64, 5000), 100, 0.5), ((50, 60), 64, 0.1)]:
        grid = tile_grid(*shape, side, overlap)
        covered = np.zeros(shape, int)
        for row in grid:
            for x0, y0, x1, y1 in row:
                assert x1 - x0 == min(side, shape[1]) and y1 - y0 == min(side, shape[0])
                covered[y0:y1, x0:x1] += 1
            for a, b in pairwise(row):
                assert a[2] - b[0] >= int(side * overlap)
        assert covered.min() == 1


@pytest.mark.parametrize("side", [7_500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_huge_image_is_read_a_tile_at_a_time(side):
    image = Endless(side)
    found = everything_in_tiles(ByColour(16), image, 2048, 0.1)
    assert image.most <= 2048**2
    assert len(found) == (side // 2500) ** 2
    expected = np.pi * 900**2
    for candidate in found:
        assert rle.area(candidate.mask) == pytest.approx(expected, rel=0.001)
        assert candidate.mask["size"] == [side, side]


class Uneven(ByColour):
    """As a model that takes a cut off object for its upper half in one tile, for its lower half in the next."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def candidates(self, pixels):
        found = []
        self.calls += 1
        for candidate in super().candidates(pixels):
            x0, y0, x1, y1 = candidate.box
            mask, half = rle.decode(candidate.mask), (y0 + y1) // 2
            if x0 == 0 or x1 == pixels.shape[1] - 1:
                mask[slice(half, None) if self.calls % 2 else slice(half)] = False
            found.append(replace(candidate, mask=rle.encode(mask)))
        return found


def test_what_is_cut_off_and_goes_on_nowhere_is_found_in_a_larger_tile():
    """The pieces of the bar do not agree, so that none of them may stand for it."""
    image = np.zeros((500, 1500, 3), np.uint8)
    image[200:300, 100:1400] = (200, 0, 0)
    [found] = everything_in_tiles(Uneven(), image, 512)
    assert found.box[0] == 100 and abs(found.box[2] - 1399) <= 4
    assert iou(rle.decode(found.mask), image[..., 0] > 0) > 0.97
    assert found.crop == (0, 0, 1500, 500)


@pytest.mark.slow
def test_nano_finds_a_mosaic(photos):
    rng = np.random.default_rng(0)
    image = np.full((900, 1200, 3), 205, np.uint8)
    truths = []
    for x, y, radius in [(450, 450, 130), (800, 200, 100), (150, 750, 90), (1000, 700, 150), (150, 150, 60)]:
        truth = np.zeros(image.shape[:2], np.uint8)
        cv2.circle(truth, (x, y), radius, 1, -1)
        image[truth > 0] = rng.integers(20, 150, 3)
        truths.append(truth > 0)
    image = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
    generator = SamAutomaticMaskGenerator(load_model("nano"), points_per_side=8)
    found = [rle.decode(candidate.mask) for candidate in everything_in_tiles(generator, image, 512)]
    for truth in truths:
        same = [mask for mask in found if iou(mask, truth) > 0.9]
        assert len(same) == 1, "each object once, whole, though most lie across seams"


class Recorder:
    """An array that notes what is read of it."""

    def __init__(self, array):
        self.array, self.read, self.shape = array, [], array.shape

    def __getitem__(self, key):
        self.read.append(tuple((part.start, part.stop, part.step) for part in key))
        return self.array[key]


@pytest.fixture(scope="module")
def nano():
    return load_model("nano")


def disc(shape, middle, radius):
    truth = np.zeros(shape, np.uint8)
    cv2.circle(truth, middle, radius, 1, -1)
    image = np.where(truth[..., None] > 0, [170, 60, 40], [100, 140, 110]).astype(np.uint8)
    return image, truth > 0


def test_a_click_reads_one_tile(nano):
    image, truth = disc((2000, 3000), (2300, 600), 100)
    source = Recorder(image)
    predictor = TilePredictor(nano, source, tile=640)
    for _ in range(2):
        found = predictor.predict(Prompt([[2300, 600]], [1]))
    assert source.read == [((280, 920, 1), (1980, 2620, 1))], "one tile, and once"
    assert found.tile == (1980, 280, 2620, 920)
    mask = rle.decode(found.masks[int(found.scores.argmax())])
    assert mask.shape == truth.shape and iou(mask, truth) > 0.93


def test_a_tile_grows_until_the_object_fits(nano):
    image, truth = disc((2000, 3000), (1500, 1000), 400)
    source = Recorder(image)
    predictor = TilePredictor(nano, source, tile=512)
    found = predictor.predict(Prompt([[1800, 1000]], [1]))
    assert len(source.read) > 1 and source.read[-1][0][2] > 1, "a larger tile, read more coarsely"
    once = len(source.read)
    predictor.predict(Prompt([[1800, 1000], [1500, 1000]], [1, 1]))
    predictor.predict(Prompt([[1800, 1000]], [1]))
    assert len(source.read) <= once + 3 and len(source.read) == len(set(source.read)), "no tile is read twice"
    mask = rle.decode(found.masks[int(found.scores.argmax())])
    assert iou(mask, truth) > 0.93
    found = TilePredictor(nano, image, tile=512).predict(Prompt(box=[1090, 590, 1910, 1410]))
    assert iou(rle.decode(found.masks[0]), truth) > 0.93


def test_what_cannot_be_is_refused():
    sam = build_model(MODELS["test_tiny_light"].config)
    fill_with_noise(sam)
    image = np.zeros((300, 300, 3), np.uint8)
    with pytest.raises(ConfigError, match="tile"):
        TilePredictor(sam, image, tile=10)
    with pytest.raises(ImageError, match="H×W×3"):
        TilePredictor(sam, image[..., 0])
    predictor = TilePredictor(sam, image)
    with pytest.raises(PromptError, match="outside the image"):
        predictor.predict(Prompt([[400, 10]], [1]))
    with pytest.raises(PromptError, match="mask"):
        predictor.predict(Prompt(mask=np.zeros((64, 64))))
    with pytest.raises(ImageError, match="uint8"):
        TilePredictor(sam, image.astype(np.float32)).predict(Prompt([[4, 10]], [1]))
    with pytest.raises(ConfigError, match="overlap"):
        tile_grid(100, 100, 64, 0.7)
