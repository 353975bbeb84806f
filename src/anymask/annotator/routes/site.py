"""The page itself, the decoder that it runs, and whether the server is well."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import text
from starlette.types import Scope

from ...errors import MissingError
from .people import Person, Work

PAGE = Path(__file__).parents[1] / "page"
"""what `make web` builds"""
FOR_EVER = "private, max-age=31536000, immutable"
NOT_BUILT = """The page of the annotator is not in this copy of anymask: `make web` builds it.
The server itself runs; /openapi.json tells what it can be asked.
"""

router = APIRouter(tags=["site"])


@router.get("/health")
def health(work: Work) -> dict[str, str]:
    """Whether the server and its database answer."""
    with work.store.reading() as session:
        session.execute(text("SELECT 1"))
    return {"status": "ok"}


@router.get("/metrics", response_class=PlainTextResponse)
def read_metrics(work: Work, _: Person) -> Response:
    """Figures for Prometheus."""
    return Response(work.metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/decoders/{key}/{file}", response_class=FileResponse)
def read_decoder_file(work: Work, _: Person, key: str, file: str) -> FileResponse:
    """A file of the decoder for the browser; it never changes, for its address names the weights."""
    sam, folder = work.segmenter.sam, work.decoder.folder
    known = folder is not None and key == f"{sam.config.name}-{sam.weights_hash}"
    path = folder / file if folder is not None and known else None
    if path is None or Path(file).name != file or not path.is_file():
        raise MissingError(f"decoder {key}/{file}: there is none; reload the page")
    return FileResponse(path, headers={"Cache-Control": FOR_EVER})


class Page(StaticFiles):
    """The built page: its parts have names that change with their content, the page itself is asked for each time."""

    def file_response(self, full_path: object, *args: object, scope: Scope | None = None, **more: object) -> Response:
        response = super().file_response(full_path, *args, **more)  # type: ignore[arg-type]
        hashed = "assets" in Path(str(full_path)).parts
        response.headers["cache-control"] = FOR_EVER if hashed else "no-cache"
        return response


def mount_page(app: FastAPI) -> None:
    """Have an application serve the page at its top, or say how it is built."""
    if (PAGE / "index.html").is_file():
        app.mount("/", Page(directory=PAGE, html=True), name="page")
        return

    @app.get("/", include_in_schema=False)
    def _(_: Request) -> PlainTextResponse:
        return PlainTextResponse(NOT_BUILT, 503)
