"""`anymask segment`: what it writes, and what it says of bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.model.checkpoint import open_model
from anymask.predict.predictor import SamPredictor
from anymask.task import rle


@pytest.fixture()
def segment(anymask, toy, photo, tmp_path):
    """Run the command on the photo into tmp_path/out."""

    def call(*arguments, image=photo):
        return anymask("segment", image, *arguments, "--model", toy, "-o", tmp_path / "out")

    return call


def test_it_writes_what_the_predictor_says(segment, toy, photo, tmp_path):
    result = segment("--box", "10,10,60,50", "--keep-parts", "--json")
    assert result.code == 0 and not result.err
    summary = json.loads(result.out)
    predictor = SamPredictor(open_model(toy))
    predictor.set_image(photo)
    masks, scores, logits = predictor.predict(box=[10, 10, 60, 50], multimask_output=False)
    assert masks.any()
    record = json.loads((tmp_path / "out" / "photo.json").read_text())
    assert record["image"] == {"image_id": 1, "width": 90, "height": 60, "file_name": "photo.png"}
    [annotation] = record["annotations"]
    np.testing.assert_array_equal(rle.decode(annotation["segmentation"]), masks[0])
    assert annotation["area"] == masks[0].sum()
    assert annotation["predicted_iou"] == pytest.approx(float(scores[0]), abs=1e-3)
    np.testing.assert_allclose(np.load(summary["files"]["logits"]), logits[0])
    np.testing.assert_array_equal(np.array(Image.open(summary["files"]["labels"])) > 0, masks[0])
    with Image.open(summary["files"]["cutout"]) as cutout, Image.open(summary["files"]["overlay"]) as overlay:
        assert cutout.mode == "RGBA" and overlay.size == (90, 60)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        f"photo{end}" for end in ("_cutout.png", "_overlay.jpg", "_labels.png", "_logits.npy", ".json")
    )


@pytest.mark.parametrize("flags", [["--runtime", "torch"], ["--runtime", "openvino"], ["--precision", "fast"]])
def test_runtimes_and_precisions_agree(segment, flags):
    [plain] = json.loads(segment("--box", "10,10,60,50", "--json").out)["masks"]
    [found] = json.loads(segment("--box", "10,10,60,50", "--json", *flags).out)["masks"]
    assert found["predicted_iou"] == pytest.approx(plain["predicted_iou"], abs=0.05)


def test_zoom_refines_the_mask(anymask, tmp_path):
    """A small square in a large photo: the crop shows its edges more finely than the whole photo does."""
    truth = np.zeros((900, 1400), bool)
    truth[203:261, 1001:1067] = True
    noise = np.random.default_rng(0).normal(0, 6, (*truth.shape, 3))
    pixels = np.clip(np.where(truth[..., None], [190, 60, 50], [90, 130, 100]) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    ious = []
    for flags in ([], ["--refine", "zoom"]):
        result = anymask("segment", tmp_path / "large.png", "--point", "1030,230", *flags, "-o", tmp_path / "out")
        assert result.code == 0
        [annotation] = json.loads((tmp_path / "out" / "large.json").read_text())["annotations"]
        mask = rle.decode(annotation["segmentation"])
        ious.append((mask & truth).sum() / (mask | truth).sum())
    assert ious[1] > ious[0] + 0.02


def test_a_photo_that_is_kept_is_embedded_once(segment, tmp_path, monkeypatch):
    monkeypatch.setenv("ANYMASK_CACHE", str(tmp_path / "cache"))
    segment("--point", "40,30", "--runtime", "torch")
    assert not (tmp_path / "cache").exists()
    first = segment("--point", "40,30", "--runtime", "torch", "--cache", "--json")
    assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == 1
    monkeypatch.setattr("anymask.runtime.torch_runtime.TorchRuntime.encode", lambda *_: pytest.fail("embedded again"))
    again = segment("--point", "40,30", "--runtime", "torch", "--cache", "--json")
    assert again.code == 0 and again.out == first.out


def test_all_keeps_the_three_masks_best_first(segment, tmp_path):
    summary = json.loads(segment("--point", "40,30", "--all", "--json").out)
    scores = [mask["predicted_iou"] for mask in summary["masks"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert (tmp_path / "out" / "photo_cutout_3.png").exists()


def test_it_goes_on_from_its_own_logits_and_from_a_picture(segment, tmp_path):
    first = json.loads(segment("--point", "40,30", "--json").out)
    refined = segment("--point", "40,30", "--neg", "70,50", "--mask", first["files"]["logits"], "--json")
    assert refined.code == 0
    mask = np.zeros((60, 90), np.uint8)
    mask[20:40, 30:60] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert segment("--mask", tmp_path / "mask.png").code == 0


def test_it_prints_for_people_too(segment):
    result = segment("--box", "10,10,60,50")
    assert result.code == 0 and "mask 1: score" in result.out and "_overlay.jpg" in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "nothing to segment"),
        (("--neg", "5,5"), 2, "nothing to segment"),
        (("--point", "40"), 2, "expected X,Y"),
        (("--point", "a,b"), 2, "expected X,Y"),
        (("--box", "1,2,3"), 2, "X0,Y0,X1,Y1"),
        (("--pick", "all", "--point", "1,1"), 2, "pick"),
        (("--point", "nan,3"), 1, "NaN"),
        (("--point", "91,3"), 1, "outside the image of 90×60"),
        (("--point", "3,3", "--neg", "-1,3"), 1, "outside the image"),
        (("--box", "50,10,20,40"), 1, "empty or inverted"),
        (("--box", "20,10,20,40"), 1, "empty or inverted"),
        (("--box", "95,70,99,80"), 1, "outside the image"),
        (("--mask", "none.npy"), 1, "none.npy"),
        (("--point", "4,4", "--device", "tpu"), 1, "device"),
    ],
)
def test_bad_prompts_end_in_one_line(segment, tmp_path, arguments, code, message):
    result = segment(*arguments)
    assert result.code == code and message in result.err, result.err
    assert "Traceback" not in result.err and not (tmp_path / "out").exists()
    if code == 1:
        assert result.err.count("\n") == 1 and result.err.startswith("anymask: ")


def test_an_empty_mask_writes_nothing(segment, tmp_path, monkeypatch):
    plain = SamPredictor.predict_many

    def empty(self, prompts):
        return [result._replace(masks=result.masks & False) for result in plain(self, prompts)]

    monkeypatch.setattr(SamPredictor, "predict_many", empty)
    result = segment("--point", "4,4")
    assert result.code == 1 and "the mask is empty" in result.err and not (tmp_path / "out").exists()


def test_masks_of_a_wrong_size_are_refused(segment, tmp_path):
    np.save(tmp_path / "small.npy", np.zeros((16, 16), np.float32))
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    Image.new("L", (80, 60)).save(tmp_path / "mask.png")
    for name, message in (("small.npy", "32×32 logits"), ("object.npy", "NumPy"), ("mask.png", "90×60")):
        result = segment("--mask", tmp_path / name)
        assert result.code == 1 and message in result.err and result.err.count("\n") == 1, result.err
    assert not (tmp_path / "out").exists()


def bad_image(name, folder):
    """A file that is no image to segment."""
    path = folder / name
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    if name == "empty.jpg":
        path.write_bytes(b"")
    elif name == "cut.jpg":
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-3000])
    elif name == "cut.png":
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-9000])
    elif name == "dot.png":
        Image.new("RGB", (1, 1)).save(path)
    elif name == "line.png":
        Image.new("RGB", (30000, 20)).save(path)
    elif name == "moving.gif":
        frames = [Image.fromarray(np.roll(noise, i * 9, 0)) for i in range(3)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif name == "text.png":
        path.write_text("not an image")
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.jpg", "empty"),
        ("cut.jpg", "cut short"),
        ("cut.png", "cut short"),
        ("dot.png", "at least 4 pixels"),
        ("line.png", "100:1"),
        ("moving.gif", "3 frames"),
        ("text.png", "not an image"),
        ("missing.png", "cannot be read"),
    ],
)
def test_bad_images_end_in_one_line(segment, tmp_path, name, message):
    result = segment("--point", "1,1", image=bad_image(name, tmp_path))
    assert result.code == 1 and message in result.err and name in result.err, result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["I;16", "CMYK", "P", "LA", "RGBA", "1", "F"])
def test_every_depth_and_mode_is_read(segment, tmp_path, mode):
    grey = np.tile(np.linspace(0, 1, 90), (60, 1))
    path = tmp_path / ("photo.tif" if mode in ("CMYK", "F") else "photo.png")
    if mode == "I;16":
        Image.fromarray((grey * 65535).astype(np.uint16)).save(path)
    elif mode == "F":
        Image.fromarray(grey.astype(np.float32)).save(path)
    else:
        Image.fromarray((grey * 255).astype(np.uint8)).convert("RGB" if mode == "CMYK" else "L").convert(mode).save(
            path
        )
    assert segment("--point", "40,30", image=path).code == 0


def test_bad_models_end_in_a_line(anymask, photo, tmp_path):
    (tmp_path / "none.pth").write_text("weights")
    for model, message in (
        ("vit_x", "did you mean"),
        (tmp_path / "none.pth", "checkpoint"),
        ("no.pth", "no such file"),
    ):
        result = anymask("segment", photo, "--point", "4,4", "--model", model, "-o", tmp_path / "out")
        assert result.code == 1 and message in result.err, result.err
        assert result.err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_named(anymask, toy, photo, tmp_path):
    (tmp_path / "file").write_text("")
    result = anymask("segment", photo, "--point", "4,4", "--model", toy, "-o", tmp_path / "file")
    assert result.code == 1 and "name another with -o" in result.err


@pytest.mark.parametrize(("values", "right"), [((0, 255), True), ((0, 1), True), ((3, 200), True), ((0, 7), False)])
def test_a_mask_of_any_usual_values(anymask, photo, toy, tmp_path, values, right):
    """A label map of several objects is no mask, and says so instead of being taken for black."""
    picture = np.full((60, 90), values[0], np.uint8)
    picture[10:40, 20:60] = values[1]
    Image.fromarray(picture).save(tmp_path / "mask.png")
    result = anymask("segment", photo, "--mask", tmp_path / "mask.png", "--model", toy, "-o", tmp_path / "out")
    assert (result.code == 0) == right
    assert right or "mask.png: its brightest pixel is 7; expected a mask" in result.err
