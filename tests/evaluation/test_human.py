"""The human study: what is drawn, that the page is blind and whole, and that ratings come back as they were given."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.errors import ConfigError, DataError
from anymask.evaluation.human import GROUND_TRUTH, Entry, Rating, draw, read_ratings, summarise
from anymask.evaluation.human_page import Item, write_page
from anymask.task.prompts import Prompt

SOURCES = ["zebra-model", "quokka-model", GROUND_TRUTH]
AREAS = {"small": 500, "medium": 5000, "large": 50000}


def entries(counts):
    """Every source's mask of so many objects, by data set and size."""
    return [
        Entry(source, data, f"{size}-{i}", AREAS[size])
        for (data, size), count in counts.items()
        for i in range(count)
        for source in SOURCES
    ]


def test_size_classes():
    sizes = [Entry("a", "b", "c", area).size for area in (1, 1023, 1024, 9215, 9216, 10**9)]
    assert sizes == ["small", "small", "medium", "medium", "large", "large"]


def test_draw_is_paired_and_balanced():
    plenty = {(data, size): 20 for data in ("coco", "lvis") for size in AREAS}
    drawn = draw(entries(plenty), 12, seed=3)
    assert len(drawn) == 36
    assert set(Counter(entry.object for entry in drawn).values()) == {3}
    assert set(Counter(entry.source for entry in drawn).values()) == {12}
    assert Counter((entry.data, entry.size) for entry in drawn) == dict.fromkeys(plenty, 2 * 3)


def test_draw_makes_up_for_what_is_rare():
    counts = {("coco", "small"): 1, ("coco", "large"): 50, ("lvis", "medium"): 2, ("lvis", "large"): 50}
    drawn = Counter((entry.data, entry.size) for entry in draw(entries(counts), 20))
    assert {key: n // 3 for key, n in drawn.items()} == {
        ("coco", "small"): 1,
        ("coco", "large"): 9,
        ("lvis", "medium"): 2,
        ("lvis", "large"): 8,
    }


def test_draw_goes_by_the_seed_alone():
    everything = entries({("coco", size): 30 for size in AREAS})
    drawn = draw(everything, 6, seed=1)
    assert draw(everything[::-1], 6, seed=1) == drawn
    assert draw(everything, 6, seed=2) != drawn


def test_draw_takes_objects_that_every_source_has():
    some = entries({("coco", "small"): 3})[:-1]
    assert len({entry.object for entry in draw(some, 2)}) == 2
    with pytest.raises(DataError, match="2 objects have a mask from every source, 3 were asked for"):
        draw(some, 3)


def test_draw_refuses_two_masks_and_no_objects():
    some = entries({("coco", "small"): 2})
    with pytest.raises(DataError, match="coco: two masks of object small-0 are from zebra-model"):
        draw([*some, some[0]], 1)
    with pytest.raises(ConfigError, match="at least 1"):
        draw(some, 0)


@pytest.fixture(scope="module")
def items():
    """Three sources' masks of four objects: two clicked on, two with a box; one mask is empty."""
    made = []
    for i in range(4):
        pixels = np.full((60, 90, 3), (40 * i, 90, 120), np.uint8)
        prompt = Prompt([[45, 30], [5, 5]], [1, 0]) if i % 2 else Prompt(box=[30, 20, 60, 40])
        for j, source in enumerate(SOURCES):
            mask = np.zeros((60, 90), bool)
            mask[20:40, 30 : 60 - 5 * j] = i + j > 0
            made.append(Item(source, "hidden-set", f"photo-{i}.jpg", 600, pixels, mask, prompt))
    return made


@pytest.fixture(scope="module")
def written(items, tmp_path_factory):
    """Page and key, to be looked at only."""
    folder = tmp_path_factory.mktemp("study")
    write_page(folder / "page.html", items, folder / "key.json")
    return folder / "page.html", folder / "key.json"


@pytest.fixture
def study(written, tmp_path):
    """Page, and a key of one's own."""
    return written[0], Path(shutil.copy(written[1], tmp_path))


def embedded(page):
    """The study's record within the page."""
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1])


def test_the_page_is_blind(study):
    text = study[0].read_text(encoding="utf-8")
    for secret in [*SOURCES, "hidden-set", "photo-", ".jpg", "__STUDY__", str(study[1])]:
        assert secret not in text
    record = embedded(study[0])
    assert set(record) == {"study", "items"}
    assert all(set(item) == {"id", "prompt", "scene", "zoom", "mask"} for item in record["items"])


def test_the_page_needs_no_network(study):
    text = re.sub(r"base64,[\w+/=]+", "", study[0].read_text(encoding="utf-8"))
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script src|<link rel=\"(?!icon\" href=\"data:)", text)
    assert "default-src 'none'" in text


def test_every_picture_is_in_the_page(study, items):
    shown = embedded(study[0])["items"]
    assert len(shown) == len(items)
    for item in shown:
        sizes = {}
        for name, kind in (("scene", "jpeg"), ("zoom", "jpeg"), ("mask", "png")):
            head, data = item[name].split(",")
            assert head == f"data:image/{kind};base64"
            with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
                picture.load()
                sizes[name] = picture.size
                assert not picture.getexif()
        assert sizes["mask"] == sizes["zoom"]


def test_the_mask_lies_where_it_belongs(tmp_path):
    """A zoomed picture that is bright in the mask alone, under the overlay."""
    mask = np.zeros((300, 400), bool)
    mask[100:140, 200:260] = True
    pixels = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    write_page(
        tmp_path / "p.html", [Item("a", "b", "c", 1, pixels, mask, Prompt(box=[190, 90, 270, 150]))], tmp_path / "k"
    )
    [item] = embedded(tmp_path / "p.html")["items"]
    zoom, overlay = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(item[name].split(",")[1])))) for name in ("zoom", "mask")
    )
    inside = zoom[..., 0] > 127
    pink = overlay[..., 3] == overlay[..., 3][inside].min()
    assert 0.2 < inside.mean() < 0.6, "the mask fills a good part of the picture"
    assert inside[pink].mean() > 0.99
    assert pink.sum() > 0.9 * inside.sum()
    amber = (overlay == [255, 190, 60, 255]).all(axis=2)
    rows, columns = np.flatnonzero(amber.any(axis=1)), np.flatnonzero(amber.any(axis=0))
    scale = inside.any(axis=0).sum() / 60
    assert np.ptp(rows) == pytest.approx(60 * scale, abs=4) and np.ptp(columns) == pytest.approx(80 * scale, abs=4)


def test_the_key_knows_what_the_page_hides(study, items):
    shown, key = embedded(study[0]), json.loads(study[1].read_text())
    assert key["study"] == shown["study"]
    assert list(key["items"]) == [item["id"] for item in shown["items"]]
    assert Counter(entry["source"] for entry in key["items"].values()) == dict.fromkeys(SOURCES, 4)
    assert {entry["object_id"] for entry in key["items"].values()} == {item.object_id for item in items}


def test_each_round_shows_every_object_once(study):
    order = [entry["object_id"] for entry in json.loads(study[1].read_text())["items"].values()]
    assert [len(set(order[i : i + 4])) for i in (0, 4, 8)] == [4, 4, 4]


def test_pages_are_the_same_for_the_same_seed(items, study, tmp_path):
    again, other = tmp_path / "again.html", tmp_path / "other.html"
    write_page(again, items, tmp_path / "k1")
    write_page(other, items, tmp_path / "k2", seed=1)
    assert again.read_bytes() == study[0].read_bytes() and (tmp_path / "k1").read_bytes() == study[1].read_bytes()
    assert embedded(other)["study"] != embedded(again)["study"]
    orders = [[e["object_id"] for e in json.loads((tmp_path / k).read_text())["items"].values()] for k in ("k1", "k2")]
    assert orders[0] != orders[1]


def test_pages_that_cannot_be(items, tmp_path):
    with pytest.raises(ConfigError, match="both the page and its key"):
        write_page(tmp_path / "x", items, tmp_path / "." / "x")
    with pytest.raises(DataError, match="no masks"):
        write_page(tmp_path / "x", [], tmp_path / "k")
    odd = Item("a", "set", "7", 1, items[0].pixels, items[0].mask[:5], items[0].prompt)
    with pytest.raises(DataError, match=r"set: the mask of object 7 from a has size \[5, 90\], the image \[60, 90\]"):
        write_page(tmp_path / "x", [odd], tmp_path / "k")
    assert not list(tmp_path.iterdir())


def saved(folder, key, name="Ann", **changes):
    """A file as the page saves it: each source's masks get one rating."""
    record = json.loads(key.read_text())
    value = dict(zip(SOURCES, (4, 6, 9), strict=True))
    ratings = {n: {"rating": value[entry["source"]], "seconds": 2.5} for n, entry in record["items"].items()}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"study": record["study"], "rater": name, "ratings": ratings, **changes}))
    return path


def test_ratings_come_back(study, tmp_path):
    key = study[1]
    ratings = read_ratings([saved(tmp_path, key), saved(tmp_path, key, "Bo")], key)
    assert len(ratings) == 24
    assert Counter((r.rater, r.entry.source, r.value) for r in ratings) == {
        (rater, source, value): 4 for rater in ("Ann", "Bo") for source, value in zip(SOURCES, (4, 6, 9), strict=True)
    }
    assert ratings[0].seconds == 2.5 and ratings[0].entry.data == "hidden-set"


def test_a_rater_may_leave_masks_out(study, tmp_path):
    number = next(iter(json.loads(study[1].read_text())["items"]))
    path = saved(tmp_path, study[1], ratings={number: {"rating": 10, "seconds": 0}})
    assert [rating.value for rating in read_ratings([path], study[1])] == [10]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rating": 0, "seconds": 1}, "from 1 to 10, got 0"),
        ({"rating": 11, "seconds": 1}, "from 1 to 10, got 11"),
        ({"rating": 7.5, "seconds": 1}, "from 1 to 10, got 7.5"),
        ({"rating": True, "seconds": 1}, "from 1 to 10, got True"),
        ({"rating": "7", "seconds": 1}, "from 1 to 10, got '7'"),
        ({"seconds": 1}, "from 1 to 10, got None"),
        ({"rating": 7}, "expected seconds"),
        ({"rating": 7, "seconds": -1}, "expected seconds"),
        ({"rating": 7, "seconds": float("nan")}, "expected seconds"),
        (7, "expected a record with rating and seconds, got 7"),
    ],
)
def test_a_wrong_rating_is_named(given, message, study, tmp_path):
    number = next(iter(json.loads(study[1].read_text())["items"]))
    path = saved(tmp_path, study[1], ratings={number: given})
    with pytest.raises(DataError, match=f"Ann.json: mask {number}: .*{re.escape(message)}") as caught:
        read_ratings([path], study[1])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "0000"}, "Ann.json: rates study 0000, the key .* is of"),
        ({"ratings": {"nope": {"rating": 5, "seconds": 1}}}, "Ann.json: mask nope is not in the key"),
        ({"ratings": []}, "Ann.json: expected the ratings that the page saves"),
        ({"rater": "  "}, "Ann.json: has no rater"),
        ({"rater": None}, "Ann.json: expected the ratings that the page saves"),
    ],
)
def test_a_wrong_file_is_named(changes, message, study, tmp_path):
    path = saved(tmp_path, study[1], **changes)
    with pytest.raises(DataError, match=message):
        read_ratings([path], study[1])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000])
def test_broken_files_are_named(content, study, tmp_path):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.json: .*the ratings that the page saves"):
        read_ratings([path], study[1])
    with pytest.raises(DataError, match=r"broken\.json: .*the key that was written with the page"):
        read_ratings([], path)
    with pytest.raises(DataError, match=r"absent\.json: cannot be read"):
        read_ratings([tmp_path / "absent.json"], study[1])


@pytest.mark.parametrize(
    "entry", [{"source": "a"}, [], None, {"source": "a", "data": "b", "object_id": "c", "area": "d"}]
)
def test_a_broken_key_is_named(entry, study, tmp_path):
    key = json.loads(study[1].read_text())
    key["items"]["abc"] = entry
    study[1].write_text(json.dumps(key))
    with pytest.raises(DataError, match=r"key\.json: mask abc: expected source, data, object_id and area"):
        read_ratings([], study[1])


def test_one_rater_in_two_files(study, tmp_path):
    first = saved(tmp_path, study[1])
    second = tmp_path / "copy.json"
    second.write_bytes(first.read_bytes())
    with pytest.raises(DataError, match=r"copy\.json: is by Ann, as is .*Ann\.json"):
        read_ratings([first, second], study[1])


def test_the_summary():
    def rated(rater, source, data, number, value):
        return Rating(rater, Entry(source, data, number, 2000), value, 3.0)

    ratings = [
        rated("Ann", "nano", "coco", "1", 4),
        rated("Ann", "nano", "coco", "2", 6),
        rated("Ann", "nano", "lvis", "1", 8),
        rated("Ann", GROUND_TRUTH, "coco", "1", 9),
        rated("Ann", GROUND_TRUTH, "coco", "2", 9),
        rated("Bo", "nano", "coco", "1", 7),
        rated("Bo", "nano", "coco", "2", 6),
    ]
    metrics = {metric.name: metric for metric in summarise(ratings)}
    values = {name: metric.value for name, metric in metrics.items()}
    assert values == {
        "nano, mean rating": pytest.approx(31 / 5),
        "ground truth, mean rating": 9,
        "nano, share rated 7 or more": pytest.approx(2 / 5),
        "ground truth, share rated 7 or more": 1,
        "nano minus ground truth, mean difference on the same object": -4,
        "nano, mean rating, coco": pytest.approx(23 / 4),
        "ground truth, mean rating, coco": 9,
        "nano, mean rating, lvis": 8,
        "mean absolute difference between raters": 1.5,
        "median seconds to rate a mask": 3,
        "raters": 2,
        "ratings": 7,
        "objects": 3,
    }
    assert metrics["ground truth, mean rating"].interval == (9, 9)
    low, high = metrics["nano minus ground truth, mean difference on the same object"].interval
    assert low == -5 and high == -3
    low, high = metrics["nano, mean rating"].interval
    assert 5.5 <= low < 6.2 < high <= 8, "drawn over the three objects, whose means are 5.5, 6 and 8"


def test_a_lone_rater_of_one_source_has_a_short_summary():
    names = [metric.name for metric in summarise([Rating("Ann", Entry("nano", "coco", "1", 9), 5, 1.0)])]
    assert names == [
        "nano, mean rating",
        "nano, share rated 7 or more",
        "median seconds to rate a mask",
        "raters",
        "ratings",
        "objects",
    ]
    with pytest.raises(DataError, match="no ratings"):
        list(summarise([]))
