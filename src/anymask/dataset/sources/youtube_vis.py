"""YouTube-VIS's JSON, which OVIS has too: videos, and objects with a mask for each frame they are seen in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..sample import Record, Sample
from .coco import by_id, category_name, to_rle
from .records import check_image, inside, read_json, reading, upright_size

EXPECTED = "a YouTube-VIS JSON with the lists videos, annotations and categories"
PER_FRAME = {"segmentations": "segmentation", "bboxes": "bbox", "areas": "area", "occlusion": "occlusion"}
"""what an annotation lists for each frame, and its name there"""


def open_youtube_vis(path: str | Path, images: str | Path | None = None) -> list[Sample]:
    """A sample for each frame of each video, in order; `id` tells an object of the video.

    `images` is the folder that the videos' folders of frames are in; that of the JSON where it is None. Raises
    DataError where the JSON is none, an id repeats, or an annotation refers to a video or a category that is not
    there. A frame that is not on disk raises it when read.
    """
    path = Path(path)
    content = read_json(path, EXPECTED)
    keys = ("videos", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise DataError(f"{path}: is no such JSON; expected {EXPECTED}")
    videos = by_id(path, content["videos"], "video")
    categories = by_id(path, content["categories"], "category")
    frames = {number: _frames(f"{path}: video {number}", video) for number, video in videos.items()}
    for number, annotation in by_id(path, content["annotations"], "annotation").items():
        with reading(f"{path}: annotation {number}", EXPECTED):
            if annotation["video_id"] not in videos:
                raise DataError(f"has the video_id {annotation['video_id']!r}, which no video has")
            annotation["category"] = category_name(annotation["category_id"], categories)
            _divide(annotation, frames[annotation["video_id"]])
    folder = Path(images or path.parent)
    return [
        _sample(path, folder, videos[number], file, annotations)
        for number, listed in frames.items()
        for file, annotations in listed.items()
    ]


def _frames(where: str, video: Record) -> dict[str, list[Record]]:
    """The files of a video's frames, none with annotations yet."""
    files = video.get("file_names")
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise DataError(f"{where}: has no file_names; expected {EXPECTED}")
    if len(set(files)) < len(files):
        raise DataError(f"{where}: lists a file twice in file_names; remove one")
    return {file: [] for file in files}


def _divide(annotation: Record, frames: dict[str, list[Record]]) -> None:
    """Give each frame that shows the object an annotation of its own."""
    if len(annotation["segmentations"]) != len(frames):
        raise DataError(f"has {len(annotation['segmentations'])} segmentations, its video {len(frames)} frames")
    lists = {key: annotation.pop(key) for key in PER_FRAME if isinstance(annotation.get(key), list)}
    for index, listed in enumerate(frames.values()):
        if lists["segmentations"][index]:
            listed.append({**annotation, **{PER_FRAME[key]: values[index] for key, values in lists.items()}})


def _sample(path: Path, folder: Path, video: Record, file: str, annotations: list[Record]) -> Sample:
    where = f"{path}: video {video['id']}"
    place = inside(folder, file, where)
    name = Path(file).with_suffix("").as_posix()
    size = (video.get("height"), video.get("width"))
    return Sample(path, name, partial(_read, where, place, name, size, annotations), place)


def _read(where: str, path: Path, name: str, size: tuple[Any, Any], annotations: list[Record]) -> Record:
    check_image(where, path)
    height, width = size if None not in size else upright_size(path)
    masks = []
    for annotation in annotations:
        with reading(f"{where}, {path.name}: annotation {annotation['id']}", EXPECTED):
            masks.append({**annotation, "segmentation": to_rle(annotation["segmentation"], height, width)})
    image = {"image_id": name, "file_name": path.name, "width": width, "height": height}
    return {"image": image, "annotations": masks}
