"""The matching of boundary pixels and the scores made of it, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.errors import DataError
from anymask.evaluation.edge_matching import EdgeCounts, edge_counts, human_counts, match, summarise, thin

SHAPE = (60, 80)  # a diagonal of 100 pixels


def line(row: int, start: int = 20, stop: int = 60) -> np.ndarray:
    """A horizontal line of one pixel's height."""
    edges = np.zeros(SHAPE, bool)
    edges[row, start:stop] = True
    return edges


def tolerance(pixels: float) -> float:
    return pixels / 100


def counts(matched_human, human, matched_predicted, predicted) -> EdgeCounts:
    thresholds = np.arange(1, len(human) + 1) / (len(human) + 1)
    return EdgeCounts(thresholds, *(np.array(c) for c in (matched_human, human, matched_predicted, predicted)))


def test_thinning_leaves_a_line_of_one_pixel():
    bar = np.zeros(SHAPE, bool)
    bar[30:33, 20:60] = True
    thinned = thin(bar)
    assert (thinned.sum(axis=0) <= 1).all()
    assert thinned[31, 25:55].all()
    assert np.array_equal(thin(line(30)), line(30))


@pytest.mark.parametrize("rows_apart, matches", [(0, 40), (1, 40), (2, 40), (3, 0), (10, 0)])
def test_a_shifted_line_matches_within_the_tolerance_alone(rows_apart, matches):
    predicted, human = match(line(30 + rows_apart), line(30), tolerance(2))
    assert predicted.sum() == human.sum() == matches
    assert not (predicted & ~line(30 + rows_apart)).any() and not (human & ~line(30)).any()


def test_the_tolerance_is_round():
    human, predicted = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    human[30, 40] = predicted[32, 42] = True  # 2.83 pixels away
    assert match(predicted, human, tolerance(2.8))[0].sum() == 0
    assert match(predicted, human, tolerance(2.9))[0].sum() == 1


def test_two_predicted_pixels_share_no_human_one_and_the_nearer_wins():
    human, predicted = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    human[30, 40] = predicted[30, 41] = predicted[32, 40] = True
    matched, found = match(predicted, human, tolerance(3))
    assert np.argwhere(matched).tolist() == [[30, 41]]
    assert np.array_equal(found, human)


def test_near_pairs_give_way_to_a_larger_matching():
    """A chain where every nearest pair, once made, leaves the two ends alone."""
    human, predicted = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    human[30, [20, 25, 30]] = True
    predicted[30, [23, 28, 33]] = True  # 3 pixels after a human one and 2 before the next
    matched, found = match(predicted, human, tolerance(3))
    assert matched.sum() == found.sum() == 3


def test_pixels_at_the_image_edge_match_nothing_across_it():
    human, predicted = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    human[30, 79] = predicted[31, 0] = True
    assert match(predicted, human, tolerance(4))[0].sum() == 0
    assert match(human, human, tolerance(4))[0].sum() == 1


@pytest.mark.parametrize("density", [0.05, 0.15, 0.4])
@pytest.mark.parametrize("reach", [1.0, 2.5, 4.0])
def test_as_many_pixels_match_as_in_the_assignment_of_least_cost(density, reach):
    from scipy import optimize

    random = np.random.default_rng(int(100 * density + 10 * reach))
    for _ in range(8):
        predicted, human = random.random((2, 18, 24)) < density
        a, b = np.argwhere(predicted), np.argwhere(human)
        distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
        outlier = 100 * reach
        rows, columns = optimize.linear_sum_assignment(np.where(distance <= reach, distance, 2 * outlier))
        expected = (distance[rows, columns] <= reach).sum()
        matched, found = match(predicted, human, reach / 30)
        assert matched.sum() == found.sum() == expected
        assert not (matched & ~predicted).any() and not (found & ~human).any()


def test_edges_equal_to_the_human_ones_score_1():
    scored = edge_counts(line(30).astype(float), line(30)[None])
    assert scored.thresholds == pytest.approx(np.arange(1, 100) / 100)
    for found in (scored.matched_human, scored.human, scored.matched_predicted, scored.predicted):
        assert (found == 40).all()
    scores = summarise([scored])
    assert (scores.ods, scores.ois, scores.recall_at_50) == (1, 1, 1)


def test_a_doubled_line_has_half_the_precision():
    scored = edge_counts((line(28) | line(32)).astype(float), line(30)[None], 1, tolerance(2))
    assert (scored.recall, scored.precision) == (1, 0.5)


def test_a_predicted_pixel_counts_once_and_a_human_one_for_each_person():
    scored = edge_counts(line(30).astype(float), np.stack([line(30), line(31), line(50)]), 1, tolerance(2))
    assert (scored.matched_human, scored.human) == (80, 120)
    assert (scored.matched_predicted, scored.predicted) == (40, 40)


def test_people_who_see_different_edges_each_confirm_a_part():
    scored = edge_counts((line(10) | line(50)).astype(float), np.stack([line(10), line(50)]), 1)
    assert (scored.recall, scored.precision) == (1, 1)


def test_a_threshold_takes_what_is_on_or_over_it():
    edge_map = np.where(line(30), 0.5, 0) + np.where(line(10), 0.25, 0)
    for dtype in (np.float32, np.float64):
        scored = edge_counts(edge_map.astype(dtype), line(30)[None], 3)
        assert scored.predicted.tolist() == [80, 40, 0]
        assert scored.matched_predicted.tolist() == [40, 40, 0]
        assert scored.precision.tolist() == [0.5, 1, 0]


def test_thick_edges_are_thinned_at_each_threshold():
    ridge = np.zeros(SHAPE)
    for offset, value in ((0, 1.0), (1, 0.6), (2, 0.3)):
        ridge[[30 - offset, 30 + offset], 20:60] = value
    assert (edge_counts(ridge, line(30)[None]).predicted <= 40).all()


def test_nothing_predicted_and_nothing_drawn_score_0():
    nothing = np.zeros(SHAPE)
    assert summarise([edge_counts(nothing, line(30)[None])]).ods == 0
    assert summarise([edge_counts(line(30).astype(float), nothing[None])]).ods == 0


@pytest.mark.parametrize(
    "edge_map, humans",
    [
        (np.zeros((60, 81)), np.zeros((1, *SHAPE), bool)),
        (np.zeros(SHAPE), np.zeros(SHAPE, bool)),
        (np.zeros(SHAPE), np.zeros((0, *SHAPE), bool)),
        (np.full(SHAPE, 255), np.zeros((1, *SHAPE), bool)),
        (np.full(SHAPE, np.nan), np.zeros((1, *SHAPE), bool)),
    ],
)
def test_maps_that_cannot_be_scored_are_refused(edge_map, humans):
    with pytest.raises(DataError, match="expected"):
        edge_counts(edge_map, humans)


def test_each_person_is_scored_by_the_others():
    scored = human_counts(np.stack([line(30), line(30), line(50)]))
    assert (scored.matched_human, scored.human) == (80, 240)
    assert (scored.matched_predicted, scored.predicted) == (80, 120)
    with pytest.raises(DataError, match="two people"):
        human_counts(line(30)[None])


def test_one_threshold_for_all_images_or_one_for_each():
    a = counts([10, 0], [10, 10], [10, 0], [10, 10])  # F 1 and 0
    b = counts([0, 10], [10, 10], [0, 10], [10, 10])  # F 0 and 1
    scores = summarise([a, b])
    assert scores.ods == pytest.approx(0.5)
    assert scores.ois == pytest.approx(1)
    assert scores.curve.human.tolist() == [20, 20]


def test_the_best_threshold_may_lie_between_two():
    """Recall .9 and precision .3, then the reverse: half way both are .6, which beats either end's F of .45."""
    scores = summarise([counts([90, 30], [100, 100], [30, 90], [100, 100])])
    assert scores.ods == pytest.approx(0.6, abs=1e-4)
    assert (scores.ods_recall, scores.ods_precision) == pytest.approx((0.6, 0.6), abs=0.005)
    assert scores.ods_threshold == pytest.approx(0.5, abs=0.005)


def test_average_precision_is_the_area_within_the_recall_that_is_reached():
    """Precision falls from 1 at recall .2 to .5 at recall .6: 41 hundredths with a mean of .75."""
    scores = summarise([counts([60, 20], [100, 100], [50, 100], [100, 100])])
    assert scores.average_precision == pytest.approx(0.41 * 0.75)
    assert scores.recall_at_50 == pytest.approx(0.6)


def test_recall_at_a_precision_of_half():
    between = counts([80, 40], [100, 100], [40, 80], [100, 100])
    assert summarise([between]).recall_at_50 == pytest.approx(0.7)
    never = counts([80, 40], [100, 100], [10, 20], [100, 100])
    assert summarise([never]).recall_at_50 == 0
    always = counts([80, 40], [100, 100], [60, 90], [100, 100])
    assert summarise([always]).recall_at_50 == pytest.approx(0.8)


def test_counts_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="thresholds"):
        summarise([counts([1], [1], [1], [1]), counts([1, 1], [1, 1], [1, 1], [1, 1])])
    with pytest.raises(DataError, match="no image"):
        summarise([])


def test_people_agree_with_one_another_on_bsds500(shared_data):
    """Held out against the rest, people score about .80 over the test split (Arbeláez et al., 2011); this is a part."""
    from anymask.task.image import read_image

    names = sorted((shared_data / "val" / "bsds500_test").glob("*.png"))[::50]
    scored = []
    for name in names:
        bits = read_image(name)[..., 0]
        people = np.stack([(bits >> k & 1).astype(bool) for k in range(8)])
        people = people[people.any(axis=(1, 2))]
        assert np.array_equal(thin(people[0]), people[0])
        scored.append(human_counts(people))
    assert summarise(scored).ods == pytest.approx(0.8, abs=0.08)
