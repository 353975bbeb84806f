"""Options that several verbs share: a dataclass whose fields become options beside each verb's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ..settings import parse_value

Format = Annotated[str, typer.Option(help="How the labels are written, where that is not plain to see.")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images, where they do not lie beside the labels.")]
LoaderOption = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="What else the format takes, as in key=labels.")
]


def with_options(shared: type, run: Callable[..., None], own: Mapping[str, inspect.Parameter], doc: str | None) -> None:
    """Give `run`, which takes keywords, the signature by which Typer finds the options of both.

    The argument of `shared`, its first field, comes first, then what is the verb's own; what has a name that is shared
    is not added again.
    """
    hints = get_type_hints(shared, include_extras=True)
    common = [_parameter(field.name, hints[field.name], field.default) for field in fields(shared)]
    added = [_parameter(p.name, p.annotation, p.default) for p in own.values() if p.name not in hints]
    parameters = [common[0], *added, *common[1:]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = doc


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    given = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=given)


def key_and_value(given: str) -> tuple[str, Any]:
    """What `--option KEY=VALUE` means."""
    key, separator, value = given.partition("=")
    if not separator:
        raise typer.BadParameter(f"--option {given}: expected KEY=VALUE, such as key=labels")
    return key, parse_value(value)
