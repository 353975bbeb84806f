"""The baselines on small pictures where the right answer can be seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anymask.errors import NoImageError, PromptError
from anymask.evaluation.baselines import Disc, Felzenszwalb, GrabCut
from anymask.task import rle
from anymask.task.metrics import iou
from anymask.task.prompts import Prompt

SQUARE = np.zeros((80, 100), bool)
SQUARE[20:60, 30:70] = True
RIGHT = np.zeros_like(SQUARE)
RIGHT[:, 90:] = True


@pytest.fixture(scope="module")
def picture():
    """A red square and a blue strip at the right on green, with a little noise."""
    pixels = np.full((*SQUARE.shape, 3), (40, 160, 60), np.int64)
    pixels[SQUARE], pixels[RIGHT] = (200, 40, 40), (30, 40, 200)
    noise = np.random.default_rng(0).integers(-6, 7, pixels.shape)
    return (pixels + noise).astype(np.uint8)


BASELINES = {kind.name: kind for kind in (Disc, GrabCut, Felzenszwalb)}


def answer(name, picture, prompt, several=False):
    baseline = BASELINES[name]()
    baseline.set_image(picture)
    [prediction] = baseline.predict_many([prompt], several)
    return prediction


def test_the_names():
    assert list(BASELINES) == ["disc", "grabcut", "felzenszwalb"]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("several", [True, False, None])
def test_the_form_of_an_answer(name, several, picture):
    baseline = BASELINES[name]()
    baseline.set_image(picture)
    prompts = [Prompt([[50, 40]]), Prompt([[50, 40], [5, 5]], [1, 0]), Prompt(box=[30, 20, 70, 60])]
    for prompt, (masks, scores, logits) in zip(prompts, baseline.predict_many(prompts, several), strict=True):
        three = prompt.is_ambiguous if several is None else several
        assert masks.dtype == bool and masks.shape[1:] == SQUARE.shape
        assert len(masks) in ((1, 3) if three else (1,))
        assert scores.dtype == np.float32 and scores.shape == (len(masks),)
        assert logits.shape == (len(masks), 0, 0)


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_answer_each_time(name, picture):
    prompts = [Prompt([[50, 40]]), Prompt([[50, 40], [80, 10]], [1, 0], box=[20, 10, 95, 70])]
    first, second = BASELINES[name](), BASELINES[name]()
    first.set_image(picture)
    second.set_image(picture)
    second.predict_many([Prompt([[5, 5]])])
    for a, b in zip(first.predict_many(prompts, True), second.predict_many(prompts, True), strict=True):
        assert (a.masks == b.masks).all() and (a.scores == b.scores).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_new_image_is_looked_at(name, picture):
    baseline = BASELINES[name]()
    baseline.set_image(picture)
    baseline.predict_many([Prompt(box=[30, 20, 70, 60])])
    baseline.set_image(picture[:50, :60])
    [prediction] = baseline.predict_many([Prompt([[50, 40]])])
    assert prediction.masks.shape[1:] == (50, 60)


@pytest.mark.parametrize("name", BASELINES)
def test_a_mask_beside_a_click_is_ignored(name, picture):
    click, box = [[50, 40]], [25, 15, 75, 65]
    without = answer(name, picture, Prompt(click, box=box))
    with_mask = answer(name, picture, Prompt(click, box=box, mask=np.full((256, 256), -9)))
    assert (without.masks == with_mask.masks).all()


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(box=[0, 0, 100, 80]),
        Prompt(box=[-40, -30, 300, 200]),
        Prompt(box=[44, 33, 45, 34]),
        Prompt(box=[44.2, 33.3, 44.4, 33.5]),
        Prompt(box=[99.5, 79.5, 130, 130]),
        Prompt([[100, 80]]),
        Prompt([[0, 0]]),
        Prompt([[50, 40], [50, 40]], [1, 0]),
        Prompt([[x, 40] for x in range(100)], [x % 2 for x in range(100)]),
    ],
    ids=["whole", "beyond", "pixel", "within a pixel", "corner", "last pixel", "first", "contradiction", "many"],
)
def test_odd_prompts_have_an_answer_within_the_box(name, prompt, picture):
    [mask] = answer(name, picture, prompt).masks
    assert mask.any()
    if prompt.box is not None:
        x0, y0 = np.floor(prompt.box[:2]).clip(0).astype(int)
        x1, y1 = np.ceil(prompt.box[2:]).astype(int)
        assert mask[y0:y1, x0:x1].sum() == mask.sum()


@pytest.mark.parametrize("name", BASELINES)
def test_background_clicks_alone_show_no_object(name, picture):
    assert not answer(name, picture, Prompt([[50, 40]], [0])).masks.any()


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", [(4, 4), (4, 300)])
@pytest.mark.parametrize("prompt", [Prompt([[2, 2]]), Prompt(box=[1, 1, 3, 3])], ids=["click", "box"])
def test_flat_and_tiny_images(name, shape, prompt):
    [mask] = answer(name, np.full((*shape, 3), 128, np.uint8), prompt).masks
    assert mask[1:3, 1:3].any()


@pytest.mark.parametrize("name", BASELINES)
def test_wrong_calls_are_refused_in_a_line(name, picture):
    baseline = BASELINES[name]()
    with pytest.raises(NoImageError, match="set_image"):
        baseline.predict_many([Prompt([[5, 5]])])
    baseline.set_image(picture)
    with pytest.raises(PromptError, match="no prompts"):
        baseline.predict_many([])
    with pytest.raises(PromptError, match="outside the image of 100×80"):
        baseline.predict_many([Prompt([[101, 5]])])
    with pytest.raises(PromptError, match=f"{name}: expected a click or a box"):
        baseline.predict_many([Prompt(mask=np.zeros((256, 256)))])


def test_discs_of_three_sizes():
    masks, scores, _ = answer("disc", np.zeros((200, 300, 3), np.uint8), Prompt([[150, 100]]), several=True)
    radii = np.sqrt(masks.sum(axis=(1, 2)) / np.pi)
    assert radii == pytest.approx([4, 10, 30], rel=0.02), "shares .02, .05 and .15 of the shorter side"
    assert scores.argmax() == 1
    [middle] = answer("disc", np.zeros((200, 300, 3), np.uint8), Prompt([[150, 100]])).masks
    assert (middle == masks[1]).all()


def test_the_nearest_click_decides_between_discs():
    blank = np.zeros((200, 300, 3), np.uint8)
    [two] = answer("disc", blank, Prompt([[100, 100], [200, 100]])).masks
    assert two[100, 100] and two[100, 200] and not two[100, 150]
    [cut] = answer("disc", blank, Prompt([[100, 100], [106, 100]], [1, 0])).masks
    assert cut[100, 95] and cut[100, 102] and not cut[100, 103] and not cut[100, 106] and not cut[100, 108]


def test_the_ellipse_in_a_box_and_clicks_on_it():
    blank = np.zeros((200, 300, 3), np.uint8)
    box = [50, 60, 250, 160]
    [ellipse] = answer("disc", blank, Prompt(box=box), several=True).masks
    assert ellipse.sum() == pytest.approx(np.pi * 100 * 50, rel=0.01)
    assert ellipse[110, 50] and ellipse[60, 150] and not ellipse[65, 60]
    [more] = answer("disc", blank, Prompt([[55, 64]], box=box)).masks
    assert more[65, 60] and not more[:, :50].any() and not more[:60].any(), "added to, within the box"
    [less] = answer("disc", blank, Prompt([[150, 110]], [0], box=box)).masks
    assert not less[110, 150] and less[110, 170]


def test_grabcut_finds_the_square(picture):
    [in_box] = answer("grabcut", picture, Prompt(box=[24, 14, 76, 66])).masks
    assert iou(in_box, SQUARE) > 0.95


def test_grabcut_grows_from_a_click_as_far_as_it_looks(picture):
    small = picture.copy()
    small[SQUARE] = picture[:40, :40].reshape(-1, 3)
    small[32:46, 44:58] = picture[32:46, 44:58]
    small[32:46, 4:18] = picture[32:46, 44:58]
    [mask] = answer("grabcut", small, Prompt([[50, 40]])).masks
    expected = np.zeros_like(SQUARE)
    expected[32:46, 44:58] = True
    assert iou(mask, expected) > 0.95, "not the second square, which is of the same colour and far away"


def test_grabcut_equals_opencv_with_a_rectangle(picture):
    labels = np.zeros(SQUARE.shape, np.uint8)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, labels, (24, 14, 70, 60), *models, 5, cv2.GC_INIT_WITH_RECT)
    expected = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    assert 0 < expected.sum() < 70 * 60
    assert (answer("grabcut", picture, Prompt(box=[24, 14, 94, 74])).masks[0] == expected).all()


def test_grabcut_obeys_clicks(picture):
    box = [24, 14, 100, 80]
    [without] = answer("grabcut", picture, Prompt([[50, 40], [95, 75]], [1, 0], box=box)).masks
    assert without[40, 50] and not without[75, 95] and iou(without, SQUARE) > 0.95
    [with_strip] = answer("grabcut", picture, Prompt([[50, 40], [95, 75]], [1, 1], box=box)).masks
    assert with_strip[75, 95] and with_strip[SQUARE].all()


def test_grabcut_falls_back_to_what_it_began_with(picture):
    [whole] = answer("grabcut", picture, Prompt(box=[0, 0, 100, 80])).masks
    assert whole.all()
    [pixel] = answer("grabcut", picture, Prompt(box=[44, 33, 45, 34])).masks
    assert pixel.sum() == 1 and pixel[33, 44]


def test_segments_under_clicks(picture):
    masks, scores, _ = answer("felzenszwalb", picture, Prompt([[50, 40]]), several=True)
    assert len(masks) == 3 and scores.argmax() == 1
    assert iou(masks[1], SQUARE) > 0.9
    [middle] = answer("felzenszwalb", picture, Prompt([[50, 40]])).masks
    assert (middle == masks[1]).all()
    [both] = answer("felzenszwalb", picture, Prompt([[50, 40], [95, 40]])).masks
    assert iou(both, SQUARE | RIGHT) > 0.9
    [one] = answer("felzenszwalb", picture, Prompt([[50, 40], [95, 40]], [1, 0])).masks
    assert iou(one, SQUARE) > 0.9


def test_in_a_segment_with_both_labels_the_nearest_click_decides(picture):
    [mask] = answer("felzenszwalb", picture, Prompt([[40, 40], [60, 40]], [1, 0])).masks
    assert mask[40, 35] and mask[25, 45] and not mask[40, 55] and not mask[40, 65]


def test_segments_in_a_box(picture):
    [mask] = answer("felzenszwalb", picture, Prompt(box=[24, 14, 76, 66])).masks
    assert iou(mask, SQUARE) > 0.8, "what surrounds the square lies mostly outside"
    [cut] = answer("felzenszwalb", picture, Prompt(box=[40, 14, 76, 66])).masks
    assert not cut[:, :40].any() and cut[40, 41:69].all()
    [less] = answer("felzenszwalb", picture, Prompt([[95, 40]], [0], box=[24, 0, 100, 80])).masks
    assert less[40, 50] and not less[40, 95]
    [more] = answer("felzenszwalb", picture, Prompt([[26, 16]], box=[24, 14, 76, 66])).masks
    assert more[16, 26] and more[40, 50], "a click adds the segment under it"
    [none] = answer("felzenszwalb", picture, Prompt(box=[2, 2, 6, 6])).masks
    assert none[2:6, 2:6].all() and none.sum() == 16, "no segment lies within"


def test_segments_are_found_once_an_image(picture, monkeypatch):
    from skimage import segmentation

    calls = []
    real = segmentation.felzenszwalb
    monkeypatch.setattr(segmentation, "felzenszwalb", lambda *a, **k: calls.append(a) or real(*a, **k))
    baseline = Felzenszwalb()
    baseline.set_image(picture)
    assert not calls
    baseline.predict_many([Prompt([[50, 40]])])
    baseline.predict_many([Prompt([[5, 5]]), Prompt(box=[1, 1, 9, 9])])
    assert len(calls) == 3
    baseline.set_image(picture)
    baseline.predict_many([Prompt([[50, 40]])])
    assert len(calls) == 6


def test_proposals_are_all_segments_largest_first(picture):
    baseline = Felzenszwalb()
    proposals = baseline.proposals(picture)
    areas = [rle.area(proposal) for proposal in proposals]
    assert areas == sorted(areas, reverse=True)
    assert len({proposal["counts"] for proposal in proposals}) == len(proposals)
    masks = np.stack([rle.decode(proposal) for proposal in proposals])
    assert iou(masks, SQUARE).max() > 0.8 and iou(masks, RIGHT).max() > 0.8
    for segments in baseline.segments:
        for number in np.unique(segments):
            assert (masks == (segments == number)).all(axis=(1, 2)).sum() == 1
