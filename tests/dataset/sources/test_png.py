"""Masks as images: maps of objects, maps of classes, and a file an object."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from labelled_data import BLOCK, HALVES, HEIGHT, MASKS, RING, TWO_PARTS, WIDTH, check_masks, write_image, write_map
from PIL import Image

from anymask.dataset.sources.instance_png import open_instance_png
from anymask.dataset.sources.object_png import open_object_png
from anymask.dataset.sources.semantic_png import open_semantic_png
from anymask.errors import DataError


@pytest.fixture()
def folder(tmp_path):
    write_image(tmp_path / "images" / "a.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("values", "dtype", "ids"),
    [
        ((1, 2), np.uint8, [1, 2]),
        ((300, 65535), np.uint16, [300, 65535]),
        (((1, 2, 3), (255, 0, 0)), np.uint8, [255, 1 + 2 * 256 + 3 * 65536]),
        (((1, 2, 3, 255), (255, 0, 0, 255)), np.uint8, [255, 1 + 2 * 256 + 3 * 65536]),
    ],
)
def test_a_map_of_objects(folder, values, dtype, ids):
    write_map(folder / "maps" / "a.png", MASKS, values, dtype)
    [sample] = open_instance_png(folder / "maps", folder / "images", names={ids[0]: "cup", "9": "owl"})
    check_masks(sample, MASKS if ids[0] == values[0] else MASKS[::-1])  # in the order of ids
    assert [one.id for one in sample.objects()] == ids
    assert [one.category for one in sample.objects()] == ["cup", None]
    assert sample.annotations[0]["area"] == sample.objects()[0].mask.sum()


def test_a_map_with_a_palette_and_a_map_of_one_bit(folder):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[RING], labels[TWO_PARTS] = 3, 4
    image = Image.fromarray(labels)
    image.putpalette([255, 0, 0] * 256)
    assert image.mode == "P"
    (folder / "maps").mkdir()
    image.save(folder / "maps" / "a.png")
    [sample] = open_instance_png(folder / "maps", folder / "images")
    check_masks(sample, MASKS)
    Image.fromarray(RING).save(folder / "maps" / "a.png")
    check_masks(open_instance_png(folder / "maps", folder / "images")[0], [RING])


def test_names_of_files_that_match_by_their_endings(tmp_path):
    for plant in ("p1", "p2"):
        write_image(tmp_path / "plants" / f"{plant}_rgb.png")
        write_map(tmp_path / "plants" / f"{plant}_label.png", MASKS)
    found = open_instance_png(tmp_path / "plants", mask_ending="_label.png", image_ending="_rgb.png")
    assert [sample.name for sample in found] == ["p1", "p2"]
    check_masks(found[1], MASKS)
    only = open_instance_png(tmp_path / "plants", mask_ending="_label.png", image_ending="_rgb.png", only=["*2"])
    assert [sample.name for sample in only] == ["p2"]


def test_subfolders_and_a_part_of_the_path_that_differs(tmp_path):
    write_map(tmp_path / "s" / "cam_geometry" / "f.1.ids.png", MASKS)
    write_image(tmp_path / "s" / "cam_final" / "f.1.jpg")
    [sample] = open_instance_png(tmp_path, mask_ending=".ids.png", swap=("_geometry", "_final"))
    check_masks(sample, MASKS)
    assert sample.name == "s/cam_geometry/f.1"
    pickle.loads(pickle.dumps(sample)).objects()


def test_maps_beside_their_images(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_map(tmp_path / "a.png", MASKS)
    check_masks(open_instance_png(tmp_path)[0], MASKS)


def test_ids_that_count_neither_way(folder):
    write_map(folder / "maps" / "a.bmp", [BLOCK, RING], (128, 255))
    [sample] = open_instance_png(folder / "maps", folder / "images", mask_ending=".bmp", uncertain=(128,))
    [one] = sample.objects()
    np.testing.assert_array_equal(one.mask, RING)
    np.testing.assert_array_equal(one.ignore, BLOCK)


def test_a_map_of_classes_falls_into_parts(folder):
    corner = np.zeros((HEIGHT, WIDTH), bool)
    corner[12, 14] = True  # touches the ring at a corner only
    dot = np.zeros((HEIGHT, WIDTH), bool)
    dot[0, 0] = True
    write_map(folder / "maps" / "a.png", [RING | corner, TWO_PARTS, BLOCK, dot], (1, 2, 255, 2))
    options = {"names": {1: "ring", 2: "half"}, "min_area": 2}
    [sample] = open_semantic_png(folder / "maps", folder / "images", **options)
    check_masks(sample, [RING | corner, *HALVES])
    assert [one.category for one in sample.objects()] == ["ring", "half", "half"]
    assert [one.id for one in sample.objects()] == [1, 2, 3]
    [sample] = open_semantic_png(folder / "maps", folder / "images", components=False, ignored=(0, 1))
    check_masks(sample, [TWO_PARTS | dot, BLOCK])


def test_a_map_that_is_wrong_is_named(folder):
    write_map(folder / "maps" / "a.png", [mask[:20] for mask in MASKS])
    [sample] = open_instance_png(folder / "maps", folder / "images")
    with pytest.raises(DataError, match=r"maps/a\.png: is 36×20 pixels .*, its image .*a\.jpg is 36×24"):
        _ = sample.record
    Image.new("CMYK", (WIDTH, HEIGHT)).save(folder / "maps" / "a.png", "TIFF")
    with pytest.raises(DataError, match=r"maps/a\.png: has pixels of mode CMYK; expected grey values"):
        _ = open_instance_png(folder / "maps", folder / "images")[0].record
    (folder / "maps" / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"maps/a\.png: not an image that Pillow can read"):
        _ = open_instance_png(folder / "maps", folder / "images")[0].record
    (folder / "images" / "a.jpg").write_text("no image")
    write_map(folder / "maps" / "a.png", MASKS)
    with pytest.raises(DataError, match=r"images/a\.jpg: not an image that Pillow can read"):
        _ = open_instance_png(folder / "maps", folder / "images")[0].record


def test_folders_that_are_wrong_are_named(folder):
    with pytest.raises(DataError, match="maps: no such folder"):
        open_instance_png(folder / "maps")
    write_map(folder / "maps" / "b.png", MASKS)
    with pytest.raises(DataError, match=r"b\.png: has no image .*images/b\(\.jpg, .*\(--images\)"):
        open_instance_png(folder / "maps", folder / "images")
    with pytest.raises(DataError, match=r"b\.png: has no image .*images/b_rgb\.png"):
        open_instance_png(folder / "maps", folder / "images", image_ending="_rgb.png")
    with pytest.raises(DataError, match=r"maps: holds no files of masks named like c\* that end in \.png"):
        open_instance_png(folder / "maps", folder / "images", only=["c*"])
    with pytest.raises(DataError, match=r"option names: expected ids with a name each"):
        open_instance_png(folder / "maps", folder / "images", names={"cup": 1})


def test_a_turned_photo_has_its_size_upright(folder):
    image = Image.new("RGB", (HEIGHT, WIDTH), "gray")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "images" / "a.jpg", exif=exif)
    write_map(folder / "maps" / "a.png", MASKS)
    check_masks(open_instance_png(folder / "maps", folder / "images")[0], MASKS)


def write_masks(folder, pattern):
    for number, mask in enumerate(MASKS):
        write_map(folder / pattern.format(number), [mask], (255,))


def test_masks_in_a_folder_beside_the_images(tmp_path):
    write_image(tmp_path / "id[1]" / "images" / "id[1].png")
    write_masks(tmp_path, "id[1]/masks/{}.png")
    options = {"image_pattern": "*/images/*.png", "mask_pattern": "{folder}/../masks/*.png", "category": "cell"}
    [sample] = open_object_png(tmp_path, **options)
    check_masks(sample, MASKS)
    assert sample.name == "id[1]/images/id[1]" and {one.category for one in sample.objects()} == {"cell"}
    assert [one.record["file"] for one in sample.objects()] == ["0.png", "1.png"]


def test_masks_in_a_folder_of_the_image_s_name(tmp_path):
    write_image(tmp_path / "town" / "a.jpg")
    write_image(tmp_path / "town" / "b.jpg")
    write_masks(tmp_path, "town/a/instance_{}_a.png")
    first, second = open_object_png(tmp_path, mask_pattern="{folder}/{stem}/instance_*.png")
    check_masks(first, MASKS)
    check_masks(second, [])
    assert [first.name, second.name] == ["town/a", "town/b"]


def test_masks_that_are_named_like_their_image(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    write_masks(tmp_path, "masks/a_{}.png")
    options = {"image_pattern": "*.png", "mask_pattern": "{stem}_*.png"}
    check_masks(open_object_png(tmp_path / "masks", tmp_path / "images", **options)[0], MASKS)
    write_masks(tmp_path, "images/a_{}.png")
    beside = open_object_png(tmp_path / "images", image_pattern="a.png", mask_pattern="{stem}*.png")
    check_masks(beside[0], MASKS)


def test_files_of_objects_that_are_wrong_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no images named \*\*/\*\.jpg"):
        open_object_png(tmp_path)
    write_image(tmp_path / "a.jpg")
    write_map(tmp_path / "a_1.png", [RING[:20]], (255,))
    with pytest.raises(DataError, match=r"a_1\.png: is 36×20 pixels .*, its image .*a\.jpg is 36×24"):
        _ = open_object_png(tmp_path)[0].record
    with pytest.raises(DataError, match=r"option mask_pattern='\{name\}\.png': expected only \{folder\} and \{stem\}"):
        open_object_png(tmp_path, mask_pattern="{name}.png")
    with pytest.raises(DataError, match=r"option image_pattern=/\*\.jpg: expected a pattern relative"):
        open_object_png(tmp_path, image_pattern="/*.jpg")
