"""Opening any format: how it is told, and what is said of one that cannot be."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from labelled_data import CORNERS, MASKS, check_masks, coco, write_image, write_json, write_map

from anymask.dataset import shards
from anymask.dataset.formats import FORMATS, open_data
from anymask.errors import DataError
from anymask.task import rle

SA1B = {
    "image": {"file_name": "a.jpg", "width": 36, "height": 24},
    "annotations": [{"id": number, "segmentation": rle.encode(mask)} for number, mask in enumerate(MASKS)],
}
LABELME = {"imagePath": "a.jpg", "shapes": [{"label": "cup", "points": CORNERS["block"]}]}
VISOR = {"video_annotations": [{"image": {"name": "a.jpg"}, "annotations": []}]}
WOODSCAPE = {"a.json": {"image_width": 36, "image_height": 24, "annotation": []}}
VIA = {"a.jpg1": {"filename": "a.jpg", "regions": []}}
FREQUENT = [{"id": 3, "name": "cup", "frequency": "f"}]
SEGMENTS = [{"image_id": 7, "file_name": "a.png", "segments_info": []}]
VIDEOS = {"videos": [{"id": 1, "file_names": ["a.jpg"]}], "annotations": [], "categories": []}


@pytest.fixture()
def folder(tmp_path):
    write_image(tmp_path / "a.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("content", "masks"),
    [
        (coco(MASKS), 2),
        (coco(MASKS) | {"categories": FREQUENT}, 2),
        (coco([]) | {"annotations": SEGMENTS}, 0),
        (VIDEOS, 0),
        (VIA, 0),
        ({"_via_img_metadata": VIA}, 0),
        (LABELME, 1),
        (VISOR, 0),
    ],
    ids=["coco", "lvis", "coco_panoptic", "youtube_vis", "via", "via project", "labelme", "visor"],
)
def test_a_json_is_told_by_its_content(folder, content, masks, request):
    path = write_json(folder / "a.json", content)
    write_map(folder / "a" / "a.png", MASKS)
    [sample] = open_data(path)
    assert len(sample.annotations) == masks
    named = request.node.callspec.id.split()[0]
    assert open_data(path, named)[0].record == sample.record
    assert ("frequency" in json.dumps(sample.record)) == (named == "lvis")


@pytest.mark.parametrize("content", [SA1B, LABELME, VISOR, WOODSCAPE], ids=["sa1b", "labelme", "visor", "woodscape"])
def test_a_folder_is_told_by_its_first_json(folder, content):
    write_json(folder / "a.json", content)
    if content is SA1B:
        write_json(folder / "source.json", {"name": "ours"})
    [sample] = open_data(str(folder))
    assert sample.image().shape == (24, 36, 3) and sample.name == "a"


@pytest.fixture()
def tars(folder, monkeypatch):
    """A folder with the tar a.tar of one pair."""
    monkeypatch.setattr(shards, "user_cache_path", lambda name: folder / "cache")
    (folder / "tars").mkdir()
    with tarfile.open(folder / "tars" / "a.tar", "w") as tar:
        for name, content in (("a.jpg", (folder / "a.jpg").read_bytes()), ("a.json", json.dumps(SA1B).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return folder / "tars"


@pytest.mark.parametrize("name", ["", "a.tar", "*.tar", "{a,a}.tar"])
def test_tars_are_told_by_their_name(tars, name):
    samples = open_data(tars / name)
    check_masks(samples[0], MASKS)
    assert samples[0].record == open_data(tars / name, "shards")[0].record


@pytest.mark.parametrize("name", ["none.tar", "a.tar.gz", "{0..9}.tar", "*.tgz"])
def test_tars_that_cannot_be_opened(tars, name):
    (tars / "a.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"is compressed with gzip|no such file; expected a tar"):
        open_data(tars / name)


@pytest.mark.parametrize("place", ["labels", "train/labels", "data.yaml", "set.yml"])
def test_yolo_is_told_by_its_folders_and_its_yaml(folder, place):
    root = folder / "set"
    inner = root / "train" if place.startswith("train") else root
    write_image(inner / "images" / "a.jpg")
    (inner / "labels").mkdir()
    (inner / "labels" / "a.txt").write_text("0 0 0 1 0 1 1 0 1")
    write_json(root / "notes.json", {"categories": []})  # Label Studio leaves one
    if place.endswith("ml"):
        (root / place).write_text("train: images\nnames: [cup]")
    [sample] = open_data(root / place if place.endswith("ml") else root)
    [one] = sample.objects()
    assert one.mask.all() and one.category == ("cup" if place.endswith("ml") else None)


def test_options_and_images_go_to_the_loader(folder):
    write_map(folder / "maps" / "a_ids.png", MASKS)
    [sample] = open_data(folder / "maps", "instance_png", folder, mask_ending="_ids.png")
    check_masks(sample, MASKS)


def test_a_format_that_cannot_be_told(folder):
    everything = ".*".join(FORMATS)
    for path in (folder, folder / "a.jpg", write_json(folder / "list.json", [1]), write_json(folder / "x.json", {})):
        with pytest.raises(DataError, match=rf"its format cannot be told; name it as format \({everything}"):
            open_data(path)
    with pytest.raises(DataError, match="none: no such file or folder"):
        open_data(folder / "none")


def test_a_folder_whose_json_is_of_a_whole_set(folder):
    write_json(folder / "a.json", coco())
    with pytest.raises(DataError, match="its format cannot be told"):
        open_data(folder)


@pytest.mark.parametrize("content", [SA1B, WOODSCAPE])
def test_the_record_of_a_single_image(folder, content):
    path = write_json(folder / "a.json", content)
    with pytest.raises(DataError, match=r"a\.json: is the record of a single image; name the folder"):
        open_data(path)


def test_a_format_or_an_option_that_is_not_known(folder):
    path = write_json(folder / "a.json", coco())
    with pytest.raises(
        DataError, match="format 'cocoa': is not known; expected auto or one of sa1b, shards, coco, lvis"
    ):
        open_data(path, "cocoa")
    with pytest.raises(DataError, match="min_area: is no option of the format coco, which takes images, nested"):
        open_data(path, min_area=3)
    with pytest.raises(DataError, match="key: is no option of the format sa1b, which takes images"):
        open_data(folder, "sa1b", key="labels")
    with pytest.raises(DataError, match="option key: is needed by the format mat"):
        open_data(folder, "mat")
