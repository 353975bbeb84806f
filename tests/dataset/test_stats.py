"""What is counted of a set is what its pixels say, whoever counts it; and the report shows it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from labelled_data import BLOCK, HEIGHT, MASKS, WIDTH, block
from labelled_sets import add, annotations, labelled_set

from anymask.dataset.problems import Problems
from anymask.dataset.sa1b import open_folder
from anymask.dataset.stats import CELLS, CONCAVITIES, SIZES, Stats, gather, same_sizes
from anymask.dataset.stats_report import write_report
from anymask.errors import DataError
from anymask.task import rle

PIXELS = HEIGHT * WIDTH


@pytest.fixture()
def folder(tmp_path):
    """Four images: two masks, three and a crowd, one empty, and none."""
    crowd = {"id": 9, "segmentation": rle.encode(BLOCK), "iscrowd": 1}
    add(tmp_path / "x", "a", annotations(category="cup", annotator=0), country="Chad", income_group="low")
    named = annotations([*MASKS, BLOCK], category="cat")
    add(tmp_path / "x", "b", [*named, crowd], country="Chad", income_group="low")
    add(tmp_path / "x", "c", annotations([BLOCK & False]), country="Peru")
    add(tmp_path / "x", "d", [])
    return tmp_path / "x"


def test_counts(folder):
    found = gather(open_folder(folder)).summary()
    assert (found["images"], found["masks"], found["empty_masks"], found["crowd_regions"]) == (4, 6, 1, 1)
    assert found["masks_per_image"] == {"mean": 1.5, "median": 1.5, "counts": {"0": 1, "1": 1, "2": 1, "3": 1}}
    assert found["image_sizes"] == {f"{WIDTH}×{HEIGHT}": 4}
    assert found["categories"] == {"cat": 3, "cup": 2} and found["annotators"] == {"0": 2}
    assert found["countries"] == {"Chad": 2, "Peru": 1} and found["income_groups"] == {"low": 2}
    masks = [*MASKS, *MASKS, BLOCK]
    sizes = [np.sqrt(mask.sum() / PIXELS) for mask in masks]
    assert found["relative_size"]["mean"] == pytest.approx(np.mean(sizes))
    assert found["relative_size"]["counts"] == np.histogram(sizes, SIZES, (0, 1))[0].tolist()
    hulls = [11 * 10, 28 * 5, 11 * 10, 28 * 5, 72]
    concavities = [1 - mask.sum() / hull for mask, hull in zip(masks, hulls, strict=True)]
    assert found["concavity"]["mean"] == pytest.approx(np.mean(concavities))
    assert found["concavity"]["counts"] == np.histogram(concavities, CONCAVITIES, (0, 1))[0].tolist()
    centres = [np.argwhere(mask).mean(0) + 0.5 for mask in masks]
    places = np.array([(y / HEIGHT, x / WIDTH) for y, x in centres])
    expected = np.histogram2d(*places.T, CELLS, ((0, 1), (0, 1)))[0]
    assert np.array_equal(found["centres"], expected)


def test_counts_are_the_same_in_parts_and_in_processes(tmp_path):
    folder = labelled_set(tmp_path / "x", 80)
    told = []
    alone = gather(open_folder(folder), progress=lambda *counts: told.append(counts))
    assert told == [(32, 80), (64, 80), (80, 80)] and alone.masks == 160
    together = gather(open_folder(folder), workers=2)
    assert json.dumps(alone.summary()) == json.dumps(together.summary())


def test_a_mask_that_is_wrong_ends_it_or_its_image_is_not_counted(folder):
    record = json.loads((folder / "b.json").read_text())
    record["annotations"][2]["segmentation"]["size"] = [3, 4]
    (folder / "b.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"b\.json: mask 3"):
        gather(open_folder(folder))
    for workers in (1, 2):
        problems = Problems(keep_going=True)
        found = gather(open_folder(folder), workers, problems)
        assert (found.images, found.masks, len(problems.found)) == (3, 3, 1) and "b.json" in problems.found[0]


def with_masks(count, masks):
    """Stats of images with so many of each of the masks."""
    stats = Stats()
    for mask, times in zip(masks, count, strict=True):
        share = np.sqrt(mask.sum() / PIXELS), 1 - mask.sum() / (np.ptp(np.argwhere(mask), 0) + 1).prod()
        for _ in range(times):
            stats._bin(*np.array([share]).T)
    return stats


def test_concavity_is_compared_at_like_sizes():
    """Two sets whose small masks are alike, and the large ones, but in other numbers, differ in nothing."""
    small, large = block(2, 5, 2, 5), block(0, 20, 0, 30) & ~block(0, 10, 15, 30)
    few, many = with_masks((9, 1), (small, large)), with_masks((2, 6), (small, large))
    for found in same_sizes([few, many]):
        np.testing.assert_allclose(found, same_sizes([few, many])[0])
        assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(same_sizes([few])[0][0], 0.9)
    other = with_masks((5,), (block(0, 24, 0, 36),))
    assert all(found.sum() <= 1 for found in same_sizes([few, other])), "no size in common"


def test_a_report(folder, tmp_path):
    sets = {"a <set>": gather(open_folder(folder)), "$x$": gather(open_folder(labelled_set(tmp_path / "y", 3)))}
    report = write_report(sets, tmp_path / "out").read_text()
    assert "a &lt;set&gt;" in report and "<set>" not in report
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/png;base64,', report)) == 7
    assert "http" not in report and "<th>masks</th><td>6</td><td>6</td>" in report
    assert json.loads((tmp_path / "out" / "stats.json").read_text())["a <set>"]["masks"] == 6
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {
        f"{name}.png"
        for name in ("centres", "masks", "image_sizes", "categories", "annotators", "countries", "income_groups")
    }


def test_a_set_without_masks(tmp_path):
    add(tmp_path / "x", "a", [])
    assert write_report({"x": gather(open_folder(tmp_path / "x"))}, tmp_path / "out").exists()
