from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from segsweep.deploy.app_guard import MAX_MESSAGE_BYTES, Guard


def ask(method: str, path: str, *parts: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer of an application that sends back what it is sent."""
    incoming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    incoming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Referrer-Policy", b"origin")]})
        await send({"type": "http.response.body", "body": body + message["body"]})

    asyncio.run(Guard(echo)({"type": "http", "method": method, "path": path, "headers": []}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent)


def test_what_is_no_http_goes_through():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(Guard(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://example.com/a",
        "/gradio_api/file=HTTPS://example.com/a",
        "/gradio_api/file=https%3A%2F%2Fexample.com",
        "/gradio_api/file=https%253A%252F%252Fexample.com",
        "/gradio_api/file=//example.com/a",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/proxy=https://x.hf.space/a",
        "/gradio_api/proxy=x",
    ],
)
def test_a_file_of_elsewhere_is_refused(path):
    assert ask("GET", path)[0] == 403
    assert ask("HEAD", path)[0] == 403


@pytest.mark.parametrize("path", ["/", "/gradio_api/file=/tmp/a.jpg", "/config", "/assets/index.js"])
def test_files_of_ones_own_go_through_with_headers_that_keep_the_browser_here(path):
    status, headers, _ = ask("GET", path)
    assert status == 200
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert b"http" not in headers[b"content-security-policy"]
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert b"Referrer-Policy" not in headers


@pytest.mark.parametrize(
    "value",
    [
        {"path": "http://example.com/a.jpg"},
        {"data": [1, {"video": {"path": "HtTpS://example.com"}}]},
        [[{"path": "ftp://example.com"}]],
    ],
)
def test_an_address_in_place_of_an_upload_is_refused_however_it_is_written(value):
    text = json.dumps(value)
    for body in (text, text.replace("path", "p\\u0061th"), text.replace("://", "\\u003a//"), text.replace("/", "\\/")):
        assert ask("POST", "/gradio_api/queue/join", body.encode())[0] == 403
        assert ask("POST", "/gradio_api/queue/join", body[:9].encode(), body[9:].encode())[0] == 403


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"path": "/tmp/a", "url": "http://127.0.0.1/a"}']
)
def test_every_other_message_goes_through_as_it_is(body):
    assert ask("POST", "/gradio_api/queue/join", body[:7], body[7:])[::2] == (200, body)


def test_a_message_without_an_end_is_refused_before_it_is_kept():
    part = b"x" * (1 << 20)
    assert ask("POST", "/gradio_api/queue/join", *[part] * (MAX_MESSAGE_BYTES >> 20))[0] == 200
    assert ask("POST", "/gradio_api/queue/join", *[part] * (MAX_MESSAGE_BYTES >> 20), b"x")[0] == 413


def test_uploads_are_left_to_their_own_limit():
    part = b"x" * (1 << 20)
    assert ask("POST", "/gradio_api/upload", *[part] * 17)[0] == 200
