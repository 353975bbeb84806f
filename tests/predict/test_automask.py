"""The mask generator: the same records as the reference implementation, with memory bounded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from reference import amg, reference_sam, same_as, segment_anything

from anymask import load_model
from anymask.errors import ConfigError
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.automask.generator import SamAutomaticMaskGenerator
from anymask.predict.automask.grid import crop_boxes, layer_grids
from anymask.predict.automask.presets import PRESETS, preset_generator
from anymask.runtime.torch_runtime import TorchRuntime
from anymask.task import rle

TINY = MODELS["test_tiny"].config
LOOSE = {
    "points_per_side": 6,
    "pred_iou_thresh": 0.15,
    "stability_score_thresh": 0.7,
    "stability_score_offset": 0.005,
    "box_nms_thresh": 0.9,
}
OPTIONS = {
    "plain": {},
    "no thresholds": {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 0.7},
    "crops": {"crop_n_layers": 2, "crop_n_points_downscale_factor": 2, "crop_nms_thresh": 0.9},
    "regions": {"min_mask_region_area": 60, "points_per_batch": 7},
    "own grids": {"points_per_side": None, "point_grids": [np.array([[0.2, 0.3], [0.5, 0.5], [0.8, 0.4]])]},
    "strict": {"pred_iou_thresh": 50.0},
}


@pytest.fixture(scope="module")
def models():
    """The reference model and ours; a cut-off far up makes the masks of random weights small and different."""
    reference = reference_sam(TINY)
    ours = same_as(reference, TINY)
    reference.mask_threshold = ours.mask_threshold = 0.3
    return reference, ours


@pytest.fixture(scope="module")
def photo():
    small = np.random.default_rng(5).integers(0, 256, (7, 9, 3), np.uint8)
    return np.array(Image.fromarray(small).resize((130, 96), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", OPTIONS)
def test_records_equal_the_reference(models, photo, name):
    options = {**LOOSE, **OPTIONS[name]}
    expected = segment_anything.SamAutomaticMaskGenerator(models[0], **options).generate(photo)
    found = SamAutomaticMaskGenerator(models[1], **options).generate(photo)
    assert len(found) == len(expected)
    assert (len(expected) == 0) == (name == "strict"), "the options should leave some masks to compare"
    for a, b in zip(expected, found, strict=True):
        assert a.keys() == b.keys()
        np.testing.assert_array_equal(a["segmentation"], b["segmentation"])
        assert (a["area"], a["bbox"], a["crop_box"]) == (b["area"], b["bbox"], b["crop_box"])
        np.testing.assert_allclose(a["point_coords"], b["point_coords"])
        assert a["predicted_iou"] == pytest.approx(b["predicted_iou"], abs=1e-4)
        theirs = np.nan_to_num(a["stability_score"])  # they divide by zero for an empty mask; ours scores 0
        assert theirs == pytest.approx(b["stability_score"], abs=1e-4)


@pytest.mark.parametrize("mode", ["uncompressed_rle", "coco_rle"])
def test_output_modes_equal_the_reference(models, photo, mode):
    expected = segment_anything.SamAutomaticMaskGenerator(models[0], **LOOSE, output_mode=mode).generate(photo)
    found = SamAutomaticMaskGenerator(models[1], **LOOSE, output_mode=mode).generate(photo)
    assert [record["segmentation"] for record in found] == [record["segmentation"] for record in expected]
    if mode == "coco_rle":
        np.testing.assert_array_equal(coco.decode(found[0]["segmentation"]), rle.decode(expected[0]["segmentation"]))


def test_batches_do_not_change_the_masks(models, photo):
    whole = SamAutomaticMaskGenerator(models[1], **LOOSE).candidates(photo)
    single = SamAutomaticMaskGenerator(models[1], **{**LOOSE, "points_per_batch": 1}).candidates(photo)
    assert [c.mask for c in single] == [c.mask for c in whole]


def test_points_without_a_confident_mask_are_not_upscaled(models, photo, monkeypatch):
    upscaled, candidates = [], []
    plain = TorchRuntime.upscale

    def watched(self, cells, *arguments):
        upscaled.append(len(cells))
        return plain(self, cells, *arguments)

    monkeypatch.setattr(TorchRuntime, "upscale", watched)
    generator = SamAutomaticMaskGenerator(models[1], **{**LOOSE, "stability_score_thresh": 0.0})
    scores = [c.predicted_iou for c in generator.candidates(photo)]
    generator.pred_iou_thresh = float(np.median(scores))
    upscaled.clear()
    candidates = generator.candidates(photo)
    assert candidates and min(c.predicted_iou for c in candidates) > generator.pred_iou_thresh
    assert 0 < sum(upscaled) < 36


def test_progress_counts_the_points(models, photo):
    calls = []
    options = {**LOOSE, "crop_n_layers": 1, "points_per_batch": 10}
    SamAutomaticMaskGenerator(models[1], **options).generate(photo, lambda *call: calls.append(call))
    assert calls[-1] == (5 * 36, 5 * 36)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


@pytest.mark.parametrize("shape", [(480, 640), (333, 500), (1000, 17)])
def test_crops_and_grids_equal_the_reference(shape):
    boxes, layers = amg.generate_crop_boxes(shape, 2, 512 / 1500)
    assert crop_boxes(*shape, 2, 512 / 1500) == [(tuple(b), layer) for b, layer in zip(boxes, layers, strict=True)]
    for a, b in zip(amg.build_all_layer_point_grids(32, 2, 2), layer_grids(32, 2, 2), strict=True):
        np.testing.assert_allclose(a, b)


def test_thresholds_are_the_paper_s_unless_the_model_has_its_own(models):
    paper = SamAutomaticMaskGenerator(models[1])
    assert (paper.pred_iou_thresh, paper.stability_score_thresh, paper.stability_score_offset) == (0.88, 0.95, 1.0)
    nano = Sam(MODELS["nano"].config)
    own = SamAutomaticMaskGenerator(nano, stability_score_thresh=0.0)
    assert own.pred_iou_thresh == MODELS["nano"].everything["pred_iou_thresh"] and own.stability_score_thresh == 0.0


def test_options_that_do_not_fit_are_refused(models):
    for options in (
        {"points_per_side": None},
        {"point_grids": [np.zeros((1, 2))]},
        {"output_mode": "png"},
        {"points_per_side": None, "point_grids": [np.zeros((1, 2))], "crop_n_layers": 1},
    ):
        with pytest.raises(ConfigError):
            SamAutomaticMaskGenerator(models[1], **options)


def test_presets_make_generators_and_may_be_overridden(models):
    for preset, options in PRESETS.items():
        made = preset_generator(models[1], preset, points_per_batch=3)
        assert made.points_per_batch == 3
        assert made.crop_n_layers == options.get("crop_n_layers", 0)
    assert preset_generator(models[1], "parts", pred_iou_thresh=0.1).pred_iou_thresh == 0.1
    with pytest.raises(ConfigError, match="objects, parts, dense"):
        preset_generator(models[1], "all")


class Counting(TorchRuntime):
    """Notes how many prompts are answered."""

    asked = 0

    def answer(self, embedding, prompts):
        self.asked += prompts.shape[1]
        return super().answer(embedding, prompts)


@pytest.mark.parametrize(("times", "most"), [(1, 70), (3, 90)])
def test_points_on_what_was_found_are_left_out(photos, times, most):
    """What is found for the other points is what is found without skipping, and the points all count as done."""
    nano = load_model("nano")
    found, asked, done = [], [], []
    for skip in (0, times):
        runtime = Counting(nano)
        options = {"points_per_side": 10, "points_per_batch": 5, "box_nms_thresh": 1.0, "skip_covered": skip}
        generator = SamAutomaticMaskGenerator(nano, runtime=runtime, **options)
        masks = generator.candidates(photos / "coffee.jpg", lambda *progress: done.append(progress))
        found.append({(candidate.point, candidate.mask["counts"]): candidate for candidate in masks})
        asked.append(runtime.asked)
        assert done[-1] == (100, 100)
    assert asked[0] == 100 and asked[1] < most
    points = {point for point, _ in found[1]}
    assert found[1].keys() == {key for key in found[0] if key[0] in points}
    for candidate in found[0].values():
        if candidate.point not in points:
            here = np.array([candidate.point])
            covering = {each.point for each in found[1].values() if rle.contains(each.mask, here)[0]}
            assert len(covering) >= times, "only points that lie on masks of so many are left out"


@pytest.mark.parametrize("side", [0, -2, 3.5])
def test_a_grid_that_is_none(side):
    with pytest.raises(ConfigError, match="points_per_side: expected a whole number"):
        SamAutomaticMaskGenerator(Sam(MODELS["test_tiny_light"].config), points_per_side=side)
