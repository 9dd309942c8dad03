"""What every store promises, asked of a folder, of a real S3 server and of the wrapper around a store."""

from __future__ import annotations

import errno
import pickle
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from seaweed import SeaweedServer
from segsweep.errors import AccessError, ConflictError, DatasetError, NotFoundError, StorageError, UnreachableError
from segsweep.storage.opening import check_reachable, check_readable
from segsweep.storage.retrying import RetryingStore
from segsweep.storage.s3 import S3Store
from segsweep.storage.store import Store

pytestmark = [
    pytest.mark.slow(reason="starts a real S3 server and moves 20 MB objects through it"),
    pytest.mark.timeout(60),
]

MIB = 1 << 20


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_what_is_written_is_read(store: Store) -> None:
    store.write("trials/t0001/trial.json", b'{"epoch": 1}')
    assert store.read("trials/t0001/trial.json") == b'{"epoch": 1}'
    assert store.exists("trials/t0001/trial.json")


def test_an_overwritten_object_has_the_new_bytes_and_another_version(store: Store) -> None:
    store.write("run.json", b"old")
    _, old_version = store.read_versioned("run.json")
    store.write("run.json", b"new")
    data, version = store.read_versioned("run.json")
    assert data == b"new"
    assert version != old_version
    assert keys(store) == ["run.json"]


@pytest.mark.parametrize(
    "key", ["a b/c d.txt", "Bäume/猫.json", "a+b&c=d%20e/~(1)'!.txt", "lr0=0.0031-m=0.9/x", "a#b?c"]
)
def test_a_key_with_spaces_unicode_or_signs_is_kept_as_it_is(store: Store, key: str, tmp_path: Path) -> None:
    store.write(key, b"bytes")
    store.download(key, tmp_path / "copy")
    assert store.read(key) == b"bytes"
    assert keys(store) == [key]
    assert (tmp_path / "copy").read_bytes() == b"bytes"


@pytest.mark.parametrize(
    "key", ["", "/absolute", "a/", "a//b", "../up", "a/../b", "a/./b", "..", "a\n", ".segsweep-tmp-1"]
)
def test_a_key_that_is_no_relative_path_is_refused_by_every_method(store: Store, key: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    calls: list[Callable[[], object]] = [
        lambda: store.read(key),
        lambda: store.read_versioned(key),
        lambda: store.write(key, b""),
        lambda: store.create(key, b""),
        lambda: store.replace(key, b"", "version"),
        lambda: store.upload(file, key),
        lambda: store.download(key, tmp_path / "copy"),
        lambda: store.stream(key, lambda file: file.read()),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="key = ") as raised:
            call()
        assert type(raised.value) is StorageError
    assert keys(store) == []


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "a//"])
def test_a_prefix_with_which_no_key_starts_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(StorageError, match="prefix = "):
        store.list(prefix)


@pytest.mark.parametrize("size_bytes", [0, 1, 20 * MIB + 1])
def test_a_file_comes_back_byte_for_byte_whatever_its_size(store: Store, size_bytes: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
    (tmp_path / "source").write_bytes(content)
    store.upload(tmp_path / "source", "shards/train-00000.tar")
    store.download("shards/train-00000.tar", tmp_path / "new" / "folder" / "copy")
    (info,) = store.list()
    assert (tmp_path / "new" / "folder" / "copy").read_bytes() == content
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["copy"]
    assert info.size_bytes == size_bytes
    assert store.read_versioned("shards/train-00000.tar") == (content, info.version)


def test_a_download_replaces_the_file_that_was_there(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"a much longer old file")
    store.write("key", b"new")
    store.download("key", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"new"


def test_a_download_of_a_missing_object_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no/such"):
        store.download("no/such", tmp_path / "new" / "copy")
    assert not (tmp_path / "new").exists()


def test_an_upload_of_a_missing_file_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="absent"):
        store.upload(tmp_path / "absent", "key")
    assert keys(store) == []


def test_reading_what_is_not_there_says_where_it_looked(store: Store) -> None:
    store.write("folder/object", b"")
    for key in ("object", "folder", "folder/object/below"):
        for read in (store.read, store.read_versioned):
            with pytest.raises(NotFoundError, match=f"{store.uri}/{key}"):
                read(key)
        assert not store.exists(key)


def test_a_stream_starts_at_the_beginning_every_time_and_gives_what_the_function_gives(store: Store) -> None:
    store.write("key", b"0123456789")
    assert store.stream("key", lambda file: (file.read(3), file.read(0), file.read(3), file.read())) == (
        b"012",
        b"",
        b"345",
        b"6789",
    )
    assert store.stream("key", lambda file: (file.read(), file.read(), file.read(1))) == (b"0123456789", b"", b"")
    assert store.stream("key", lambda file: None) is None
    found: list[bytes] = []
    assert store.stream("key", lambda file: [found.append(file.read(1)), found][1]) is found
    assert found == [b"0"]  # it is called once where nothing breaks


@pytest.mark.parametrize("size_bytes", [0, 1, 20 * MIB + 1])
def test_a_stream_is_the_whole_object_whatever_its_size(store: Store, size_bytes: int) -> None:
    content = random.Random(0).randbytes(size_bytes)
    store.write("shards/train-00000.tar", content)

    def in_pieces(file: BinaryIO) -> bytes:
        data = bytearray()
        while piece := file.read(1000_003):
            data += piece
        return bytes(data)

    assert store.stream("shards/train-00000.tar", in_pieces) == content
    assert store.stream("shards/train-00000.tar", lambda file: file.read()) == content


def test_a_stream_gives_as_many_bytes_as_are_asked_for(store: Store) -> None:
    store.write("key", bytes(3 * MIB))
    sizes = [1, 511, 512, 2 * MIB, 3 * MIB]  # what tars are read in
    assert store.stream("key", lambda file: [len(file.read(size)) for size in sizes]) == [
        *sizes[:-1],
        3 * MIB - sum(sizes[:-1]),
    ]


def test_a_stream_of_what_is_not_there_says_where_it_looked_and_calls_nobody(store: Store) -> None:
    store.write("folder/object", b"")
    for key in ("object", "folder", "folder/object/below"):
        called: list[BinaryIO] = []
        with pytest.raises(NotFoundError, match=f"{store.uri}/{key}"):
            store.stream(key, called.append)
        assert called == []


@pytest.mark.parametrize(
    "error",
    [
        DatasetError("a fault"),
        NotFoundError("elsewhere"),
        ValueError("no JSON"),
        KeyError("key"),
        EOFError("short"),
        OSError(errno.ENOSPC, "No space left on device"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        ConnectionResetError(errno.ECONNRESET, "another connection's"),
        TimeoutError("another timeout"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("read_bytes", [0, 5, -1], ids=["at once", "on the way", "at the end"])
def test_what_the_function_raises_comes_through_as_it_is(store: Store, error: BaseException, read_bytes: int) -> None:
    store.write("key", b"0123456789" * MIB)
    calls: list[int] = []

    def fail(file: BinaryIO) -> None:
        calls.append(len(file.read(read_bytes)))
        raise error

    with pytest.raises(type(error)) as caught:
        store.stream("key", fail)
    assert caught.value is error
    assert len(calls) == 1  # it is not the store that failed: nothing is tried again
    assert store.stream("key", lambda file: file.read(4)) == b"0123"


def test_a_function_may_stop_early_and_the_store_goes_on(store: Store) -> None:
    store.write("key", b"0123456789" * MIB)
    streams: list[BinaryIO] = []
    for _ in range(20):  # more than there are connections in S3's pool

        def look(file: BinaryIO) -> bytes:
            streams.append(file)
            return file.read(10)

        assert store.stream("key", look) == b"0123456789"
    assert all(stream.closed for stream in streams)
    assert store.read("key") == b"0123456789" * MIB


def test_many_may_stream_at_once(store: Store) -> None:
    contents = {f"shards/{number}": bytes([number]) * MIB for number in range(8)}
    for key, content in contents.items():
        store.write(key, content)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda key: store.stream(key, lambda file: file.read()), contents)
    assert [*found] == [*contents.values()]


def test_keys_come_in_the_order_of_their_bytes(store: Store) -> None:
    written = ["a-b", "a/c", "a/b/z", "a.b", "a0", "B", "ä", "z/1", "z/10", "z/2", "a/b-c"]
    for key in written:
        store.write(key, key.encode())
    assert keys(store) == sorted(written, key=str.encode)
    assert [info.size_bytes for info in store.list()] == [len(key.encode()) for key in sorted(written, key=str.encode)]


def test_a_prefix_is_the_start_of_a_text_and_not_a_folder(store: Store) -> None:
    for key in ("t1/a", "t10/a", "t2/a"):
        store.write(key, b"")
    assert keys(store, "t1") == ["t1/a", "t10/a"]
    assert keys(store, "t1/") == ["t1/a"]
    assert keys(store, "t1/a") == ["t1/a"]
    assert keys(store, "t1/a/") == []
    assert keys(store, "t") == ["t1/a", "t10/a", "t2/a"]
    assert keys(store, "1") == []
    assert keys(store, "absent/") == []


def test_a_listing_has_as_many_pages_as_it_needs(store: Store) -> None:
    written = [f"trials/t{number:04d}" for number in range(1, 1106)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.write(key, b"x"), written))
    assert keys(store, "trials/") == written


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: Store) -> None:
    store.write("a/b", b"")
    for key in ("a/b", "a/b", "never/there", "a"):
        store.delete(key)
    assert not store.exists("a/b")
    assert keys(store) == []


def test_create_refuses_an_object_that_is_there(store: Store) -> None:
    version = store.create("lock.json", b"first")
    with pytest.raises(ConflictError, match="lock"):
        store.create("lock.json", b"second")
    assert store.read_versioned("lock.json") == (b"first", version)


def test_replace_wants_the_version_that_is_there(store: Store) -> None:
    first = store.create("lock.json", b"first")
    second = store.replace("lock.json", b"second", first)
    with pytest.raises(ConflictError, match="lock"):
        store.replace("lock.json", b"third", first)
    assert store.read_versioned("lock.json") == (b"second", second)
    assert [info.version for info in store.list()] == [second]


def test_replace_does_not_bring_a_deleted_object_back(store: Store) -> None:
    version = store.create("lock.json", b"first")
    store.delete("lock.json")
    with pytest.raises(ConflictError, match="lock"):
        store.replace("lock.json", b"second", version)
    assert keys(store) == []


def race(contenders: int, write: Callable[[bytes], str]) -> list[bytes]:
    """Let so many threads write at once; the bytes of those that were not refused."""
    start = threading.Barrier(contenders)

    def contend(number: int) -> bytes | None:
        data = f"contender {number}".encode()
        start.wait()
        try:
            write(data)
        except ConflictError:
            return None
        return data

    with ThreadPoolExecutor(contenders) as pool:
        return [data for data in pool.map(contend, range(contenders)) if data is not None]


def test_of_eight_that_create_at_once_exactly_one_wins(store: Store) -> None:
    for attempt in range(3):
        key = f"lock-{attempt}"
        winners = race(8, lambda data, key=key: store.create(key, data))
        assert winners == [store.read(key)]


def test_of_eight_that_replace_at_once_exactly_one_wins(store: Store) -> None:
    version = store.create("lock", b"start")
    for turn in range(3):
        winners = race(8, lambda data, version=version, turn=turn: store.replace("lock", data + b" %d" % turn, version))
        data, version = store.read_versioned("lock")
        assert [winner + b" %d" % turn for winner in winners] == [data]
    assert keys(store) == ["lock"]


def test_a_reader_sees_the_old_object_or_the_new_one_and_nothing_between(store: Store) -> None:
    contents = [bytes([letter]) * (256 << 10) for letter in b"abcd"]
    store.write("object", contents[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(40):
            store.write("object", contents[turn % 4])
        done.set()

    seen: list[bytes] = []
    listed: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not done.is_set() and not writing.done():
            seen.append(store.read("object"))
            listed.update(keys(store))
        writing.result()
    assert all(data in contents for data in seen)
    assert len(set(seen)) > 1, "the reader never met the writer"
    assert listed == {"object"}


def test_a_store_that_travelled_to_another_process_is_the_same_place(store: Store) -> None:
    store.write("key", b"bytes")
    travelled = pickle.loads(pickle.dumps(store))
    assert travelled.uri == store.uri
    assert travelled.read("key") == b"bytes"


def test_a_place_that_works_is_found_reachable_and_left_empty(store: Store) -> None:
    assert check_reachable(store) == []
    assert check_readable(store) == []
    assert keys(store) == []


@pytest.mark.s3
def test_a_prefix_shows_only_what_lies_below_it(seaweed_environment: SeaweedServer) -> None:
    root = f"below/{uuid.uuid4().hex}"
    S3Store(seaweed_environment.bucket, f"{root}/run").write("key", b"mine")
    S3Store(seaweed_environment.bucket, f"{root}/run-2").write("key", b"another's")
    assert keys(S3Store(seaweed_environment.bucket, f"{root}/run")) == ["key"]
    assert keys(S3Store(seaweed_environment.bucket, root)) == ["run-2/key", "run/key"]


@pytest.mark.s3
def test_wrong_keys_are_told_as_such(seaweed_environment: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(seaweed_environment.bucket, "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for call in (lambda: store.read("key"), lambda: store.write("key", b""), lambda: store.exists("key")):
        with pytest.raises(AccessError, match=rf"{store.uri}/key: {seaweed_environment.endpoint} refuses.*AWS_PROFILE"):
            call()
    (problem,) = check_reachable(store)
    assert "AWS_PROFILE" in problem.fix


@pytest.mark.s3
def test_no_keys_at_all_are_told_as_such(seaweed_environment: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AccessError, match="no credentials"):
        S3Store(seaweed_environment.bucket).read("key")


@pytest.mark.s3
def test_a_missing_bucket_is_not_found(seaweed_environment: SeaweedServer, tmp_path: Path) -> None:
    store = S3Store("no-such-bucket", "any")
    assert seaweed_environment.bucket != "no-such-bucket"
    (tmp_path / "file").write_bytes(b"x" * 20 * MIB)
    calls: list[Callable[[], object]] = [
        lambda: store.read("key"),
        lambda: list(store.list()),
        lambda: store.write("key", b""),
        lambda: store.create("key", b""),
        lambda: store.upload(tmp_path / "file", "key"),
        lambda: store.download("key", tmp_path / "copy"),
        lambda: store.stream("key", lambda file: file.read()),
    ]
    for call in calls:
        with pytest.raises(NotFoundError, match=store.uri):
            call()


@pytest.mark.s3
@pytest.mark.timeout(30)
def test_a_closed_port_is_told_as_unreachable_within_15_s(
    seaweed_environment: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", closed)
        store = S3Store(seaweed_environment.bucket)
        started = time.monotonic()
        with pytest.raises(UnreachableError, match=rf"s3://runs/key: {closed} does not answer.*AWS_ENDPOINT_URL"):
            store.read("key")
        (problem,) = check_reachable(RetryingStore(store))
        assert time.monotonic() - started < 15
    assert "AWS_ENDPOINT_URL" in problem.fix
