"""An image's embedding as bytes, the form in which a browser gets it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError
from ..model.mask_decoder import in_blocks, out_of_blocks
from ..model.sam import ImageEmbedding, Sam
from ..runtime.graphs import fine_shapes
from ..task.frame import ImageFrame

STORED = np.dtype("<f2")
"""float16, little endian"""


def embedding_layout(sam: Sam) -> list[dict[str, Any]]:
    """Name and shape of the tensors of an image's embedding, in the order in which they are packed.

    The finer features are in the order in which the decoder reads them, 1×K×k²×C (see `in_blocks`), so that it need
    not be made for each prompt.
    """
    grid = sam.config.grid
    layout = [{"name": "features", "shape": [1, sam.config.dim, grid, grid]}]
    for i, (channels, height, _) in enumerate(fine_shapes(sam)):
        layout.append({"name": f"fine{i}", "shape": [1, grid**2, (height // grid) ** 2, channels]})
    return layout


def pack_embedding(embedding: ImageEmbedding) -> bytes:
    """The embedding of one image: the tensors of `embedding_layout` one after another, float16, little endian."""
    grid = (embedding.features.shape[-2], embedding.features.shape[-1])
    tensors = [embedding.features, *(in_blocks(fine, grid) for fine in embedding.fine)]
    return b"".join(tensor.cpu().numpy().astype(STORED).tobytes() for tensor in tensors)


def unpack_embedding(data: bytes, sam: Sam, frame: ImageFrame) -> ImageEmbedding:
    """The embedding that was packed, of an image in this frame. Raises ModelError for bytes of another length."""
    shapes = [tuple(tensor["shape"]) for tensor in embedding_layout(sam)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if len(data) != sum(sizes) * STORED.itemsize:
        raise ModelError(
            f"embedding of {len(data)} bytes; one of {sam.config.name} has {sum(sizes) * STORED.itemsize}, make it anew"
        )
    parts = np.split(np.frombuffer(data, STORED).astype(np.float32), np.cumsum(sizes)[:-1])
    features, *blocks = (torch.from_numpy(part.reshape(shape)) for part, shape in zip(parts, shapes, strict=True))
    fine: list[Tensor] = [out_of_blocks(part, (sam.config.grid, sam.config.grid)) for part in blocks]
    return ImageEmbedding(features, tuple(fine), (frame,), sam.config.name, sam.weights_hash)
