"""Embeddings on disk, so that an image that was embedded before is not embedded again."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import ConfigError, OutputError
from ..files import replacing
from ..model.sam import ImageEmbedding
from ..runtime.interface import Runtime
from ..runtime.kept import cache_folder

LIMIT = 2 << 30
"""bytes on disk"""


class EmbeddingCache:
    """Embeddings in float16, a file each, the one that was unused for longest going first where they get too many.

    What an embedding is of is part of its name: the pixels, the model's weights and how it takes pixels in, and the
    runtime. Several processes may share a folder.

    Args:
        folder: by default "embeddings" in the folder for what can be made again (`ANYMASK_CACHE`).
        limit: bytes that the files may take together.

    Raises ConfigError for a limit below 1.
    """

    def __init__(self, folder: str | Path | None = None, limit: int = LIMIT) -> None:
        if limit < 1:
            raise ConfigError(f"limit: expected at least 1 byte, got {limit}")
        self.folder = Path(folder) if folder else cache_folder() / "embeddings"
        self.limit = limit

    def embed(self, pixels: NDArray[np.uint8], runtime: Runtime) -> ImageEmbedding:
        """The embedding of an H×W×3 image with its frame, from disk, or made and put there.

        It has passed through float16 either way, so that the answers are the same the first time and later.
        """
        path = self.folder / f"{self._key(pixels, runtime)}.safetensors"
        frame = runtime.sam.frame(*pixels.shape[:2])
        tensors = _read(path)
        if tensors is None:
            embedding = runtime.embed(pixels)
            names = ["features", *(f"fine{i}" for i in range(len(embedding.fine)))]
            found = [embedding.features, *embedding.fine]
            tensors = {name: each.half().cpu().contiguous() for name, each in zip(names, found, strict=True)}
            self._write(path, tensors)
        features, *fine = (tensors[name].float().to(runtime.sam.device) for name in sorted(tensors, key=_order))
        config = runtime.sam.config
        return ImageEmbedding(features, tuple(fine), (frame,), config.name, runtime.sam.weights_hash)

    def _key(self, pixels: NDArray[np.uint8], runtime: Runtime) -> str:
        config = replace(runtime.sam.config, name="")
        digest = hashlib.sha256(f"{pixels.shape} {runtime.weights} {config} {runtime}".encode())
        digest.update(np.ascontiguousarray(pixels).tobytes())
        return digest.hexdigest()[:40]

    def _write(self, path: Path, tensors: dict[str, torch.Tensor]) -> None:
        """Keep an embedding, and drop old ones; a disk that cannot be written costs the cache and nothing else."""
        try:
            with replacing(path) as temporary:
                save_file(tensors, temporary)
            self._sweep()
        except (OutputError, OSError, SafetensorError):
            return

    def _sweep(self) -> None:
        """Remove the files that were unused for longest, until all fit the limit; another process may do the same."""
        files = []
        for path in self.folder.glob("*.safetensors"):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            files.append((found.st_mtime_ns, found.st_size, path))
        left = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if left <= self.limit:
                break
            path.unlink(missing_ok=True)
            left -= size


def _read(path: Path) -> dict[str, torch.Tensor] | None:
    """The tensors of a file, which counts as used now; None where there is none, or none that can be read."""
    try:
        tensors: dict[str, Any] = load_file(path)
        path.touch()
    except (OSError, SafetensorError):
        return None
    return tensors


def _order(name: str) -> tuple[bool, str]:
    return name != "features", name
