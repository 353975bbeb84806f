"""The simulated annotator, with a segmenter whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.evaluation.clicker import click_through
from anymask.predict.predictor import Prediction
from anymask.task.prompts import Label


def run(segmenter, objects, clicks, sampling="centre", image="photo"):
    """The IoUs of all objects after each click, and the sessions at the end."""
    ious = []
    for sessions in click_through(segmenter, image, objects, clicks, sampling):
        ious.append([session.iou for session in sessions])
    return ious, sessions


def depth_of(region, x, y):
    """Distance of a pixel's centre to the nearest pixel outside a region or the image."""
    outside = np.argwhere(~np.pad(region, 1)) - 1
    return np.hypot(*(outside - [int(y), int(x)]).T).min()


def test_the_first_click_is_deepest_in_the_object_and_asks_for_three_masks(block, step_by_step):
    truth, half = block(10, 31, 20, 41), block(10, 20, 20, 41)
    segmenter = step_by_step((truth, [half]))
    [[iou]], [session] = run(segmenter, [Object(1, truth)], 1)
    [([prompt], several)] = segmenter.calls
    assert several is True
    assert prompt.points.tolist() == [[30.5, 20.5]] and prompt.labels.tolist() == [Label.FOREGROUND]
    assert prompt.mask is None and prompt.box is None
    assert iou == pytest.approx(10 / 21) and session.score == pytest.approx(0.8), "the best scored is taken"
    np.testing.assert_array_equal(session.mask, half)
    assert session.ious == pytest.approx([0, 10 / 21, 11 * 21 / 2400])


def test_later_clicks_are_where_the_last_answer_is_most_wrong_and_see_its_logits(block, step_by_step):
    truth = block(10, 30, 10, 30)
    missing = truth & ~block(10, 30, 21, 30)  # lacks 20 × 9, deepest at column 25
    spilt = truth | block(10, 30, 30, 45)  # 20 × 15 too many
    segmenter = step_by_step((truth, [missing, spilt, truth]))
    ious, _ = run(segmenter, [Object(1, truth)], 3)
    assert [several for _, several in segmenter.calls] == [True, False, False]
    *_, prompt = segmenter.prompts
    assert prompt.labels.tolist() == [Label.FOREGROUND, Label.FOREGROUND, Label.BACKGROUND]
    (_, (x1, y1), (x2, y2)) = prompt.points
    assert x1 == 25.5 and 14 < y1 < 26 and x2 == 37.5 and 17 < y2 < 23
    assert [prompt.mask is None for prompt in segmenter.prompts] == [True, False, False]
    assert (segmenter.prompts[1].mask == 1).all(), "of the first three masks the second was the best scored"
    assert (segmenter.prompts[2].mask == 3).all()
    assert ious == [[11 / 20], [20 / 35], [1.0]]


@pytest.mark.parametrize("seed", range(4))
def test_each_click_is_the_deepest_pixel_of_the_error_that_was_not_clicked(scripted, block, seed):
    """With answers that are drawn at random; some clicks find the deepest pixel taken."""
    rng = np.random.default_rng(seed)
    truth = block(0, 12, 3, 14, (16, 18)) & ~block(4, 7, 6, 9, (16, 18))
    answers = [np.zeros_like(truth)]

    def answer(prompt, several):
        top, left = rng.integers(0, (12, 14))
        wrong = block(top, top + rng.integers(2, 9), left, left + rng.integers(2, 9), (16, 18))
        answers.append(answers[-1] if len(answers) % 3 == 0 else truth ^ wrong)
        return [answers[-1]], [1]

    segmenter = scripted(answer)
    run(segmenter, [Object(1, truth)], 12)
    prompt = segmenter.prompts[-1]
    points = prompt.points.tolist()
    assert len({tuple(point) for point in points}) == len(points) == 12
    for k, ((x, y), label) in enumerate(zip(points, prompt.labels, strict=True)):
        regions = {Label.FOREGROUND: truth & ~answers[k], Label.BACKGROUND: answers[k] & ~truth}
        free = [
            depth_of(region, px, py)
            for region in regions.values()
            for py, px in np.argwhere(region)
            if [px + 0.5, py + 0.5] not in points[:k]
        ]
        assert regions[label][int(y), int(x)]
        assert depth_of(regions[label], x, y) == pytest.approx(max(free), abs=1e-4)


def test_a_perfect_mask_gets_no_more_clicks_and_others_go_on(block, step_by_step):
    easy, hard = block(0, 10, 0, 10), block(20, 40, 30, 60)
    segmenter = step_by_step((easy, [easy]), (hard, [hard & False, block(20, 30, 30, 60), hard]))
    ious, sessions = run(segmenter, [Object(1, easy), Object(2, hard)], 5)
    assert [len(prompts) for prompts, _ in segmenter.calls] == [2, 1, 1]
    assert ious == [[1, 0], [1, 0.5], [1, 1], [1, 1], [1, 1]]
    assert sessions[0].score == pytest.approx(0.8) and sessions[1].score == pytest.approx(0.7)


def test_where_all_that_is_wrong_was_clicked_the_answer_stays(block, scripted):
    truth = block(5, 7, 5, 8)
    segmenter = scripted(lambda prompt, several: ([np.zeros_like(truth)], [0.5]))
    ious, _ = run(segmenter, [Object(1, truth)], 10)
    assert len(segmenter.calls) == 6 and ious == [[0]] * 10
    clicked = {(int(y), int(x)) for x, y in segmenter.prompts[-1].points}
    assert clicked == {tuple(each) for each in np.argwhere(truth).tolist()}


def test_what_is_to_be_ignored_is_neither_clicked_nor_counted(block, step_by_step):
    truth, ignore = block(10, 30, 10, 30), block(10, 30, 16, 60)
    answer = block(10, 25, 10, 16) | block(10, 30, 20, 60)  # ¾ of what counts, and much of what does not
    segmenter = step_by_step((truth, [answer, block(10, 30, 10, 16)]))
    ious, _ = run(segmenter, [Object(1, truth, ignore=ignore)], 4)
    assert ious == [[0.75], [1], [1], [1]]
    for (x, y), label in zip(segmenter.prompts[-1].points, segmenter.prompts[-1].labels, strict=True):
        assert not ignore[int(y), int(x)] and truth[int(y), int(x)] == label
    assert len(segmenter.calls) == 2, "the second answer is perfect though it lacks half of the mask"


def test_a_segmenter_without_logits_sees_none(block, scripted):
    truth = block(10, 30, 10, 30)
    segmenter = scripted(lambda prompt, several: ([block(10, 20, 10, 30)], [1]))
    with_logits = segmenter.predict_many
    segmenter.predict_many = lambda prompts, several: [
        Prediction(each.masks, each.scores, np.zeros((1, 0, 0), np.float32)) for each in with_logits(prompts, several)
    ]
    run(segmenter, [Object(1, truth)], 3)
    assert [prompt.mask for prompt in segmenter.prompts] == [None] * 3


@pytest.mark.parametrize("sampling", ["centre", "random"])
@pytest.mark.parametrize(
    ("shape", "place", "click"),
    [((1, 1), (0, 0), (0.5, 0.5)), ((5, 7), (4, 6), (6.5, 4.5)), ((1, 9), (0, 3), (3.5, 0.5))],
)
def test_objects_of_one_pixel(scripted, shape, place, click, sampling):
    """Also in images of one pixel or one row, and in the last corner."""
    truth = np.zeros(shape, bool)
    truth[place] = True
    segmenter = scripted(lambda prompt, several: ([~truth if several else truth], [1]))
    ious, _ = run(segmenter, [Object(1, truth)], 3, sampling)
    assert segmenter.prompts[0].points.tolist() == [list(click)]
    clicks = 1 if truth.all() else 2  # an image of one pixel is wrong at that one alone, which is taken
    assert [iou for [iou] in ious] == [0, clicks - 1, clicks - 1]


def random_clicks(scripted, objects, image="photo"):
    """The first click on each object, by id."""
    segmenter = scripted(lambda prompt, several: ([np.zeros_like(objects[0].mask)], [0]))
    run(segmenter, objects, 1, "random", image)
    return {each.id: tuple(prompt.points[0]) for each, prompt in zip(objects, segmenter.prompts, strict=True)}


def test_random_clicks_depend_on_the_image_and_the_object_alone(block, scripted):
    objects = [Object(n, block(5, 35, 5, 55)) for n in range(8)]
    clicks = random_clicks(scripted, objects)
    assert len(set(clicks.values())) > 6, "each object has a click of its own"
    assert random_clicks(scripted, objects[::-1]) == clicks
    assert random_clicks(scripted, objects[5:]) == {n: clicks[n] for n in (5, 6, 7)}
    assert random_clicks(scripted, objects, image="another") != clicks


def test_random_clicks_are_anywhere_in_the_object(block, scripted):
    truth = block(10, 12, 20, 23) | block(30, 31, 0, 2)
    clicks = random_clicks(scripted, [Object(n, truth, ignore=block(30, 31, 1, 2)) for n in range(1400)])
    places, counts = np.unique([(y, x) for x, y in clicks.values()], axis=0, return_counts=True)
    expected = np.argwhere(truth & ~block(30, 31, 1, 2)) + 0.5
    np.testing.assert_array_equal(places, expected)
    assert counts.min() > 150 and counts.max() < 250  # 200 each, give or take 13


def test_after_a_random_click_the_next_are_at_the_centre_of_the_error(block, step_by_step):
    """As in D.1, where the first point alone is drawn."""
    truth = block(5, 36, 5, 36)
    first = truth & ~block(15, 26, 15, 26)
    segmenter = step_by_step((truth, [first, truth]))
    run(segmenter, [Object(1, truth)], 2, "random")
    assert segmenter.prompts[-1].points[1].tolist() == [20.5, 20.5]
