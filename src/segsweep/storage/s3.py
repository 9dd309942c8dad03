"""An S3 bucket's prefix as a store. The only module that knows boto3, and where its errors become ours.

The endpoint, credentials and region come from where every AWS tool takes them (`AWS_ENDPOINT_URL`, `AWS_PROFILE`,
`AWS_ACCESS_KEY_ID`, the machine's role, ...): a job names a bucket, never a key.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import boto3
import botocore.loaders
import botocore.session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore import exceptions as upstream
from botocore.config import Config
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError

from segsweep.errors import (
    AccessError,
    ConflictError,
    NoSpaceError,
    NotFoundError,
    Problem,
    StorageError,
    UnreachableError,
)
from segsweep.storage.files import disk_errors, written_whole
from segsweep.storage.store import ObjectInfo, checked_key, checked_prefix, version_holding

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3.client import S3Client

_T = TypeVar("_T")

# An endpoint that does not answer is told after 3 attempts of 3 seconds and two short waits: within 15 seconds.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,
    tcp_keepalive=True,
    user_agent_extra="segsweep",
)
# botocore's description of S3 is megabytes of JSON: read once for all stores, a client costs 16 ms instead of 100.
_MODELS = botocore.loaders.create_loader()
# 16 MiB parts: yolov8x checkpoints (431 MB) in 26 parts, shards up to 156 GiB within S3's 10,000.
_PART_BYTES = 16 << 20
_STREAM_BYTES = 1 << 20
_TRANSFER = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=8)


class S3Store:
    """Bytes under keys in a bucket. See `Store` for the methods.

    It holds no connection until it is used, and none travels: copies in other processes connect for themselves.

    Args:
        bucket: The bucket; it must exist.
        prefix: The root inside it, without slashes at its ends; empty for the whole bucket.
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._connection = _Connection()

    def __repr__(self) -> str:
        return f"S3Store({self.uri!r})"

    def __reduce__(self) -> tuple[type[S3Store], tuple[str, str]]:
        return S3Store, (self.bucket, self.prefix)

    @property
    def uri(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def read(self, key: str) -> bytes:
        """Return the whole object."""
        return self.read_versioned(key)[0]

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """Return the object and its ETag."""
        with self._calling(key) as (client, place):
            response = client.get_object(**place)
            return response["Body"].read(), response["ETag"]

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the object; S3 shows it whole or not at all."""
        with self._calling(key) as (client, place):
            client.put_object(**place, Body=data)

    def create(self, key: str, data: bytes) -> str:
        """Write the object only if there is none."""
        return self._put_if(key, data, IfNoneMatch="*")

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Overwrite only if the object still has `version`."""
        try:
            return self._put_if(key, data, IfMatch=version)
        except NotFoundError as exc:
            if _code(exc.__cause__) == "NoSuchBucket":
                raise
            raise ConflictError(Problem(self._place(key), "was written or removed by somebody else")) from exc

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key, in parallel parts if it is large; the object appears when all are there."""
        with disk_errors(str(path)), path.open("rb") as file, self._calling(key) as (client, place):
            client.upload_fileobj(file, **place, Config=_TRANSFER)

    def download(self, key: str, path: Path) -> None:
        """Copy the object to a local file atomically, in parallel parts if it is large."""
        with self._calling(key) as (client, place):
            client.head_object(**place)  # a missing object must not even make the folder
        with disk_errors(str(path)), written_whole(path) as file, self._calling(key) as (client, place):
            client.download_fileobj(**place, Fileobj=file, Config=_TRANSFER)

    def stream(self, key: str, consume: Callable[[BinaryIO], _T]) -> _T:
        """Let a function read the object while it arrives, over one connection."""
        with self._calling(key) as (client, place):
            body = client.get_object(**place)["Body"]
        with io.BufferedReader(_Arriving(body, self._place(key), self._connection), _STREAM_BYTES) as stream:
            return consume(stream)  # what it raises of its own is not told as the connection's fault

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order; read whole before the first is given."""
        checked_prefix(self.uri, prefix)
        # AWS sorts by key; its directory buckets, SeaweedFS and other servers over a tree of folders do not.
        return iter(sorted(self._listed(prefix), key=lambda info: info.key))

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        try:
            with self._calling(key) as (client, place):
                client.head_object(**place)
        except NotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove the object; no error if there is none."""
        with self._calling(key) as (client, place):
            client.delete_object(**place)

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        root = f"{self.prefix}/" if self.prefix else ""
        with _told(f"{self.uri}/{prefix}", self._connection):
            pages = self._connection.client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=root + prefix):
                for found in page.get("Contents", []):
                    # Consoles make "folders" as empty objects whose key ends with a slash; they are no keys of ours.
                    if not found["Key"].endswith("/"):
                        yield ObjectInfo(found["Key"].removeprefix(root), found["Size"], found["ETag"])

    def _put_if(self, key: str, data: bytes, **condition: str) -> str:
        try:
            with self._calling(key) as (client, place):
                return client.put_object(**(place | {"Body": data} | condition))["ETag"]
        except ConflictError as exc:
            # botocore sends again what got no answer; if the first request won, it is our own object that refuses us.
            if not _was_sent_again(exc.__cause__) or (version := version_holding(self, key, data)) is None:
                raise
            return version

    def _place(self, key: str) -> str:
        return f"{self.uri}/{checked_key(self.uri, key)}"

    @contextlib.contextmanager
    def _calling(self, key: str) -> Iterator[tuple[S3Client, Any]]:
        """Give the client and the arguments that name the object; translate what goes wrong."""
        place = self._place(key)
        with _told(place, self._connection):
            yield self._connection.client(), {"Bucket": self.bucket, "Key": place.removeprefix(f"s3://{self.bucket}/")}


class _Arriving(io.RawIOBase):
    """An object while it arrives; what goes wrong on the way is told by the object's place.

    Args:
        body: botocore's raw stream, which checks length and checksum at its end.
        place: The object's, for the message.
        connection: It comes over this one.
    """

    def __init__(self, body: Any, place: str, connection: _Connection) -> None:
        self._body = body
        self._where = place
        self._connection = connection

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Take what has arrived."""
        with _told(self._where, self._connection):
            return int(self._body.readinto(buffer))

    def close(self) -> None:
        """Give the connection back, or up if the object has not been read to its end."""
        self._body.close()
        super().close()


class _Connection:
    """One boto3 client per process: they may be shared by threads, but not by processes after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._process = 0
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "AWS"

    def client(self) -> S3Client:
        with self._lock:
            if self._client is None or self._process != os.getpid():
                # A session of our own: boto3's default one may not be used by two threads while clients are made.
                session = botocore.session.Session()
                session.register_component("data_loader", _MODELS)
                self._client = boto3.session.Session(botocore_session=session).client("s3", config=_CONFIG)
                self._process = os.getpid()
                self.endpoint = self._client.meta.endpoint_url
            return self._client


_CREDENTIALS_FIX = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give this machine a role that may ListBucket, "
    "GetObject, PutObject and DeleteObject there"
)
_NO_CREDENTIALS = (
    upstream.NoCredentialsError,
    upstream.PartialCredentialsError,
    upstream.CredentialRetrievalError,
    upstream.NoAuthTokenError,
    upstream.TokenRetrievalError,
    upstream.MetadataRetrievalError,
    upstream.SSOError,
    upstream.ProfileNotFound,
    upstream.ConfigParseError,
    upstream.ConfigNotFound,
)
_NO_ANSWER = (
    upstream.HTTPClientError,  # connection closed, read timeout, response cut short
    upstream.ConnectionError,  # refused, connect timeout, unknown host, proxy, TLS
    upstream.IncompleteReadError,
    RetriesExceededError,
    S3DownloadFailedError,  # overwritten between two parts: the next attempt gets the new object
    ConnectionError,
    TimeoutError,
)
# Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; a HEAD has only the HTTP status.
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NotFound", "404"}
_REFUSED = {"401", "403", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
_LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_BUSY = {"RequestTimeout", "SlowDown", "ThrottlingException", "Throttling", "TooManyRequests"}
_FULL = {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}


@contextlib.contextmanager
def _told(place: str, connection: _Connection) -> Iterator[None]:
    """Turn what botocore and s3transfer raise into the `StorageError` that tells it to the user."""
    try:
        yield
    except upstream.ClientError as exc:
        raise _refusal(exc, place, connection.endpoint) from exc
    except _NO_CREDENTIALS as exc:
        raise AccessError(Problem(place, f"no credentials: {exc}", fix=_CREDENTIALS_FIX)) from exc
    except _NO_ANSWER as exc:
        rule = f"{connection.endpoint} does not answer: {exc}"
        raise UnreachableError(Problem(place, rule, fix="check AWS_ENDPOINT_URL, the region and the network")) from exc
    except (upstream.BotoCoreError, Boto3Error, ValueError) as exc:  # ValueError: an endpoint that is no URL
        raise StorageError(Problem(place, f"cannot be asked for at {connection.endpoint}: {exc}")) from exc


def _refusal(exc: upstream.ClientError, place: str, endpoint: str) -> StorageError:
    """What an answer of the server with an error in it means."""
    code = _code(exc)
    status = int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    told = {code, str(status)}
    if code == "NoSuchBucket":
        return NotFoundError(Problem(place, f"the bucket does not exist at {endpoint}", fix="create it"))
    if told & _LOST:
        return ConflictError(Problem(place, "was written or removed by somebody else"))
    if told & _MISSING:
        return NotFoundError(Problem(place, f"does not exist at {endpoint}"))
    if code == "RequestTimeTooSkewed":
        return AccessError(Problem(place, f"{endpoint} refuses this machine's clock: {exc}", fix="set the clock"))
    if told & _REFUSED:
        return AccessError(Problem(place, f"{endpoint} refuses: {exc}", fix=_CREDENTIALS_FIX))
    if told & _FULL:
        return NoSpaceError(Problem(place, f"{endpoint} is full: {exc}", fix="free space there, then run again"))
    if told & _BUSY or status in (408, 429) or status >= 500:
        return UnreachableError(Problem(place, f"{endpoint} is out of order: {exc}", fix="run the same command again"))
    return StorageError(Problem(place, f"{endpoint} refuses: {exc}"))


def _code(exc: BaseException | None) -> str:
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, upstream.ClientError) else ""


def _was_sent_again(exc: BaseException | None) -> bool:
    return isinstance(exc, upstream.ClientError) and bool(exc.response["ResponseMetadata"].get("RetryAttempts"))
