"""Exported models answer as the model itself, any prompts on any photo, and say what they are."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import anymask
from anymask import Prompt, load_model
from anymask.errors import ConfigError, ModelError, OutputError
from anymask.export import write
from anymask.export.exported import Exported
from anymask.export.precision import stored
from anymask.export.verify import TOLERANCES, Difference, check, prompt_inputs, verify
from anymask.export.write import export_model
from anymask.files import sha256
from anymask.model.sam import ImageEmbedding, Sam
from anymask.runtime.graphs import fine_shapes
from anymask.task.prompts import PromptBatch

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["vit", pytest.param("light", marks=pytest.mark.slow)])
def pair(request: pytest.FixtureRequest) -> tuple[Sam, Path]:
    """A model, and what was exported of it."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"exported_{request.param}")


@pytest.fixture()
def photos(tmp_path: Path) -> list[Path]:
    """Photos of several shapes, one of them a pixel high in the model frame of the toys."""
    paths = []
    for height, width in ((48, 64), (90, 41), (4, 400)):
        pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
        paths.append(tmp_path / f"{height}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def test_exported_is_the_model_itself(pair, photos):
    sam, folder = pair
    found = {difference.what: difference for difference in verify(sam, folder, photos)}
    assert len(found) == 8 and found["embedding"].largest < 1e-4
    for difference in found.values():
        assert difference.share < 1e-3 and difference.iou < 1e-5 and difference.masks > 0.9999, difference
    check(folder, "float32", found.values())


@pytest.mark.parametrize("points", [1, 2, 6])
@pytest.mark.parametrize("count", [1, 5])
@torch.no_grad()
def test_any_number_of_prompts_and_points(pair, count, points):
    """With and without a box, with and without a mask, side by side; masks that do not count are not seen."""
    sam, folder = pair
    rng, frame, size = np.random.default_rng(points), sam.frame(60, 90), sam.config.mask_size
    prompts = [Prompt(rng.uniform(0, 60, (points, 2)), rng.integers(0, 2, points)) for _ in range(count)]
    prompts[-1] = replace(prompts[-1], box=[5, 6, 70, 40], mask=rng.normal(size=(size, size)) * 4)
    if count > 1:
        prompts[0] = Prompt(box=[10, 10, 50, 50])
    g = sam.config.grid
    fine = tuple(torch.randn(1, *shape) for shape in fine_shapes(sam))
    embedding = ImageEmbedding(torch.randn(1, sam.config.dim, g, g), fine)
    inputs = prompt_inputs(prompts, frame, size)
    inputs["mask_input"][~inputs["has_mask_input"]] = 7.0
    inputs |= {"features": embedding.features.numpy(), **{f"fine{i}": part.numpy() for i, part in enumerate(fine)}}
    found = Exported(folder).decoder(inputs)
    logits, iou = sam.decode_all(embedding, PromptBatch.pad(prompts, frame, size))
    np.testing.assert_allclose(found["low_res_masks"], logits[0], atol=1e-3 * float(logits.std()))
    np.testing.assert_allclose(found["iou_predictions"], iou[0], atol=1e-5)


@pytest.mark.parametrize("height,width", [(60, 90), (333, 500), (1, 700), (64, 64), (31, 20)])
def test_enlarging_is_that_of_the_frame(vit, exported_vit, height, width):
    logits = torch.randn(2, 3, vit.config.mask_size, vit.config.mask_size)
    size = np.array([height, width], np.int64)
    found = Exported(exported_vit).enlarge({"masks": logits.numpy(), "original_size": size})["full_masks"]
    np.testing.assert_allclose(found, vit.frame(height, width).masks_to_original(logits), atol=1e-4)


def test_files_say_what_they_are(vit, exported_vit):
    import onnx

    manifest = json.loads((exported_vit / "manifest.json").read_text())
    for name, record in manifest["files"].items():
        model = onnx.load(exported_vit / f"{name}.onnx", load_external_data=False)
        told = {prop.key: prop.value for prop in model.metadata_props}
        assert told["anymask.model"] == "test_tiny" and told["anymask.weights"] == vit.weights_hash
        assert told["anymask.precision"] == "float32" and told["anymask.licence"] == "of toys"
        assert told["anymask.version"] == anymask.__version__
        contract = json.loads(told["anymask.preprocessing"])
        assert contract == manifest["preprocessing"]
        assert (contract["size"], contract["channels"], contract["range"]) == (64, "RGB", [0, 255])
        assert contract["mean"] == list(vit.config.pixel_mean) and "after" in contract["pad"]
        assert [i["name"] for i in record["inputs"]] == [i.name for i in model.graph.input]
        assert record["outputs"] == [o.name for o in model.graph.output]
        for file in record["files"]:
            assert sha256(exported_vit / file["file"]).hexdigest() == file["sha256"]
        assert str(ROOT).encode() not in (exported_vit / f"{name}.onnx").read_bytes(), "no places of this machine"
    decoder = {i["name"]: i["shape"] for i in manifest["files"]["decoder"]["inputs"]}
    assert decoder["points"] == ["prompts", "points", 2] and decoder["has_mask_input"] == ["prompts"]


def test_large_weights_lie_beside_the_file(exported_vit):
    names = ("encoder.onnx", "encoder.onnx.data", "decoder.onnx", "enlarge.onnx", "manifest.json")
    assert {path.name for path in exported_vit.iterdir()} == set(names)


@pytest.mark.slow
def test_small_weights_lie_in_it(exported_light):
    assert not list(exported_light.glob("*.data"))


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_decoders_of_fewer_bytes(pair, photos, precision, tmp_path):
    """Of the same graph, so that it need not be traced again."""
    import onnx

    sam, folder = pair
    less = tmp_path / "less"
    shutil.copytree(folder, less)
    whole = onnx.load(less / "decoder.onnx")
    stored(lambda path: onnx.save(whole, path), less / "decoder.onnx", precision)
    if precision == "float16":
        kinds = {tensor.data_type for tensor in onnx.load(less / "decoder.onnx").graph.initializer}
        assert onnx.TensorProto.FLOAT16 in kinds
    else:
        operations = {node.op_type for node in onnx.load(less / "decoder.onnx").graph.node}
        assert "MatMulInteger" in operations
    allowed = TOLERANCES[precision]
    for found in verify(sam, less, photos[:1]):
        assert found.share < 10 * allowed.logits and found.iou < allowed.iou and found.masks > allowed.masks


@pytest.mark.slow
def test_openvino(light, photos, tmp_path):
    folder = tmp_path / "ir"
    manifest = export_model(light, folder, "openvino", "float16", licence="of toys")
    names = [f"{name}.{kind}" for name in ("encoder", "decoder", "enlarge") for kind in ("xml", "bin")]
    assert {path.name for path in folder.iterdir()} == {*names, "manifest.json"}
    assert "of toys" in (folder / "decoder.xml").read_text() and manifest["kind"] == "openvino"
    check(folder, "float16", verify(light, folder, photos))


def test_a_folder_is_written_whole_or_not_at_all(vit, exported_vit, tmp_path, monkeypatch):
    with pytest.raises(OutputError, match="is there and not empty; name another folder with -o"):
        export_model(vit, exported_vit)
    monkeypatch.setattr(write, "whole_encoder", lambda sam: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_model(vit, tmp_path / "new")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("form", "missing", "extras"),
    [("onnx", "onnxscript", "onnx"), ("openvino", "openvino", "onnx,openvino"), ("openvino", "onnx", "onnx,openvino")],
)
def test_a_library_that_is_missing(vit, tmp_path, monkeypatch, form, missing, extras):
    monkeypatch.setattr(write, "find_spec", lambda name: None if name == missing else name)
    message = re.escape(f"--format {form}: {missing} is not installed; pip install 'anymask[{extras}]'")
    with pytest.raises(ConfigError, match=message):
        export_model(vit, tmp_path / "new", form)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"share": 0.5}, "logits differ by 0.5 of their spread; float32 allows 0.002"),
        ({"iou": 0.1}, "predicted IoU differs by 0.1; float32 allows 0.001"),
        ({"masks": 0.5}, "masks have an IoU of 0.5000; float32 allows 0.999"),
    ],
)
def test_what_is_too_far_off_is_told(changes, fault):
    fine = Difference("box", 0.1, 0.01)
    check(Path("DIR"), "float32", [fine])
    with pytest.raises(ModelError, match=rf"DIR: box: {fault}"):
        check(Path("DIR"), "float32", [fine, replace(fine, **changes)])


def test_a_folder_that_holds_no_export(tmp_path):
    with pytest.raises(ModelError, match="holds no exported model; expected what `anymask export` writes"):
        Exported(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_nano(form, precision, tmp_path):
    sam = load_model("nano")
    export_model(sam, tmp_path / "nano", form, precision)
    photos = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
    check(tmp_path / "nano", precision, verify(sam, tmp_path / "nano", photos))


@pytest.mark.slow
def test_vit_b_of_noise(tmp_path):
    """The real size, without its weights."""
    from anymask.model.registry import MODELS

    sam = Sam(MODELS["vit_b"].config).eval()
    export_model(sam, tmp_path / "vit_b", external=1)
    found = verify(sam, tmp_path / "vit_b", [ROOT / "examples" / "photos" / "coffee.jpg"])
    assert all(difference.share < 0.01 and difference.iou < 1e-3 for difference in found)
