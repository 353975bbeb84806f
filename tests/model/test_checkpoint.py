"""Weights files of every kind load strictly, and what does not fit or is damaged is told readably."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import fill_with_noise, hugging_face_sam
from safetensors.torch import save_file
from torch import Tensor, nn

from anymask.errors import CheckpointError, ConfigError, OutputError
from anymask.model.checkpoint import (
    CARD_KEY,
    CONFIG_KEY,
    build_model,
    detect_config,
    load_weights,
    open_model,
    read_card,
    read_weights,
    save_model,
)
from anymask.model.config import SamConfig, ViTConfig
from anymask.model.registry import MODELS, Entry, sam_model_registry
from anymask.model.sam import Sam
from anymask.task.prompts import PromptBatch

TOY, LIGHT = MODELS["test_tiny"].config, MODELS["test_tiny_light"].config
WIDER = SamConfig("toy_wider", ViTConfig(width=24, depth=3, heads=2, global_blocks=(1,), size=64, window=3), dim=16)


def noisy(config: SamConfig, seed: int = 0) -> Sam:
    """A model none of whose weights are left at zero or one."""
    sam = Sam(config)
    fill_with_noise(sam, seed)
    return sam.eval()


@torch.no_grad()
def outputs(sam: Sam) -> Tensor:
    """Logits and predicted IoU of two objects in a random image, as one vector."""
    generator = torch.Generator().manual_seed(1)
    size = sam.config.encoder.size
    coords = torch.rand(1, 2, 3, 2, generator=generator) * size
    labels = torch.tensor([[1, 0, -1], [2, 3, 1]])[None]
    masks = torch.randn(1, 2, 1, sam.config.mask_size, sam.config.mask_size, generator=generator)
    embedding = sam.encode(torch.randn(1, 3, size, size, generator=generator))
    logits, iou = sam.decode_all(embedding, PromptBatch(coords, labels, masks=masks))
    return torch.cat([logits.flatten(), iou.flatten()])


def assert_same_outputs(one: Sam, other: Sam) -> None:
    assert torch.equal(outputs(one), outputs(other))


def error_of(use: Callable[[], Any]) -> str:
    with pytest.raises(CheckpointError) as error:
        use()
    return str(error.value)


@pytest.fixture
def wider(monkeypatch: pytest.MonkeyPatch) -> SamConfig:
    """A second size of ViT in the registry."""
    monkeypatch.setitem(MODELS, WIDER.name, Entry(WIDER, "a wider toy", "Apache-2.0"))
    return WIDER


# .pth


@pytest.mark.parametrize(
    "wrap", [lambda state: state, lambda state: {"model": state, "epoch": 3}], ids=["bare", "model"]
)
def test_pth_round_trip(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    made, path = noisy(TOY), tmp_path / "sam.pth"
    torch.save(wrap(made.state_dict()), path)
    filled = Sam(TOY)
    load_weights(filled, path)
    for sam in (filled, build_model(TOY, path), open_model(path), sam_model_registry["test_tiny"](checkpoint=path)):
        assert_same_outputs(sam, made)
    assert not open_model(path).training
    assert (outputs(made) - outputs(noisy(TOY, seed=1))).abs().max() > 0.1  # what the test can tell apart


def test_the_size_is_told_from_the_weights(tmp_path: Path, wider: SamConfig) -> None:
    for config in (TOY, wider):
        torch.save(Sam(config).state_dict(), tmp_path / "sam.pth")
        assert open_model(tmp_path / "sam.pth").config == config


def test_the_released_sizes_are_told_from_the_weights() -> None:
    for name in ("vit_b", "vit_l", "vit_h"):
        with torch.device("meta"):
            state = Sam(MODELS[name].config).state_dict()
        assert detect_config(state, Path("sam.pth")).name == name


def test_an_unknown_size_is_told(tmp_path: Path) -> None:
    torch.save(Sam(WIDER).state_dict(), tmp_path / "sam.pth")
    assert error_of(lambda: open_model(tmp_path / "sam.pth")) == (
        f"{tmp_path / 'sam.pth'}: a ViT of width 24 and depth 3 is not among the known models"
    )


@pytest.mark.parametrize("key", ["encoder.weight", "image_encoder.pos_embed", "image_encoder.blocks."])
def test_weights_of_another_kind_are_told(tmp_path: Path, key: str) -> None:
    torch.save({key: torch.zeros(3)}, tmp_path / "other.pth")
    assert "holds no SAM weights" in error_of(lambda: open_model(tmp_path / "other.pth"))


# the difference


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """The toy's state with keys set or, at None, left out; in their names __ stands for a dot."""
    state: dict[str, Any] = {**Sam(TOY).state_dict(), **{key.replace("__", "."): new for key, new in changes.items()}}
    return {key: value for key, value in state.items() if value is not None}


def test_the_difference_lists_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "sam.pth"
    torch.save(
        changed(
            mask_decoder__iou_token__weight=None,
            text_encoder__weight=torch.zeros(1),
            image_encoder__blocks__0__norm1__bias=torch.zeros(7),
            image_encoder__blocks__1__norm1__bias=torch.zeros(7),
            image_encoder__neck__0__weight=torch.tensor(0.0),
        ),
        path,
    )
    assert error_of(lambda: build_model(TOY, path)).splitlines() == [
        f"{path}: does not fit test_tiny (weights: 1 missing, 1 unexpected, 3 of another shape); "
        "give a file with the weights of test_tiny",
        "  missing: mask_decoder.iou_token.weight",
        "  unexpected: text_encoder.weight",
        "  of another shape: image_encoder.blocks.*.norm1.bias: 7 in the file, 16 in the model (2 times)",
        "  of another shape: image_encoder.neck.0.weight: a number in the file, 16×16×1×1 in the model",
    ]


def test_a_long_difference_is_cut_and_names_the_likely_model(tmp_path: Path, wider: SamConfig) -> None:
    path = tmp_path / "sam.pth"
    torch.save(Sam(wider).state_dict(), path)
    first, *rest = error_of(lambda: build_model(TOY, path)).splitlines()
    assert first.endswith("by their sizes they are those of toy_wider: ask for that model")
    assert "0 missing" in first
    assert "  unexpected: image_encoder.blocks.2.norm1.weight" in rest
    assert sum("more like these" in line for line in rest) == 2
    assert len(rest) == 14


def test_a_model_that_did_not_load_is_as_before(tmp_path: Path) -> None:
    torch.save(changed(mask_decoder__iou_token__weight=None), tmp_path / "sam.pth")
    sam = noisy(TOY)
    before = outputs(sam)
    error_of(lambda: load_weights(sam, tmp_path / "sam.pth"))
    assert torch.equal(outputs(sam), before)


# files that are no checkpoints


class Trap:
    """A pickle of it makes a file when it is read carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # the trap works
    sprung.unlink()
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    torch.save({"model": Sam(TOY).state_dict(), "args": Trap(sprung)}, tmp_path / "inside.pth")
    for name in ("bare.pth", "inside.pth"):
        text = error_of(lambda name=name: open_model(tmp_path / name))
        assert text.startswith(f"{tmp_path / name}: not a checkpoint, or one that holds more than tensors")
        assert not sprung.exists()


def _cut(path: Path, save: Callable[[Path], None]) -> None:
    save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGED: dict[str, Callable[[Path], Any]] = {
    "text.pth": lambda path: path.write_text("<html>sign in first</html>\n"),
    "pointer.pth": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"),
    "bytes.pth": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "empty.pth": lambda path: path.touch(),
    "cut.pth": lambda path: _cut(path, lambda file: torch.save(Sam(TOY).state_dict(), file)),
    "list.pth": lambda path: torch.save([torch.zeros(1)], path),
    "tensor.pth": lambda path: torch.save(torch.zeros(1), path),
    "nothing.pth": lambda path: torch.save({}, path),
    "numbers.pth": lambda path: torch.save({"epoch": 3}, path),
    "keys.pth": lambda path: torch.save({1: torch.zeros(1)}, path),
    "text.safetensors": lambda path: path.write_text("<html>sign in first</html>\n"),
    "empty.safetensors": lambda path: path.touch(),
    "cut.safetensors": lambda path: _cut(path, lambda file: save_model(Sam(TOY), file)),
    "folder.pth": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_told_in_a_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    DAMAGED[name](path)
    for use in (lambda: open_model(path), lambda: build_model(TOY, path)):
        text = error_of(use)
        assert text.startswith(f"{path}: ")
        assert "\n" not in text
        assert "expected" in text or "fetch or save it again" in text


@pytest.mark.parametrize("length", range(1, 60, 7))
def test_random_bytes_are_no_checkpoint(tmp_path: Path, length: int) -> None:
    """A pickle's reader fails on them in many ways."""
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        content = bytes(torch.randint(0, 256, (length,), generator=generator).tolist())
        (tmp_path / "random.pth").write_bytes(b"\x80\x02" + content)
        error_of(lambda: read_weights(tmp_path / "random.pth"))


# safetensors


@pytest.mark.parametrize("config", [TOY, LIGHT], ids=lambda config: config.name)
def test_our_own_files_hold_all_that_a_model_is(tmp_path: Path, config: SamConfig) -> None:
    config = replace(config, name="mine", pixel_mean=(1.0, 2.0, 3.0))
    made, path = noisy(config), tmp_path / "sam.safetensors"
    card = {"licence": "Apache-2.0", "data": ["a", "b"], "scores": {"iou at 1 click": 0.7}, "author": "Zoë"}
    save_model(made, path, card)
    opened = open_model(path)
    assert opened.config == config
    assert read_card(path) == card
    assert_same_outputs(opened, made)


def test_a_card_beside_the_weights_counts_before_their_own(tmp_path: Path) -> None:
    path = tmp_path / "sam.safetensors"
    save_model(noisy(TOY), path, {"licence": "CC0", "scores": {"old": 0.1}})
    path.with_suffix(".toml").write_text("[scores]\nnew = 0.2\n")
    assert read_card(path) == {"licence": "CC0", "scores": {"new": 0.2}}
    path.with_suffix(".toml").write_text("[scores")
    with pytest.raises(ConfigError, match=r"sam\.toml: not TOML"):
        read_card(path)


def test_half_precision_takes_half_the_room_and_loads_as_float32(tmp_path: Path) -> None:
    made = noisy(LIGHT)
    save_model(made, tmp_path / "whole.safetensors")
    save_model(made, tmp_path / "half.safetensors", half=True)
    state, _ = read_weights(tmp_path / "half.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float16}
    whole, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half"))
    numbers = sum(value.numel() for value in state.values())
    assert abs(whole - half - 2 * numbers) < 1000  # the headers differ a little
    opened = open_model(tmp_path / "half.safetensors")
    for name, value in made.state_dict().items():
        assert torch.equal(opened.state_dict()[name], value.half().float())
    assert (outputs(opened) - outputs(made)).abs().mean() < 0.01 * outputs(made).std()


def test_safetensors_without_our_metadata_are_known_by_their_weights(tmp_path: Path) -> None:
    made = noisy(TOY)
    save_file(made.state_dict(), tmp_path / "sam.safetensors")
    opened = open_model(tmp_path / "sam.safetensors")
    assert opened.config == TOY
    assert_same_outputs(opened, made)
    assert read_card(tmp_path / "sam.safetensors") == {}


@pytest.mark.parametrize("config", ["{", "[]", "{}", '{"name": "x", "encoder": {"kind": "none"}}', '"vit_b"'])
def test_a_config_that_is_none_is_told(tmp_path: Path, config: str) -> None:
    path = tmp_path / "sam.safetensors"
    save_file(Sam(TOY).state_dict(), path, {CONFIG_KEY: config})
    text = error_of(lambda: open_model(path))
    assert text.startswith(f"{path}: ")
    assert "config" in text


@pytest.mark.parametrize("card", ["{", "[1]", "3"])
def test_a_card_that_is_none_is_told(tmp_path: Path, card: str) -> None:
    path = tmp_path / "sam.safetensors"
    save_file(Sam(TOY).state_dict(), path, {CARD_KEY: card, CONFIG_KEY: json.dumps(TOY.to_dict())})
    assert error_of(lambda: read_card(path)).startswith(f"{path}: {CARD_KEY} in its metadata is damaged")
    assert open_model(path).config == TOY


def test_the_card_of_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    torch.save(Sam(TOY).state_dict(), tmp_path / "sam.pth")
    assert "not a safetensors file" in error_of(lambda: read_card(tmp_path / "sam.pth"))


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written") as error:
            save_model(Sam(TOY), tmp_path / "sam.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value).count("sam.safetensors") == 1
    assert not list(tmp_path.iterdir())


# Hugging Face


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Hugging Face's model at toy size, with noise for weights.

    Its two-way transformer norms with another epsilon than Meta's; with the same one the outputs are close enough to
    show a single wrong key.
    """
    sam = hugging_face_sam(TOY)
    for part in sam.mask_decoder.transformer.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-5
    return sam


SHARED = "shared_image_embedding.positional_embedding"
TIED = "prompt_encoder.shared_embedding.positional_embedding"


@pytest.mark.parametrize("dropped", [None, SHARED, TIED])
def test_hugging_face_files_give_their_logits(tmp_path: Path, theirs: Any, dropped: str | None) -> None:
    """The positional matrix has two names, of which a file may hold either or both."""
    state = theirs.state_dict()
    assert {SHARED, TIED} <= state.keys()
    torch.save({key: value for key, value in state.items() if key != dropped}, tmp_path / "pytorch_model.bin")
    ours = open_model(tmp_path / "pytorch_model.bin")
    assert ours.config == TOY

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 3, 64, 64, generator=generator)
    coords = torch.rand(1, 1, 3, 2, generator=generator) * 64
    labels = torch.tensor([[[1, 0, -1]]])
    boxes = torch.tensor([[[5.0, 9.0, 40.0, 60.0]]])
    masks = torch.randn(1, 1, 16, 16, generator=generator)
    with torch.no_grad():
        expected = theirs(
            pixel_values=pixels, input_points=coords, input_labels=labels, input_boxes=boxes, input_masks=masks
        )
        points = torch.cat([coords, boxes.unflatten(-1, (2, 2))], dim=2)
        batch = PromptBatch(points, torch.tensor([[[1, 0, -1, 2, 3]]]), masks=masks[:, None])
        logits, iou = ours.decode(ours.encode(pixels), batch)
    assert expected.pred_masks.abs().max() > 0.1
    assert torch.allclose(logits, expected.pred_masks, atol=1e-5)
    assert torch.allclose(iou, expected.iou_scores, atol=1e-5)


def test_a_hugging_face_file_with_a_key_too_few_is_refused(tmp_path: Path, theirs: Any) -> None:
    state = {key: value for key, value in theirs.state_dict().items() if key not in (SHARED, TIED)}
    torch.save(state, tmp_path / "pytorch_model.bin")
    text = error_of(lambda: open_model(tmp_path / "pytorch_model.bin"))
    assert "missing: prompt_encoder.pe_layer.positional_encoding_gaussian_matrix" in text


# the hash


def test_the_hash_names_the_weights_and_not_the_file(tmp_path: Path) -> None:
    made = noisy(TOY)
    torch.save(made.state_dict(), tmp_path / "sam.pth")
    torch.save({"model": dict(reversed(made.state_dict().items()))}, tmp_path / "wrapped.pth")
    save_model(made, tmp_path / "sam.safetensors", {"licence": "none"})
    hashes = {open_model(tmp_path / name).weights_hash for name in ("sam.pth", "wrapped.pth", "sam.safetensors")}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 16


def test_the_hash_tells_one_changed_weight(tmp_path: Path) -> None:
    made, hashes = noisy(TOY), set()
    for _ in range(2):
        torch.save(made.state_dict(), tmp_path / "sam.pth")
        hashes.add(open_model(tmp_path / "sam.pth").weights_hash)
        with torch.no_grad():
            made.mask_decoder.transformer.layers[0].mlp.lin1.weight[3, 2] *= 1 + 1e-6
    assert len(hashes) == 2


def test_the_hash_is_in_embeddings_and_gone_in_training(tmp_path: Path) -> None:
    torch.save(noisy(TOY).state_dict(), tmp_path / "sam.pth")
    sam = open_model(tmp_path / "sam.pth")
    assert sam.encode(torch.zeros(1, 3, 64, 64)).weights == sam.weights_hash != ""
    sam.train().eval()
    assert sam.weights_hash == ""
