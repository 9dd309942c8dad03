"""What the demo page's server refuses before Gradio sees it: to fetch from elsewhere, and messages without an end.

Gradio downloads a file for whoever gives an http address in place of an upload, past every limit on uploads, and
serves `file=https://...` by fetching it. Nothing here fetches. Answers forbid the browser to load from elsewhere, too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_MESSAGE_BYTES = 16 << 20  # of JSON: a picture of a camera, in base64, is the largest that the page sends

_UPLOAD = "/upload"  # takes files alone, by Gradio's own limit

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """An ASGI application around another one (asgi.readthedocs.io, "HTTP")."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _asks_elsewhere(scope):
            await _refuse(send, 403, "this page serves its own files only")
            return
        if scope["method"] not in ("GET", "HEAD") and not scope["path"].endswith(_UPLOAD):
            body = await _body(receive)
            if body is None:
                await _refuse(send, 413, f"a message must have at most {MAX_MESSAGE_BYTES >> 20} MB")
                return
            if _names_elsewhere(body):
                await _refuse(send, 403, "files must be uploaded: nothing is fetched from an address")
                return
            receive = _again(body, receive)
        await self._app(scope, receive, _with_headers(send))


def _asks_elsewhere(scope: Scope) -> bool:
    path = unquote(unquote(str(scope["path"])))
    file = path.partition("/file=")[2]
    return "/proxy=" in path or "://" in file or file.startswith("//")


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too long."""
    parts = bytearray()
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if len(parts) > MAX_MESSAGE_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(parts)


def _names_elsewhere(body: bytes) -> bool:
    """Whether a message gives an address where a file's path should be."""
    try:
        waiting = [json.loads(body)]
    except (ValueError, RecursionError):  # Gradio will refuse it, too
        return False
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "://" in str(value.get("path", "")):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that has been read, and then what else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = [pair for pair in message.get("headers", ()) if pair[0].lower() not in dict(_HEADERS)]
            message = {**message, "headers": [*given, *_HEADERS]}
        await send(message)

    return answer


async def _refuse(send: Send, status: int, why: str) -> None:
    headers = [(b"content-type", b"application/json"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": why}).encode()})
