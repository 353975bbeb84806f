"""Running the annotator's server until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from ..errors import ConfigError
from .app import create_app, demo_app
from .services import Services
from .settings import AnnotatorSettings

GRACE = 10
"""seconds that requests have to end when the server is told to stop"""


class _Server(uvicorn.Server):
    """Tells when it can be reached and when it begins to stop, for who waits would wait for ever."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            own = {"127.0.0.1": "localhost", "::1": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
            self._ready(f"http://{own}:{port}/")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)


def serve(services: Services, ready: Callable[[str], None]) -> None:
    """Serve an annotator until interrupted; `ready` is told the address when it can be opened.

    Raises ConfigError for a port that is taken.
    """
    _run(create_app(services), services.settings, ready, services.jobs.let_go)


def serve_demo(folder: Path, settings: AnnotatorSettings, ready: Callable[[str], None]) -> None:
    """As `serve`, a demonstration whose files lie in a folder."""
    _run(demo_app(folder, settings), settings, ready, lambda: None)


def _run(
    app: Starlette, settings: AnnotatorSettings, ready: Callable[[str], None], stopping: Callable[[], None]
) -> None:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        raise ConfigError(
            f"port {settings.port} of {settings.host}: cannot be opened ({error.strerror}); choose another with --port"
        ) from None
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=75,
    )
    with listening:
        _Server(config, ready, stopping).run(sockets=[listening])
