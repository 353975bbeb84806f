"""`anymask dataset validate`: every defect, and the data without them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..everything import SOME_FAILED
from .options import Workers, Writing, origin, processes


def validate(
    data: Writing,
    fix: Annotated[bool, typer.Option("--fix", help="Write the data without its defects into -o.")] = False,
    workers: Workers = None,
) -> None:
    """Find every defect of a data set: images that cannot be read, masks that do not fit, ids that repeat.

    One line each, with the file and the record; the exit code is 3 where there are any. What is found does not stop it.
    """
    from ...dataset.convert import convert
    from ...dataset.validate import Mend, validate

    data.problems.keep_going = True
    samples = data.open()
    defects, losses = list(data.problems.found), {}
    if fix:
        mend, target, told = Mend(), data.target, origin(data.data)
        with data.progress() as update:
            written = convert(
                samples, data.out, target, change=mend, problems=data.problems, origin=told, progress=update
            )
        defects = mend.defects + data.problems.found
        losses = dict(written.losses)
    else:
        with data.progress() as update:
            for found in validate(samples, processes(workers), update):
                defects += found.defects
    if data.as_json:
        print(json.dumps({"images": len(samples), "defects": defects, "losses": losses}))
    else:
        for defect in defects:
            print(defect)
        for loss, times in losses.items():
            print(f"lost: {loss}, {times}")
        mended = f"; without them, {written.images} images: {data.out}" if fix else ""
        print(f"{len(samples)} images, {len(defects)} defects{mended}")
    if defects:
        raise typer.Exit(SOME_FAILED)
