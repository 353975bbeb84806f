"""The verbs that make a data set of others: convert, merge, split, sample, filter and dedup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .options import Writing, origin, tell


def convert(data: Writing) -> None:
    """Write labelled images in another format; what that cannot hold is counted.

    The new folder is there as a whole or not at all, with a data card in it.
    """
    data.write(data.open())


def merge(
    data: Writing,
    others: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="More data, read in the same way.", show_default=False)
    ],
) -> None:
    """Make one data set of several. Images of one name get that of their data before it."""
    from ...dataset.convert import convert
    from ...dataset.merge import OwnIds, merged

    target, paths = data.target, [data.data, *others]
    samples = merged({path: data.open(path) for path in paths})
    with data.progress() as update:
        found = convert(
            samples,
            data.out,
            target,
            change=OwnIds(),
            problems=data.problems,
            origin=origin(*paths),
            progress=update,
        )
    tell(data, {data.out: found})


def split(
    data: Writing,
    parts: Annotated[str, typer.Option(help="Parts and their shares of the images.")] = "train=0.8,val=0.2",
    seed: Annotated[int, typer.Option(help="For another choice of images.")] = 0,
    group: Annotated[
        str,
        typer.Option(
            metavar="REGEX", help="Images whose names have the same text there stay together: '^(.*)_' for frames."
        ),
    ] = "",
    near: Annotated[
        int | None,
        typer.Option(help="Images that look alike stay together, too: their hashes differ in so many bits at most."),
    ] = None,
) -> None:
    """Divide a data set into folders that share no image, not even under another name."""
    from ...dataset.convert import fill
    from ...dataset.split import categories_of, split
    from ...files import new_folder

    shares, target, samples = _shares(parts), data.target, data.open()
    told, target = origin(data.data), replace(target, categories=categories_of(samples))
    with data.progress("comparing") as update:
        chosen = split(samples, shares, seed=seed, group=group, near=near, problems=data.problems, progress=update)
    written = {}
    with new_folder(data.out) as folder:
        for part, mine in chosen.items():
            if not mine:
                raise typer.BadParameter(f"--parts: {part} would be empty, for there are {len(samples)} images")
            with data.progress(part) as update:
                written[data.out / part] = fill(mine, folder / part, target, None, data.problems, told, update)
    tell(data, written)


def sample(
    data: Writing,
    count: Annotated[int, typer.Option("--count", "-n", help="How many images.")] = 100,
    seed: Annotated[int, typer.Option(help="For another choice of images.")] = 0,
) -> None:
    """Take so many images by chance."""
    from ...dataset.selection import choose

    data.write(choose(data.open(), count, seed))


def filter(
    data: Writing,
    category: Annotated[
        list[str] | None, typer.Option(help="Keep masks of such a category; may hold * and be given again.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave out masks of such a category.")] = None,
    min_area: Annotated[float, typer.Option(help="Pixels; below 1, share of the image.")] = 0,
    max_area: Annotated[float, typer.Option(help="Pixels; up to 1, share of the image.", show_default=False)] = float(
        "inf"
    ),
    min_iou: Annotated[float | None, typer.Option(help="Least predicted IoU.")] = None,
    min_stability: Annotated[float | None, typer.Option(help="Least stability score.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Keep images so named; may hold *.")] = None,
    min_masks: Annotated[int, typer.Option(help="Least masks that an image has left.")] = 1,
    max_masks: Annotated[int | None, typer.Option(help="Most masks that an image has left.")] = None,
) -> None:
    """Keep the masks and the images that are as asked for."""
    from ...dataset.selection import Filter

    chosen = Filter(
        tuple(category or ()),
        tuple(without or ()),
        min_area,
        max_area,
        min_iou,
        min_stability,
        tuple(name or ()),
        min_masks,
        max_masks,
    )
    data.write(data.open(), chosen)


def dedup(
    data: Writing,
    mask_iou: Annotated[
        float, typer.Option(min=0.01, max=1, help="Of masks of a category that overlap so far one stays.")
    ] = 0.9,
    image_bits: Annotated[
        int,
        typer.Option(min=0, max=20, help="Of images whose 64-bit hashes differ in so many bits at most one stays."),
    ] = 4,
    masks: Annotated[bool, typer.Option(help="Whether to look for masks.")] = True,
    images_too: Annotated[bool, typer.Option("--alike/--no-alike", help="Whether to look for images.")] = True,
) -> None:
    """Leave out masks that cover what another covers, and images that look like an earlier one."""
    from ...dataset.similar import Unique

    samples = data.open()
    with data.progress("comparing") as update:
        unique = Unique(samples, mask_iou if masks else None, image_bits if images_too else None, data.problems, update)
    for copy, first in unique.copies.items():
        data.console.print(f"{copy}: looks like {first}", soft_wrap=True)
    data.write(samples, unique)


def _shares(parts: str) -> dict[str, float]:
    """What --parts means."""
    shares = {}
    for part in parts.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise typer.BadParameter(f"--parts {parts}: expected names and shares, such as train=.8,val=.2") from None
        if Path(name.strip()).name != name.strip() or name.strip() in ("", ".", ".."):
            raise typer.BadParameter(f"--parts {parts}: {name!r} is no name of a folder")
    return shares
