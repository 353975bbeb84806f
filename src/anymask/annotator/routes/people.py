"""Who asks: people by their browser's cookie, programs by the token, and anybody on loopback where there is none."""

from __future__ import annotations

import base64
import hmac
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ... import __version__
from ...data_engine.store.leases import LEASE_SECONDS
from ...data_engine.store.sessions import DAYS, begin_session, end_session, person_of
from ...dataset.export.formats import WRITTEN
from ...dataset.formats import FORMATS
from ..faults import AnswerError
from ..schemas import Capabilities, Limits, LoginIn, SessionOut, labels_out
from ..services import Services

COOKIE = "anymask"
router = APIRouter(prefix="/api", tags=["people"])


def services(request: Request) -> Services:
    """What the routes work with."""
    found: Services = request.app.state.services
    return found


Work = Annotated[Services, Depends(services)]


def somebody(request: Request, work: Work) -> str | None:
    """Who asks; None for nobody that is known."""
    settings = work.settings
    given = _given_token(request.headers.get("authorization", ""))
    if given:
        return _named(request) if settings.token and _same(given, settings.token) else None
    secret = request.cookies.get(COOKIE)
    if secret:
        with work.store.reading() as session:
            person = person_of(session, secret)
        if person is not None:
            return person
    return None if settings.token else settings.person


def person(found: Annotated[str | None, Depends(somebody)]) -> str:
    """Who asks. Raises AnswerError 401 for nobody that is known."""
    if found is None:
        raise AnswerError(401, "token", "you are not logged in; log in with the token that the server printed")
    return found


Person = Annotated[str, Depends(person)]


@router.get("/session")
def read_session(work: Work, found: Annotated[str | None, Depends(somebody)]) -> SessionOut:
    """Who asks, and what there is; the labels only for those who are logged in."""
    return _session(work, found)


@router.post("/login")
def login(work: Work, given: LoginIn, response: Response, request: Request) -> SessionOut:
    """Log in with a name and, where the server has one, its token."""
    if work.settings.token and not _same(given.token, work.settings.token):
        raise AnswerError(401, "token", "this is not the token; the server printed it when it began")
    name = " ".join(given.name.split())
    if not name:
        raise AnswerError(422, "name", "name: is empty; give the one that your masks are to carry")
    with work.store.writing() as session:
        secret = begin_session(session, name)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, secret, DAYS * 86400, httponly=True, samesite="strict", secure=secure)
    return _session(work, name)


@router.post("/logout")
def logout(work: Work, request: Request, response: Response) -> SessionOut:
    """Log out."""
    secret = request.cookies.get(COOKIE)
    if secret:
        with work.store.writing() as session:
            end_session(session, secret)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return _session(work, None if work.settings.token else work.settings.person)


def _session(work: Services, person: str | None) -> SessionOut:
    labels = []
    if person is not None:
        with work.store.reading() as session:
            labels = labels_out(session)
    readable = [name for name in FORMATS if name != "shards"]
    return SessionOut(
        person=person,
        needs_token=bool(work.settings.token),
        project=work.settings.folder.resolve().name,
        version=__version__,
        labels=labels,
        capabilities=Capabilities(
            text=work.segmenter.reads_text, everything=True, imports=["auto", *readable], exports=list(WRITTEN)
        ),
        limits=Limits(upload_bytes=work.settings.upload_bytes),
        lease_seconds=LEASE_SECONDS,
    )


def _given_token(header: str) -> str:
    """The token in an authorization header, as itself or as the password of basic authentication."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return rest.strip()
    with suppress(ValueError):
        return base64.b64decode(rest).decode().partition(":")[2]
    return "none"


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _named(request: Request) -> str:
    """Whom a program works for: the header X-Anymask-Person, or nobody in particular."""
    return " ".join(request.headers.get("x-anymask-person", "").split())[:200] or "program"
