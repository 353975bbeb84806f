"""`anymask eval`: the paper's zero-shot evaluation, a verb a protocol."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..runtime.names import Refine, RuntimeName
from . import human
from .ablation import ablation
from .evaluation import check_models, find_samples, print_outcome, watching, wide_console
from .models import load
from .shared_options import Format, Images, LoaderOption, key_and_value, with_options
from .suite import suite

if TYPE_CHECKING:
    from ..evaluation.protocol import EvaluationProtocol

app = typer.Typer(help="Score models on labelled data, as the paper does (§7).", no_args_is_help=True)
app.command()(suite)
app.command()(ablation)
app.add_typer(human.app, name="human")


Made = Any
"""an EvaluationProtocol, whose module is slow to import; Typer looks up the annotations at runtime"""


@dataclass(frozen=True)
class Common:
    """What all protocols take."""

    data: Annotated[
        str,
        typer.Argument(
            help="A folder or file of labelled images, or a set's name (anymask eval sets).", show_default=False
        ),
    ]
    model: Annotated[
        list[str], typer.Option(help="A model's name or a weights file; give several to see them side by side.")
    ] = ("nano",)  # type: ignore[assignment]
    baselines: Annotated[bool, typer.Option(help="Also measure simple methods without a model.")] = True
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results; a cut run goes on.")] = Path("scores")
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu"
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16: faster, and figures differ a little.")] = (
        False
    )
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the model; auto takes the fastest.")] = "auto"
    refine: Annotated[Refine, typer.Option(help="zoom asks for each mask again in the crop around it.")] = "none"
    second_look: Annotated[
        bool, typer.Option("--second-look", help="Scores count how far the model, shown its best mask, gives it again.")
    ] = False
    format: Format = "auto"
    images: Images = None
    option: LoaderOption = None
    root: Annotated[Path, typer.Option(help="Folder of sets that go by name.", envvar="ANYMASK_DATA")] = Path("data")
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many images.")] = None
    as_paper: Annotated[
        bool, typer.Option("--as-paper", help="About 10,000 masks at random, of a set by name (D.1).")
    ] = False
    again: Annotated[bool, typer.Option("--again", help="Start anew rather than go on.")] = False
    skip_empty: Annotated[bool, typer.Option("--skip-empty", help="Leave out empty masks rather than stop.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False


def _verb(make: Callable[..., EvaluationProtocol]) -> Callable[..., EvaluationProtocol]:
    """Add a verb for the protocol that `make` gives: it has the options of `make` and all of `Common`."""
    own = inspect.signature(make, eval_str=True).parameters
    shared = {field.name for field in fields(Common)}

    def run(**given: Any) -> None:
        options = {name: given[name] if name in shared else given.pop(name) for name in own}
        _evaluate(make(**options), Common(**given))

    with_options(Common, run, own, make.__doc__)
    app.command(make.__name__)(run)
    return make


Clicks = Annotated[str, typer.Option(help="After how many clicks the masks are judged, as in 1,3.")]
Sampling = Annotated[
    Literal["centre", "random"], typer.Option(help="Where the first click lies: deepest in the object, or anywhere.")
]


@_verb
def points(clicks: Clicks = "1,2,3,5,9", sampling: Sampling = "centre") -> Made:
    """Clicks: the first deepest in each object, more at the largest error. Mean IoU (§7.1)."""
    from ..evaluation.points import Points

    return Points(_numbers("--clicks", clicks), sampling)


@_verb
def interactive(
    clicks: Annotated[int, typer.Option(min=1, help="Most clicks an object gets.")] = 20,
) -> Made:
    """Clicks until the mask is good: NoC@85, NoC@90, and the IoU after each click."""
    from ..evaluation.interactive import Interactive

    return Interactive(clicks)


@_verb
def boxes(
    data: str,
    detections: Annotated[
        Path | None, typer.Option(help="A detector's boxes (COCO's results format): gives AP on COCO or LVIS.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Answers to a detector's box, each seeing the last.  [default: 2]")
    ] = None,
) -> Made:
    """The ground-truth box of each object, or a detector's boxes (§7.4)."""
    if detections is not None:
        from ..evaluation.detections import Detections

        return Detections(str(detections), data, rounds or 2)
    if rounds is not None:
        raise typer.BadParameter("--rounds is for a detector's boxes; give those with --detections")
    from ..evaluation.boxes import Boxes

    return Boxes()


@_verb
def edges(
    points: Annotated[int, typer.Option(min=1, help="Points along each side of the grid.")] = 16,
    nms: Annotated[float, typer.Option(help="Box IoU beyond which two masks are duplicates.")] = 0.7,
) -> Made:
    """Edges from the masks of everything: ODS, OIS, AP and R50 on BSDS500 (§7.2)."""
    from ..evaluation.edges import Edges

    return Edges(points, nms)


@_verb
def proposals(
    points: Annotated[int, typer.Option(min=1, help="Points along each side of the grid.")] = 64,
    nms: Annotated[float, typer.Option(help="Box IoU beyond which two masks are duplicates.")] = 0.9,
) -> Made:
    """Object proposals: AR@1000, by size and by frequency, on LVIS (§7.3)."""
    from ..evaluation.proposals import Proposals

    return Proposals(points, nms)


@_verb
def text(
    threshold: Annotated[float, typer.Option(help="Least score of a mask that counts as an answer.")] = 0.5,
    absent: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Also ask for names that are not in an image, drawn from these: coco, garments, street, or a,b,c.",
        ),
    ] = "",
) -> Made:
    """Text: the name of each category in an image, alone and with a click, and of some that are not there (§7.5)."""
    from ..evaluation.text import Text
    from ..model.text.vocabulary import GROUPS, vocabulary

    names = [name.strip() for name in absent.split(",") if name.strip()]
    known = vocabulary(group=absent) if absent in GROUPS else names
    return Text(threshold, tuple(known))


@_verb
def similar(
    nearest: Annotated[int, typer.Option(min=1, help="Masks most like each that are looked at.")] = 5,
) -> Made:
    """Examples as prompts: how many of the masks most like one are of its category."""
    from ..evaluation.similar import Similar

    return Similar(nearest)


@_verb
def fairness(
    group: Annotated[str, typer.Option(help="The column that tells the group of an object.", show_default=False)],
    table: Annotated[
        Path | None, typer.Option(help="CSV file with image, id and that column; else the labels have it.")
    ] = None,
    clicks: Clicks = "1,3",
    sampling: Sampling = "random",
) -> Made:
    """Mean IoU by group of people, and where the intervals do not overlap (§6)."""
    from ..evaluation.fairness import Fairness

    return Fairness(group, str(table or ""), _numbers("--clicks", clicks), sampling)


@app.command()
def sets(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the data sets that go by name: the paper's 23, and those of its other experiments."""
    from dataclasses import asdict

    from rich.table import Column, Table

    from ..dataset.catalogue import CATALOGUE

    if as_json:
        print(json.dumps([asdict(each) for each in CATALOGUE.values()], indent=2, ensure_ascii=False))
        return
    listed = Table(
        "name",
        "images of",
        "masks",
        Column("home page", overflow="fold"),
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for each in CATALOGUE.values():
        listed.add_row(each.name, each.image_type, f"{each.masks:,}" if each.masks else "", each.home)
    wide_console().print(listed)


def _numbers(flag: str, given: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in given.split(","))
    except ValueError:
        raise typer.BadParameter(f"{flag} {given}: expected whole numbers with commas between, such as 1,3") from None


def _evaluate(protocol: EvaluationProtocol, common: Common) -> None:
    """Run a protocol for all models asked for, and show the figures."""
    from ..evaluation.experiment import baseline_subjects, check_subjects, measure, model_subject
    from ..evaluation.report import plot
    from ..evaluation.suite import short_name

    options = dict(key_and_value(option) for option in common.option or ())
    samples, name = find_samples(common.data, common.format, common.images, common.root, options, common.as_paper)
    how = (common.bf16, common.runtime, common.refine, common.second_look)
    subjects = [model_subject(short_name(m), protocol, partial(load, m, common.device), *how) for m in common.model]
    subjects += baseline_subjects(protocol) if common.baselines else []
    check_subjects(protocol, subjects)
    check_models(common.model, common.device)
    folder = common.out / f"{protocol.name}-{name}"
    with watching() as progress:
        outcome = measure(
            protocol, subjects, samples[: common.limit], name, folder, progress, common.again, common.skip_empty
        )
    plot(outcome, folder)
    print_outcome(outcome, folder, common.as_json)
