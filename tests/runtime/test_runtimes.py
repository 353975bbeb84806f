"""Every runtime answers as the model itself: all kinds of prompts, any number of them, with and without masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import fill_with_noise
from torch import Tensor

import anymask.runtime.graph_runtime as graph_runtime
import anymask.runtime.kept
from anymask import Prompt, SamPredictor, load_model
from anymask.errors import ConfigError
from anymask.model.checkpoint import weights_hash
from anymask.model.config import ViTConfig
from anymask.model.registry import MODELS
from anymask.model.sam import ImageEmbedding, Sam
from anymask.runtime import torch_runtime
from anymask.runtime.choose import open_runtime
from anymask.runtime.interface import Runtime
from anymask.runtime.onnx_runtime import OnnxRuntime
from anymask.runtime.openvino_runtime import OpenVinoRuntime
from anymask.runtime.torch_runtime import TorchRuntime, has_bf16
from anymask.task.prompts import PromptBatch
from anymask.training.lora import Lora, add_lora

KINDS = [TorchRuntime, OpenVinoRuntime, OnnxRuntime]
TOYS = ["test_tiny", "test_tiny_light"]
HEIGHT, WIDTH = 300, 417


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the tests' own for converted models."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(anymask.runtime.kept.CACHE_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module", params=TOYS)
def sam(request: pytest.FixtureRequest) -> Sam:
    """A toy model with noise in every parameter."""
    model = Sam(MODELS[request.param].config)
    fill_with_noise(model)
    model.eval().weights_hash = weights_hash(model)
    return model


@pytest.fixture(scope="module")
def image(sam: Sam) -> Tensor:
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def embedding(sam: Sam, image: Tensor) -> ImageEmbedding:
    with torch.no_grad():
        return sam.encode(image)


def prompts(sam: Sam, masks: bool) -> list[Prompt]:
    """Objects with up to 7 points, with and without a box, and with and without a mask where there are masks."""
    rng = np.random.default_rng(0)
    points = [rng.uniform(0, [WIDTH, HEIGHT], (count, 2)) for count in (1, 3, 7, 2)]
    box = [40.0, 30.5, 300.0, 222.0]
    mask = rng.normal(size=(sam.config.mask_size,) * 2) * 4
    plain = [Prompt(points[0]), Prompt(points[2], [0, 0, 1, 1, 0, 1, 1]), Prompt(box=box), Prompt(points[3], box=box)]
    return [*plain, Prompt(mask=mask), Prompt(points[1], [1, 1, 0], box=box, mask=-mask)] if masks else plain


def padded(sam: Sam, objects: list[Prompt]) -> PromptBatch:
    return PromptBatch.pad(objects, sam.frame(HEIGHT, WIDTH), sam.config.mask_size)


def assert_near(mine: Tensor, its: Tensor) -> None:
    """Equal but for rounding, which a norm of nearly equal values may enlarge at single places."""
    assert mine.shape == its.shape
    assert (mine - its).norm() < 2e-5 * its.norm()
    torch.testing.assert_close(mine, its, atol=1e-3, rtol=1e-3)


def assert_same(runtime: Runtime, embedding: ImageEmbedding, batch: PromptBatch) -> None:
    """The runtime's answers are the model's, for three masks and for one."""
    for multimask in (True, False):
        with torch.no_grad():
            expected = runtime.sam.decode(embedding, batch, multimask)
        for mine, its in zip(runtime.decode(embedding, batch, multimask), expected, strict=True):
            assert_near(mine, its[0])


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_is_the_model_itself(kind, sam, image, embedding, masks):
    runtime = kind(sam)
    found = runtime.encode(image)
    assert_near(found.features, embedding.features)
    for mine, its in zip(found.fine, embedding.fine, strict=True):
        assert_near(mine, its)
    assert (found.model, found.weights) == (sam.config.name, sam.weights_hash)
    assert_same(runtime, embedding, padded(sam, prompts(sam, masks)))


@pytest.mark.parametrize("kind", KINDS)
def test_more_prompts_than_are_answered_at_once(kind, sam, embedding):
    assert_same(kind(sam), embedding, padded(sam, prompts(sam, masks=True) * 4))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_one_image_after_another(kind, sam):
    """What prompts share of an image is kept, and is not taken for that of the next image or of other weights."""
    changed = Sam(sam.config).eval()
    changed.load_state_dict(sam.state_dict())
    runtime, batch = kind(changed), padded(sam, prompts(sam, masks=False))
    first, second = (
        sam.encode(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))) for seed in (1, 2)
    )
    assert_same(runtime, first, batch)
    assert_same(runtime, second, batch)
    fill_with_noise(changed.train(), seed=7)
    changed.eval()
    assert_same(runtime, second, batch)


@pytest.mark.parametrize("kind", KINDS)
def test_single_masks_are_those_of_all(kind, sam, embedding):
    batch = padded(sam, prompts(sam, masks=False))
    runtime = kind(sam)
    with torch.no_grad():
        expected, _ = sam.decode_all(embedding, batch)
    rows, which = torch.tensor([3, 0, 3]), torch.tensor([1, 0, 3])
    found = runtime.answer(embedding, batch).masks(rows, which)
    assert_near(found, expected[0, rows, which])


def test_adapters_are_not_lost(sam, embedding):
    adapted = Sam(sam.config).eval()
    adapted.load_state_dict(sam.state_dict())
    add_lora(adapted, Lora(rank=2, parts=("mask_decoder",)))
    fill_with_noise(adapted)
    assert_same(TorchRuntime(adapted), embedding, padded(adapted, prompts(adapted, masks=False)))


def test_several_images_at_once(sam):
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = sam.encode(images)
    found = OpenVinoRuntime(sam).encode(images)
    assert_near(found.features, expected.features)


def test_weights_that_are_trained_are_converted_again(sam, image):
    trained = Sam(sam.config).eval()
    trained.load_state_dict(sam.state_dict())
    runtime = OpenVinoRuntime(trained)
    runtime.encode(image)
    trained.train()
    fill_with_noise(trained, seed=1)
    trained.eval()
    with torch.no_grad():
        assert_near(runtime.encode(image).features, trained.encode(image).features)


def test_models_are_converted_once(sam, image, monkeypatch):
    OpenVinoRuntime(sam).encode(image)
    monkeypatch.setattr(graph_runtime, "encoder_graph", lambda sam: pytest.fail("converted again"))
    OpenVinoRuntime(sam).encode(image)


def test_a_conversion_that_fails_leaves_nothing(sam, cache, monkeypatch):
    other = Sam(sam.config).eval()
    monkeypatch.setattr(graph_runtime, "encoder_graph", lambda sam: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        OpenVinoRuntime(other).encode(torch.zeros(1, 3, 64, 64))
    folder = cache / "models" / f"{other.config.name}-{other.weights_hash}"
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("kind", [TorchRuntime, OpenVinoRuntime])
def test_fast_masks_are_those_of_exact(kind, photos):
    if kind is TorchRuntime and not has_bf16(torch.device("cpu")):
        pytest.skip("this CPU does not compute in bfloat16")
    nano = load_model("nano")
    box = [[90, 60, 330, 500]]
    masks = []
    for runtime in (TorchRuntime(nano), kind(nano, "fast")):
        predictor = SamPredictor(nano, runtime)
        predictor.set_image(photos / "astronaut.jpg")
        masks.append(predictor.predict(box=box[0], multimask_output=False)[0])
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.98


@pytest.mark.parametrize("kind", [OpenVinoRuntime, OnnxRuntime])
def test_int8_is_near_and_small(kind, cache):
    """The weights of linear layers take a quarter of their bytes; what the decoder says is as with "fast"."""
    config = replace(MODELS["test_tiny"].config, encoder=replace(MODELS["test_tiny"].config.encoder, width=64))
    vit = Sam(config).eval()
    fill_with_noise(vit)
    vit.weights_hash = weights_hash(vit)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    exact, small = kind(vit).encode(pixels).features, kind(vit, "int8").encode(pixels).features
    error = (exact - small).norm() / exact.norm()
    assert 1e-4 < error < 0.05
    folders = (cache / "models" / f"{config.name}-{vit.weights_hash}").glob(f"encoder*-{kind.name}-*")
    size = {folder.name.startswith("encoder-int8"): bytes_in(folder) for folder in folders if folder.is_dir()}
    assert size[True] < 0.7 * size[False]  # the positions stay as they are
    batch = padded(vit, prompts(vit, masks=True))
    fast = kind(vit, "fast").decode(ImageEmbedding(exact[:1]), batch)[0]
    assert torch.equal(kind(vit, "int8").decode(ImageEmbedding(exact[:1]), batch)[0], fast)


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_int8_is_for_vits_outside_of_torch(monkeypatch):
    light, vit = (Sam(MODELS[name].config).eval() for name in ("test_tiny_light", "test_tiny"))
    for runtime in ("openvino", "onnx", "auto"):
        with pytest.raises(ConfigError, match="int8: is for ViT encoders, which test_tiny_light has not"):
            open_runtime(light, runtime, "int8")
        assert open_runtime(vit, runtime, "int8").name == ("openvino" if runtime == "auto" else runtime)
    with pytest.raises(ConfigError, match="int8: PyTorch has none"):
        open_runtime(vit, "torch", "int8")
    monkeypatch.setattr("anymask.runtime.choose.find_spec", lambda name: None if name == "openvino" else name)
    assert open_runtime(vit, "auto", "int8").name == "onnx"
    monkeypatch.setattr("anymask.runtime.choose.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"anymask\[openvino\]"):
        open_runtime(vit, "auto", "int8")


def test_auto_follows_weights_that_may_change(sam):
    vit = isinstance(sam.config.encoder, ViTConfig)
    assert isinstance(open_runtime(sam), OpenVinoRuntime if vit else TorchRuntime)
    unhashed = Sam(sam.config)
    assert isinstance(open_runtime(unhashed), TorchRuntime)
    own = TorchRuntime(sam)
    assert SamPredictor(sam, own).runtime is own


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("tensorrt", "exact", "runtime 'tensorrt' is not known; expected one of auto, torch, openvino, onnx"),
        ("torch", "sloppy", "precision 'sloppy' is not known; expected one of exact, fast"),
    ],
)
def test_names_that_are_not_known(sam, name, precision, message):
    with pytest.raises(ConfigError, match=message):
        open_runtime(sam, name, precision)


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_a_library_that_is_not_installed(sam, monkeypatch, name):
    monkeypatch.setattr("anymask.runtime.choose.find_spec", lambda name: None)
    assert isinstance(open_runtime(sam), TorchRuntime)
    with pytest.raises(ConfigError, match=rf"pip install 'anymask\[{name}\]'"):
        open_runtime(sam, name)


@pytest.mark.parametrize(("free", "batch"), [(2**20, 1), (2 * 2**30, 10), (80 * 2**30, 256)])
def test_on_a_gpu_as_many_prompts_are_answered_as_its_memory_holds(monkeypatch, free, batch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    assert torch_runtime._fitting(torch.device("cuda", 0)) == batch
    assert torch_runtime._fitting(torch.device("cpu")) == torch_runtime.ON_CPU
