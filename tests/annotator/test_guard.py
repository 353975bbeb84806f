"""Who is let in: tokens, other sites, names that point here, sizes and rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from anymask.annotator.guard import LOGINS_PER_MINUTE
from anymask.annotator.settings import AnnotatorSettings
from anymask.errors import ConfigError
from anymask.model.sam import Sam

from .conftest import Annotator


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_without_the_token_nothing_is_told(guarded: Annotator) -> None:
    stranger = guarded.client()
    told = stranger.get("/api/session").json()
    assert (told["person"], told["needs_token"], told["labels"]) == (None, True, [])
    open_to_all = {"/health", "/integrations/label-studio/health", "/api/session", "/api/login", "/api/logout"}
    for path, verbs in guarded.app.openapi()["paths"].items():
        for verb in verbs:
            if path in open_to_all:
                continue
            asked = path.replace("{image_id}", "1").replace("{level}/{x}/{y}", "0/0/0")
            assert code(stranger.request(verb, asked)) == (401, "token"), (verb, path)


def test_the_token_lets_people_in_until_they_leave(guarded: Annotator) -> None:
    client = guarded.client()
    assert code(client.post("/api/login", json={"name": "Ann", "token": "guess"})) == (401, "token")
    told = client.post("/api/login", json={"name": " Ann ", "token": "secret"})
    assert told.json()["person"] == "Ann"
    cookie = told.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert client.get("/api/images").status_code == 200
    client.post("/api/logout")
    client.cookies.set("anymask", cookie.split("=")[1].split(";")[0])
    assert code(client.get("/api/images")) == (401, "token")


def test_programs_use_the_token_itself(guarded: Annotator) -> None:
    assert guarded.client(Authorization="Bearer secret").get("/api/images").status_code == 200
    assert code(guarded.client(Authorization="Bearer guess").get("/api/images")) == (401, "token")


def test_a_token_cannot_be_guessed_fast(guarded: Annotator) -> None:
    client = guarded.client()
    answers = [client.post("/api/login", json={"name": "x", "token": str(i)}) for i in range(LOGINS_PER_MINUTE + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert code(answers[-1]) == (429, "too_many")
    assert answers[-1].headers["retry-after"]


def test_other_sites_are_refused(annotator: Annotator) -> None:
    evil = {"Origin": "https://evil.example"}
    assert code(annotator.client(**evil).post("/api/export", json={"format": "coco"})) == (403, "origin")
    form = TestClient(annotator.app, "http://localhost:8017")
    assert code(form.post("/api/logout")) == (403, "csrf")
    assert code(annotator.client(Host="evil.example").get("/api/images")) == (421, "host")
    answer = annotator.client().get("/api/images")
    assert "access-control-allow-origin" not in answer.headers
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    own = annotator.client(Origin="http://localhost:8017")
    assert own.post("/api/logout").status_code == 200


def test_an_origin_that_was_allowed_may_ask(settings: AnnotatorSettings, nano: Sam, made: Path) -> None:
    running = Annotator(replace(settings, allowed_origins=("https://tools.example",)), nano)
    client = running.client(Origin="https://tools.example")
    answer = client.get("/api/images")
    assert answer.headers["access-control-allow-origin"] == "https://tools.example"
    asked = client.options("/api/images", headers={"Access-Control-Request-Method": "POST"})
    assert asked.status_code == 204
    assert "x-anymask" in asked.headers["access-control-allow-headers"]
    running.services.close()


def test_too_much_at_once(settings: AnnotatorSettings, nano: Sam, made: Path) -> None:
    running = Annotator(replace(settings, upload_bytes=1000, requests_per_minute=20), nano)
    client = running.client()
    assert code(client.post("/api/images", files={"file": ("x.png", b"0" * 2000)})) == (413, "too_large")
    huge = {"content-type": "application/json", "content-length": str(1 << 40)}
    assert code(client.post("/api/export", content=b"{}", headers=huge)) == (413, "too_large")
    answers = [client.get("/api/images") for _ in range(20)]
    assert code(answers[-1]) == (429, "too_many")
    running.services.close()


def test_a_body_that_does_not_say_how_long_it_is_ends_all_the_same(annotator: Annotator) -> None:
    def pieces() -> Any:
        for _ in range(300):
            yield b"0" * (1 << 20)

    answer = annotator.client().post("/api/export", content=pieces(), headers={"content-type": "application/json"})
    assert code(answer) == (413, "too_large")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"host": "0.0.0.0"}, "a token is needed"),
        ({"host": "annotate.example"}, "a token is needed"),
        ({"folder": Path("/none")}, "no such folder"),
        ({"allowed_origins": ("tools.example",)}, "expected one such as"),
    ],
)
def test_settings_that_do_not_go_together(settings: AnnotatorSettings, changed: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        replace(settings, **changed)


def test_on_any_address_the_token_is_what_counts(settings: AnnotatorSettings, nano: Sam, made: Path) -> None:
    running = Annotator(replace(settings, host="0.0.0.0", token="secret"), nano)
    client = TestClient(running.app, "http://annotate.example:8017", headers={"X-Anymask": "1"})
    assert code(client.get("/api/images")) == (401, "token")
    assert client.post("/api/login", json={"name": "Ann", "token": "secret"}).json()["person"] == "Ann"
    running.services.close()
