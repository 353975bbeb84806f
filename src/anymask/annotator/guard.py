"""What stands before the routes: whose requests are let in, how large and how many, and what a page may do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from .settings import LOOPBACK_NAMES, MEGABYTE, AnnotatorSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

SAFE = ("GET", "HEAD", "OPTIONS")
UNCHANGING = ("/integrations/", "/api/function_invocations")
"""what other tools ask, which cannot send the header: they change nothing"""
BODY_BYTES = 64 * MEGABYTE
"""of a request that uploads no file"""
LOGINS_PER_MINUTE = 20
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; img-src 'self' data: blob:; "
    "style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
}
"""which also let a page share memory with its workers"""


class Guard:
    """Lets requests through to an application, or answers them itself.

    A server on loopback is called by loopback's names alone, so that no other site's name can be made to point at it.
    What changes anything needs a header that no form of another site can send, or a token, and comes from the server's
    own pages or from origins that the settings allow.
    """

    def __init__(self, app: App, settings: AnnotatorSettings) -> None:
        self.app = app
        self.settings = settings
        self._rates = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute)
        self._logins = RateLimitItemPerMinute(LOGINS_PER_MINUTE)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        send = self._with_headers(scope, headers, send)
        if refused is not None:
            await _refuse(send, *refused)
        elif scope["method"] == "OPTIONS" and headers.get("origin") in self.settings.allowed_origins:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, *_limited(receive, send, self._most()))

    def _refusal(self, scope: Message, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """Status, code and message of what is not let through."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own_name(host):
            return 421, "host", f"host {host!r}: this server is not called so; open it by the address that it printed"
        if origin is not None and not self._is_allowed(origin, host):
            return 403, "origin", f"a page of {origin} may not ask this server; allow it with --allow-origin {origin}"
        may_come = "x-anymask" in headers or "authorization" in headers or scope["path"].startswith(UNCHANGING)
        if scope["method"] not in SAFE and not may_come:
            return 403, "csrf", "the header 'X-Anymask: 1' is missing; send it with all that changes something"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._most():
            return 413, "too_large", _too_large(self._most())
        client = (scope.get("client") or ("",))[0]
        if not self._rates.hit(self._requests, client) or (
            scope["path"].endswith("/login") and not self._rates.hit(self._logins, "login", client)
        ):
            return 429, "too_many", "too many requests; wait a minute"
        return None

    def _is_own_name(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name in self.settings.allowed_hosts:
            return True
        if self.settings.is_loopback:
            return name in LOOPBACK_NAMES
        return not self.settings.allowed_hosts

    def _is_allowed(self, origin: str, host: str) -> bool:
        return origin in self.settings.allowed_origins or urlsplit(origin).netloc == host

    def _most(self) -> int:
        """Bytes that the body of a request may have."""
        return max(self.settings.upload_bytes, BODY_BYTES) + MEGABYTE

    def _with_headers(self, scope: Message, asked: dict[str, str], send: Send) -> Send:
        added = dict(HEADERS)
        added["content-security-policy"] = POLICY
        origin = asked.get("origin")
        if origin in self.settings.allowed_origins and origin is not None:
            added |= {
                "access-control-allow-origin": origin,
                "access-control-allow-headers": "authorization, content-type, x-anymask",
                "access-control-allow-methods": "GET, POST, PUT, DELETE",
                "cross-origin-resource-policy": "cross-origin",
                "vary": "origin",
            }
        extra = [(key.encode(), value.encode()) for key, value in added.items()]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        return with_headers


def _limited(receive: Receive, send: Send, most: int) -> tuple[Receive, Send]:
    """What an application receives and sends, cut off where a body grows over `most` bytes without having said so."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            await _refuse(send, 413, "too_large", _too_large(most))
            return {"type": "http.disconnect"}
        return message

    async def unless_refused(message: Message) -> None:
        if taken <= most:
            await send(message)

    return limited, unless_refused


def _too_large(most: int) -> str:
    return f"over {most // MEGABYTE} MB, which is all that is taken at once"


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", b"60"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
