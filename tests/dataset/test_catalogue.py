"""The catalogue: every set opens from the layout that it asks for, and says what to get where there is none."""

from __future__ import annotations

import dataclasses
import re
from fnmatch import fnmatch

import numpy as np
import pytest
from labelled_data import (
    BLOCK,
    CORNERS,
    HALVES,
    HEIGHT,
    HOLE_CORNERS,
    MASKS,
    RING,
    TWO_PARTS,
    WIDTH,
    check_masks,
    coco,
    write_image,
    write_json,
    write_map,
)
from scipy.io import savemat

from anymask.dataset.catalogue import CATALOGUE, OTHERS, find_set, open_set, sample_as_paper
from anymask.dataset.data_set import DataSet
from anymask.dataset.formats import FORMATS
from anymask.dataset.sample import Sample
from anymask.errors import DataError
from anymask.task import rle

SETS = [*CATALOGUE.values(), *OTHERS.values()]
PAPER = {
    "ppdls": (182, 2347), "bbbc038v1": (227, 10506), "doors": (10000, 10000), "timberseg": (220, 2487),
    "ndd20": (4402, 6100), "lvis": (945, 9642), "streets": (819, 9854), "zerowaste-f": (2947, 6155),
    "ishape": (754, 9742), "ade20k": (302, 10128), "ovis": (2044, 10011), "hypersim": (338, 9445),
    "ndispark": (111, 2577), "visor": (1864, 10141), "plittersdorf": (187, 546), "egohos": (2940, 9961),
    "ibd": (467, 11953), "woodscape": (107, 10266), "cityscapes": (293, 9973), "pidray": (3733, 8892),
    "dram": (718, 1179), "trashcan": (5936, 9540), "gtea": (652, 1208),
}  # fmt: skip
"""images and masks, as Table 7 counts them"""

COCO_FILES = {
    "lvis": "val2017/a.jpg",
    "lvis_v1": "val2017/a.jpg",
    "pidray": "a.png",
    "timberseg": "images/a.png",
    "zerowaste-f": "a.PNG",
}
"""an image in the folder of images; a.jpg in the other sets"""

SCENE = "ai_001_001/images/scene_cam_00"
MAPS = {
    "doors": ("1.png", "1.png"),
    "dram": ("realism/courbet/1.png", "realism/courbet/1.jpg"),
    "egohos": ("ego4d_1.png", "ego4d_1.jpg"),
    "grabcut": ("1.bmp", "1.jpg"),
    "hypersim": (
        f"{SCENE}_geometry_preview/frame.0001.semantic_instance.png",
        f"{SCENE}_final_preview/frame.0001.tonemap.jpg",
    ),
    "ppdls": ("plant1_label.png", "plant1_rgb.png"),
}
"""a map and its image in their folders"""


def write_coco(folder, dataset, part):
    file = COCO_FILES.get(dataset.name, "a.jpg")
    content = coco(MASKS, file, coco_url=f"http://images.cocodataset.org/{file}")
    content["categories"][0]["frequency"] = "c"
    write_json(folder / part.path, content)
    write_image(folder / part.images / file)
    return MASKS


def write_panoptic(folder, dataset, part):
    content = coco([])
    content["images"][0] |= {"id": "lindau_0", "file_name": "lindau_0_gtFine_leftImg8bit.png"}
    segments = [{"id": number, "category_id": 3, "iscrowd": 0} for number in (1, 2)]
    content["annotations"] = [
        {"image_id": "lindau_0", "file_name": "lindau_0_gtFine_panoptic.png", "segments_info": segments}
    ]
    path = write_json(folder / part.path, content)
    write_map(path.with_suffix("") / "lindau_0_gtFine_panoptic.png", MASKS, ((1, 0, 0), (2, 0, 0)))
    write_image(folder / part.images / "lindau" / "lindau_0_leftImg8bit.png")
    return MASKS


def write_videos(folder, dataset, part):
    frame = {"id": 1, "video_id": 1, "category_id": 3, "segmentations": [rle.to_uncompressed(RING)]}
    videos = [{"id": 1, "file_names": ["v/1.jpg"], "height": HEIGHT, "width": WIDTH}]
    content = {"videos": videos, "annotations": [frame], "categories": [{"id": 3, "name": "fish"}]}
    write_json(folder / part.path, content)
    write_image(folder / part.images / "v" / "1.jpg")
    return [RING]


def write_maps(folder, dataset, part):
    mask, image = MAPS.get(dataset.name, ("1.png", "1.jpg"))
    write_map(folder / part.path / mask, MASKS, ((3, 0, 0), (4, 0, 0)) if dataset.name == "hypersim" else (3, 4))
    write_image(folder / (part.images or part.path) / image)
    return [RING, *HALVES] if dataset.options.get("components", dataset.format == "semantic_png") else MASKS


def write_objects(folder, dataset, part):
    if dataset.name == "bbbc038v1":
        image, masks = "cell/images/cell.png", "cell/masks/{}.png"
    else:
        image, masks = "town/street/ADE_val_1.jpg", "town/street/ADE_val_1/instance_{}_ADE_val_1.png"
    write_image(folder / part.path / image)
    for number, mask in enumerate(MASKS):
        write_map(folder / part.path / masks.format(number), [mask], (255,))
    return MASKS


def write_via(folder, dataset, part):
    x, y = zip(*CORNERS["block"], strict=True)
    shape = {"name": "polyline", "all_points_x": x, "all_points_y": y}
    regions = [{"shape_attributes": shape, "region_attributes": {dataset.options["category"]: "truck"}}]
    write_json(folder / part.path, {"a.jpg9": {"filename": "a.jpg", "regions": regions}})
    write_image(folder / part.images / "a.jpg")
    return [BLOCK]


def write_visor(folder, dataset, part):
    pan = {"id": "x", "name": "pan", "segments": [CORNERS["ring"], HOLE_CORNERS]}
    frame = {"image": {"name": "P01_107_frame_1.jpg"}, "annotations": [pan]}
    write_json(folder / part.path / "P01_107.json", {"video_annotations": [frame]})
    write_image(folder / part.images / "P01" / "P01_107" / "P01_107_frame_1.jpg")
    return [RING]


def write_woodscape(folder, dataset, part):
    car = {"tags": ["car"], "segmentation": CORNERS["block"]}
    content = {"1_FV.json": {"image_width": WIDTH, "image_height": HEIGHT, "annotation": [car]}}
    write_json(folder / part.path / "instance_annotations" / "1_FV.json", content)
    write_image(folder / part.images / "1_FV.png")
    return [BLOCK]


def write_bsds(folder, dataset, part):
    segments = RING * 1 + TWO_PARTS * 2 + 1
    path = folder / part.path / "1.mat"
    path.parent.mkdir(parents=True)
    savemat(path, {"groundTruth": {"Segmentation": segments, "Boundaries": RING}})
    write_image(folder / part.images / "1.jpg")
    return [segments == 1, RING, TWO_PARTS]


WRITERS = {
    "coco": write_coco,
    "lvis": write_coco,
    "coco_panoptic": write_panoptic,
    "youtube_vis": write_videos,
    "instance_png": write_maps,
    "semantic_png": write_maps,
    "object_png": write_objects,
    "via": write_via,
    "visor": write_visor,
    "woodscape": write_woodscape,
    "bsds": write_bsds,
}


def every(datasets=SETS):
    return pytest.mark.parametrize("dataset", datasets, ids=lambda dataset: dataset.name)


@every()
def test_a_tiny_copy_of_the_set_in_its_layout_opens(tmp_path, dataset):
    expected = [WRITERS[dataset.format](tmp_path / dataset.name, dataset, part) for part in dataset.parts]
    found = open_set(dataset.name, tmp_path)
    assert len(found) == len(dataset.parts) and len({sample.name for sample in found}) == len(found)
    for sample, masks in zip(found, expected, strict=True):
        check_masks(sample, masks)
    assert unnamed_files(tmp_path / dataset.name, dataset.layout) == []


def unnamed_files(folder, layout):
    """The files in a folder that the layout says nothing of, in which NAME and the like stand for any name."""
    patterns = [word.strip(",;.").replace("**/", "*") for word in layout.split()]
    patterns = [re.sub(r"\b(NAME|ID|CITY|SHAPE|VIDEO)\b", "*", pattern) for pattern in patterns]
    files = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    return [
        file
        for file in files
        if not any(fnmatch(file, pattern) or fnmatch(file, f"*/{pattern}") for pattern in patterns)
    ]


def test_a_file_that_a_layout_does_not_name_is_found(tmp_path):
    write_image(tmp_path / "images" / "a.jpg")
    write_image(tmp_path / "more" / "b.jpg")
    assert unnamed_files(tmp_path, "the archive; images/NAME.jpg") == ["more/b.jpg"]


@every()
def test_an_entry_is_whole(dataset):
    assert dataset.format in FORMATS and set(dataset.options) <= set(FORMATS[dataset.format].options)
    assert re.fullmatch(r"https?://\S+", dataset.home) and dataset.layout and dataset.content
    assert dataset.images > 0 and dataset.masks > 0 and dataset.parts
    assert "\n" not in dataset.layout + dataset.note


def test_the_numbers_are_the_papers():
    assert {name: (one.images, one.masks) for name, one in CATALOGUE.items()} == PAPER
    assert not CATALOGUE.keys() & OTHERS.keys()
    assert set(OTHERS) == {"coco", "lvis_v1", "bsds500", "grabcut", "berkeley", "coco_mval"}
    assert [name for name, one in CATALOGUE.items() if one.sampled and not 9000 < one.masks < 11000] == []


@every()
def test_a_set_that_is_not_there_says_what_to_get(tmp_path, dataset):
    with pytest.raises(DataError) as raised:
        open_set(dataset.name, tmp_path)
    message = str(raised.value)
    assert dataset.home in message and str(tmp_path / dataset.name) in message and dataset.layout in message
    assert "\n" not in message


def test_a_set_without_its_images_says_so(tmp_path):
    dataset = CATALOGUE["ndd20"]
    for part in dataset.parts:
        write_via(tmp_path / "ndd20", dataset, part)
    (tmp_path / "ndd20" / "BELOW" / "a.jpg").unlink()
    (tmp_path / "ndd20" / "BELOW").rmdir()
    with pytest.raises(DataError, match=r"NDD20: .*ndd20/BELOW is not there; get it from https"):
        open_set("ndd20", tmp_path)


def test_a_set_that_is_not_known():
    with pytest.raises(DataError, match=r"'cityscape': no such data set .* did you mean cityscapes"):
        find_set("cityscape")
    with pytest.raises(DataError, match="did you mean ade20k, bbbc038v1"):
        open_set("?", ".")


def test_two_parts_with_names_alike(tmp_path):
    samples = {}
    for name in ("ndd20", "ishape", "plittersdorf"):
        for part in CATALOGUE[name].parts:
            WRITERS[CATALOGUE[name].format](tmp_path / name, CATALOGUE[name], part)
        samples[name] = [sample.name for sample in open_set(name, tmp_path)]
    assert samples["ndd20"] == ["above/a", "below/a"] and samples["plittersdorf"] == ["train/a", "val/a", "test/a"]
    assert len(set(samples["ishape"])) == 6


class Counted:
    """The record of an image with some masks, which counts how often it is read."""

    reads = 0

    def __init__(self, masks: int) -> None:
        self.masks = masks

    def __call__(self):
        Counted.reads += 1
        annotations = [{"id": number} for number in range(self.masks)]
        return {"image": {"file_name": "a.jpg", "width": 9, "height": 9}, "annotations": annotations}


def many(tmp_path, counts):
    return [Sample(tmp_path, str(index), Counted(masks)) for index, masks in enumerate(counts)]


def test_a_large_set_is_sampled(tmp_path):
    dataset = CATALOGUE["hypersim"]
    counts = np.random.default_rng(0).integers(0, 300, 400)
    samples = many(tmp_path, counts)
    Counted.reads = 0
    drawn = sample_as_paper(samples, dataset, seed=1)
    assert Counted.reads < 100  # about 67 have 10 000 masks
    masks = [len(sample.annotations) for sample in drawn]
    assert 10000 <= sum(masks) < 10000 + max(counts) and min(masks) > 0
    names = [int(sample.name) for sample in drawn]
    assert names == sorted(names) and max(names) > 200
    again = sample_as_paper(many(tmp_path, counts), dataset, seed=1)
    assert [sample.name for sample in again] == [sample.name for sample in drawn]
    assert [sample.name for sample in sample_as_paper(samples, dataset, seed=2)] != [sample.name for sample in drawn]


def test_a_set_that_the_paper_took_whole_and_a_small_copy_are_taken_whole(tmp_path):
    samples = many(tmp_path, [9000, 9000])
    assert sample_as_paper(samples, CATALOGUE["ppdls"]) == samples
    few = many(tmp_path, [5, 6])
    assert sample_as_paper(few, CATALOGUE["hypersim"]) == few


def test_an_entry_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CATALOGUE["lvis"].images = 3
    assert isinstance(CATALOGUE["lvis"], DataSet)
