"""One way to open labelled images in any of the formats, which tells them by name or by content."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .problems import Problems
from .sa1b import json_files, open_folder
from .sample import Sample
from .shards import is_pattern, open_shards
from .sources.bsds import open_bsds
from .sources.cityscapes import open_cityscapes
from .sources.coco import open_coco
from .sources.coco_panoptic import open_coco_panoptic
from .sources.cvat import open_cvat
from .sources.instance_png import open_instance_png
from .sources.labelme import open_labelme
from .sources.lvis import open_lvis
from .sources.mat import open_mat
from .sources.object_png import open_object_png
from .sources.records import read_json
from .sources.sa1b_boundaries import open_sa1b_boundaries
from .sources.semantic_png import open_semantic_png
from .sources.via import open_via
from .sources.visor import open_visor
from .sources.voc import open_voc
from .sources.woodscape import open_woodscape
from .sources.yolo import open_yolo
from .sources.youtube_vis import open_youtube_vis

PROBLEMS = "problems"
"""the argument of those that can leave out what is wrong"""


@dataclass(frozen=True)
class Format:
    """A format on disk: what its path is, and what opens it."""

    path: str
    open: Callable[..., Sequence[Sample]]

    @property
    def options(self) -> list[str]:
        """Names of all that may be told besides the path, `images` among them where they may lie elsewhere."""
        return [name for name in list(inspect.signature(self.open).parameters)[1:] if name != PROBLEMS]

    @property
    def takes_problems(self) -> bool:
        """Whether it can leave out records that are wrong and go on."""
        return PROBLEMS in inspect.signature(self.open).parameters


FORMATS: dict[str, Format] = {
    "sa1b": Format("a folder of images, each with SA-1B's record", open_folder),
    "shards": Format("a tar of images, each with SA-1B's record, a folder or a pattern of such tars", open_shards),
    "coco": Format("a JSON of COCO's instances", open_coco),
    "lvis": Format("an LVIS JSON", open_lvis),
    "coco_panoptic": Format("a JSON of COCO's panoptic segmentation", open_coco_panoptic),
    "youtube_vis": Format("a JSON of YouTube-VIS or OVIS", open_youtube_vis),
    "instance_png": Format("a folder of PNGs whose values are objects", open_instance_png),
    "semantic_png": Format("a folder of PNGs whose values are classes", open_semantic_png),
    "object_png": Format("a folder with a PNG an object", open_object_png),
    "via": Format("a JSON of VGG Image Annotator", open_via),
    "labelme": Format("a folder of LabelMe's JSONs", open_labelme),
    "cvat": Format("CVAT's XML for images", open_cvat),
    "voc": Format("a folder in Pascal VOC's layout", open_voc),
    "cityscapes": Format("a folder of Cityscapes' polygons", open_cityscapes),
    "mat": Format("a folder of .mat files, each with a map of ids", open_mat),
    "bsds": Format("a folder of BSDS500's groundTruth", open_bsds),
    "sa1b_boundaries": Format("a folder of SA-1B's records, each beside a PNG of boundaries", open_sa1b_boundaries),
    "visor": Format("a folder of VISOR's JSONs", open_visor),
    "woodscape": Format("a folder of WoodScape's JSONs of instances", open_woodscape),
    "yolo": Format("a data.yaml, or a folder of images/ and YOLO's labels/ for segmentation", open_yolo),
}


def open_data(
    path: str | Path,
    format: str = "auto",
    images: str | Path | None = None,
    problems: Problems | None = None,
    **options: Any,
) -> Sequence[Sample]:
    """The samples of labelled images in any format.

    Args:
        path: the file or folder of the labels, or a pattern of tars.
        format: one of FORMATS; `auto` tells SA-1B, its shards, YOLO, LabelMe, VISOR, WoodScape and any JSON from
            their content, for which a JSON is read twice.
        images: the folder of the images, where they do not lie with the labels.
        problems: takes what is wrong with shards and with COCO's records, so that the rest is read.
        options: what else the loader of the format takes.

    Raises DataError for a format or an option that is not known, for data whose format cannot be told, and whatever
    the loader raises.
    """
    path = Path(path)
    if format == "auto":
        format = recognise(path)
    if format not in FORMATS:
        raise DataError(f"format {format!r}: is not known; expected auto or one of {', '.join(FORMATS)}")
    chosen = FORMATS[format]
    if images is not None:
        options["images"] = images
    for name in options:
        if name not in chosen.options:
            taken = f"takes {', '.join(chosen.options)}" if chosen.options else "takes none"
            raise DataError(f"{name}: is no option of the format {format}, which {taken}")
    if format == "mat" and "key" not in options:
        raise DataError("option key: is needed by the format mat; name the variable that holds the map")
    if chosen.takes_problems:
        options[PROBLEMS] = problems
    return chosen.open(path, **options)


def recognise(path: Path) -> str:
    """The format of a file, a folder or a pattern; DataError with all formats where it cannot be told."""
    found = None
    if path.is_dir():
        found = _of_folder(path)
    elif is_pattern(path) or path.name.endswith((".tar", ".tar.gz", ".tgz")):
        found = "shards"
    elif not path.exists():
        raise DataError(f"{path}: no such file or folder; expected labelled images")
    elif path.suffix.lower() in (".yaml", ".yml"):
        found = "yolo"
    elif path.suffix.lower() == ".xml":
        found = "cvat"
    elif path.suffix.lower() == ".json":
        found = _of_content(read_json(path, "labelled images"))
        if found in ("sa1b", "woodscape"):
            raise DataError(f"{path}: is the record of a single image; name the folder, {path.parent}")
    if found is None:
        known = "; ".join(f"{name}: {one.path}" for name, one in FORMATS.items())
        raise DataError(f"{path}: its format cannot be told; name it as format ({known})")
    return found


def _of_folder(path: Path) -> str | None:
    """The format of a folder, by its first JSON that can be read, or by what else lies in it."""
    first, content = _first_json(json_files(path))
    found = _of_content(content)
    if found == "sa1b" and first and _has_boundaries(first, content):
        return "sa1b_boundaries"
    if found in ("sa1b", "labelme", "visor", "woodscape"):
        return found
    if next(path.glob("*.tar"), None):
        return "shards"
    if (path / "SegmentationObject").is_dir():
        return "voc"
    labels = (path / "labels", path / "train" / "labels")
    if (path / "data.yaml").is_file() or any(next(place.rglob("*.txt"), None) for place in labels):
        return "yolo"
    return "cityscapes" if next(path.rglob("*_polygons.json"), None) else None


def _first_json(files: Sequence[Path]) -> tuple[Path | None, Any]:
    """The first of some files that can be read as JSON, and its content; DataError where there are files, but none."""
    for file in files:
        try:
            return file, read_json(file, "labelled images")
        except DataError:
            if file == files[-1]:
                raise
    return None, None


def _has_boundaries(record: Path, content: Any) -> bool:
    """Whether a PNG that is not the image lies beside an SA-1B record."""
    beside = record.with_suffix(".png")
    return beside.exists() and content["image"].get("file_name") != beside.name


def _of_content(content: Any) -> str | None:
    """The format of a JSON's content."""
    if not isinstance(content, dict):
        return None
    keys = content.keys()
    if isinstance(content.get("images"), list) and isinstance(content.get("annotations"), list):
        return _of_coco(content)
    for format, needed in (
        ("youtube_vis", {"videos", "annotations", "categories"}),
        ("sa1b", {"image", "annotations"}),
        ("labelme", {"shapes", "imagePath"}),
        ("visor", {"video_annotations"}),
        ("via", {"_via_img_metadata"}),
    ):
        if needed <= keys:
            return format
    entry = next(iter(content.values()), None)
    if isinstance(entry, dict) and {"filename", "regions"} <= entry.keys():
        return "via"
    return "woodscape" if isinstance(entry, dict) and {"annotation", "image_width"} <= entry.keys() else None


def _of_coco(content: dict[str, Any]) -> str:
    annotation = next(iter(content["annotations"]), None)
    if isinstance(annotation, dict) and "segments_info" in annotation:
        return "coco_panoptic"
    category = next(iter(content.get("categories") or []), None)
    return "lvis" if isinstance(category, dict) and "frequency" in category else "coco"
