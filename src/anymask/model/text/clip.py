"""CLIP as the paper uses it: its text tower for prompts, its image tower to train on (§3, appendix D.5)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...errors import CheckpointError, DownloadError, ModelError, PromptError
from .words import check_text

REPOSITORIES = {
    "clip_vit_l_14_336": "openai/clip-vit-large-patch14-336",
    "clip_vit_b_32": "openai/clip-vit-base-patch32",
    "clip_vit_b_16": "openai/clip-vit-base-patch16",
}
"""the CLIP models that go by name, and where they lie; the first is the paper's"""
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "*.safetensors", "*.bin")
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""of the RGB channels, of 1, as CLIP was trained (Radford et al. 2021)"""


class ClipTowers:
    """CLIP's two towers behind one interface: texts and crops of images become unit vectors of one space.

    Args:
        folder: holds the files of a CLIP model as `transformers` saves them, or is the name of one (REPOSITORIES)
            that `download_clip` has fetched.
        device: where it runs.

    Attributes:
        width: length of the vectors.
        size: side of the crops, in pixels.

    Raises ModelError where transformers is not installed, CheckpointError where the folder holds no CLIP.
    """

    def __init__(self, folder: str | Path, device: str | torch.device = "cpu") -> None:
        from ..weights import checked_device

        path = clip_folder(folder)
        self._model, self._tokenizer = _load(path)
        self._model.to(checked_device(str(device)))
        self.folder = path
        self.width: int = self._model.config.projection_dim
        self.size: int = self._model.config.vision_config.image_size
        self._patch: int = self._model.config.vision_config.patch_size
        self._longest: int = self._model.config.text_config.max_position_embeddings

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """N texts as unit vectors, N×D. Raises PromptError for what is no text, or is longer than CLIP reads."""
        checked = [check_text(text) for text in texts]
        tokens = self._tokenizer(checked)["input_ids"]
        for text, ids in zip(checked, tokens, strict=True):
            if len(ids) > self._longest:
                raise PromptError(f"text: {len(ids)} tokens, CLIP reads {self._longest}; shorten {text[:40]!r}")
        padded = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self._device)
        pooled = self._model.text_model(**padded).pooler_output
        return F.normalize(self._model.text_projection(pooled), dim=-1)

    @torch.no_grad()
    def crops(self, crops: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.bool_]] | None = None) -> Tensor:
        """N crops S×S×3 (RGB, square, of any side) as unit vectors, N×D.

        With masks, S×S each, the token that the vector is made of looks in the last layer at the patches of the mask
        alone, which keeps it to the object (appendix D.5).
        """
        pixels = torch.stack([self._pixels(crop) for crop in crops]).to(self._device)
        if masks is None:
            pooled = self._model.vision_model(pixels).pooler_output
        else:
            seen = torch.stack([self._seen(mask) for mask in masks]).to(self._device)
            last = self._model.vision_model.encoder.layers[-1]
            handle = last.register_forward_pre_hook(_restrict(seen), with_kwargs=True)
            try:
                pooled = self._model.vision_model(pixels).pooler_output
            finally:
                handle.remove()
        return F.normalize(self._model.visual_projection(pooled), dim=-1)

    @property
    def _device(self) -> torch.device:
        device: torch.device = self._model.device
        return device

    def _pixels(self, crop: NDArray[np.uint8]) -> Tensor:
        size = (self.size, self.size)
        shrinks = crop.shape[0] > self.size
        resized = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        scaled = (resized.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        return torch.from_numpy(scaled).permute(2, 0, 1)

    def _seen(self, mask: NDArray[np.bool_]) -> Tensor:
        """Which tokens, 1 + patches, the class token may look at: itself and the patches that a mask touches."""
        side = self.size // self._patch
        covered = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0
        if not covered.any():
            covered[:] = True  # a mask that is too thin to be seen
        return torch.from_numpy(np.concatenate([[True], covered.ravel()]))


def _restrict(seen: Tensor) -> Any:
    """A hook that lets the class token of a layer look at N×T tokens alone."""

    def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        hidden = args[0] if args else kwargs["hidden_states"]
        bias = hidden.new_zeros(len(hidden), 1, hidden.shape[1], hidden.shape[1])
        bias[:, 0, 0] = torch.where(seen, 0.0, torch.finfo(hidden.dtype).min)
        return args[:1], {**kwargs, "attention_mask": bias}

    return hook


def clip_folder(name: str | Path) -> Path:
    """The folder of a CLIP model: the given one, or that of a name. Raises CheckpointError where it is not there."""
    from ..weights import weights_folder

    known = str(name) in REPOSITORIES
    path = weights_folder() / str(name) if known else Path(name).expanduser()
    if not (path / "config.json").is_file():
        if known:
            raise CheckpointError(f"{path}: {name} is not there; fetch it with: anymask models download {name}")
        raise CheckpointError(
            f"{path}: holds no CLIP (no config.json); expected a folder that transformers saved, or one of "
            f"{', '.join(REPOSITORIES)}"
        )
    return path


def clip_width(folder: str | Path) -> int:
    """Length of a CLIP's vectors, from its config. Raises CheckpointError where there is none."""
    path = clip_folder(folder) / "config.json"
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["projection_dim"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: tells no projection_dim ({error}); expected the config of a CLIP") from None


def download_clip(name: str) -> Path:
    """Fetch a CLIP model by its name from the Hugging Face hub (`HF_ENDPOINT`), and give its folder.

    A download that was cut goes on. Raises ModelError where huggingface_hub is not installed, DownloadError where the
    hub does not answer.
    """
    from ..weights import weights_folder

    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise ModelError("CLIP's download needs huggingface_hub; pip install 'anymask[clip]'") from None
    folder = weights_folder() / name
    try:
        HfApi(endpoint=os.environ.get("HF_ENDPOINT")).snapshot_download(
            REPOSITORIES[name], local_dir=folder, allow_patterns=list(FILES)
        )
    except (HfHubHTTPError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DownloadError(
            f"{name}: cannot be fetched from {REPOSITORIES[name]} ({reason}); put its files into {folder} by hand"
        ) from None
    return clip_folder(name)


def _load(path: Path) -> tuple[Any, Any]:
    try:
        from transformers import CLIPModel, CLIPTokenizer
    except ImportError:
        raise ModelError("CLIP needs transformers; pip install 'anymask[clip]'") from None
    from safetensors import SafetensorError

    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict) or config.get("model_type") != "clip":
            raise CheckpointError(f"{path}: is no CLIP; expected model_type clip in config.json")
        model = CLIPModel.from_pretrained(path, local_files_only=True)
        tokenizer = CLIPTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path}: is no whole CLIP ({reason}); fetch its files again") from None
    model.eval().requires_grad_(False)  # type: ignore[no-untyped-call]
    return model, tokenizer
