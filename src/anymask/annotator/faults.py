"""Errors as answers: a status, a code for programs and a line for people."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..errors import (
    AnymaskError,
    ConfigError,
    DataError,
    ImageError,
    LockedError,
    MissingError,
    OutputError,
    PromptError,
    StaleError,
    StoreError,
)

STATUS: dict[type[AnymaskError], tuple[int, str]] = {
    LockedError: (423, "locked"),
    StaleError: (409, "stale"),
    MissingError: (404, "missing"),
    StoreError: (503, "store"),
    OutputError: (507, "storage"),
    ImageError: (422, "image"),
    PromptError: (422, "prompt"),
    DataError: (422, "data"),
    ConfigError: (422, "option"),
    AnymaskError: (500, "error"),
}
"""the first that an error is one of counts"""


class AnswerError(AnymaskError):
    """An error with a status and a code of its own, and what else the answer tells."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


def answer(status: int, code: str, message: str, **more: Any) -> JSONResponse:
    """An error as it goes over the wire."""
    return JSONResponse({"error": {"code": code, "message": message, **more}}, status)


def handle_errors(app: FastAPI) -> None:
    """Have an application answer errors so."""

    @app.exception_handler(AnymaskError)
    def _(_: Request, error: AnymaskError) -> JSONResponse:
        if isinstance(error, AnswerError):
            return answer(error.status, error.code, str(error), **error.more)
        status, code = next(found for kind, found in STATUS.items() if isinstance(error, kind))
        more = {"by": error.by, "until": error.until} if isinstance(error, LockedError) else {}
        return answer(status, code, str(error), **more)

    @app.exception_handler(RequestValidationError)
    def _(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(422, "request", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def _(_: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, "http", str(error.detail))
