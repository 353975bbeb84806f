"""Points, interactive and boxes with a segmenter whose answers are known; and what all protocols have in common."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.errors import ConfigError, DataError
from anymask.evaluation.boxes import Boxes
from anymask.evaluation.clicker import AT_ONCE
from anymask.evaluation.expected import _TABLE, ALIASES, expected
from anymask.evaluation.interactive import Interactive
from anymask.evaluation.points import Points
from anymask.evaluation.protocols import PROTOCOLS, make_protocol

# points


def test_points_after_one_click_and_more(block, labelled, step_by_step, figures):
    """Half of one object at first, then three quarters, then all; the other at once."""
    hard, easy = block(10, 30, 20, 40), block(0, 4, 0, 4)
    segmenter = step_by_step((hard, [block(10, 20, 20, 40), block(10, 25, 20, 40), hard]), (easy, [easy]))
    image = labelled([hard, easy])
    found = figures(Points(), segmenter, image)
    assert segmenter.images == [image.pixels]
    assert found["1 click, best-scored mask, mean IoU"] == (0.5 + 1) / 2
    assert found["2 clicks, mean IoU"] == (0.75 + 1) / 2
    assert found["3 clicks, mean IoU"] == found["5 clicks, mean IoU"] == found["9 clicks, mean IoU"] == 1
    assert found["1 click, boundary IoU"] < found["2 clicks, boundary IoU"] < found["9 clicks, boundary IoU"] == 1
    assert found["objects"] == 2


def test_the_oracle_is_the_best_of_three_though_the_best_scored_is_taken(block, labelled, scripted, figures):
    truth, half = block(10, 30, 20, 40), block(10, 20, 20, 40)
    segmenter = scripted(lambda prompt, several: ([half, truth, truth & False][: 3 if several else 1], [0.9, 0.8, 0.1]))
    [row] = Points().evaluate(segmenter, labelled([truth]))
    assert row["oracle"] == 1 and row["iou"]["1"] == 0.5 and row["predicted"] == pytest.approx(0.9)
    found = figures(Points(), segmenter, labelled([truth]))
    assert found["1 click, best-scored mask, mean IoU"] == 0.5
    assert found["1 click, best of three, mean IoU"] == 1


def test_points_by_size_and_category(block, labelled, step_by_step):
    shape = (220, 240)
    masks = [block(0, 31, 0, 33, shape), block(40, 72, 0, 32, shape), block(0, 95, 50, 147, shape)]  # 32² is medium
    masks.append(block(120, 216, 100, 196, shape))  # 96² is large
    objects = [Object(n, mask, category) for n, (mask, category) in enumerate(zip(masks, "abac", strict=True))]
    answers = [
        (mask, [mask & (np.cumsum(mask).reshape(shape) * 4 <= mask.sum() * n)]) for n, mask in enumerate(masks, 1)
    ]
    rows = Points(clicks=(1,)).evaluate(step_by_step(*answers), labelled(objects, shape=shape))
    metrics = {metric.name: metric for metric in Points(clicks=(1,)).summarise(rows)}
    by_size = {name.split(", ")[-1]: metric for name, metric in metrics.items() if name.endswith("objects")}
    assert list(by_size) == ["1 small objects", "2 medium objects", "1 large objects", "objects"]
    means = [by_size[name].value for name in by_size]
    assert means == [pytest.approx(0.25, abs=1e-3), pytest.approx(0.625, abs=1e-3), 1, 4]
    assert not any(metric.detail for metric in by_size.values())
    by_category = {name.split()[-1]: metric for name, metric in metrics.items() if "category" in name}
    assert [by_category[c].value for c in "abc"] == [pytest.approx(0.5, abs=1e-3), pytest.approx(0.5), 1]
    assert all(metric.detail for metric in by_category.values()) and list(by_category) == list("abc")


def test_one_category_is_no_category(block, labelled, step_by_step, figures):
    truth = block(0, 9, 0, 9)
    found = figures(Points(), step_by_step((truth, [truth])), labelled([Object(1, truth, "cup")]))
    assert not any("category" in name for name in found)


def test_intervals_draw_images_not_objects(block, labelled, scripted):
    """All objects of an image are found, or none: of two images the interval knows nothing."""
    truths = [block(0, 9, 10 * n, 10 * n + 9) for n in range(6)]

    def find(prompt, several):
        return [block(0, 9, int(prompt.points[0][0]) // 10 * 10, int(prompt.points[0][0]) // 10 * 10 + 9)], [1]

    nothing = scripted(lambda prompt, several: ([truths[0] & False], [0]))
    rows = Points((1,)).evaluate(scripted(find), labelled(truths, "a"))
    rows += Points((1,)).evaluate(nothing, labelled(truths, "b"))
    first, *_ = Points((1,)).summarise(rows)
    assert first.value == 0.5 and first.interval == (0, 1)
    assert [(row["image"], row["id"]) for row in rows] == [(name, n) for name in "ab" for n in range(1, 7)]


def test_the_correlation_of_predicted_with_true_iou(block, labelled):
    def correlation(predicted, true):
        rows = [
            {
                "image": "a",
                "category": None,
                "area": 5,
                "oracle": i,
                "predicted": p,
                "iou": {"1": i},
                "boundary_iou": {"1": i},
            }
            for p, i in zip(predicted, true, strict=True)
        ]
        found = {metric.name: metric.value for metric in Points((1,)).summarise(rows)}
        return found.get("correlation of predicted with true IoU")

    rng = np.random.default_rng(0)
    true = rng.random(40)
    assert correlation(0.1 + 0.5 * true, true) == pytest.approx(1)
    assert correlation(0.9 - 0.5 * true, true) == pytest.approx(-1)
    noisy = true + rng.normal(size=40)
    assert correlation(noisy, true) == pytest.approx(np.corrcoef(noisy, true)[0, 1])
    assert correlation([0.254] * 40, true) is None, "whose deviation is not zero as floats are added up"
    assert correlation(true, [0.254] * 40) is None and correlation([0.2], [0.5]) is None


def test_no_correlation_without_a_first_click(block, labelled, step_by_step, figures):
    truths = [block(0, 9, 0, 9), block(20, 30, 0, 9)]
    segmenter = step_by_step(*((truth, [truth & False, truth]) for truth in truths))
    found = figures(Points((5, 2, 2)), segmenter, labelled(truths))
    assert list(found)[:2] == ["2 clicks, mean IoU", "5 clicks, mean IoU"] and found["2 clicks, mean IoU"] == 1
    assert not any("correlation" in name or name.startswith("1 click, best-scored") for name in found)


def test_ignored_pixels_count_neither_way_for_the_boundary_too(block, labelled, scripted, figures):
    """The answer is right but for the band around the outline that the labels leave open."""
    truth, ignore = block(10, 30, 10, 30), block(9, 31, 9, 31) & ~block(12, 28, 12, 28)
    image = labelled([Object(1, truth, ignore=ignore)])
    segmenter = scripted(lambda prompt, several: ([block(9, 31, 9, 31)] * (3 if several else 1), [1] * 3))
    points, boxes = figures(Points((1,)), segmenter, image), figures(Boxes(), segmenter, image)
    assert points["1 click, best-scored mask, mean IoU"] == points["1 click, boundary IoU"] == 1
    for name in ("box, single mask, mean IoU", "box, best of three, mean IoU", "box, boundary IoU"):
        assert boxes[name] == 1


@pytest.mark.parametrize("protocol", [Points((1, 3)), Points((1, 3), "random"), Interactive(3), Boxes()])
def test_a_crowd_gives_the_rows_of_its_objects_one_by_one(block, labelled, protocol, scripted):
    """The answers depend on the prompt, its logits included."""
    rng = np.random.default_rng(0)
    corners = zip(rng.integers(0, 34, 2 * AT_ONCE + 3), rng.integers(0, 54, 2 * AT_ONCE + 3), strict=True)
    objects = [Object(n, block(y, y + 6, x, x + 2 + n % 4), "ab"[n % 2]) for n, (y, x) in enumerate(corners)]

    def answer(prompt, several):
        x, y = (int(n) for n in (prompt.box[:2] if prompt.box is not None else prompt.points.mean(axis=0)))
        reach = 3 + len(prompt.points) + (0 if prompt.mask is None else 1)
        masks = [block(max(0, y - r), y + r, max(0, x - r), x + r) for r in (reach, 2 * reach, 1)]
        return (masks, [0.5, 0.4, 0.3 + x / 60]) if several else (masks[:1], [0.5])

    crowd = scripted(answer)
    together = protocol.evaluate(crowd, labelled(objects))
    alone = [row for each in objects for row in protocol.evaluate(scripted(answer), labelled([each]))]
    assert json.loads(json.dumps(together)) == alone and len(together) == 2 * AT_ONCE + 3
    assert max(len(prompts) for prompts, _ in crowd.calls) == AT_ONCE
    assert len(crowd.images) == 1, "the image is set once"
    assert len({json.dumps(row, sort_keys=True) for row in alone}) == len(alone)


# interactive


def test_number_of_clicks_by_hand(block, labelled, step_by_step):
    """Parts of an object in tenths and hundredths of it, click by click: when is it over .85, over .9?"""
    truth = block(10, 20, 10, 30)

    def part(rows, more=0):
        return block(10, 10 + rows, 10, 30) | block(10 + rows, 11 + rows, 10, 10 + more)

    slow = [part(2), part(8, 10), part(8, 18), part(9)]  # .20, .85, .89, .90
    truths = {0: truth, 1: block(25, 35, 10, 30), 2: block(0, 5, 40, 60)}
    never = truths[1] & False
    back = [truths[2], truths[2]]
    segmenter = step_by_step((truths[0], slow), (truths[1], [never]), (truths[2], back))
    rows = Interactive(20).evaluate(segmenter, labelled(list(truths.values())))
    assert [len(row["ious"]) for row in rows] == [20, 20, 20]
    assert rows[0]["ious"][:4] == [0.2, 0.85, 0.89, 0.9]
    found = {metric.name: metric.value for metric in Interactive(20).summarise(rows)}
    assert found["NoC@85"] == (2 + 20 + 1) / 3 and found["NoC@90"] == (4 + 20 + 1) / 3
    assert found["failures over 20 clicks @85"] == found["failures over 20 clicks @90"] == 1
    curve = [found[f"{k} click{'s' * (k > 1)}, mean IoU"] for k in range(1, 21)]
    assert curve == pytest.approx([1.2 / 3, 1.85 / 3, 1.89 / 3] + [1.9 / 3] * 17)
    assert found["objects"] == 3


def test_most_clicks_are_an_option_and_what_a_failure_counts(block, labelled, step_by_step):
    truth = block(10, 20, 10, 30)
    segmenter = step_by_step((truth, [truth & False, truth]))
    for clicks, needed, failures in ((1, 1, 1), (2, 2, 0), (7, 2, 0)):
        metrics = list(Interactive(clicks).summarise(Interactive(clicks).evaluate(segmenter, labelled([truth]))))
        found = {metric.name: metric.value for metric in metrics}
        assert found["NoC@90"] == needed and found[f"failures over {clicks} clicks @90"] == failures
        assert sum("mean IoU" in metric.name for metric in metrics) == clicks
    shown = [metric.name for metric in metrics if "mean IoU" in metric.name and not metric.detail]
    assert shown == [f"{k} click{'s' * (k > 1)}, mean IoU" for k in (1, 2, 3, 5, 7)]


# boxes


def test_boxes_enclose_the_far_edges_and_ask_twice(block, labelled, scripted, figures):
    truth, half = block(10, 30, 20, 40), block(10, 20, 20, 40)
    segmenter = scripted(
        lambda prompt, several: ([half, truth, ~truth], [0.9, 0.8, 0]) if several else ([truth], [0.1])
    )
    found = figures(Boxes(), segmenter, labelled([truth, block(39, 40, 59, 60)]))
    first, last = segmenter.prompts[:2]
    assert first.box.tolist() == [20, 10, 40, 30] and last.box.tolist() == [59, 39, 60, 40]
    assert not len(first.points) and first.mask is None
    assert [several for _, several in segmenter.calls] == [True, False]
    assert found["box, single mask, mean IoU"] == found["box, boundary IoU"] == 0.5
    assert found["box, best-scored of three, mean IoU"] == 0.25
    assert found["box, best of three, mean IoU"] == pytest.approx((1 + 1 / 2000) / 2)
    assert found["box, mean IoU, 2 small objects"] == 0.5 and found["objects"] == 2


# all of them


@pytest.mark.parametrize("protocol", [Points(), Interactive(), Boxes()])
def test_no_objects_are_no_score(protocol, labelled, scripted):
    segmenter = scripted(None)
    assert protocol.evaluate(segmenter, labelled([])) == [] and not segmenter.images, "the image need not be embedded"
    with pytest.raises(DataError, match="no masks to score"):
        list(protocol.summarise([]))


def test_names_are_those_of_the_table():
    assert list(PROTOCOLS) == ["points", "interactive", "boxes", "detections", "edges", "proposals", "text", "fairness"]
    assert make_protocol("points", {"clicks": [3, 1, 3], "sampling": "random"}) == Points((1, 3), "random")
    assert make_protocol("boxes", {}) == Boxes()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("point", {}, "unknown protocol 'point'; did you mean 'points'"),
        ("points", {"click": [1]}, "points: unknown option 'click'; did you mean 'clicks'"),
        ("points", {"clicks": []}, "points: clicks: expected numbers of 1 or more"),
        ("points", {"clicks": [0, 1]}, "points: clicks: expected numbers of 1 or more"),
        ("points", {"clicks": 3}, "points: clicks: expected .*got 3"),
        ("points", {"clicks": ["1"]}, "points: clicks: expected .*got"),
        ("points", {"clicks": [1.5]}, "points: clicks: expected .*got"),
        ("points", {"sampling": "center"}, "points: unknown sampling 'center'; did you mean 'centre'"),
        ("fairness", {"group": "age", "sampling": "any"}, "fairness: unknown sampling 'any'"),
        ("fairness", {"group": "age", "clicks": [0]}, "fairness: clicks: expected numbers of 1 or more"),
        ("fairness", {}, "fairness: .*group"),
        ("interactive", {"clicks": 0}, "interactive: clicks: expected at least 1"),
        ("interactive", {"clicks": "20"}, "interactive: clicks: expected int, got '20'"),
        ("interactive", {"clicks": True}, "interactive: clicks: expected int, got True"),
        ("detections", {"boxes": "b", "truth": "t", "rounds": 0}, "detections: rounds: expected at least 1"),
        ("detections", {"boxes": "b"}, "detections: .*truth"),
        ("edges", {"points": 0}, "edges: points: expected at least 1"),
        ("edges", {"nms": "high"}, "edges: nms: expected float"),
        ("proposals", {"points": 0}, "proposals: points: expected at least 1"),
        ("text", {"threshold": [0.5]}, "text: threshold: expected float"),
    ],
)
def test_a_wrong_option_is_named(name, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make_protocol(name, options)
    assert "\n" not in str(caught.value)


# published figures


def metrics_of(protocol):
    """All names that a protocol gives, from rows made by hand."""
    share = {f"AR@{limit}": 0.5 for limit in (1, 10, 100, 1000)}
    subsets = ("small", "medium", "large", "frequent", "common", "rare")
    counts = {name: [5, 3] for name in ("matched_human", "human", "matched_predicted", "predicted")}
    rows = {
        "interactive": [{"image": "a", "ious": [0.5] * 20}],
        "edges": [{"image": "a", "thresholds": [1 / 3, 2 / 3], **counts}],
        "proposals": [{"image": "a", "id": 1, **share, **{f"AR@1000 {each}": 0.5 for each in subsets}}],
    }
    options = {"boxes": "b.json", "truth": "t.json"} if protocol == "detections" else {}
    return {metric.name for metric in make_protocol(protocol, options).summarise(rows[protocol])}


def test_published_figures_are_of_metrics_that_there_are():
    from anymask.evaluation.instance_ap import COCO_METRICS, LVIS_METRICS

    ap = {"detections": set(COCO_METRICS) & set(LVIS_METRICS)}
    assert {protocol for protocol, _ in _TABLE} == {"interactive", "edges", "proposals", "detections"}
    for (protocol, data), published in _TABLE.items():
        names = ap.get(protocol) or metrics_of(protocol)
        for who, source, figures in published:
            assert who and source and set(figures) <= names, (protocol, data)
            clicks = protocol == "interactive"
            assert all((1 if clicks else 0) < value < (20 if clicks else 1) for value in figures.values())
    assert set(ALIASES.values()) <= {data for _, data in _TABLE}


def test_figures_of_the_paper_and_of_ritm():
    [sam, hed] = expected("edges", "BSDS500_test", "ODS")
    assert (sam.who, sam.value, hed.who, hed.value) == ("SAM ViT-H", 0.768, "HED", 0.788)
    assert [each.value for each in expected("interactive", "grabcut", "NoC@90")] == [1.54]
    assert expected("interactive", "coco_mval_val", "NoC@90")[0].value == 2.98
    assert expected("points", "grabcut", "NoC@90") == expected("edges", "bsds500", "F") == []
