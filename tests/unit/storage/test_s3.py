"""What botocore's answers become, without a server: answers are put in where botocore would send the request."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from segsweep.errors import (
    AccessError,
    ConflictError,
    NoSpaceError,
    NotFoundError,
    StorageError,
    UnreachableError,
)
from segsweep.storage.s3 import S3Store

pytestmark = [
    pytest.mark.slow(reason="botocore reads its model of S3, a quarter of a second on an idle machine"),
    pytest.mark.timeout(10),
]


class Server:
    """Answers requests from a list, and counts them."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.requests: list[str] = []
        self.bodies: list[RawBody] = []

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        self.requests.append(f"{request.method} {request.url}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer
        self.bodies.append(RawBody(body))
        return AWSResponse(request.url, status, headers, self.bodies[-1])


class RawBody(io.BytesIO):
    """A body of these bytes, or one of which reading fails."""

    def __init__(self, content: bytes | Exception) -> None:
        self._error = content if isinstance(content, Exception) else None
        super().__init__(b"" if isinstance(content, Exception) else content)

    def readinto(self, buffer: Any) -> int:
        if self._error is not None:
            raise self._error
        return super().readinto(buffer)

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def error(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    body = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode() if code else b""
    return status, {"content-type": "application/xml"}, body


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    return Server()


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://s3.example",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    store = S3Store("bucket", "runs/feralcat")
    store._connection.client().meta.events.register("before-send.s3", server)
    return store


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (404, "NoSuchKey", NotFoundError, "does not exist at http://s3.example"),
        (404, "", NotFoundError, "does not exist at http://s3.example"),
        (404, "NoSuchBucket", NotFoundError, "the bucket does not exist at http://s3.example (create it)"),
        (403, "AccessDenied", AccessError, "AWS_PROFILE"),
        (403, "SignatureDoesNotMatch", AccessError, "AWS_PROFILE"),
        (403, "InvalidAccessKeyId", AccessError, "AWS_PROFILE"),
        (403, "", AccessError, "AWS_PROFILE"),
        (400, "ExpiredToken", AccessError, "ExpiredToken"),
        (412, "PreconditionFailed", ConflictError, "somebody else"),
        (409, "ConditionalRequestConflict", ConflictError, "somebody else"),
        (500, "InternalError", UnreachableError, "http://s3.example is out of order"),
        (503, "SlowDown", UnreachableError, "SlowDown"),
        (503, "", UnreachableError, "http://s3.example is out of order"),
        (429, "TooManyRequests", UnreachableError, "http://s3.example is out of order"),
        (507, "XMinioStorageFull", NoSpaceError, "http://s3.example is full"),
        (400, "InvalidRequest", StorageError, "http://s3.example refuses"),
    ],
)
def test_an_answer_that_says_no_becomes_our_error(
    store: S3Store, server: Server, status: int, code: str, kind: type[StorageError], says: str
) -> None:
    server.answers = [error(status, code)]
    with pytest.raises(StorageError) as raised:
        store.read("trials/t1/trial.json")
    assert type(raised.value) is kind
    assert str(raised.value).startswith("s3://bucket/runs/feralcat/trials/t1/trial.json: ")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("raised_upstream", "kind"),
    [
        (EndpointConnectionError(endpoint_url="u"), UnreachableError),
        (ConnectTimeoutError(endpoint_url="u"), UnreachableError),
        (ReadTimeoutError(endpoint_url="u"), UnreachableError),
        (ConnectionClosedError(endpoint_url="u"), UnreachableError),
        (SSLError(endpoint_url="u", error="e"), UnreachableError),
        (ConnectionResetError("reset"), UnreachableError),
        (NoCredentialsError(), AccessError),
    ],
)
def test_no_answer_becomes_our_error(
    store: S3Store, server: Server, raised_upstream: Exception, kind: type[StorageError]
) -> None:
    server.answers = [raised_upstream]
    with pytest.raises(StorageError) as raised:
        store.write("run.json", b"")
    assert type(raised.value) is kind
    assert str(raised.value).startswith("s3://bucket/runs/feralcat/run.json: ")


@pytest.mark.parametrize(
    ("body", "headers", "kind"),
    [
        (b"half", {"content-length": "8"}, UnreachableError),
        (ReadTimeoutError(endpoint_url="u"), {"content-length": "8"}, UnreachableError),
        (ConnectionResetError("reset"), {"content-length": "8"}, UnreachableError),
        (b"changed", {"content-length": "7", "x-amz-checksum-crc32": "AAAAAA=="}, StorageError),
    ],
    ids=["short", "timeout", "reset", "checksum"],
)
def test_an_object_that_arrives_short_or_changed_becomes_our_error_where_it_is_read(
    store: S3Store, server: Server, body: bytes | Exception, headers: dict[str, str], kind: type[StorageError]
) -> None:
    server.answers = [(200, headers, body)]
    seen: list[Exception] = []

    def watch(file: BinaryIO) -> bytes:
        try:
            return file.read()
        except Exception as exc:
            seen.append(exc)
            raise

    with pytest.raises(StorageError) as raised:
        store.stream("run.json", watch)
    assert type(raised.value) is kind
    assert seen == [raised.value]
    assert str(raised.value).startswith("s3://bucket/runs/feralcat/run.json: ")


@pytest.mark.parametrize("size", [0, 3, -1])
def test_a_stream_gives_its_connection_up_wherever_its_reader_stops(store: S3Store, server: Server, size: int) -> None:
    server.answers = [(200, {"content-length": "5"}, b"bytes")]
    assert store.stream("run.json", lambda file: file.read(size)) == b"bytes"[: size if size >= 0 else None]
    with pytest.raises(KeyError):
        store.stream("run.json", lambda file: {}[file.read(size)])
    assert [body.closed for body in server.bodies] == [True, True]


def test_what_succeeds_the_first_time_is_asked_exactly_once(store: S3Store, server: Server) -> None:
    server.answers = [(200, {"etag": '"1"'}, b"")]
    assert store.create("lock.json", b"mine") == '"1"'
    assert server.requests == ["PUT http://s3.example/bucket/runs/feralcat/lock.json"]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(store: S3Store, server: Server) -> None:
    server.answers = [error(503, "SlowDown"), (200, {"etag": '"1"', "content-length": "5"}, b"bytes")]
    assert store.read("run.json") == b"bytes"
    assert len(server.requests) == 2


def test_a_create_that_is_refused_by_its_own_first_request_has_won(store: S3Store, server: Server) -> None:
    found = (200, {"etag": '"1"', "content-length": "4"}, b"mine")
    server.answers = [error(500, "InternalError"), error(412, "PreconditionFailed"), found]
    assert store.create("lock.json", b"mine") == '"1"'


def test_a_create_that_is_refused_by_anothers_object_has_lost(store: S3Store, server: Server) -> None:
    found = (200, {"etag": '"1"', "content-length": "7"}, b"another")
    server.answers = [error(500, "InternalError"), error(412, "PreconditionFailed"), found]
    with pytest.raises(ConflictError):
        store.create("lock.json", b"mine")


def test_a_create_that_is_refused_at_once_does_not_look_whether_it_won(store: S3Store, server: Server) -> None:
    server.answers = [error(412, "PreconditionFailed")]
    with pytest.raises(ConflictError):
        store.create("lock.json", b"mine")
    assert len(server.requests) == 1


def test_replacing_what_was_removed_is_a_conflict_but_a_missing_bucket_is_not(store: S3Store, server: Server) -> None:
    server.answers = [error(404, "NoSuchKey")]
    with pytest.raises(ConflictError):
        store.replace("lock.json", b"mine", '"1"')
    server.answers = [error(404, "NoSuchBucket")]
    with pytest.raises(NotFoundError, match="the bucket does not exist"):
        store.replace("lock.json", b"mine", '"1"')


def test_folders_that_a_console_made_are_no_objects(store: S3Store, server: Server) -> None:
    contents = "".join(
        f"<Contents><Key>runs/feralcat/{key}</Key><Size>1</Size><ETag>e</ETag></Contents>"
        for key in ("", "trials/", "run.json")
    )
    server.answers = [(200, {}, f"<ListBucketResult>{contents}</ListBucketResult>".encode())]
    assert [info.key for info in store.list()] == ["run.json"]


def test_an_endpoint_that_is_no_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(StorageError, match=r"s3://bucket/key: cannot be asked for at localhost:9000: Invalid endpoint"):
        S3Store("bucket").read("key")


def test_a_profile_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(AccessError, match="no-such-profile"):
        S3Store("bucket").read("key")
