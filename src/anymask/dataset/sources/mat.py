"""MATLAB files with a map of ids each, and a folder of images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ..sample import Record, Sample
from .label_map import Labels
from .pairs import Pair, Pairing
from .records import check_size


def open_mat(
    path: str | Path,
    images: str | Path | None = None,
    *,
    key: str,
    mask_ending: str = ".mat",
    image_ending: str = "",
    ignored: Sequence[int] = (0,),
    names: Mapping[int, str] | None = None,
    components: bool = False,
    min_area: int = 1,
) -> list[Sample]:
    """The samples of a folder of .mat files and a folder of images, which may be the same, or have like subfolders.

    `key` is the variable that holds the map, H×W; parts of a struct follow after dots, such as GTinst.Segmentation.
    With `components` the ids are classes, and every connected part is an object. The rest is said in `Pairing` and
    `Labels`. Raises DataError where a file has no image; a file without the variable raises it when read.
    """
    pairs = Pairing(mask_ending, image_ending).pairs(Path(path), Path(images or path))
    labels = Labels(ignored, (), names or {}, components, min_area)
    return [Sample(pair.mask, pair.name, partial(_read, pair, key, labels), pair.image) for pair in pairs]


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a .mat file, structs as objects. Raises DataError for one that SciPy cannot read."""
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content: dict[str, Any] = loadmat(path, struct_as_record=False, squeeze_me=True)
    except NotImplementedError:
        raise DataError(f"{path}: is of MATLAB 7.3; convert it in MATLAB with load and then save(…, '-v7')") from None
    except Exception as error:  # SciPy raises nearly anything on damaged data
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read as a MATLAB file ({reason}); get a whole copy") from None
    return content


def _read(pair: Pair, key: str, labels: Labels) -> Record:
    value: Any = read_mat(pair.mask)
    for part in key.split("."):
        held = value if isinstance(value, dict) else vars(value) if hasattr(value, "_fieldnames") else {}
        if part not in held:
            found = ", ".join(name for name in held if not name.startswith("_")) or "nothing"
            raise DataError(f"{pair.mask}: has no {part!r} of {key!r}, but {found}; name the variable with key")
        value = held[part]
    ids = np.asarray(value)
    if ids.ndim != 2 or ids.dtype.kind not in "buif" or (ids != np.floor(ids)).any():
        raise DataError(f"{pair.mask}: {key!r} is no H×W map of whole numbers")
    height, width = check_size(pair.mask, ids.shape, pair.image)
    image = {"image_id": pair.name, "file_name": pair.image.name, "width": width, "height": height}
    return {"image": image, "annotations": labels.annotations(ids.astype(np.int64))}
