"""The verbs that judge masks: quality and agreement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import Reading, Workers, processes


def quality(
    data: Reading,
    least_iou: Annotated[float, typer.Option(help="Least predicted IoU.")] = 0.88,
    least_stability: Annotated[float, typer.Option(help="Least stability score.")] = 0.95,
    region: Annotated[int, typer.Option(min=1, help="Parts and holes under so many pixels are stray.")] = 100,
    worst: Annotated[int, typer.Option(min=0, help="How many of the poorest masks to list.")] = 20,
    workers: Workers = None,
) -> None:
    """Tell how good masks are without a truth: their scores, stray parts and holes, and which are the poorest."""
    from ...dataset.quality import COUNTED, Limits, assess

    limits = Limits(least_iou, least_stability, region)
    with data.progress() as update:
        found = assess(
            data.open(), limits, keep=worst, workers=processes(workers), problems=data.problems, progress=update
        )
    summary = found.summary()
    if data.as_json:
        print(json.dumps(summary))
    else:
        print(f"{data.data}: {found.images:,} images, {found.masks:,} masks")
        for name, score in summary["scores"].items():
            share = score["below_limit"] / score["masks"]
            mean, least = score["mean"], score["least"]
            print(f"{name}: mean {mean:.3f}, least {least:.3f}, {share:.1%} under {getattr(limits, name):g}")
        for name in COUNTED:
            print(f"{name.replace('_', ' ')}: {summary[name]:,} ({summary[name] / max(found.masks, 1):.1%})")
        for poor in summary["poorest"]:
            reasons = ", ".join(reason.replace("_", " ") for reason in poor["misses"])
            print(f"poor: {poor['image']}, mask {poor['id']}: {reasons}")
    data.end()


def agreement(
    data: Reading,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="The same images with other masks.")],
    match: Annotated[
        Literal["id", "best"],
        typer.Option(help="Whether masks of one id are a pair, or those that overlap most."),
    ] = "id",
) -> None:
    """Compare two sets of masks of the same images, such as automatic ones and what people made of them.

    In the paper 94 % of SA-1B's automatic masks have an IoU of over .90 with the corrected ones, and 97 % of over .75.
    """
    from ...dataset.agreement import PAPER, agree

    with data.progress() as update:
        found = agree(data.open(), data.open(other), match, problems=data.problems, progress=update)
    summary = found.summary()
    if data.as_json:
        print(json.dumps(summary))
    else:
        print(f"{found.images:,} images, {len(found.ious):,} pairs")
        if found.ious:
            print(f"mean IoU: {summary['mean_iou']:.3f}")
            for level, published in PAPER.items():
                print(f"IoU over {level:.2f}: {found.over(level):.1%} (SA-1B {published:.0%})")
        print(f"masks without a partner: {found.alone[0]} and {found.alone[1]}")
        if any(found.missing):
            print(f"images that the other lacks: {found.missing[0]} and {found.missing[1]}")
    data.end()
