"""`anymask annotate`: a page on which people make masks of the photos in a folder."""

from __future__ import annotations

import getpass
import secrets
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..errors import ConfigError
from .models import load
from .progress import one_bar

if TYPE_CHECKING:
    from ..annotator.settings import AnnotatorSettings

NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "alembic", "multipart", "limits", "prometheus_client")


def annotate(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="The photos.", show_default=False)] = None,
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    text_model: Annotated[str, typer.Option(help="A text detector's name or its weights file.")] = "nano_text",
    project: Annotated[
        Path | None, typer.Option(help="Where masks and what is made once are kept; by default FOLDER/.anymask.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="For a team: postgresql://USER:PASSWORD@HOST/NAME; by default a file."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8017,
    token: Annotated[
        str, typer.Option(envvar="ANYMASK_TOKEN", help="What people log in with; made anew where one is needed.")
    ] = "",
    allow_origin: Annotated[
        list[str], typer.Option(metavar="URL", help="Another site's pages that may ask; may be repeated.")
    ] = [],  # noqa: B006
    allow_host: Annotated[
        list[str], typer.Option(metavar="NAME", help="A name that the server is called by; may be repeated.")
    ] = [],  # noqa: B006
    max_upload: Annotated[int, typer.Option(min=1, metavar="MB", help="Size of one uploaded file, at most.")] = 200,
    cvat: Annotated[
        bool, typer.Option("--cvat", help="Answer CVAT as its Nuclio server, to which it sends photos without a token.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
    export: Annotated[
        str, typer.Option(metavar="FORMAT", help="Write the masks that there are to --out (coco, yolo, …), and stop.")
    ] = "",
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="The page as plain files, with the example photos or those of FOLDER; no model runs."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where --export writes to, or --demo instead of serving it.")
    ] = None,
) -> None:
    """Open a page on which people make masks of the photos in FOLDER.

    Masks are saved as they are made, each change with who made it and when. Ctrl-C ends the server; nothing is lost.
    """
    missing = next((name for name in NEEDED if not find_spec(name)), None)
    if missing:
        raise ConfigError(f"annotate: {missing} is not installed; pip install 'anymask[annotator]'")
    if folder is None and not demo:
        raise typer.BadParameter("name the FOLDER of the photos; --demo goes without")
    if bool(export) != (out is not None) and not demo:
        raise typer.BadParameter("--export FORMAT goes with --out DIR: give both")

    from ..annotator.settings import MEGABYTE, AnnotatorSettings, is_loopback

    place = project or (folder or Path()) / ".anymask"
    settings = AnnotatorSettings(
        folder=folder or Path(),
        project=place,
        database=database or f"sqlite:///{(place / 'project.sqlite').absolute()}",
        text_model=text_model,
        host=host,
        port=port,
        token=token or ("" if is_loopback(host) else secrets.token_urlsafe(16)),
        person=_who(),
        allowed_origins=tuple(allow_origin),
        allowed_hosts=tuple(allow_host),
        cvat=cvat,
        upload_bytes=max_upload * MEGABYTE,
    )
    if demo:
        _demonstrate(settings, folder, model, device, out, browser)
    elif out is not None:
        _export(settings, export, out)
    else:
        _serve(settings, model, device, browser)


def _serve(settings: AnnotatorSettings, model: str, device: str, browser: bool) -> None:
    from ..annotator.serve import serve
    from ..annotator.services import Services
    from ..files import make_folder

    make_folder(settings.project)
    services = Services(settings, load(model, device))
    fragment = f"#token={settings.token}" if settings.token else ""
    serve(services, partial(_tell, f"Annotating {settings.folder}", fragment, browser and settings.is_loopback))


def _export(settings: AnnotatorSettings, format: str, out: Path) -> None:
    """Write the masks of a project in a format."""
    from ..data_engine.store.samples import project_samples
    from ..data_engine.store.store import Store
    from ..dataset.convert import Target, convert

    target = Target(format)
    if settings.database.startswith("sqlite:") and not settings.project.is_dir():
        raise ConfigError(f"{settings.project}: no such project; annotate the folder first")
    store = Store(settings.database)
    with one_bar(Console(stderr=True), "photos") as progress:
        found = convert(project_samples(store, settings.folder), out, target, progress=progress)
    store.close()
    typer.echo(f"{out}: {found.images} photos, {found.masks} masks")


def _demonstrate(
    settings: AnnotatorSettings, folder: Path | None, model: str, device: str, out: Path | None, browser: bool
) -> None:
    """Write the demonstration, or serve it from a folder that goes when the server ends."""
    from ..annotator.demo import example_photos, write_demo
    from ..annotator.folder import PhotoFolder
    from ..annotator.serve import serve_demo

    photos = example_photos() if folder is None else [folder / name for name in PhotoFolder(folder).names()]
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="anymask-") as temporary:
        site = out or Path(temporary) / "demo"
        with console.status("making the decoder and the embeddings"):
            write_demo(photos, load(model, device), site, lambda done, total: None)
        if out is None:
            serve_demo(site, settings, partial(_tell, "The demonstration", "", browser and settings.is_loopback))
        else:
            typer.echo(f"{out}: {len(photos)} photos; any web server can serve it")


def _tell(what: str, fragment: str, browser: bool, address: str) -> None:
    """Say where the page is, and open it in a browser."""
    console = Console(stderr=True, highlight=False)
    console.print(f"{what}: open {address}{fragment}", soft_wrap=True)
    console.print("Ctrl-C ends it.")
    if browser:
        typer.launch(f"{address}{fragment}")


def _who() -> str:
    """The name of the person at the machine, or just "me" where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "me"
