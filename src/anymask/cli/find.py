"""`anymask find`: the masks in a folder of photos that are like one that is shown."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from ..errors import DataError, ImageError, OutputError, PromptError
from ..runtime.names import RuntimeName
from .models import load
from .progress import bars
from .segment import numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..dataset.sample import Sample
    from ..predict.similar import Described, Describer, Match


def find(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Photos to look through, subfolders too.", show_default=False)
    ],
    like: Annotated[
        Path | None,
        typer.Option(
            help="A cut-out (NAME_cutout.png), or a black and white mask of the photo of --in.", show_default=False
        ),
    ] = None,
    photo: Annotated[Path | None, typer.Option("--in", help="The photo that holds the example.")] = None,
    box: Annotated[
        str, typer.Option(metavar="X0,Y0,X1,Y1", help="A box around the example in the photo of --in.")
    ] = "",
    best: Annotated[int, typer.Option(min=1, help="Masks to give, the best first.")] = 50,
    threshold: Annotated[float, typer.Option(min=-1, max=1, help="Least likeness, the cosine between both.")] = 0.6,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the pages and matches.json.")] = Path(
        "found"
    ),
    preset: Annotated[
        Literal["objects", "parts", "dense", "fast"], typer.Option(help="How many masks of each photo are looked at.")
    ] = "objects",
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    text_model: Annotated[
        str, typer.Option(help="What describes masks: a detector's name or its weights file.")
    ] = "nano_text",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the model; auto takes the fastest.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the matches as JSON.")] = False,
) -> None:
    """Find what looks like an example in a folder of photos.

    Writes pages that show the best (index.html) and matches.json. The masks of each photo are kept in the cache
    (ANYMASK_CACHE), so that the next search in the same folder is quick, and one that is cut goes on.
    """
    example = _example(like, photo, box)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is there and not empty; name another folder with -o, or remove it")
    from ..dataset.sources.image_folder import open_images
    from ..predict.automask.presets import preset_generator
    from ..predict.similar import Describer, predict_similar

    samples = open_images(folder)
    generator = preset_generator(load(model, device), preset, output_mode="coco_rle", runtime=runtime)
    describer = Describer(generator, text_model)
    mask, shown = describer.example(*example)
    own = next((s.name for s in samples if photo is not None and s.image_path.resolve() == photo.resolve()), None)
    failed: list[str] = []
    described = _described(folder, samples, describer, preset, failed)
    found = predict_similar(shown, described, threshold, best, None if own is None else (own, mask))
    console = Console(stderr=True, highlight=False, markup=False)
    for line in failed:
        console.print(f"left out: {line}", soft_wrap=True)
    _write(found, samples, out, like or photo)
    _report(found, out, as_json)


def _example(like: Path | None, photo: Path | None, box: str) -> tuple[Any, Any, Any]:
    """Image, mask and box of the example."""
    import numpy as np
    from PIL import Image

    from ..task.image import read_image

    if box:
        if like is not None or photo is None:
            raise typer.BadParameter(
                "--box says where the example is in a photo: give it with --in PHOTO, without --like"
            )
        return read_image(photo), None, numbers("--box", box, 4)
    if like is None:
        raise typer.BadParameter(
            "nothing to look for: give --like CUTOUT.png, --like MASK.png --in PHOTO, or --box and --in"
        )
    if photo is not None:
        return read_image(photo), read_image(like).max(axis=2) > 127, None
    read_image(like)  # which says what is wrong with it
    with Image.open(like) as picture:
        if "A" not in picture.getbands():
            raise PromptError(
                f"{like}: has no transparency, so what in it is the example? Add --in PHOTO, whose mask it is"
            )
        return read_image(like), np.asarray(picture.getchannel("A")) > 127, None


def _described(
    folder: Path, samples: Sequence[Sample], describer: Describer, preset: str, failed: list[str]
) -> Iterator[tuple[str, Described]]:
    """The name of each photo and what its masks show, from the cache as far as they are in it."""
    from ..journal import Journal
    from ..model.checkpoint import weights_hash
    from ..runtime.kept import cache_folder

    model = describer.generator.predictor.model
    settings = {
        "model": model.weights_hash,
        "text": weights_hash(describer.finder.detector),
        "preset": [preset, describer.generator.options, describer.generator.predictor.runtime.precision],
        "folder": str(folder.resolve()),
    }
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    with (
        Journal(cache_folder() / "described" / f"{key}.jsonl", settings) as kept,
        bars(Console(stderr=True, highlight=False, markup=False)) as progress,
    ):
        bar = progress.add_task("photos", total=len(samples))
        for sample in samples:
            try:
                content = hashlib.sha256(sample.image_bytes()).hexdigest()
                if content not in kept.done:
                    kept.write(content, [_row(describer.describe(sample.image()))])
                yield sample.name, _unrow(kept.done[content][0], describer.finder.detector.config.word_width)
            except (ImageError, DataError) as error:
                failed.append(str(error))
            progress.advance(bar)


def _row(described: Described) -> dict[str, Any]:
    shown = base64.b64encode(described.descriptors.astype("<f2").tobytes()).decode("ascii")
    return {"masks": described.records, "shows": shown}


def _unrow(row: dict[str, Any], width: int) -> Described:
    import numpy as np

    from ..predict.similar import Described

    shown: NDArray[np.float32] = np.frombuffer(base64.b64decode(row["shows"]), "<f2").astype(np.float32)
    return Described(row["masks"], shown.reshape(len(row["masks"]), width))


def _write(found: Sequence[Match], samples: Sequence[Sample], out: Path, example: Path | None) -> None:
    """The pages, a picture each photo in the order of its best match, and the matches."""
    from ..dataset.contact_sheet import write_sheet
    from ..files import write_json

    by_name = {sample.name: sample for sample in samples}
    matched: dict[str, list[dict[str, Any]]] = {}
    for i, match in enumerate(found, 1):
        matched.setdefault(match.image, []).append({**match.record, "id": i, "likeness": round(match.score, 4)})
    shown = [by_name[name].with_annotations(masks) for name, masks in matched.items()]
    write_sheet(shown, out, f"Like {example.name if example else 'the example'}")
    write_json(out / "matches.json", [_match(match, by_name) for match in found])


def _match(match: Match, by_name: dict[str, Sample]) -> dict[str, Any]:
    where = str(by_name[match.image].image_path)
    return {"image": where, "likeness": round(match.score, 4), **match.record}


def _report(found: Sequence[Match], out: Path, as_json: bool) -> None:
    if as_json:
        content = [{"image": m.image, "likeness": round(m.score, 4), "bbox": m.record["bbox"]} for m in found]
        json.dump(content, sys.stdout, indent=2)
        print()
        return
    console = Console(highlight=False, markup=False)
    if not found:
        console.print(
            f"nothing alike was found; a lower --threshold takes what is less alike. Page: {out / 'index.html'}"
        )
        return
    for match in found[:10]:
        x, y, w, h = match.record["bbox"]
        console.print(f"{match.score:.2f}  {match.image}  at {x:.0f},{y:.0f} of {w:.0f}×{h:.0f}", soft_wrap=True)
    console.print(
        f"{len(found)} matches on {len({m.image for m in found})} photos: {out / 'index.html'}", soft_wrap=True
    )
