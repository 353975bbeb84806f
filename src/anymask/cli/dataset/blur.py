"""`anymask dataset blur`: faces and licence plates made unrecognisable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Writing, origin, tell

if TYPE_CHECKING:
    from ...dataset.detectors import Detector


def blur(
    data: Writing,
    faces: Annotated[bool, typer.Option(help="Look for faces, with scikit-image's cascade.")] = True,
    plates: Annotated[bool, typer.Option(help="Look for licence plates, which OpenCV 4 can.")] = True,
    detector: Annotated[
        Path | None,
        typer.Option(help="An ONNX file, exported as the YOLO family is, that finds what is to be blurred instead."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="What the detector finds; its classes' names if not given.")] = None,
    threshold: Annotated[float, typer.Option(help="Least score of what the detector finds.")] = 0.25,
    review: Annotated[
        Path | None,
        typer.Option(help="Write nothing but a page, this file, on which a person decides and saves decisions."),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show images in which nothing was found, too.")] = False,
    decisions: Annotated[
        Path | None, typer.Option(help="Blur what was decided there, instead of looking for anything.")
    ] = None,
) -> None:
    """Blur faces and licence plates, as was done to SA-1B; privacy.json beside the data says where.

    The cascades miss some, profiles above all, and take other things for faces: look at the result, or use --review.
    """
    from ...dataset.convert import convert
    from ...dataset.privacy import Blur, check_names, detect, read_decisions, write_decisions
    from ...dataset.privacy_page import write_review
    from ...dataset.sa1b import PRIVACY

    if data.place == "none":
        raise typer.BadParameter("--place none: would leave the images as they are; copy or link them")
    samples = data.open()
    if decisions is not None:
        found, how = read_decisions(decisions), f"decided in {decisions.name}"
        check_names(found, samples, decisions)
    else:
        chosen = _detectors(data, faces, plates, detector, kind, threshold)
        with data.progress("looking") as update:
            found = detect(samples, list(chosen.values()), data.problems, update)
        how = ", ".join(chosen)
    if review is not None:
        shown = write_review(review, samples, found, everything=show_all, problems=data.problems)
        print(f"open {review}: {shown} images; then --decisions with the file that it saves")
        data.end()
        return
    target, told, blurring = data.target, origin(data.data), Blur(found, complete=decisions is None)
    with data.progress("blurring") as update:
        written = convert(
            samples,
            data.out,
            target,
            change=blurring,
            problems=data.problems,
            origin=told,
            progress=update,
            beside=lambda folder: write_decisions(folder / PRIVACY, found, how),
        )
    if not data.as_json:
        print(f"blurred: {blurring.regions} regions")
    tell(data, {data.out: written})


def _detectors(
    data: Writing, faces: bool, plates: bool, file: Path | None, kind: str | None, threshold: float
) -> dict[str, Detector]:
    """What looks for regions, by what is told of it."""
    from ...dataset import detectors

    if file is not None:
        return {f"detector {file.name} at {threshold:g}": detectors.onnx_detector(file, kind, threshold)}
    chosen = {"scikit-image's cascade of faces": detectors.faces()} if faces else {}
    cascade = detectors.plates() if plates else None
    if cascade is not None:
        chosen["OpenCV's cascade of licence plates"] = cascade
    elif plates:
        data.console.print("licence plates are not looked for: this OpenCV has no cascade; give a --detector")
    if not chosen:
        raise typer.BadParameter("nothing to look for; allow --faces or --plates, or give a --detector")
    return chosen
