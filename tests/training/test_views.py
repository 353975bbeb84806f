"""Views: their targets lie where the pixels say, and they are the same whoever makes them."""

from __future__ import annotations

import json
import multiprocessing
import re

import numpy as np
import pytest
import torch
from PIL import Image

from anymask.errors import ConfigError, DataError
from anymask.task import rle
from anymask.task.clicks import centre_click
from anymask.training.augment import draw_frame, jitter_colour
from anymask.training.config import Augmentation, Source, Validation
from anymask.training.copy_paste import cut_out, paste
from anymask.training.sources import Part, Sources
from anymask.training.views import Views, batches, draw_evenly

PLAIN = Augmentation()
STRONG = Augmentation(jitter=(0.5, 2.0), flip=True, colour=1.0, paste=0.5)


@pytest.fixture()
def views(shapes):
    def make(augmentation=PLAIN, length=40, seed=1):
        return Views(Sources(shapes, {"shapes": Source()}), 64, 32, 2, augmentation, length, seed)

    return make


def test_workers_and_parts_give_the_same_views_as_none(views):
    with_none = list(batches(views(STRONG, 8), 4, 0, 0))
    with_one = list(batches(views(STRONG, 8), 4, 0, 1))
    parts = [list(batches(views(STRONG, 8), 4, 0, 0, part)) for part in (slice(0, 2), slice(2, 4))]
    later = list(batches(views(STRONG, 8), 4, 1, 0))
    for (a, s), (b, t) in zip(with_none, with_one, strict=True):
        assert all(map(torch.equal, a, b)) and torch.equal(s.masks, t.masks) and torch.equal(s.boxes, t.boxes)
    for (a, s), (b, t), (c, u) in zip(with_none, *parts, strict=True):
        assert all(map(torch.equal, a, [*b, *c])) and torch.equal(s.masks, torch.cat([t.masks, u.masks]))
    assert len(later) == 1 and torch.equal(later[0][1].masks, with_none[1][1].masks)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("augmentation", [PLAIN, Augmentation(jitter=(0.5, 2.0), flip=True)])
def test_views_hold_what_their_targets_say(views, augmentation):
    made = views(augmentation)
    for i in range(len(made)):
        view = made[i]
        assert max(view.pixels.shape[1:]) <= 64 and view.masks.shape == (2, 32, 32)
        assert not view.masks[:, (view.pixels.shape[1] + 3) // 2 :].any(), "nothing lies in the padding"
        for mask, box, centre in zip(view.masks, view.boxes, view.centres, strict=True):
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            expected = [columns.min() * 2, rows.min() * 2, columns.max() * 2 + 2, rows.max() * 2 + 2]
            assert box.tolist() == expected
            assert mask[int(centre[1] // 2), int(centre[0] // 2)]
            bright = view.pixels.float().mean(0)[::2, ::2]
            inside = mask[: bright.shape[0], : bright.shape[1]]
            ground = ~view.masks.any(0)[: bright.shape[0], : bright.shape[1]]
            if ground.any():
                assert bright[inside].mean() > 1.5 * bright[ground].mean()


def test_without_augmentation_a_view_is_the_image(views):
    view = views()[0]
    assert view.pixels.shape == (3, 43, 64)


def test_a_mask_over_most_of_the_image_is_left_out(tmp_path):
    """Of the image, and not of the frame with its padding (appendix A)."""
    folder = tmp_path / "set"
    folder.mkdir()
    mask = np.ones((48, 96), bool)
    for name, share in (("a", 0.92), ("b", 0.88)):
        mask[:, int(96 * share) :] = False
        annotations = [{"id": 1, "segmentation": rle.encode(mask), "area": int(mask.sum())}]
        Image.fromarray(np.zeros((48, 96, 3), np.uint8)).save(folder / f"{name}.png")
        record = {"image": {"width": 96, "height": 48, "file_name": f"{name}.png"}, "annotations": annotations}
        (folder / f"{name}.json").write_text(json.dumps(record))
    views = Views(Sources(tmp_path, {"set": Source()}), 64, 32, 1, PLAIN, 20, 0)
    assert {int(views[i].masks.any(-2).sum()) for i in range(20)} == {28}


def test_jitter_makes_the_image_larger_and_smaller():
    mask = np.zeros((60, 90), bool)
    mask[20:40, 50:80] = True
    x, y = centre_click(mask)
    rng = np.random.default_rng(0)
    frames = [draw_frame(mask, 64, (0.5, 2.0), rng) for _ in range(200)]
    smaller = [frame for frame in frames if frame.size < 64]
    windows = [frame for frame in frames if frame.shape != (60, 90)]
    assert len(smaller) > 60 and len(windows) > 60
    assert all(frame.shape == (60, 90) and frame.size >= 32 for frame in smaller)
    for frame in windows:
        assert frame.size == 64 and frame.width >= 44 and frame.height >= 29
        assert 0 <= frame.left <= x < frame.left + frame.width <= 90
        assert 0 <= frame.top <= y < frame.top + frame.height <= 60
    assert draw_frame(mask, 64, (1.0, 1.0), rng).resized == (43, 64)


def test_colour_changes_with_its_strength_and_not_at_zero():
    image = np.random.default_rng(1).integers(0, 256, (20, 20, 3), np.uint8)
    assert jitter_colour(image, 0.0, np.random.default_rng(0)) is image
    changes = [
        np.abs(jitter_colour(image, strength, np.random.default_rng(0)).astype(int) - image).mean()
        for strength in (0.3, 1.0)
    ]
    assert 0 < changes[0] < changes[1]


def test_sizes_are_drawn_alike_however_many_objects_have_them():
    areas = [100] * 90 + [10_000] * 9 + [90_000]
    rng = np.random.default_rng(0)
    first = np.array([draw_evenly(areas, rng)[0] for _ in range(3000)])
    shares = [(first < 90).mean(), ((first >= 90) & (first < 99)).mean(), (first == 99).mean()]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.04)


def test_a_pasted_object_hides_what_lies_under_it_and_has_a_soft_seam_without_background():
    rng = np.random.default_rng(3)
    image = np.zeros((80, 100, 3), np.uint8)
    ground = np.zeros((80, 100), bool)
    ground[10:70, 10:90] = True
    donor = np.full((50, 50, 3), 255, np.uint8)
    donor[10:40, 10:40] = (200, 0, 0)  # a red object on white
    mask = np.zeros((50, 50), bool)
    mask[10:40, 10:40] = True
    pixels, cut = cut_out(donor, mask)
    assert cut.all() and cut.shape == (30, 30) and (pixels == (200, 0, 0)).all()
    for _ in range(20):
        mixed, (pasted, *others) = paste(image, [ground], pixels, cut, rng)
        assert mixed[..., 1:].max() == 0, "no white of the donor's background"
        assert (mixed[..., 0][~pasted] == 0).all() and mixed[..., 0].max() == 200
        assert 0.2 * 80 - 2 <= np.ptp(np.argwhere(pasted)[:, 0]) + 1 <= 0.7 * 80 + 2
        assert len(np.unique(mixed[..., 0])) - 2 > 0, "the seam is soft"
        for other in others:
            assert not (other & pasted).any() and other.sum() >= 0.5 * ground.sum()


def test_a_round_object_brings_no_background_and_a_thin_one_is_seen():
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:60, :60]
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 <= 20**2
    line = abs(rows - columns) <= 1
    for mask in (disc, line):
        donor = np.where(mask[..., None], np.uint8([200, 0, 0]), np.uint8(255))
        for _ in range(10):
            mixed, (pasted, *_) = paste(np.zeros((150, 150, 3), np.uint8), [], *cut_out(donor, mask), rng)
            assert mixed[..., 1:].max() == 0, "no white of the donor's background"
            assert mixed[..., 0][pasted].min() >= 95, "at least half of the object's own colour"


def test_a_small_object_is_not_blown_up():
    tiny = np.ones((5, 5), bool)
    _, (pasted, *_) = paste(
        np.zeros((200, 200, 3), np.uint8), [], np.full((5, 5, 3), 99, np.uint8), tiny, np.random.default_rng(0)
    )
    assert pasted.sum() == 100


def test_a_source_with_much_of_no_use_keeps_its_share(shapes, tmp_path):
    """Three of four images of one source have no masks."""
    for i in range(4):
        Image.fromarray(np.full((64, 96, 3), 7, np.uint8)).save(tmp_path / f"{i}.png")
        mask = np.zeros((64, 96), bool)
        mask[10:40, 10:50] = True
        annotations = [{"id": 0, "segmentation": rle.encode(mask), "area": int(mask.sum())}] if i == 0 else []
        record = {"image": {"width": 96, "height": 64, "file_name": f"{i}.png"}, "annotations": annotations}
        (tmp_path / f"{i}.json").write_text(json.dumps(record))
    sources = Sources(shapes, {"shapes": Source(), "plain": Source(path=str(tmp_path))})
    views = Views(sources, 64, 32, 1, PLAIN, 300, 0)
    plain = np.mean([float(views[i].pixels.float().std()) == 0 for i in range(300)])
    assert plain == pytest.approx(0.5, abs=0.1)
    assert not any("record" in vars(sample) for sample in sources.samples["shapes"]), "records are let go of"


def test_images_without_any_object_end_in_a_line(tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"image": {"width": 9, "height": 9, "file_name": "a.png"}, "annotations": []}')
    found = Views(Sources(tmp_path, {"a": Source(path=".")}), 64, 32, 1, PLAIN, 1, 0)[0]
    assert isinstance(found, DataError) and re.search(r"last of them .*a\.json, hold no object", str(found))


def test_what_is_to_be_ignored_is_no_part_of_a_target(tmp_path):
    mask, ignored = np.zeros((2, 64, 64), bool)
    mask[8:40, 8:40], ignored[8:40, 24:40] = True, True
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    annotation = {"id": 0, "segmentation": rle.encode(mask), "ignore": rle.encode(ignored), "area": 1024}
    record = {"image": {"width": 64, "height": 64, "file_name": "a.png"}, "annotations": [annotation]}
    (tmp_path / "a.json").write_text(json.dumps(record))
    view = Views(Sources(tmp_path, {"a": Source(path=".")}), 64, 64, 1, PLAIN, 1, 0)[0]
    assert view.boxes.tolist() == [[8, 8, 24, 40]]


def test_validation_data_are_not_trained_on(shapes):
    with pytest.raises(ConfigError, match=r"validation\.source: .*\.json is also in sources\.a"):
        Sources(shapes, {"a": Source(path="shapes")}, validation=Validation(every=1, source=Source(path="shapes")))


def test_what_is_wrong_with_a_source_names_it(shapes):
    for source, message in (
        (Source(path="shapes", format="cocoa"), r"sources\.a: format 'cocoa': is not known"),
        (Source(path="shapes", options={"split": "val"}), r"sources\.a: split: is no option of the format sa1b"),
    ):
        with pytest.raises(DataError, match=message):
            Sources(shapes, {"a": source})


def test_some_of_many_samples(shapes):
    samples = Sources(shapes, {"shapes": Source()}).samples["shapes"]
    part = Part(samples, np.array([5, 2, 9]))
    assert [sample.name for sample in part] == ["05", "02", "09"] and part[-1].name == "09"
    assert [sample.name for sample in part[1:]] == ["02", "09"] and len(part[:0]) == 0


def test_an_object_that_is_mostly_hidden_is_no_target_any_more():
    small = np.zeros((60, 60), bool)
    small[28:32, 28:32] = True
    seen = set()
    for seed in range(40):
        _, (pasted, *others) = paste(
            np.zeros((60, 60, 3), np.uint8),
            [small],
            np.full((9, 9, 3), 99, np.uint8),
            np.ones((9, 9), bool),
            np.random.default_rng(seed),
        )
        hidden = (small & pasted).sum() / small.sum()
        assert bool(others) == (hidden <= 0.5)
        seen.add(bool(others))
    assert seen == {True, False}
