"""The annotator as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from .. import __version__
from .faults import handle_errors
from .guard import Guard
from .metrics import Measured
from .routes import changes, cvat, jobs, label_studio, labels, masks, people, photos, site
from .services import Services
from .settings import AnnotatorSettings

ABOUT = """Photos of a folder, masks that people and the model make of them, and the model itself, over HTTP.

What changes anything needs the header `X-Anymask: 1`, or `Authorization: Bearer TOKEN` where the server has a token.
Errors are `{"error": {"code": …, "message": …}}`, the message a line for people."""
THREADS = 64
"""requests that are worked on at once"""


def create_app(services: Services) -> FastAPI:
    """The application of one annotator; it closes the services when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        await to_thread.run_sync(services.close)

    app = FastAPI(
        title="anymask", version=__version__, description=ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.services = services
    app.add_middleware(Measured, metrics=services.metrics)
    app.add_middleware(Guard, settings=services.settings)
    handle_errors(app)
    for part in (people, labels, photos, changes, masks, jobs, label_studio, site):
        app.include_router(part.router)
    if services.settings.cvat:
        app.include_router(cvat.router)
    site.mount_page(app)
    return app


def demo_app(folder: Path, settings: AnnotatorSettings) -> Starlette:
    """An application that serves a demonstration, whose files lie in a folder, and nothing else."""
    app = Starlette(routes=[Mount("/", site.Page(directory=folder, html=True))])
    app.add_middleware(Guard, settings=settings)
    return app
