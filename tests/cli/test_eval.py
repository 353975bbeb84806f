"""`anymask eval`: every protocol on tiny data with a toy model, and what is said of wrong input."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from anymask.evaluation.points import Points
from anymask.task import rle

HEIGHT, WIDTH = 48, 64
ONE_CLICK = "1 click, best-scored mask, mean IoU"


def square(i):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10 + i : 30, 12 : 40 + i] = True
    return mask


@pytest.fixture()
def data(tmp_path, monkeypatch):
    """Three images in SA-1B's format, a square each, with a group for the fairness; the working directory is empty."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.where(square(i), 220, 30).astype(np.uint8)).convert("RGB").save(folder / f"{i}.jpg")
        annotation = {
            "id": 1,
            "segmentation": rle.encode(square(i)),
            "category": "square",
            "age": "old" if i else "young",
        }
        write_record(folder / f"{i}.json", [annotation])
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return folder


def write_record(path, annotations, width=WIDTH, image=None):
    image = {"width": width, "height": HEIGHT, "file_name": image or f"{path.stem}.jpg"}
    path.write_text(json.dumps({"image": image, "annotations": annotations}))


@pytest.fixture()
def score(anymask, toy, data, tmp_path):
    """Run a verb with the toy model on the data, or on others."""

    def run(verb, *arguments, data=data, model=toy):
        return anymask("eval", verb, data, "--model", model, "-o", tmp_path / "out", *arguments)

    return run


def one_line(result, message, code=1):
    """Assert that a command ended in one line that says this."""
    assert result.code == code, result
    assert message in result.err and result.err.count("\n") == 1 and not result.out, result.err
    assert "Traceback" not in result.err
    return True


def test_points(score, tmp_path):
    result = score("points")
    assert result.code == 0 and result.err == "", result.err
    title, header, *rows = result.out.splitlines()
    assert title == "points on squares" and header.split() == ["metric", "toy", "disc", "felzenszwalb"]
    assert rows[0].startswith(ONE_CLICK) and "–" in rows[0]
    assert rows[-1] == f"Rows, summary and plot: {tmp_path / 'out' / 'points-squares'}"
    assert sorted(path.name for path in (tmp_path / "out" / "points-squares").iterdir()) == [
        "disc.jsonl",
        "felzenszwalb.jsonl",
        "plot.png",
        "summary.json",
        "toy.jsonl",
    ]


def test_the_default_folder_is_scores(anymask, toy, data):
    assert anymask("eval", "boxes", data, "--model", toy, "--no-baselines").code == 0
    assert os.listdir("scores") == ["boxes-squares"]


def test_json_holds_the_figures_and_the_place_of_the_files(score, tmp_path):
    result = score("points", "--json", "--clicks", "1,2", "--limit", "2")
    found = json.loads(result.out)
    folder = tmp_path / "out" / "points-squares"
    assert found == {**json.loads((folder / "summary.json").read_text()), "files": str(folder)}
    assert found["protocol"] == "points" and found["models"] == ["toy"]
    assert {name: figures["objects"]["value"] for name, figures in found["metrics"].items()} == dict.fromkeys(
        ("toy", "disc", "felzenszwalb"), 2
    )
    low, high = found["metrics"]["toy"][ONE_CLICK]["interval"]
    assert 0 <= low <= found["metrics"]["toy"][ONE_CLICK]["value"] <= high <= 1
    assert "3 clicks, mean IoU" not in found["metrics"]["toy"]


@pytest.mark.parametrize(
    ("verb", "arguments", "metric", "baselines"),
    [
        ("interactive", ["--clicks", "2"], "NoC@90", {"disc", "felzenszwalb"}),
        ("boxes", [], "box, single mask, mean IoU", {"ellipse", "grabcut", "felzenszwalb"}),
        ("proposals", ["--points", "3"], "AR@1000", {"felzenszwalb"}),
        ("fairness", ["--group", "age"], "age old, 1 click, mean IoU", set()),
    ],
)
def test_the_other_protocols(score, verb, arguments, metric, baselines):
    found = json.loads(score(verb, *arguments, "--json").out)
    assert found["metrics"].keys() == {"toy"} | baselines
    assert all(metric in figures for figures in found["metrics"].values())


@pytest.fixture()
def boundaries(data):
    """The data with what two people drew, the same."""
    for i in range(3):
        rim = square(i) & ~np.roll(square(i), 1, axis=1)
        Image.fromarray(rim.astype(np.uint8) * 3).save(data / f"{i}.png")


def test_edges(score, boundaries):
    found = json.loads(score("edges", "--points", "2", "--limit", "1", "--no-baselines", "--json").out)
    assert found["metrics"].keys() == {"toy"} and 0 <= found["metrics"]["toy"]["ODS"]["value"] <= 1
    assert len([name for name in found["metrics"]["toy"] if name.startswith("recall at threshold")]) == 99


@pytest.mark.slow
def test_edges_with_the_baselines(score, boundaries):
    found = json.loads(score("edges", "--points", "2", "--limit", "2", "--json").out)
    assert found["metrics"].keys() == {"toy", "canny", "sobel", "person"}
    assert found["metrics"]["person"]["ODS"]["value"] == 1, "both people drew the same"
    assert found["metrics"]["canny"]["OIS"]["value"] > 0.1


def test_a_detectors_boxes(score, data, tmp_path):
    annotations, images, boxes = [], [], []
    for i in range(3):
        box = [12, 10, 28 + i, 20 - i]
        images.append({"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT})
        annotations.append({"id": i + 1, "image_id": i, "category_id": 1, "segmentation": rle.encode(square(i))})
        annotations[-1] |= {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        boxes.append({"image_id": i, "category_id": 1, "bbox": box, "score": 0.9})
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
    (data / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    result = score(
        "boxes", "--detections", tmp_path / "boxes.json", "--images", data, "--json", data=data / "truth.json"
    )
    found = json.loads(result.out)
    assert found["protocol"] == "detections" and found["data"] == "truth"
    assert 0 < found["metrics"]["ellipse"]["AP"]["value"] < 1 and found["metrics"]["toy"]["boxes"]["value"] == 3


def test_models_side_by_side(score, toy, tmp_path):
    other = shutil.copy(toy, tmp_path / "other.safetensors")
    result = score("boxes", "--model", other, "--no-baselines")
    assert result.out.splitlines()[1].split() == ["metric", "toy", "other"]
    assert {"toy.jsonl", "other.jsonl"} < set(os.listdir(tmp_path / "out" / "boxes-squares"))
    assert one_line(score("boxes", "--model", toy), "two of the models and baselines are called 'toy'")


def test_a_second_call_goes_on_and_again_starts_anew(score, data, monkeypatch):
    calls, evaluate = [], Points.evaluate

    def counting(self, subject, image):
        calls.append(image.name)
        return evaluate(self, subject, image)

    monkeypatch.setattr(Points, "evaluate", counting)
    first = score("points", "--no-baselines", "--clicks", "1")
    assert calls == ["0", "1", "2"]
    assert score("points", "--no-baselines", "--clicks", "1").out == first.out and len(calls) == 3
    assert score("points", "--no-baselines", "--clicks", "1", "--again").out == first.out and len(calls) == 6
    assert one_line(score("points", "--no-baselines"), "holds results for options {'clicks': [1]")
    assert one_line(score("points", "--no-baselines", "--clicks", "1", "--limit", "1"), "data '3 images, ")


def test_ctrl_c_keeps_what_was_done(score, tmp_path, monkeypatch):
    calls, evaluate = [], Points.evaluate

    def interrupted(self, subject, image):
        calls.append(image.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(self, subject, image)

    monkeypatch.setattr(Points, "evaluate", interrupted)
    result = score("points", "--no-baselines")
    assert result.code == 130 and "Traceback" not in result.err
    lines = (tmp_path / "out" / "points-squares" / "toy.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines[1:]] == ["0", "1"]
    assert score("points", "--no-baselines").code == 0 and calls == ["0", "1", "2", "2"]


def test_empty_masks_are_an_error_or_are_left_out(score, data):
    write_record(data / "1.json", [{"id": 7, "segmentation": rle.encode(square(1) & False)}])
    one_line(score("boxes", "--no-baselines"), f"{data / '1.json'}: mask 7 is empty; remove it, or leave such out with")
    found = json.loads(score("boxes", "--no-baselines", "--skip-empty", "--json").out)
    assert found["metrics"]["toy"]["objects"]["value"] == 2


@pytest.mark.parametrize(
    ("annotations", "image", "width", "message"),
    [
        ([{"id": 1, "segmentation": rle.encode(square(0))}] * 2, None, WIDTH, "1.json: two masks have the id 1"),
        ([{"segmentation": rle.encode(square(0))}], None, WIDTH, "1.json: a mask has the id None"),
        ([{"id": 1, "segmentation": rle.encode(square(0)[1:])}], None, WIDTH, "1.json: mask 1 has size [47, 64], the"),
        ([{"id": 1}], None, WIDTH, "1.json: mask 1: "),
        ([], "gone.jpg", WIDTH, "gone.jpg"),
        ([], None, 65, "1.jpg: is 64×48 pixels (width × height) as a person sees it, its record says 65×48"),
    ],
)
def test_faulty_labels_end_in_one_line_that_names_the_record(score, data, annotations, image, width, message):
    write_record(data / "1.json", annotations, width, image)
    one_line(score("points", "--no-baselines"), message)


def test_wrong_data_end_in_one_line(score, data, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "text.txt").write_text("hello")
    for place, message in (
        (tmp_path / "gone", "gone: no such folder or file, and no set has that name; anymask eval sets lists those"),
        ("grabcutt", "grabcutt: no such folder or file, and no set has that name; did you mean grabcut?"),
        ("lvis_v1", "is not there; get it from "),
        (tmp_path / "empty", "empty: its format cannot be told; name it as format ("),
        (tmp_path / "list.json", "list.json: its format cannot be told"),
        (tmp_path / "text.txt", "text.txt: its format cannot be told"),
        (data / "0.json", "0.json: is the record of a single image; name the folder"),
        (data / "0.jpg", "0.jpg: its format cannot be told"),
    ):
        one_line(score("points", data=place), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--model", "nanoo"], "model 'nanoo' is not known: did you mean nano?", 1),
        (["--model", "gone.pth"], "gone.pth", 1),
        (["--device", "abacus"], "device 'abacus' is not there", 1),
        (["--format", "cocoo"], "format 'cocoo': is not known; expected auto or one of sa1b, shards, coco", 1),
        (["--format", "coco"], "squares", 1),
        (["--option", "key=labels"], "is no option of the format sa1b", 1),
        (["--as-paper"], "--as-paper: ", 1),
        (["--clicks", "0"], "clicks: expected numbers of 1 or more, got (0,)", 1),
    ],
)
def test_wrong_options_end_in_one_line_and_nothing_is_measured(score, tmp_path, arguments, message, code):
    one_line(score("points", *arguments), message, code)
    assert not list(tmp_path.glob("out/*/*.jsonl"))


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("points", ["--clicks", "1,a"], "--clicks 1,a: expected whole numbers with commas between"),
        ("points", ["--option", "labels"], "--option labels: expected KEY=VALUE"),
        ("points", ["--limit", "0"], "--limit"),
        ("points", ["--sampling", "best"], "--sampling"),
        ("points", ["--clix", "1"], "--clix"),
        ("boxes", ["--rounds", "2"], "--rounds is for a detector's boxes; give those with --detections"),
        ("fairness", [], "--group"),
    ],
)
def test_wrong_usage_is_exit_code_2(score, tmp_path, verb, arguments, message):
    result = score(verb, *arguments)
    assert result.code == 2 and message in result.err and "Traceback" not in result.err, result.err
    assert not (tmp_path / "out").exists()


def test_a_set_by_name_takes_no_options_of_a_path(score, tmp_path):
    for arguments in (["--format", "coco"], ["--images", tmp_path], ["--option", "key=a"]):
        one_line(score("points", *arguments, data="grabcut"), "grabcut: is opened by name")


def test_a_set_by_name_and_its_published_figures(score, data, tmp_path):
    for i in range(3):
        for folder, pixels in (("data_GT", square(i)), ("boundary_GT", square(i) * np.uint8(255))):
            path = tmp_path / "sets" / "grabcut" / folder / f"{i}{'.bmp' if folder == 'boundary_GT' else '.jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert("L").save(path)
    arguments = ["--root", tmp_path / "sets", "--clicks", "1", "--no-baselines", "--limit", "2"]
    result = score("interactive", *arguments, data="GrabCut")
    assert result.code == 0, result.err
    assert "RITM HRNet18 IT-M" in result.out and "1.540" in result.out and "Sofiiuk et al. 2021" in result.out
    assert os.listdir(tmp_path / "out") == ["interactive-grabcut"]


def test_text_asks_for_names_that_are_there_and_for_some_that_are_not(score):
    plain = score("text", "--no-baselines")
    assert plain.code == 0 and "text, best-scored mask" in plain.out and "not there" not in plain.out
    drawn = score("text", "--absent", "zebra,giraffe", "--no-baselines", "--again")
    assert drawn.code == 0 and "not there, F1" in drawn.out


def test_a_missing_model_is_told_of_before_the_first_is_measured(score, tmp_path):
    one_line(score("points", "--model", "nanoo"), "model 'nanoo' is not known")
    assert not (tmp_path / "out").exists()


def test_edges_of_data_without_boundaries(score):
    one_line(score("edges", "--points", "1", "--no-baselines"), "0: its labels have no boundaries; expected BSDS500")


@pytest.mark.parametrize(
    ("library", "verb", "arguments"),
    [
        ("matplotlib", "boxes", ["--no-baselines"]),
        ("skimage", "points", []),
        ("skimage", "edges", ["--no-baselines"]),
        ("scipy", "edges", ["--no-baselines"]),
    ],
)
def test_a_missing_library_is_told_before_anything_is_measured(score, tmp_path, monkeypatch, library, verb, arguments):
    monkeypatch.setitem(sys.modules, library, None)
    one_line(score(verb, *arguments), f"needs {library}; pip install 'anymask[eval]'")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_of_the_results(score, tmp_path):
    (tmp_path / "out").write_text("mine")
    one_line(score("points"), "cannot be made a folder (Not a directory); name another with -o")
    assert (tmp_path / "out").read_text() == "mine"


def test_results_of_another_model_are_named(score, toy, data, tmp_path):
    score("boxes", "--no-baselines")
    rows = tmp_path / "out" / "boxes-squares" / "toy.jsonl"
    first, *lines = rows.read_text().splitlines()
    first = json.loads(first)
    first["settings"]["weights"] = "0" * 16
    rows.write_text("\n".join([json.dumps(first), *lines, ""]))
    one_line(score("boxes", "--no-baselines"), f"toy.jsonl: holds results for weights '{'0' * 16}', not '")


def test_sets_lists_the_data_sets(anymask):
    listed = anymask("eval", "sets")
    assert listed.code == 0 and "lvis" in listed.out and "…" not in listed.out
    found = json.loads(anymask("eval", "sets", "--json").out)
    assert len(found) >= 23 and {"name", "title", "home", "licence", "layout", "masks"} <= found[0].keys()


SUITE = """
models = [{toy!r}, "other.safetensors"]
[[entries]]
protocol = "points"
data = "squares"
name = "Squares"
options = {{clicks = [1, 2]}}
[[entries]]
protocol = "boxes"
data = "squares"
"""


@pytest.fixture()
def suite(data, toy, tmp_path):
    """A suite beside its data."""
    shutil.copy(toy, "other.safetensors")
    path = tmp_path / "suite.toml"
    path.write_text(SUITE.format(toy=str(toy)))
    return path


def test_a_suite(anymask, suite, tmp_path):
    result = anymask("eval", "suite", suite, "-o", tmp_path / "out", "--limit", "2")
    assert result.code == 0 and result.err == "", result.err
    header, first, *_ = result.out.splitlines()
    assert header.split() == ["data", "protocol", "metric", "toy", "other", "baselines", "published"]
    assert first.startswith("Squares") and ONE_CLICK in first
    assert {"table.md", "table.csv", "figure.png", "suite.json"} < set(os.listdir(tmp_path / "out"))
    again = anymask("eval", "suite", suite, "-o", tmp_path / "out", "--limit", "2", "--json")
    found = json.loads(again.out)
    assert found == {
        "files": str(tmp_path / "out"),
        "entries": json.loads((tmp_path / "out" / "suite.json").read_text()),
    }
    assert one_line(anymask("eval", "suite", suite, "-o", tmp_path / "out"), "data '2 images, ")
    assert anymask("eval", "suite", suite, "-o", tmp_path / "out", "--again").code == 0


def test_a_suite_elsewhere_and_a_path_that_is_missing(anymask, suite, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    moved = suite.rename(tmp_path / "elsewhere" / "suite.toml")
    result = anymask("eval", "suite", moved, "-o", tmp_path / "out", "--root", tmp_path, "--limit", "1")
    assert result.code == 0, result.err
    one_line(
        anymask("eval", "suite", moved, "-o", tmp_path / "other"),
        f"{tmp_path / 'elsewhere' / 'squares'}: no such folder or file, and no set has that name",
    )
    assert not list(tmp_path.glob("other/*"))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"points"', '"pionts"', "suite.toml: unknown protocol 'pionts'; did you mean 'points'?"),
        ("options", "option", "suite.toml: unknown key 'option'; did you mean 'options'?"),
        ("other.safetensors", "gone.safetensors", "gone.safetensors"),
        ("models = ", "models = nano #", "suite.toml: not TOML"),
        ('protocol = "boxes"', 'protocol = "points"', "two entries are points on squares"),
    ],
)
def test_a_wrong_suite_ends_in_one_line(anymask, suite, tmp_path, before, after, message):
    suite.write_text(suite.read_text().replace(before, after))
    one_line(anymask("eval", "suite", suite, "-o", tmp_path / "out"), message)
    assert not list(tmp_path.glob("out/*"))


def test_a_suite_takes_a_set_by_name_where_it_lies_as_it_comes(anymask, suite, tmp_path):
    for i in range(2):
        for folder, pixels in (("images", square(i)), ("masks", square(i) * np.uint8(255))):
            path = tmp_path / "berkeley" / folder / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert("L").save(path)
    suite.write_text(suite.read_text().replace('data = "squares"', 'data = "berkeley"'))
    result = anymask("eval", "suite", suite, "-o", tmp_path / "out", "--limit", "1")
    assert result.code == 0, result.err
    assert (tmp_path / "out" / "points-berkeley").is_dir()


@pytest.mark.parametrize(("flags", "noted"), [(["--refine", "zoom"], "refine"), (["--second-look"], "second_look")])
def test_other_ways_to_ask_have_rows_of_their_own(score, tmp_path, flags, noted):
    """Rows that were made without are not gone on with, and what takes masks as they come says so."""
    assert score("boxes", "--json").code == 0
    other = score("boxes", *flags, "--json")
    assert other.code == 1 and "--again" in other.err
    again = score("boxes", *flags, "--again", "--json")
    assert again.code == 0 and json.loads(again.out)["metrics"]
    [rows] = (tmp_path / "out").glob("boxes-*/toy.jsonl")
    assert noted in json.loads(rows.read_text().splitlines()[0])["settings"]
    refused = score("edges", *flags)
    assert refused.code == 1 and "leave out --refine" in refused.err
