"""The commands that go by words, examples, boxes and gaze, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.task import rle

pytest.importorskip("wordllama")


def test_segment_finds_all_that_a_text_names(anymask, photos, tmp_path):
    done = anymask("segment", photos / "chelsea.jpg", "--text", "cat", "-o", tmp_path, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["masks"][0]["category"] == "cat" and told["masks"][0]["score"] > 0.9
    record = json.loads((tmp_path / "chelsea.json").read_text())
    mask = rle.decode(record["annotations"][0]["segmentation"])
    assert record["annotations"][0]["category"] == "cat" and 0.5 < mask.mean() < 0.95
    with Image.open(tmp_path / "chelsea_cutout.png") as cutout:
        assert cutout.mode == "RGBA"


def test_what_is_not_there_is_told_and_nothing_is_written(anymask, photos, tmp_path):
    done = anymask("segment", photos / "chelsea.jpg", "--text", "bus", "-o", tmp_path / "out")
    assert done.code == 1 and not (tmp_path / "out").exists()
    assert "chelsea.jpg: nothing found that 'bus' names (the likeliest place has a score of 0.0" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" ", "text: is empty; name what to find"),
        ("собака", "holds no Latin letter"),
        ("word " * 10_000, "10,000 words"),
    ],
)
def test_what_is_no_text_is_told_before_any_work(anymask, photos, tmp_path, text, said):
    done = anymask("segment", photos / "chelsea.jpg", "--text", text, "-o", tmp_path / "out")
    assert done.code == 1 and said in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_words_go_with_clicks_and_not_with_a_mask(anymask, photos, tmp_path):
    done = anymask("segment", photos / "coffee.jpg", "--text", "cup", "--neg", "20,20", "-o", tmp_path)
    assert done.code == 0, done.err
    both = anymask("segment", photos / "coffee.jpg", "--text", "cup", "--mask", "x.npy", "-o", tmp_path)
    assert both.code == 2 and "give one of both" in both.err
    picked = anymask("segment", photos / "coffee.jpg", "--text", "cup", "--pick", "largest", "-o", tmp_path)
    assert picked.code == 2 and "are of clicks" in picked.err
    missing = anymask(
        "segment", photos / "coffee.jpg", "--text", "cup", "--text-model", "no.safetensors", "-o", tmp_path
    )
    assert missing.code == 1 and "no.safetensors" in missing.err


@pytest.fixture()
def album(photos, tmp_path):
    """A folder of three small photos: a cat, the same cat mirrored and darker, and a cup."""
    folder = tmp_path / "album"
    folder.mkdir()
    cat, cup = (Image.open(photos / name).convert("RGB") for name in ("chelsea.jpg", "coffee.jpg"))
    cat.save(folder / "cat.jpg")
    Image.fromarray((np.array(cat)[:, ::-1] * 0.8).astype(np.uint8)).save(folder / "dark.jpg")
    cup.save(folder / "cup.jpg")
    return folder


@pytest.mark.slow
def test_everything_names_masks_and_coco_has_the_categories(anymask, album, tmp_path):
    out = tmp_path / "masks"
    done = anymask("everything", album, "--labels", "cat, cup,zebra", "--preset", "fast", "-o", out)
    assert done.code == 0, done.err
    assert "1 cat" in done.out or "2 cat" in done.out
    names = {}
    for path in out.glob("*.json"):
        names[path.stem] = {a.get("category") for a in json.loads(path.read_text())["annotations"]}
    assert "cat" in names["cat"] and "cup" in names["cup"]
    found = set().union(*names.values())
    assert "zebra" not in found and None in found, "what is none of them stays unnamed"
    again = anymask("everything", album, "--labels", "cat, cup,zebra", "--preset", "fast", "-o", out)
    assert again.out.count("done before") == 3
    other = anymask("everything", album, "--labels", "cat", "--preset", "fast", "-o", out)
    assert "done before" not in other.out, "other names are other settings"
    assert anymask("dataset", "convert", out, "--to", "coco", "--images", album, "-o", tmp_path / "coco").code == 0
    coco = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert {"cat", "object"} == {category["name"] for category in coco["categories"]}


def test_labels_that_are_none_are_told_before_the_work(anymask, photos, tmp_path):
    done = anymask("everything", photos / "chelsea.jpg", "--labels", ",", "-o", tmp_path / "out")
    assert done.code == 1 and "text: is empty" in done.err
    tiled = anymask("everything", photos / "chelsea.jpg", "--labels", "cat", "--tile", "512", "-o", tmp_path / "out")
    assert tiled.code == 2 and "give one of both" in tiled.err


@pytest.mark.slow
def test_find_gives_what_is_like_an_example_and_goes_on_from_what_it_knows(anymask, album, tmp_path):
    example = ("--in", album / "cat.jpg", "--box", "60,20,440,298")
    done = anymask("find", album, *example, "--preset", "fast", "-o", tmp_path / "found", "--json")
    assert done.code == 0, done.err
    matches = json.loads(done.out)
    assert matches[0]["image"].startswith("dark"), "the example itself is left out"
    scores = [match["likeness"] for match in matches]
    assert scores == sorted(scores, reverse=True)
    page = (tmp_path / "found" / "index.html").read_text()
    assert "Like cat.jpg" in page and "dark" in page
    written = json.loads((tmp_path / "found" / "matches.json").read_text())
    assert len(written) == len(matches) and Path(written[0]["image"]).exists()
    again = anymask("find", album, *example, "--preset", "fast", "-o", tmp_path / "again", "--json", "--best", "1")
    assert json.loads(again.out) == matches[:1]
    refused = anymask("find", album, *example, "-o", tmp_path / "found")
    assert refused.code == 1 and "is there and not empty" in refused.err


def test_find_says_what_an_example_is(anymask, album, tmp_path):
    plain = anymask("find", album)
    assert plain.code == 2 and "nothing to look for" in plain.err
    opaque = anymask("find", album, "--like", album / "cat.jpg", "-o", tmp_path / "found")
    assert opaque.code == 1 and "has no transparency" in opaque.err
    box = anymask("find", album, "--box", "1,2,3,4")
    assert box.code == 2 and "--in PHOTO" in box.err


def write_json(path, content):
    path.write_text(json.dumps(content))
    return path


def test_boxes_of_a_detector_get_masks(anymask, photos, tmp_path):
    images = [{"id": 7, "file_name": "chelsea.jpg"}, {"id": 9, "file_name": "coffee.jpg"}]
    coco = write_json(tmp_path / "coco.json", {"images": images, "annotations": [], "categories": []})
    results = [
        {"image_id": 9, "category_id": 1, "bbox": [80, 60, 300, 300], "score": 0.7},
        {"image_id": 7, "category_id": 3, "bbox": [60, 20, 380, 270], "score": 0.9},
    ]
    given, out = write_json(tmp_path / "boxes.json", results), tmp_path / "masks.json"
    done = anymask("boxes", given, photos, "--coco", coco, "-o", out)
    assert done.code == 0, done.err
    found = json.loads(out.read_text())
    assert [one["image_id"] for one in found] == [9, 7] and found[1]["score"] == 0.9
    mask = rle.decode(found[1]["segmentation"])
    assert mask.shape == (300, 451) and found[1]["area"] == mask.sum() > 30_000
    assert not list(tmp_path.glob("*.unfinished.jsonl"))
    whole = write_json(tmp_path / "whole.json", {"images": images, "annotations": results, "categories": [{"id": 1}]})
    assert anymask("boxes", whole, photos, "-o", out).code == 0
    assert json.loads(out.read_text())["annotations"][1]["segmentation"] == found[1]["segmentation"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]x", "cannot be read as JSON"),
        ('[{"bbox": [1, 2, 3, 4]}]', "expected a list of records with image_id and bbox"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4]}]', "name no files; add --coco FILE"),
    ],
)
def test_what_are_no_boxes_is_told_in_a_line(anymask, photos, tmp_path, content, said):
    given = tmp_path / "boxes.json"
    given.write_text(content)
    done = anymask("boxes", given, photos, "-o", tmp_path / "masks.json")
    assert done.code == 1 and said in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "masks.json").exists()


def test_boxes_that_hold_nothing_get_no_mask_and_are_counted(anymask, photos, tmp_path):
    boxes = [[900, 2, 3, 4], [60, 20, 380, 270], [10, 10, 0, 5]]
    content = {
        "images": [{"id": 1, "file_name": "chelsea.jpg"}],
        "annotations": [{"image_id": 1, "bbox": box} for box in boxes],
    }
    done = anymask("boxes", write_json(tmp_path / "boxes.json", content), photos, "-o", tmp_path / "masks.json")
    assert done.code == 0 and "1 masks on 1 images (2 boxes hold nothing" in done.out
    found = json.loads((tmp_path / "masks.json").read_text())["annotations"]
    assert ["segmentation" in one for one in found] == [False, True, False]
    content["annotations"][0]["bbox"] = "abc"
    wrong = anymask("boxes", write_json(tmp_path / "boxes.json", content), photos, "-o", tmp_path / "masks.json")
    assert wrong.code == 1 and "image 1: a bbox is not x, y, width and height" in wrong.err


def test_a_cut_run_over_boxes_goes_on_and_other_boxes_begin_anew(anymask, photos, tmp_path, interrupted):
    from anymask.predict.predictor import SamPredictor

    images = [{"id": 1, "file_name": "chelsea.jpg"}, {"id": 2, "file_name": "coffee.jpg"}]
    annotations = [{"image_id": i, "bbox": [60, 20, 300, 200]} for i in (1, 2)]
    given = write_json(tmp_path / "boxes.json", {"images": images, "annotations": annotations})
    command = ("boxes", given, photos, "-o", tmp_path / "masks.json")
    with pytest.MonkeyPatch.context() as patch:
        looked = []
        plain = SamPredictor.set_image

        def watched(self, *arguments):
            if len(looked) == 1:
                raise KeyboardInterrupt
            looked.append(1)
            return plain(self, *arguments)

        patch.setattr(SamPredictor, "set_image", watched)
        assert anymask(*command).code == 130
    assert not (tmp_path / "masks.json").exists()
    done = interrupted(SamPredictor, "set_image", 1)
    assert anymask(*command).code == 0 and len(done) == 1, "one image is left to look at"


def test_a_recorded_gaze_becomes_masks(anymask, photos, tmp_path):
    rows = ["Time,X,Y,valid"]
    for k in range(60):
        x, y = (230, 150) if k < 30 else (60, 40)
        rows.append(f"{k / 60 * 1000:.1f},{x + k % 3},{y - k % 2},{0 if k == 12 else 1}")
    rows[13] = f"{11 / 60 * 1000 + 8:.1f},,,0"
    samples = tmp_path / "gaze.csv"
    samples.write_text("\n".join(rows))
    done = anymask("gaze", samples, photos / "chelsea.jpg", "--unit", "ms", "-o", tmp_path, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert len(told["fixations"]) == 2 and told["fixations"][0]["fixation"][0] == pytest.approx(0, abs=0.02)
    assert len(json.loads((tmp_path / "chelsea.json").read_text())["annotations"]) == 2
    plain = anymask("gaze", samples, photos / "chelsea.jpg", "--unit", "ms", "-o", tmp_path)
    assert "fixation 1: 0.00 to 0.4" in plain.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "has no column time, x, y"),
        ("time,x,y\n0,1,two\n", "line 2: expected numbers"),
        ("time,x,y\n", "holds no samples"),
        ("time,x,y\n1,5,5\n0.5,5,5\n", "times must rise"),
        ("time,x,y\n0,5,5\n1,300,200\n", "no fixation lies on the photo"),
    ],
)
def test_what_is_no_gaze_is_told_in_a_line(anymask, photos, tmp_path, content, said):
    samples = tmp_path / "gaze.csv"
    samples.write_text(content)
    done = anymask("gaze", samples, photos / "chelsea.jpg", "-o", tmp_path)
    assert done.code == 1 and said in done.err and done.err.count("\n") == 1


def test_the_detector_is_shown_with_its_card(anymask):
    shown = anymask("models", "show", "nano_text", "--json")
    assert shown.code == 0, shown.err
    told = json.loads(shown.out)
    assert told["config"]["words"] == "wordllama" and told["card"]["scores"]["coco_mval_val"]["not there, F1"] > 0.7
    assert "recipe" in told["card"] and Path(told["file"]).stat().st_size < 24e6
    assert "non-commercial" in anymask("models", "show", "nano_text").out


def test_train_text_tells_what_is_wrong_with_a_recipe(anymask, tmp_path):
    recipe = tmp_path / "text.toml"
    recipe.write_text('model = "own"\nsteps = 2\n[sources]\nnowhere = 1.0\n')
    done = anymask("train-text", recipe, "--data", tmp_path, "-o", tmp_path / "out")
    assert done.code == 1 and "nowhere" in done.err
    changed = anymask("train-text", recipe, "stepz=3")
    assert changed.code == 1 and "did you mean 'steps'" in changed.err
