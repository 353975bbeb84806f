"""Labelled images for PyTorch's DataLoader and for the `datasets` library, from the same readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from ..errors import ConfigError
from ..task import rle
from ..task.boxes import xywh_to_xyxy
from .problems import Problems
from .sample import Sample
from .streaming import stream

Item = dict[str, Any]
Transform = Callable[[Item], Any]


def to_item(sample: Sample) -> Item:
    """A sample as tensors.

    Gives `name`; `image` 3×H×W uint8; `masks` N×H×W bool; `boxes` N×4 float32, x0, y0, x1, y1 around them, in pixels;
    `ids`, `categories` and `crowd`, lists of N. Raises DataError or ImageError for what is wrong with it.
    """
    annotations = sample.record["annotations"]
    sample.check_masks()
    height, width = sample.size
    masks = rle.decode_all([annotation["segmentation"] for annotation in annotations], (height, width))
    boxes = np.array([rle.box(annotation["segmentation"]) for annotation in annotations], np.float32).reshape(-1, 4)
    return {
        "name": sample.name,
        "image": torch.from_numpy(np.array(sample.image())).permute(2, 0, 1),
        "masks": torch.from_numpy(masks),
        "boxes": torch.from_numpy(xywh_to_xyxy(boxes)),
        "ids": [annotation.get("id") for annotation in annotations],
        "categories": [annotation.get("category") for annotation in annotations],
        "crowd": [bool(annotation.get("iscrowd")) for annotation in annotations],
    }


class MaskDataset(Dataset[Any]):
    """Samples of any source by their place, for a DataLoader.

    Args:
        samples: as `open_data` gives them.
        transform: what becomes of each item, see `to_item`.
    """

    def __init__(self, samples: Sequence[Sample], transform: Transform | None = None) -> None:
        self._samples = samples
        self._transform = transform

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        sample = self._samples[index]
        item = to_item(sample)
        sample.forget()
        return self._transform(item) if self._transform else item


class StreamDataset(IterableDataset[Any]):
    """Samples of shards one after another, see `stream`; a DataLoader's workers share the shards.

    Args:
        shards: URLs or paths.
        transform: what becomes of each item, see `to_item`.
        keep_going: pass over what is wrong.
    """

    def __init__(
        self, shards: str | Sequence[str], transform: Transform | None = None, keep_going: bool = False
    ) -> None:
        self._shards = shards
        self._transform = transform
        self._keep_going = keep_going

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        part = (worker.id, worker.num_workers) if worker else (0, 1)
        problems = Problems(self._keep_going)
        for sample in stream(self._shards, part=part, problems=problems):
            with problems.noted():
                item = to_item(sample)
                yield self._transform(item) if self._transform else item


def loader(data: MaskDataset | StreamDataset, batch_size: int = 1, **options: Any) -> DataLoader[Any]:
    """A DataLoader whose batches are lists, for images and numbers of masks differ; options are the DataLoader's."""
    return DataLoader(data, batch_size, collate_fn=list, **options)


def to_datasets(samples: Sequence[Sample], streaming: bool = False) -> Any:
    """Samples as a `datasets.Dataset`, or with `streaming` as an `IterableDataset`, which makes rows as they are read.

    A row has `name`, `image` (decoded by `datasets` when it is looked at), `width`, `height`, and `objects`, a list
    with `id`, `category`, `iscrowd`, `area`, `bbox` (x, y, width, height) and `segmentation` (COCO RLE). Raises
    ConfigError where the library is missing.
    """
    try:
        import datasets
    except ImportError:
        raise ConfigError("datasets: the library is missing; pip install 'anymask[huggingface]'") from None
    whole, number, text = (datasets.Value(kind) for kind in ("int64", "float64", "string"))
    one = {
        "id": text,
        "category": text,
        "iscrowd": datasets.Value("bool"),
        "area": whole,
        "bbox": datasets.List(number, length=4),
        "segmentation": {"size": datasets.List(whole, length=2), "counts": text},
    }
    features = datasets.Features(
        {"name": text, "image": datasets.Image(), "width": whole, "height": whole, "objects": datasets.List(one)}
    )
    stamps = [sample.stamp() for sample in samples]  # by which the library knows what it has made already
    arguments = {"generator": _rows, "gen_kwargs": {"samples": samples, "stamps": stamps}, "features": features}
    return (datasets.IterableDataset if streaming else datasets.Dataset).from_generator(**arguments)


def _rows(samples: Sequence[Sample], stamps: Sequence[Any]) -> Iterator[Item]:
    for sample in samples:
        sample.check_masks()
        height, width = sample.size
        image = {"bytes": sample.image_bytes(), "path": sample.image_path.name}
        objects = [_row(annotation) for annotation in sample.record["annotations"]]
        yield {"name": sample.name, "image": image, "width": width, "height": height, "objects": objects}
        sample.forget()


def _row(annotation: Item) -> Item:
    mask = annotation["segmentation"]
    mask = mask if isinstance(mask["counts"], str) else rle.encode(rle.decode(mask))
    category = annotation.get("category")
    return {
        "id": str(annotation.get("id")),
        "category": None if category is None else str(category),
        "iscrowd": bool(annotation.get("iscrowd")),
        "area": rle.area(mask),
        "bbox": rle.box(mask),
        "segmentation": mask,
    }
