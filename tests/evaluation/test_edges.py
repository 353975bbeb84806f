"""Edges from masks: what a model's map shows, and the protocol from the labels to the figures."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from reference import fill_with_noise

from anymask.errors import DataError
from anymask.evaluation.edge_detectors import mask_edges, suppress_non_maxima
from anymask.evaluation.edges import Edges, HeldOutPerson, ModelEdges
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.automask.grid import point_grid
from anymask.predict.predictor import SamPredictor
from anymask.task import rle
from anymask.task.frame import ImageFrame

SHAPE = (64, 64)


class Drawn:
    """A predictor whose model answers each point with the same three masks, in an image of its own size."""

    def __init__(self, masks, ious, inside=10.0, outside=-10.0, mask_threshold=0.0, shape=SHAPE):
        self.logits = torch.stack([torch.where(torch.as_tensor(mask), inside, outside).float() for mask in masks])
        self.ious = torch.tensor(ious)
        self.model = SimpleNamespace(mask_threshold=mask_threshold)
        self.device, self.runtime = "cpu", self
        self.frame = ImageFrame(*shape, 64)
        self.embedding, self.asked = "features", []

    def set_pixels(self, pixels):
        assert pixels.shape[:2] == self.frame.shape

    def decode(self, embedding, prompts):
        coords, labels = prompts.coords[0], prompts.labels[0]
        assert embedding == "features" and prompts.masks is None
        assert (labels == torch.tensor([1, -1])).all(), "a click and nothing else"
        self.asked.append(coords[:, 0].numpy())
        return self.logits.expand(len(coords), *self.logits.shape), self.ious.expand(len(coords), 3)


def square(top, bottom, left, right):
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def outline(mask):
    """The pixels of a mask that have a neighbour outside it, and those outside that have one inside."""
    padded = np.pad(mask, 1, mode="edge")
    shifted = [padded[1 + dy : 65 + dy, 1 + dx : 65 + dx] for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    return np.any([each != mask for each in shifted], axis=0)


NOTHING, LEFT, RIGHT = square(0, 0, 0, 0), square(14, 50, 12, 32), square(20, 44, 40, 54)
PIXELS = np.zeros((*SHAPE, 3), np.uint8)


def test_sharp_outlines_give_edges_there_and_nowhere_else():
    edges = ModelEdges(Drawn([LEFT, RIGHT, NOTHING], [0.9, 0.8, 0.7]), 2, 0.7).edges(PIXELS)
    assert edges.shape == SHAPE and edges.min() == 0 and edges.max() == 1
    lines = outline(LEFT) | outline(RIGHT)
    near = cv2.dilate(lines.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert not edges[~near].any(), "what is faint lies about the corners"
    found = edges > 0.5
    assert not found[~lines].any()
    for y, x in np.argwhere(lines):  # each pixel of an outline has an edge at it or beside it
        assert found[y - 1 : y + 2, x - 1 : x + 2].any()


@pytest.mark.parametrize("points", [2, 9])
def test_masks_that_are_duplicates_are_dropped(points):
    """The second has the box of the first, and a hole that shows where it is kept."""
    holed = LEFT & ~square(22, 42, 18, 26)
    with_hole = ModelEdges(Drawn([LEFT, holed, RIGHT], [0.9, 0.8, 0.7]), points, 1.0).edges(PIXELS)
    without = ModelEdges(Drawn([LEFT, holed, RIGHT], [0.9, 0.8, 0.7]), points, 0.7).edges(PIXELS)
    other = ModelEdges(Drawn([LEFT, holed, RIGHT], [0.8, 0.9, 0.7]), points, 0.7).edges(PIXELS)
    inside = square(18, 46, 16, 28)
    assert not without[inside].any(), "the better scored of the two stays"
    assert with_hole[inside].any() and other[inside].any()
    assert without[outline(RIGHT)].any()


def test_each_point_of_the_grid_is_asked_once():
    drawn = Drawn([LEFT, RIGHT, NOTHING], [0.9, 0.8, 0.7], shape=(20, 32))  # half as large as in the model frame
    ModelEdges(drawn, 9, 0.7).edges(np.zeros((20, 32, 3), np.uint8))
    np.testing.assert_allclose(np.concatenate(drawn.asked), point_grid(9) * [64, 40])


def test_the_cut_off_is_that_of_the_model():
    """The same masks, all logits moved up with the cut-off."""
    plain = ModelEdges(Drawn([LEFT, RIGHT, NOTHING], [0.9, 0.8, 0.7], 2, -2), 2, 0.7).edges(PIXELS)
    moved = ModelEdges(Drawn([LEFT, RIGHT, NOTHING], [0.9, 0.8, 0.7], 7, 3, 5.0), 2, 0.7).edges(PIXELS)
    np.testing.assert_array_equal(plain, moved)
    one = [torch.where(torch.as_tensor(mask), 2.0, -2.0).numpy() for mask in (LEFT, RIGHT)]
    np.testing.assert_array_equal(plain, suppress_non_maxima(mask_edges(one, SHAPE)))


def test_nothing_found_is_an_empty_map():
    assert not ModelEdges(Drawn([NOTHING] * 3, [0.9, 0.8, 0.7]), 2, 0.7).edges(PIXELS).any()


# the protocol


def people(*masks):
    """The record's boundaries."""
    return [rle.encode(mask) for mask in masks]


class Detector:
    """Finds the same edges in every image."""

    def __init__(self, edges):
        self.map = edges.astype(np.float32)

    def edges(self, pixels):
        return self.map


def rows_of(protocol, subject, image):
    """The rows, made as another process makes them, and read back from a file."""
    deferred = pickle.loads(pickle.dumps(protocol.evaluate(subject, image)))
    rows = deferred()
    assert json.loads(json.dumps(rows)) == rows
    return rows


ROW, COLUMN = square(30, 31, 10, 50), square(10, 50, 20, 21)


def test_edges_where_people_drew_them_score_1(labelled):
    image = labelled([], shape=SHAPE, boundaries=people(ROW, ROW))
    rows = rows_of(Edges(), Detector(ROW), image)
    found = {metric.name: metric for metric in Edges().summarise(rows)}
    assert [found[name].value for name in ("ODS", "OIS", "R50")] == [1, 1, 1] and found["images"].value == 1
    assert not any(found[name].detail for name in ("ODS", "OIS", "AP", "R50"))
    assert found["recall at threshold 0.50"].value == 1 and found["precision at threshold 0.99"].detail


def test_figures_by_hand(labelled):
    """One image has half of its boundary found, the other all of it and as much that is wrong."""
    first = labelled([], "a", SHAPE, boundaries=people(ROW))
    second = labelled([], "b", SHAPE, boundaries=people(ROW))
    wrong = square(60, 61, 10, 50)
    rows = rows_of(Edges(), Detector(ROW & (np.arange(64) < 30)), first)
    rows += rows_of(Edges(), Detector(ROW | wrong), second)
    assert [row["image"] for row in rows] == ["a", "b"]
    found = {metric.name: metric.value for metric in Edges().summarise(rows)}
    assert found["ODS, recall"] == pytest.approx(60 / 80) and found["ODS, precision"] == pytest.approx(60 / 100)
    assert found["ODS"] == pytest.approx(2 * 0.75 * 0.6 / 1.35)


def test_a_person_held_out_against_the_others(labelled):
    """Two draw the same line, the third another: each of the two is found right, the third wrong."""
    image = labelled([], shape=SHAPE, boundaries=people(ROW, ROW, square(50, 51, 10, 50)))
    rows = rows_of(Edges(), Edges.baselines["person"](), image)
    found = {metric.name: metric.value for metric in Edges().summarise(rows)}
    assert found["ODS, precision"] == pytest.approx(2 / 3)
    assert found["ODS, recall"] == pytest.approx(2 / 6)  # of the others' two lines each of the first two finds one
    assert "OIS" not in found and "AP" not in found, "there is one threshold only"


def test_one_person_alone_cannot_be_held_out(labelled):
    image = labelled([], shape=SHAPE, boundaries=people(ROW))
    with pytest.raises(DataError, match="photo: boundaries of one person; expected two or more"):
        Edges().evaluate(HeldOutPerson(), image)


@pytest.mark.parametrize("record", [{}, {"boundaries": []}, {"boundaries": None}])
def test_labels_without_boundaries_are_refused(labelled, record):
    with pytest.raises(DataError, match="photo: its labels have no boundaries; expected BSDS500") as caught:
        Edges().evaluate(Detector(ROW), labelled([], shape=SHAPE, **record))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sizes", [[(64, 60)], [(64, 64), (60, 64)]])
def test_boundaries_of_another_size_are_refused(labelled, sizes):
    drawn = people(*(np.ones(size, bool) for size in sizes))
    with pytest.raises(DataError, match=r"photo: boundaries of .*60.*the image has \(64, 64\)"):
        Edges().evaluate(Detector(ROW), labelled([], shape=SHAPE, boundaries=drawn))


def test_no_image_is_no_score():
    with pytest.raises(DataError, match="no image was scored"):
        list(Edges().summarise([]))


@pytest.mark.parametrize("name", ["test_tiny", "test_tiny_light"])
def test_a_toy_model_from_end_to_end(labelled, name):
    """On an image that is not square, with both kinds of encoder."""
    sam = Sam(MODELS[name].config)
    fill_with_noise(sam)
    protocol = Edges(points=2)
    subject = protocol.subject(SamPredictor(sam.eval()))
    shape = (40, 60)
    drawn = np.zeros(shape, bool)
    drawn[20] = True
    image = labelled([], shape=shape, boundaries=people(drawn, drawn))
    image.pixels[:20] = 200
    edges = subject.edges(image.pixels)
    assert edges.shape == shape and edges.dtype == np.float32 and 0 <= edges.min() <= edges.max() <= 1
    np.testing.assert_array_equal(edges, subject.edges(image.pixels))
    found = {metric.name: metric.value for metric in protocol.summarise(rows_of(protocol, subject, image))}
    assert all(0 <= found[each] <= 1 for each in ("ODS", "OIS", "AP", "R50"))


@pytest.mark.parametrize("baseline", ["canny", "sobel"])
def test_filters_find_a_step(labelled, baseline):
    shape = (60, 80)
    drawn = np.zeros(shape, bool)
    drawn[30] = True
    image = labelled([], shape=shape, boundaries=people(drawn))
    image.pixels[30:] = 255
    rows = rows_of(Edges(), Edges.baselines[baseline](), image)
    assert {metric.name: metric.value for metric in Edges().summarise(rows)}["ODS"] > 0.95
