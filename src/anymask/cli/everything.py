"""`anymask everything`: all masks of a photo, or of a folder of photos."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from ..errors import ImageError, OutputError
from ..runtime.names import Precision, RuntimeName
from .models import load
from .progress import bars, updating

SOME_FAILED = 3
"""exit code where some files of a folder failed"""


def everything(
    source: Annotated[Path, typer.Argument(metavar="IMAGE|DIR", help="A photo, or a folder of photos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("masks"),
    preset: Annotated[
        Literal["objects", "parts", "dense", "fast"],
        typer.Option(
            help="objects: 16×16 points; parts: 32×32; dense: 32×32 and four zoomed-in crops; fast: 16×16 but for "
            "points on what was found four times, in bfloat16 where the chip computes in it."
        ),
    ] = "objects",
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the model; auto takes the fastest.")] = "auto",
    precision: Annotated[
        Precision | None,
        typer.Option(help="fast computes in bfloat16, where the chip does; by default as the preset has it."),
    ] = None,
    cutouts: Annotated[bool, typer.Option(help="Also a cut-out with alpha of each mask, in NAME_cutouts.")] = False,
    again: Annotated[bool, typer.Option(help="Do photos anew that were done with the same settings.")] = False,
    labels: Annotated[
        str, typer.Option(metavar="NAMES", help='Name the masks, in English: "car,tree,person". Others stay unnamed.')
    ] = "",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Least score of a name: how likely a mask is such a thing.")
    ] = 0.5,
    text_model: Annotated[str, typer.Option(help="A text detector's name or its weights file.")] = "nano_text",
    tile: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="For large images: side of the tiles, in pixels, that are done one by one and whose masks are joined "
            "across the seams. Up to 4,294,967,295 pixels; a .npy file (H×W×3 uint8) is never read as a whole.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, a line an image.")] = False,
) -> None:
    """Find all masks of a photo, or of every photo of a folder.

    Writes NAME_overlay.jpg, NAME_labels.png and NAME.json (SA-1B) for each, with --tile a smaller overlay and no
    labels. A run over a folder goes on where it stopped, one with --tile within the image; a file that fails is
    reported at the end, and the exit code is then 3.
    """
    photos = _photos(source, arrays=tile is not None)
    if source.is_dir() and out.resolve() == source.resolve():
        raise typer.BadParameter(f"-o {out}: results would lie among the photos; name another folder")
    if labels and tile is not None:
        raise typer.BadParameter("--labels looks at a photo as a whole, --tile at parts of it: give one of both")
    from ..files import make_folder
    from ..predict.automask.presets import preset_generator
    from ..predict.folder import AHEAD, work_through
    from .everything_jobs import Job, Namer, TiledJob

    namer = Namer(labels.split(","), threshold, text_model, device) if labels else None
    sam = load(model, device)
    given = {} if precision is None else {"precision": precision}
    generator = preset_generator(sam, preset, output_mode="coco_rle", runtime=runtime, **given)
    options = (generator, make_folder(out), preset, cutouts, again)
    job = Job(*options, namer=namer) if tile is None else TiledJob(*options, tile=tile)
    if tile is not None:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # --tile says that the image is meant to be large
    failed: list[str] = []
    console = Console(stderr=True, highlight=False, markup=False)
    with bars(console) as progress:
        files = progress.add_task("photos", total=len(photos), visible=len(photos) > 1)
        job.update = updating(progress, progress.add_task("points" if tile is None else "tiles", total=None))
        ahead = AHEAD if tile is None else 0  # large images are in memory one at a time
        for (photo, _), outcome in work_through(photos.items(), job.read, job.work, job.write, ahead):
            if isinstance(outcome, Exception):
                if source.is_file() or isinstance(outcome, OutputError):
                    raise outcome
                failed.append(str(outcome) or f"{photo}: not enough memory")
            else:
                _report(outcome, as_json)
            progress.advance(files)
    for line in failed:
        console.print(f"failed: {line}", soft_wrap=True)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _photos(source: Path, arrays: bool) -> dict[Path, str]:
    """The photos to do, each with the stem of its results; the whole name where two photos share a stem."""
    from ..dataset.sa1b import IMAGE_SUFFIXES

    if not source.exists():
        raise ImageError(f"{source}: no such file or folder; check the path")
    if not source.is_dir():
        if source.suffix.lower() == ".npy" and not arrays:
            raise ImageError(f"{source}: is an array, which is done in tiles; add --tile 1024")
        return {source: source.stem}
    suffixes = (*IMAGE_SUFFIXES, ".npy") if arrays else IMAGE_SUFFIXES
    try:
        photos = sorted(p for p in source.iterdir() if p.suffix.lower() in suffixes and p.is_file())
    except OSError as error:
        raise ImageError(f"{source}: cannot be read ({error.strerror}); check its permissions") from None
    if not photos:
        raise ImageError(f"{source}: holds no photos; expected files such as {', '.join(suffixes)}")
    stems = [photo.stem for photo in photos]
    return {photo: photo.name if stems.count(photo.stem) > 1 else photo.stem for photo in photos}


def _report(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        json.dump(summary, sys.stdout)
        print(flush=True)
    else:
        note = " (done before; --again does it anew)" if summary["done_before"] else ""
        count = f"{summary['masks']} mask{'' if summary['masks'] == 1 else 's'}"
        if "names" in summary:
            named = ", ".join(f"{number} {name}" for name, number in summary["names"].items())
            count += f" ({named or 'none named'})"
        Console(highlight=False, markup=False).print(
            f"{summary['image']}: {count}, {summary['files']['overlay']}{note}", soft_wrap=True
        )
