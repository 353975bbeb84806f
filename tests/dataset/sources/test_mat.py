"""MATLAB files: maps of ids, and BSDS500's segments and boundaries by several people."""

from __future__ import annotations

import numpy as np
import pytest
from labelled_data import BLOCK, HALVES, HEIGHT, MASKS, RING, TWO_PARTS, WIDTH, check_masks, write_image
from scipy.io import savemat

from anymask.dataset.sources.bsds import open_bsds
from anymask.dataset.sources.mat import open_mat
from anymask.errors import DataError
from anymask.task import rle

MAP = RING * 1 + TWO_PARTS * 2


@pytest.fixture()
def folder(tmp_path):
    write_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "maps").mkdir()
    return tmp_path


def opened(folder, content, **options):
    savemat(folder / "maps" / "a.mat", content)
    [sample] = open_mat(folder / "maps", folder / "images", **options)
    return sample


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_a_map(folder, dtype):
    sample = opened(folder, {"inst": MAP.astype(dtype)}, key="inst", names={2: "halves"})
    check_masks(sample, MASKS)
    assert [one.category for one in sample.objects()] == [None, "halves"]


def test_a_map_in_a_struct_and_one_of_classes(folder):
    content = {"GTinst": {"Segmentation": MAP.astype(np.uint8), "Categories": [3, 4]}}
    check_masks(opened(folder, content, key="GTinst.Segmentation"), MASKS)
    check_masks(opened(folder, content, key="GTinst.Segmentation", components=True), [RING, *HALVES])


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        ({"inst": MAP}, "map", "has no 'map' of 'map', but inst; name the variable"),
        ({"inst": {"a": MAP}}, "inst.b", "has no 'b' of 'inst.b', but a"),
        ({"inst": MAP[:20]}, "inst", "is 36×20 pixels .*, its image .* is 36×24"),
        ({"inst": MAP + 0.5}, "inst", "'inst' is no H×W map of whole numbers"),
        ({"inst": "text"}, "inst", "'inst' is no H×W map of whole numbers"),
    ],
)
def test_a_map_that_is_wrong_is_named(folder, content, key, message):
    with pytest.raises(DataError, match=rf"maps/a\.mat: {message}"):
        _ = opened(folder, content, key=key).record


def test_a_file_that_scipy_cannot_read(folder):
    path = folder / "maps" / "a.mat"
    [sample] = [opened(folder, {"inst": MAP}, key="inst")]
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header + b"\x00" * 512)
    with pytest.raises(DataError, match=r"a\.mat: is of MATLAB 7\.3; convert it"):
        _ = sample.record
    path.write_bytes(b"no such file")
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a MATLAB file"):
        _ = sample.record


def person(segments):
    struct = np.zeros((1, 1), dtype=[("Segmentation", object), ("Boundaries", object)])
    boundary = np.zeros((HEIGHT, WIDTH), bool)
    boundary[:, 1:] = segments[:, 1:] != segments[:, :-1]
    struct[0, 0] = (segments.astype(np.uint16), boundary)
    return struct, boundary


def write_truth(folder, *maps):
    people = [person(segments) for segments in maps]
    cell = np.empty((1, len(people)), object)
    for number, (struct, _) in enumerate(people):
        cell[0, number] = struct
    savemat(folder / "maps" / "a.mat", {"groundTruth": cell})
    return [boundary for _, boundary in people]


def test_bsds500(folder):
    boundaries = write_truth(folder, MAP + 1, BLOCK + 1)
    [sample] = open_bsds(folder / "maps", folder / "images")
    check_masks(sample, [MAP == 0, RING, TWO_PARTS, ~BLOCK, BLOCK])
    assert [one.record["annotator"] for one in sample.objects()] == [0, 0, 0, 1, 1]
    for found, truth in zip(sample.record["boundaries"], boundaries, strict=True):
        np.testing.assert_array_equal(rle.decode(found), truth)


def test_one_of_bsds500_s_people(folder):
    write_truth(folder, MAP + 1, BLOCK + 1)
    [sample] = open_bsds(folder / "maps", folder / "images", annotator=1)
    check_masks(sample, [~BLOCK, BLOCK])
    assert sample.annotations[0]["annotator"] == 1 and len(sample.record["boundaries"]) == 1
    with pytest.raises(DataError, match=r"a\.mat: has no annotator 2; name another"):
        _ = open_bsds(folder / "maps", folder / "images", annotator=2)[0].record


def test_one_person_alone(folder):
    write_truth(folder, MAP + 1)
    check_masks(open_bsds(folder / "maps", folder / "images")[0], [MAP == 0, RING, TWO_PARTS])


def test_a_ground_truth_that_is_wrong_is_named(folder):
    savemat(folder / "maps" / "a.mat", {"other": 1})
    [sample] = open_bsds(folder / "maps", folder / "images")
    with pytest.raises(DataError, match=r"a\.mat: has no 'groundTruth'; expected BSDS500's"):
        _ = sample.record
    savemat(folder / "maps" / "a.mat", {"groundTruth": {"Segmentation": MAP}})
    with pytest.raises(DataError, match=r"a\.mat: annotator 0: is malformed .*Boundaries"):
        _ = sample.record
    savemat(folder / "maps" / "a.mat", {"groundTruth": {"Segmentation": MAP, "Boundaries": MAP[:2]}})
    with pytest.raises(DataError, match=r"a\.mat: annotator 0: has segments of shape"):
        _ = sample.record
