"""Weights files: Meta's .pth, Hugging Face's and our own safetensors, read strictly into a model."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..files import replacing
from ..settings import read_toml
from .config import SamConfig, ViTConfig
from .sam import Sam

CONFIG_KEY = "anymask.config"
CARD_KEY = "anymask.card"
LINES_SHOWN = 6
"""lines of each kind in the difference of a file that does not fit"""

State = dict[str, Tensor]


def build_model(config: SamConfig, checkpoint: str | Path | None = None) -> Sam:
    """Build a model in evaluation mode, with random weights or those of a file.

    Raises CheckpointError where the file is no checkpoint or does not fit.
    """
    sam = Sam(config)
    if checkpoint is not None:
        load_weights(sam, Path(checkpoint))
    return sam.eval()


def open_model(path: str | Path) -> Sam:
    """Build the model that a file holds: its config is in the file, or its size is told from the weights.

    Raises CheckpointError where the file is no checkpoint of a known architecture.
    """
    path = Path(path)
    state, metadata = read_weights(path)
    if CONFIG_KEY in metadata:
        try:
            config = SamConfig.from_dict(read_record(metadata, CONFIG_KEY, path))
        except (ConfigError, ArithmeticError) as error:
            raise CheckpointError(f"{path}: {error}") from error
    else:
        config = detect_config(state, path)
    sam = Sam(config)
    _fill(sam, state, path)
    return sam.eval()


def load_weights(sam: Sam, path: Path) -> None:
    """Fill a model from a file. Raises CheckpointError with the difference where it does not fit."""
    state, _ = read_weights(path)
    _fill(sam, state, path)


def save_model(sam: Sam, path: str | Path, card: dict[str, Any] | None = None, half: bool = False) -> None:
    """Write the weights as safetensors with config and card in the metadata; `half` stores them in float16.

    Raises OutputError where the file cannot be written.
    """
    save_weights(sam, {CONFIG_KEY: sam.config.to_dict(), CARD_KEY: card or {}}, path, half)


def save_weights(module: nn.Module, about: dict[str, Any], path: str | Path, half: bool = False) -> None:
    """Write a module's weights as safetensors with JSON records in the metadata, by key. Raises OutputError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    kind = torch.float16 if half else torch.float32
    state = {name: value.detach().cpu().to(kind).contiguous() for name, value in module.state_dict().items()}
    metadata = {**{key: json.dumps(record) for key, record in about.items()}, "format": "pt"}
    with replacing(path) as temporary:
        try:
            save_file(state, temporary, metadata)
        except SafetensorError as error:  # what a full disk is told as
            raise OSError(str(error)) from error


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of one of our files: data, licence, recipe, scores; empty where it has none.

    What a TOML file of the same name beside it says counts before the weights' own metadata, so that scores can be
    added without writing the weights anew. Raises CheckpointError where the file is no safetensors file, and
    ConfigError where the one beside it is no TOML.
    """
    path = Path(path)
    _, metadata = _read_safetensors(path, tensors=False)
    card = read_record(metadata, CARD_KEY, path) if CARD_KEY in metadata else {}
    beside = path.with_suffix(".toml")
    return {**card, **read_toml(beside)} if beside.is_file() else card


def weights_hash(module: nn.Module) -> str:
    """Sixteen hexadecimal digits of a SHA-256 over all weights, the same whatever file they come from."""
    state = sorted(module.state_dict().items())
    with ThreadPoolExecutor() as pool:  # hashing lets go of the GIL: a ViT-H takes a fraction of a second
        digests = pool.map(_hash_tensor, (value for _, value in state))
        lines = [f"{name} {digest}\n" for (name, _), digest in zip(state, digests, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _hash_tensor(value: Tensor) -> str:
    content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    return f"{tuple(value.shape)} {value.dtype} {hashlib.sha256(content.data).hexdigest()}"


def read_weights(path: Path) -> tuple[State, dict[str, str]]:
    """The tensors of a file under Meta's key names, and its metadata. Raises CheckpointError for other files."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected weights (.pth or .safetensors)")
    if path.suffix == ".safetensors":
        state, metadata = _read_safetensors(path)
    else:
        state, metadata = _read_pth(path), {}
    if any(key.startswith("vision_encoder.") for key in state):
        state = _from_hugging_face(state)
    return state, metadata


def detect_config(state: State, path: Path) -> SamConfig:
    """The registry's ViT whose width and depth a state dict has. Raises CheckpointError where none has."""
    from .registry import MODELS

    positions = state.get("image_encoder.pos_embed")
    if positions is not None and positions.ndim == 4:
        blocks = (re.match(r"image_encoder\.blocks\.(\d+)\.", key) for key in state)
        width, depth = positions.shape[-1], len({block[1] for block in blocks if block})
        for entry in MODELS.values():
            encoder = entry.config.encoder
            if isinstance(encoder, ViTConfig) and (encoder.width, encoder.depth) == (width, depth):
                return entry.config
        raise CheckpointError(f"{path}: a ViT of width {width} and depth {depth} is not among the known models")
    raise CheckpointError(f"{path}: holds no SAM weights (image_encoder.pos_embed is missing)")


def _read_safetensors(path: Path, tensors: bool = True) -> tuple[State, dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
            return state, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error}); fetch or save it again") from None


def read_record(metadata: dict[str, str], key: str, path: Path) -> dict[str, Any]:
    """A JSON object of a file's metadata. Raises CheckpointError where it is none."""
    try:
        record = json.loads(metadata[key])
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise CheckpointError(f"{path}: {key} in its metadata is damaged; expected a JSON object")
    return record


def _read_pth(path: Path) -> State:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: not a checkpoint, or one that holds more than tensors and could run code; "
            "expected a .pth with a state dict alone"
        ) from None
    except Exception as error:  # there is nothing that reading a damaged pickle may not raise
        reason = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise CheckpointError(f"{path}: not a checkpoint, or damaged ({reason}); fetch or save it again") from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    items = state.items() if isinstance(state, dict) else ()
    if not items or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in items):
        raise CheckpointError(f"{path}: holds no state dict; expected names with a tensor each")
    return dict(items)


def _fill(sam: Sam, state: State, path: Path) -> None:
    fill(sam, state, path, sam.config.name, lambda: _remedy(sam.config, state, path))
    sam.weights_hash = weights_hash(sam)


def fill(module: nn.Module, state: State, path: Path, name: str, remedy: Callable[[], str]) -> None:
    """Load strictly. Raises CheckpointError, with what is missing, unexpected or of another shape, and a remedy."""
    expected = module.state_dict()
    difference = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": [
            f"{key}: {_shape(state[key])} in the file, {_shape(value)} in the model"
            for key, value in expected.items()
            if key in state and state[key].shape != value.shape
        ],
    }
    if any(difference.values()):
        counts = ", ".join(f"{len(items)} {title}" for title, items in difference.items())
        lines = [f"{path}: does not fit {name} (weights: {counts}); {remedy()}"]
        for title, items in difference.items():
            groups = _grouped(items)
            lines += [f"  {title}: {group}" for group in groups[:LINES_SHOWN]]
            if len(groups) > LINES_SHOWN:
                lines.append(f"  {title}: and {len(groups) - LINES_SHOWN} more like these")
        raise CheckpointError("\n".join(lines))
    module.load_state_dict(state)


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "a number"


def _grouped(items: Iterable[str]) -> list[str]:
    """Items that differ by the number of a layer alone as one, so that all blocks of an encoder take a line."""
    groups: dict[str, list[str]] = {}
    for item in items:
        groups.setdefault(re.sub(r"(?<=\.)\d+(?=\.)", "*", item), []).append(item)
    return [group[0] if len(group) == 1 else f"{pattern} ({len(group)} times)" for pattern, group in groups.items()]


def _remedy(config: SamConfig, state: State, path: Path) -> str:
    """What to do about weights that do not fit."""
    try:
        detected = detect_config(state, path).name
    except CheckpointError:
        detected = config.name
    if detected == config.name:
        return f"give a file with the weights of {config.name}"
    return f"by their sizes they are those of {detected}: ask for that model"


POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"

_HUGGING_FACE = [
    (r"^vision_encoder\.patch_embed\.projection", "image_encoder.patch_embed.proj"),
    (r"^vision_encoder\.layers", "image_encoder.blocks"),
    (r"^vision_encoder\.neck\.conv1", "image_encoder.neck.0"),
    (r"^vision_encoder\.neck\.layer_norm1", "image_encoder.neck.1"),
    (r"^vision_encoder\.neck\.conv2", "image_encoder.neck.2"),
    (r"^vision_encoder\.neck\.layer_norm2", "image_encoder.neck.3"),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^shared_image_embedding\.positional_embedding", POSITIONS),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding", POSITIONS),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1", "prompt_encoder.mask_downscaling.0"),
    (r"^prompt_encoder\.mask_embed\.layer_norm1", "prompt_encoder.mask_downscaling.1"),
    (r"^prompt_encoder\.mask_embed\.conv2", "prompt_encoder.mask_downscaling.3"),
    (r"^prompt_encoder\.mask_embed\.layer_norm2", "prompt_encoder.mask_downscaling.4"),
    (r"^prompt_encoder\.mask_embed\.conv3", "prompt_encoder.mask_downscaling.6"),
    (r"^mask_decoder\.upscale_conv1", "mask_decoder.output_upscaling.0"),
    (r"^mask_decoder\.upscale_layer_norm", "mask_decoder.output_upscaling.1"),
    (r"^mask_decoder\.upscale_conv2", "mask_decoder.output_upscaling.3"),
    (r"layer_norm_final_attn", "norm_final_attn"),
    (r"\.layer_norm(\d)", r".norm\1"),
    (r"\.proj_in\.", ".layers.0."),
    (r"\.proj_out\.", ".layers.2."),
]


def _from_hugging_face(state: State) -> State:
    """Rename the keys of `transformers.SamModel` to Meta's; of its two names for the positional matrix one will do."""
    renamed = {}
    for key, value in state.items():
        if re.search(r"(hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.0\.", key):
            key = key.replace(".layers.0.", ".layers.1.")
        else:
            for pattern, name in _HUGGING_FACE:
                key = re.sub(pattern, name, key)
        renamed[key] = value
    return renamed
