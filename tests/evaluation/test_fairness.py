"""Groups of people: where the group stands, and when a difference is more than chance."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.errors import ConfigError, DataError
from anymask.evaluation.fairness import Fairness

TRUTH = np.zeros((12, 20), bool)
TRUTH[2:10, 5:15] = True
SHAPE = TRUTH.shape


@pytest.fixture()
def perfect(scripted):
    """A segmenter that finds the object."""
    return scripted(lambda prompt, several: ([TRUTH], [1]))


def person(number, **record):
    return Object(number, TRUTH, record=record)


def groups_of(protocol, segmenter, image):
    return {row["id"]: row["group"] for row in protocol.evaluate(segmenter, image)}


def test_the_group_is_a_key_of_the_annotation_or_of_its_attributes(labelled, perfect):
    people = [
        person(1, age="old"),
        person(2, attributes={"age": "young"}),
        person(3, age="old", attributes={"age": "young"}),  # the annotation's own counts
        person(4, age=None, attributes={"age": 7}),
        person(5, age=""),
        person(6, attributes=["age"]),
        person(7, age=0),
    ]
    found = groups_of(Fairness("age"), perfect, labelled(people, shape=SHAPE))
    assert found == {1: "old", 2: "young", 3: "old", 4: "7", 7: "0"}, "objects without a value are left out"
    assert len(perfect.prompts) == 5, "and not asked about"


def test_the_group_may_be_that_of_the_whole_image(labelled, perfect):
    image = labelled([person(1), person(2, continent="Asia")], shape=SHAPE, image={"continent": "Africa"})
    assert groups_of(Fairness("continent"), perfect, image) == {1: "Africa", 2: "Asia"}


def test_the_group_may_stand_in_a_table(labelled, perfect, tmp_path):
    table = tmp_path / "people.csv"
    table.write_bytes("\ufeffimage,id,skin\nphoto,1,1–2\nphoto,b,5\nphoto,3,\nother,4,6\nphoto,5\n".encode())
    people = [person(1, skin="9"), Object("b", TRUTH), person(3), person(4), person(5)]
    found = groups_of(Fairness("skin", str(table)), perfect, labelled(people, shape=SHAPE))
    assert found == {1: "1–2", "b": "5"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,id,sex\nphoto,1,f\n", r"people\.csv: has no column skin; expected image, id, skin"),
        ("name,skin\nphoto,1\n", r"people\.csv: has no column id, image"),
        ("", "has no column id, image, skin"),
        (b"\xff\xfe\x00", r"people\.csv: cannot be read"),
        (None, r"people\.csv: cannot be read .*expected a CSV file"),
    ],
)
def test_a_table_without_the_columns_is_named(labelled, perfect, tmp_path, content, message):
    table = tmp_path / "people.csv"
    if content is not None:
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        Fairness("skin", str(table)).evaluate(perfect, labelled([person(1)], shape=SHAPE))
    assert "\n" not in str(caught.value)


def rows_of(**groups):
    """Rows of one object an image: the IoU after each of 1 and 3 clicks, by group."""
    return [
        {"image": f"{group}{n}", "id": 1, "group": group, "iou": {"1": first, "3": third}}
        for group, ious in groups.items()
        for n, (first, third) in enumerate(ious)
    ]


def test_a_flag_stands_where_intervals_do_not_overlap_and_only_there():
    """At one click young people are found worse than the others; at three the intervals overlap."""
    spread = np.linspace(-0.1, 0.1, 30)
    rows = rows_of(
        old=[(0.8 + s, 0.9 + s) for s in spread],
        middle=[(0.79 + s, 0.9 + s) for s in spread],
        young=[(0.6 + s, 0.89 + s) for s in spread],
    )
    metrics = list(Fairness("age").summarise(rows))
    found = {metric.name: metric for metric in metrics}
    flags = {name: metric.value for name, metric in found.items() if name.startswith("⚑")}
    assert {name: round(gap, 6) for name, gap in flags.items()} == {
        "⚑ middle and young differ, 1 click: intervals do not overlap, gap": 0.19,
        "⚑ old and young differ, 1 click: intervals do not overlap, gap": 0.2,
    }
    one = found["age old, 1 click, mean IoU"]
    assert one.value == pytest.approx(0.8) and one.interval[0] < 0.8 < one.interval[1]
    assert found["age young, 3 clicks, mean IoU"].value == pytest.approx(0.89)
    assert [found[f"objects, age {group}"].value for group in ("middle", "old", "young")] == [30, 30, 30]


def test_wide_intervals_hide_the_same_gap():
    spread = np.linspace(-0.3, 0.3, 6)
    rows = rows_of(old=[(0.7 + s, 0.7 + s) for s in spread], young=[(0.5 + s, 0.5 + s) for s in spread])
    assert not any("⚑" in metric.name for metric in Fairness("age").summarise(rows))


def test_a_single_image_tells_nothing_of_a_group():
    """Thirty people each, all of a group in one image: there is no interval, and no flag."""
    ious = {"old": {"1": 0.9, "3": 0.9}, "young": {"1": 0.5, "3": 0.5}}
    rows = [{"image": group, "group": group, "iou": ious[group]} for group in ious for _ in range(30)]
    metrics = list(Fairness("age").summarise(rows))
    assert all(metric.interval is None and "⚑" not in metric.name for metric in metrics)
    assert metrics[0].value == pytest.approx(0.9)


def test_clicks_and_sampling(labelled, scripted):
    """The first click is drawn at random unless asked otherwise, and is the same in each run."""
    nothing = scripted(lambda prompt, several: ([TRUTH & False], [0]))
    image = labelled([person(n, age="old") for n in range(6)], shape=SHAPE)
    rows = Fairness("age").evaluate(nothing, image)
    assert set(rows[0]["iou"]) == {"1", "3"}
    first = [prompt.points[0].tolist() for prompt in nothing.prompts]
    assert len({tuple(point) for point in first[:6]}) > 3
    Fairness("age").evaluate(nothing, image)
    assert [prompt.points[0].tolist() for prompt in nothing.prompts[len(first) :]] == first
    centred = scripted(lambda prompt, several: ([TRUTH & False], [0]))
    Fairness("age", clicks=(1,), sampling="centre").evaluate(centred, image)
    assert len({tuple(prompt.points[0]) for prompt in centred.prompts}) == 1


def test_no_groups_at_all_is_an_error():
    with pytest.raises(DataError, match="--group agee: no object has such a value"):
        list(Fairness("agee").summarise([]))
