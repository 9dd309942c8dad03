"""A proxy in front of an S3 server that can be told, while it runs, to misbehave as servers and networks do.

It passes every byte of a request on as it is, `Host` too, so signatures hold. One thread a connection; a connection to
the server for each request.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

_BLOCK_BYTES = 1 << 16
_TIMEOUT_S = 60.0


class Kind(StrEnum):
    """What can go wrong between a client and a server."""

    ERROR = "500 InternalError, once the request has been read; the server never sees it"
    SLOW_DOWN = "503 SlowDown, likewise"
    SLOW = "the server's answer, late and in small pieces"
    TRUNCATED = "half of the server's answer, then the end of the connection: what was asked for has been done"
    CUT = "half of the request reaches the server, then both connections end"
    REFUSED = "the connection ends, all others too, and no new one is accepted"


@dataclass(frozen=True)
class Request:
    """What a client has asked for.

    Attributes:
        method: `PUT`.
        target: Path and query, unquoted: `/bucket/key?list-type=2`.
    """

    method: str
    target: str


@dataclass
class Fault:
    """A fault that waits for its requests, and what it has done.

    Attributes:
        kind: What goes wrong.
        methods: Of these requests only; empty for all.
        key: Of those whose target holds this regular expression.
        count: So many times.
        seconds: So long from the first time on.
        hits: How many requests it has met.
        began: When it met the first, `time.monotonic`.
        healed: Whether it was called off.
    """

    kind: Kind
    methods: frozenset[str]
    key: re.Pattern[str]
    count: int | None
    seconds: float | None
    hits: int = 0
    began: float | None = None
    healed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it meets no request any more."""
        if self.healed or (self.count is not None and self.hits >= self.count):
            return True
        return self.began is not None and self.seconds is not None and time.monotonic() >= self.began + self.seconds

    def meets(self, request: Request) -> bool:
        """Whether it is this request's; if so, it is counted."""
        if self.is_over or (self.methods and request.method not in self.methods):
            return False
        if not self.key.search(request.target):
            return False
        self.hits += 1
        self.began = time.monotonic() if self.began is None else self.began
        return True


@dataclass
class FaultProxy:
    """Use it as a context manager.

    Attributes:
        upstream: Host and port of the server.
        slow_s: How long a slow answer takes.
        requests: All that came, faulty or not.
    """

    upstream: tuple[str, int]
    slow_s: float = 1.0
    requests: list[Request] = field(default_factory=list)
    _port: int = 0
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _clients: set[socket.socket] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def before(cls, endpoint: str, slow_s: float = 1.0) -> Self:
        """A proxy before the server at `http://host:port`."""
        parts = urlsplit(endpoint)
        assert parts.hostname is not None
        assert parts.port is not None
        return cls((parts.hostname, parts.port), slow_s)

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:port`, for as long as the proxy runs."""
        return f"http://127.0.0.1:{self._port}"

    def inject(
        self,
        kind: Kind,
        methods: str = "",
        key: str = "",
        count: int | None = None,
        seconds: float | None = None,
    ) -> Fault:
        """Let something go wrong from the next matching request on; until `heal` where neither count nor seconds say.

        Args:
            kind: What.
            methods: `"PUT POST"`; empty for all.
            key: A regular expression to be found in the request's path and query.
            count: So many times.
            seconds: So long, from the first time on.
        """
        fault = Fault(kind, frozenset(methods.split()), re.compile(key), count, seconds)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Call all faults off."""
        with self._lock:
            for fault in self._faults:
                fault.healed = True

    def seen(self, method: str, key: str) -> int:
        """How many such requests came so far."""
        pattern = re.compile(key)
        with self._lock:
            return sum(one.method == method and bool(pattern.search(one.target)) for one in self.requests)

    def __enter__(self) -> Self:
        self._listener = self._listening()
        self._port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="fault-proxy", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._drop_clients()

    def _listening(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", self._port), backlog=64)

    def _accept(self) -> None:
        listener: socket.socket | None = self._listener
        while not self._stopped.is_set():
            if self._refuses():
                if listener is not None:
                    listener.close()
                    listener = None
                self._drop_clients()
                time.sleep(0.01)
                continue
            if listener is None:
                listener = self._listening()
            if select.select([listener], [], [], 0.02)[0]:
                client, _ = listener.accept()
                client.settimeout(_TIMEOUT_S)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._clients.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        if listener is not None:
            listener.close()

    def _refuses(self) -> bool:
        with self._lock:
            return any(fault.kind is Kind.REFUSED and fault.hits and not fault.is_over for fault in self._faults)

    def _drop_clients(self) -> None:
        with self._lock:
            clients, self._clients = self._clients, set()
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as reader:
                while self._serve_one(client, reader):
                    pass
        except OSError:
            pass  # either side has gone: nothing that a proxy could do
        finally:
            with self._lock:
                self._clients.discard(client)

    def _serve_one(self, client: socket.socket, reader: BinaryIO) -> bool:
        """Serve a request; whether the connection is good for another."""
        head = _Head.read(reader)
        if head is None:
            return False
        method, target, _ = head.first.split(" ", 2)
        request = Request(method, unquote(target))
        with self._lock:
            self.requests.append(request)
            fault = next((one for one in self._faults if one.meets(request)), None)
        kind = fault.kind if fault else None
        if kind is Kind.REFUSED:
            return False
        if head.fields.get("expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b"".join(_body(reader, head))
        if kind in (Kind.ERROR, Kind.SLOW_DOWN):
            client.sendall(_refusal(kind, method))
            return True
        with socket.create_connection(self.upstream, timeout=_TIMEOUT_S) as server:
            if kind is Kind.CUT:
                if body:
                    server.sendall(head.without("expect"))
                    server.sendall(body[: len(body) // 2])
                return False
            server.sendall(head.without("expect") + body)
            with server.makefile("rb") as answers:
                return self._hand_back(client, answers, method, kind)

    def _hand_back(self, client: socket.socket, answers: BinaryIO, method: str, kind: Kind | None) -> bool:
        head = _Head.read(answers)
        while head is not None and head.status < 200:
            head = _Head.read(answers)
        if head is None:
            return False
        has_body = method != "HEAD" and head.status not in (204, 304)
        content = b"".join(_body(answers, head, until_end=True)) if has_body else b""
        if kind is Kind.TRUNCATED:
            client.sendall(head.raw + content[: len(content) // 2] if content else head.raw[: len(head.raw) // 2])
            return False
        if kind is Kind.SLOW:
            for piece in _pieces(head.raw + content, 10):
                time.sleep(self.slow_s / 10)
                client.sendall(piece)
        else:
            client.sendall(head.raw + content)
        return not has_body or bool({"content-length", "transfer-encoding"} & head.fields.keys())


@dataclass(frozen=True)
class _Head:
    """The lines before a body.

    Attributes:
        raw: As they came, the empty line included.
        first: The request or status line.
        fields: By name, in small letters.
    """

    raw: bytes
    first: str
    fields: dict[str, str]

    @classmethod
    def read(cls, reader: BinaryIO) -> Self | None:
        """Read to the empty line; None where the connection ends before."""
        lines = []
        while line := reader.readline(_BLOCK_BYTES):
            lines.append(line)
            if line == b"\r\n" and len(lines) > 1:
                break
        else:
            return None
        texts = [line.decode("latin-1").rstrip("\r\n") for line in lines]
        pairs = [text.partition(":") for text in texts[1:-1]]
        return cls(b"".join(lines), texts[0], {name.strip().lower(): value.strip() for name, _, value in pairs})

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first.split(" ", 2)[1])

    def without(self, name: str) -> bytes:
        """As they came, less a field."""
        lines = self.raw.splitlines(keepends=True)
        return b"".join(line for line in lines if not line.lower().startswith(f"{name}:".encode()))


def _body(reader: BinaryIO, head: _Head, until_end: bool = False) -> Iterator[bytes]:
    """A body as it came, the lengths of its chunks included."""
    if "chunked" in head.fields.get("transfer-encoding", "").lower():
        while line := reader.readline():
            yield line
            size = int(line.split(b";")[0], 16)
            if not size:
                break
            yield _exactly(reader, size + 2)
        while (line := reader.readline()) not in (b"\r\n", b""):
            yield line  # trailers
        yield line
    elif "content-length" in head.fields:
        yield _exactly(reader, int(head.fields["content-length"]))
    elif until_end:
        yield reader.read()


def _exactly(reader: BinaryIO, size: int) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise ConnectionError("the connection ended within a body")
    return data


def _pieces(data: bytes, count: int) -> Iterator[bytes]:
    size = -(-len(data) // count)
    return (data[start : start + size] for start in range(0, len(data), size))


def _refusal(kind: Kind, method: str) -> bytes:
    status, code = ("500 Internal Server Error", "InternalError")
    if kind is Kind.SLOW_DOWN:
        status, code = ("503 Slow Down", "SlowDown")
    body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>injected</Message></Error>'.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return head if method == "HEAD" else head + body
