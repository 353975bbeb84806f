"""COCO, LVIS, panoptic and YouTube-VIS JSONs: what is read, and what is said of those that are wrong."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from labelled_data import BLOCK, CORNERS, HALVES, MASKS, RING, TWO_PARTS, check_masks, coco, write_image, write_json
from labelled_data import write_map as write_map_file

from anymask.dataset.sources.coco import open_coco
from anymask.dataset.sources.coco_panoptic import open_coco_panoptic
from anymask.dataset.sources.lvis import open_lvis
from anymask.dataset.sources.youtube_vis import open_youtube_vis
from anymask.errors import DataError
from anymask.task import rle


@pytest.fixture()
def folder(tmp_path):
    write_image(tmp_path / "images" / "a.jpg")
    return tmp_path


def opened(folder, content, **options):
    return open_coco(write_json(folder / "labels.json", content), folder / "images", **options)


def flat(name, x=0, y=0):
    return [number for corner in CORNERS[name] for number in (corner[0] + x, corner[1] + y)]


def test_a_coco_json(folder):
    content = coco(MASKS, licence="free")
    content["annotations"][0] |= {"iscrowd": 0, "attributes": {"shiny": True}}
    [sample] = opened(folder, content)
    check_masks(sample, MASKS)
    assert (
        sample.name == "a" and sample.record["image"]["image_id"] == 7 and sample.record["image"]["licence"] == "free"
    )
    first = sample.objects()[0]
    assert first.id == 1 and first.category == "cup" and first.record["category_id"] == 3
    assert first.record["attributes"] == {"shiny": True} and sample.area(first.record) == RING.sum()


def test_every_form_of_a_mask(folder):
    content = coco([BLOCK] * 5)
    halves = [[2, 15, 7, 15, 7, 20, 2, 20], [22, 15, 30, 15, 30, 20, 22, 20]]
    forms = [rle.encode(BLOCK), rle.to_uncompressed(BLOCK), [flat("block")], halves, [flat("block"), [1, 1, 2, 2]]]
    for annotation, form in zip(content["annotations"], forms, strict=True):
        annotation["segmentation"] = form
    [sample] = opened(folder, content)
    check_masks(sample, [BLOCK, BLOCK, BLOCK, TWO_PARTS, BLOCK])
    assert all(isinstance(annotation["segmentation"]["counts"], str) for annotation in sample.annotations)


def test_crowds_are_no_objects_and_masks_of_nothing_are_named(folder):
    content = coco(MASKS)
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][1]["segmentation"] = []
    [sample] = opened(folder, content)
    assert len(sample.record["annotations"]) == 2 and len(sample.annotations) == 1
    with pytest.raises(DataError, match="mask 2 is empty"):
        sample.objects()


def test_overlapping_parts_of_a_polygon_count_once(folder):
    content = coco([BLOCK])
    content["annotations"][0]["segmentation"] = [flat("block"), flat("block")]
    check_masks(opened(folder, content)[0], [BLOCK])


def test_samples_pickle_and_read_lazily(folder):
    content = coco(MASKS)
    content["annotations"][0]["segmentation"] = "none"
    [sample] = opened(folder, content)
    again = pickle.loads(pickle.dumps(sample))
    with pytest.raises(DataError, match=r"labels\.json: mask 1: annotation 1: its segmentation is 'none'"):
        again.objects()
    assert again.mask(again.record["annotations"][1]).any(), "the others are there"


def test_images_in_subfolders_with_size_from_the_file(folder):
    write_image(folder / "images" / "deep" / "b.png")
    content = coco(MASKS, file_name="b.png")
    del content["images"][0]["height"], content["images"][0]["width"]
    check_masks(opened(folder, content, nested=True)[0], MASKS)
    content["images"][0]["file_name"] = "deep/b.png"
    [sample] = opened(folder, content)
    check_masks(sample, MASKS)
    assert sample.name == "deep/b"
    write_image(folder / "images" / "b.png")
    with pytest.raises(DataError, match=r"holds b\.png twice"):
        opened(folder, content, nested=True)


def changed(key, index=0, **changes):
    content = coco(MASKS)
    content[key][index] |= changes
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is no such JSON; expected a COCO JSON"),
        ({"images": []}, "is no such JSON; expected a COCO JSON"),
        ({"images": [3], "annotations": []}, "image at place 0: has no id"),
        (coco() | {"images": coco()["images"] * 2}, "image 7: occurs twice"),
        (changed("annotations", 1, id=1), "annotation 1: occurs twice"),
        (changed("annotations", id=None), "annotation at place 0: has no id"),
        (changed("annotations", category_id=9), "annotation 1: has the category_id 9, which no category has"),
        (changed("annotations", category_id=[9]), "annotation 1: is malformed"),
        (changed("annotations", image_id=9), "annotation 1: has the image_id 9, which no image has"),
        (changed("images", file_name=None), "image 7: has no file_name"),
        (changed("images", file_name=""), "image 7: has the file name ''"),
        (changed("images", file_name="../a.jpg"), r"'../a\.jpg' leads out of the folder"),
        (changed("images", file_name="/a.jpg"), r"'/a\.jpg' leads out of the folder"),
        (coco() | {"categories": coco()["categories"] * 2}, "category 3: occurs twice"),
        (
            coco([]) | {"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "a.jpg"}]},
            r"lists the image a\.jpg 2 times",
        ),
    ],
)
def test_a_coco_json_that_is_wrong_as_a_whole(folder, content, message):
    with pytest.raises(DataError, match=rf"labels\.json: {message}|labels\.json: .*{message}"):
        opened(folder, content)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (5, "its segmentation is 5; expected RLE or a list of polygons"),
        ([[1, 2, 3, 4, 5]], "is no polygon"),
        ([["a"] * 6], "is no polygon"),
        ([[1, 2, 3, 4, 5, float("nan")]], "is no polygon"),
        ([[0, 0, 1e9, 0, 0, 9]], "lies over 360 pixels out of the 36×24 image"),
        ({"size": [24, 36], "counts": [5]}, "RLE counts add up to 5 pixels"),
        ({"counts": [5]}, "a mask is not RLE"),
    ],
)
def test_a_mask_that_is_none_is_named(folder, segmentation, message):
    [sample] = opened(folder, changed("annotations", 1, segmentation=segmentation))
    with pytest.raises(DataError, match=rf"labels\.json: mask 2: .*{message}"):
        sample.objects()


def test_an_annotation_without_a_mask_is_named(folder):
    content = coco(MASKS)
    del content["annotations"][0]["segmentation"]
    with pytest.raises(DataError, match="annotation 1: has no 'segmentation'"):
        opened(folder, content)[0].check_masks()


def test_a_mask_of_another_size_is_named(folder):
    [sample] = opened(folder, changed("annotations", segmentation=rle.encode(RING[:-1])))
    with pytest.raises(DataError, match=r"labels\.json: mask 1 has size \[23, 36\], the image \[24, 36\]"):
        sample.objects()


def test_an_image_that_is_not_there_is_named_when_read(folder):
    [sample] = opened(folder, coco(file_name="none.jpg"))
    with pytest.raises(DataError, match=r"image 7: no image .*images/none\.jpg; name the folder .* \(--images\)"):
        _ = sample.record


def test_a_file_that_is_no_json(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: cannot be read as JSON .* expected a COCO JSON"):
        open_coco(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"b\.json: cannot be read as JSON \(No such file"):
        open_coco(tmp_path / "b.json")


def lvis(**image):
    content = coco(MASKS, file_name="COCO_val2014_a.jpg", coco_url="http://x.org/val2017/a.jpg", **image)
    content["categories"] = [{"id": 3, "name": "cup", "frequency": "r"}, {"id": 4, "name": "owl", "frequency": "f"}]
    return content


@pytest.mark.parametrize("named", ["", "val2017"])
def test_an_lvis_json(tmp_path, named):
    write_image(tmp_path / "coco" / "val2017" / "a.jpg")
    content = lvis(neg_category_ids=[4], not_exhaustive_category_ids=[3])
    [sample] = open_lvis(write_json(tmp_path / "lvis.json", content), tmp_path / "coco" / named)
    check_masks(sample, MASKS)
    image = sample.record["image"]
    assert sample.name == "val2017/a" and image["file_name"] == "a.jpg"
    assert image["neg_category_ids"] == [4] and image["not_exhaustive_category_ids"] == [3]
    assert image["neg_categories"] == ["owl"]
    assert [one.record["frequency"] for one in sample.objects()] == ["r", "r"]


def test_an_lvis_json_that_is_wrong(tmp_path):
    path = tmp_path / "lvis.json"
    with pytest.raises(DataError, match="category 3: has the frequency None; expected f, c or r"):
        open_lvis(write_json(path, coco()))
    with pytest.raises(DataError, match="image 7: has the category_id 9, which no category has"):
        open_lvis(write_json(path, lvis(neg_category_ids=[9])))
    content = lvis()
    del content["annotations"][1]["category_id"]
    with pytest.raises(DataError, match="annotation 2: has no 'category_id'"):
        open_lvis(write_json(path, content))
    del content["images"][0]["coco_url"], content["images"][0]["file_name"]
    with pytest.raises(DataError, match="image 7: has neither coco_url nor file_name"):
        open_lvis(write_json(path, content))


def panoptic(folder, values=((7, 0, 0), (1, 2, 0)), **segment):
    write_map_file(folder / "panoptic" / "a.png", MASKS, values)
    content = coco([])
    segments = [{"id": 7, "category_id": 3, "iscrowd": 0}, {"id": 1 + 2 * 256, "category_id": 3, **segment}]
    content["annotations"] = [{"image_id": 7, "file_name": "a.png", "segments_info": segments}]
    return content


def test_a_panoptic_json(folder):
    path = write_json(folder / "panoptic.json", panoptic(folder, area=9))
    [sample] = open_coco_panoptic(path, folder / "images")
    check_masks(sample, MASKS)
    assert [one.category for one in sample.objects()] == ["cup", "cup"]
    assert sample.annotations[1]["area"] == 9
    write_image(folder / "images" / "deep" / "7_left.png")
    [sample] = open_coco_panoptic(path, folder / "images", nested=True, image_ending="_left.png")
    check_masks(sample, MASKS)
    assert sample.name == "7_left"


def test_a_panoptic_json_that_is_wrong(folder):
    path, images = folder / "panoptic.json", folder / "images"
    with pytest.raises(DataError, match="image 7: has the category_id 9, which no category has"):
        open_coco_panoptic(write_json(path, panoptic(folder, category_id=9)), images)
    content = panoptic(folder)
    content["annotations"] *= 2
    with pytest.raises(DataError, match="image 7: has 2 annotations; expected one"):
        open_coco_panoptic(write_json(path, content), images)
    del content["annotations"][1], content["annotations"][0]["segments_info"]
    with pytest.raises(DataError, match="image 7: has no 'segments_info'"):
        open_coco_panoptic(write_json(path, content), images)
    content = panoptic(folder)
    write_map_file(folder / "panoptic" / "a.png", [mask[:-2] for mask in MASKS])
    [sample] = open_coco_panoptic(write_json(path, content), images)
    with pytest.raises(DataError, match=r"panoptic/a\.png: is 36×22 pixels .* says 36×24 of its image"):
        _ = sample.record


def video(**annotation):
    files = ["v/1.jpg", "v/2.jpg"]
    masks = [rle.to_uncompressed(RING), None]
    return {
        "videos": [{"id": 1, "file_names": files, "height": 24, "width": 36}],
        "categories": [{"id": 3, "name": "fish"}],
        "annotations": [
            {"id": 5, "video_id": 1, "category_id": 3, "segmentations": masks, "areas": [int(RING.sum()), None]},
            {"id": 6, "video_id": 1, "category_id": 3, "segmentations": [rle.encode(m) for m in HALVES], **annotation},
        ],
    }


def test_a_youtube_vis_json(tmp_path):
    for frame in (1, 2):
        write_image(tmp_path / "train" / "v" / f"{frame}.jpg")
    first, second = open_youtube_vis(
        write_json(tmp_path / "v.json", video(occlusion=["no", "yes"])), tmp_path / "train"
    )
    check_masks(first, [RING, HALVES[0]])
    check_masks(second, [HALVES[1]])
    assert [first.name, second.name] == ["v/1", "v/2"]
    [fish] = second.objects()
    assert fish.id == 6 and fish.category == "fish" and fish.record["occlusion"] == "yes"
    assert first.area(first.annotations[0]) == RING.sum()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"videos": []}, "is no such JSON; expected a YouTube-VIS JSON"),
        (video(id=5), "annotation 5: occurs twice"),
        (video(video_id=2), "annotation 6: has the video_id 2, which no video has"),
        (video(category_id=9), "annotation 6: has the category_id 9"),
        (video(segmentations=[None]), "annotation 6: has 1 segmentations, its video 2 frames"),
        (video() | {"videos": [{"id": 1}]}, "video 1: has no file_names"),
        (video() | {"videos": [{"id": 1, "file_names": ["a.jpg", "a.jpg"]}]}, "video 1: lists a file twice"),
    ],
)
def test_a_youtube_vis_json_that_is_wrong(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        open_youtube_vis(write_json(tmp_path / "v.json", content))


def test_a_frame_that_is_wrong(tmp_path):
    path = write_json(tmp_path / "v.json", video(segmentations=[5, None]))
    first, _ = open_youtube_vis(path)
    with pytest.raises(DataError, match=r"video 1: no image .*v/1\.jpg"):
        _ = first.record
    write_image(tmp_path / "v" / "1.jpg")
    first, _ = open_youtube_vis(path)
    with pytest.raises(DataError, match=r"video 1, 1\.jpg: annotation 6: its segmentation is 5"):
        _ = first.record


def test_masks_keep_their_pixels(folder):
    """Round corners too, as the polygon of a triangle has them in COCO's own tools."""
    from pycocotools import mask as tools

    triangle = [3.5, 2.0, 20.0, 4.5, 9.0, 18.25]
    content = coco([BLOCK])
    content["annotations"][0]["segmentation"] = [triangle]
    expected = tools.decode(tools.frPyObjects([triangle], 24, 36))[:, :, 0].astype(bool)
    [found] = opened(folder, content)[0].objects()
    np.testing.assert_array_equal(found.mask, expected)
