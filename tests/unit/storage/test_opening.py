import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from segsweep.errors import ConfigError
from segsweep.storage import opening
from segsweep.storage.local import LocalStore
from segsweep.storage.opening import check_reachable, check_readable, join, open_store, vouch
from segsweep.storage.retrying import RetryingStore, without_retries
from segsweep.storage.s3 import S3Store
from segsweep.storage.store import ObjectInfo


@pytest.mark.parametrize(
    ("uri", "parts", "place"),
    [
        ("/data/runs", (), "/data/runs"),
        ("/data/runs/", ("feralcat",), "/data/runs/feralcat"),
        ("runs", ("a", "b/c"), "{cwd}/runs/a/b/c"),
        ("~/runs", (), "/home/somebody/runs"),
        ("a b=c", (), "{cwd}/a b=c"),
        ("file:///data/my%20runs", ("a",), "/data/my runs/a"),
        ("file://localhost/data", (), "/data"),
        ("s3://bucket", (), "s3://bucket"),
        ("s3://bucket/", ("a",), "s3://bucket/a"),
        ("s3://my-bucket/sweeps/", ("feralcat", "trials/t1"), "s3://my-bucket/sweeps/feralcat/trials/t1"),
    ],
)
def test_a_place_has_one_spelling(
    uri: str, parts: tuple[str, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert join(uri, *parts) == place.format(cwd=tmp_path)
    assert open_store(uri, *parts).uri == place.format(cwd=tmp_path)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("", ()),
        (" ", ()),
        ("gs://bucket/runs", ()),
        ("https://bucket.s3.amazonaws.com", ()),
        ("S3://bucket", ()),
        ("s3:/bucket", ()),
        ("s3:bucket", ()),
        ("s3://", ()),
        ("s3:///runs", ()),
        ("s3://bucket//runs", ()),
        ("s3://bucket/../other", ()),
        ("s3://my bucket/runs", ()),
        ("file:runs", ()),
        ("file://host/runs", ()),
        ("runs\n", ()),
        ("~nobody-of-this-name/runs", ()),
        ("/data", ("..",)),
        ("/data", ("",)),
        ("/data", ("/etc",)),
        ("s3://bucket", ("a/../../b",)),
    ],
)
def test_what_is_no_place_is_refused_with_its_uri(uri: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as raised:
        open_store(uri, *parts)
    (problem,) = raised.value.problems
    assert problem.where in (uri, repr(uri))


def test_s3_is_retried_and_a_folder_is_not() -> None:
    store = open_store("s3://bucket/runs/feralcat")
    assert isinstance(store, RetryingStore)
    assert isinstance(inside := without_retries(store), S3Store)
    assert (inside.bucket, inside.prefix) == ("bucket", "runs/feralcat")
    assert isinstance(open_store("/data/runs"), LocalStore)


def test_all_of_s3_shares_one_patience_that_a_worker_may_vouch_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSWEEP_PATIENCE_S", "77")
    opening._patience.cache_clear()
    try:
        first, second = open_store("s3://bucket/runs"), open_store("s3://other")
        assert isinstance(first, RetryingStore)
        assert isinstance(second, RetryingStore)
        assert first.patience is second.patience
        assert (first.patience.limit_s, first.patience.has_answered) == (77, False)
        vouch()
        assert second.patience.has_answered
    finally:
        opening._patience.cache_clear()


def test_a_check_of_a_place_that_works_leaves_no_trace(tmp_path: Path) -> None:
    assert check_reachable(LocalStore(tmp_path / "new" / "runs")) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    assert check_reachable(LocalStore(tmp_path / "old")) == []
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_a_check_tells_what_is_wrong_instead_of_raising() -> None:
    (problem,) = check_reachable(LocalStore(Path("/sys/segsweep")))
    assert problem.where == "/sys/segsweep"
    assert problem.rule.startswith("may not be accessed")


def test_a_check_of_a_file_where_a_folder_is_wanted_says_so(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"mine")
    (problem,) = check_reachable(LocalStore(tmp_path / "runs"))
    assert problem.rule == "a file is in the way of a folder"
    assert (tmp_path / "runs").read_bytes() == b"mine"


class CarelessStore(LocalStore):
    """A server that ignores conditions, as older S3 look-alikes do."""

    def create(self, key: str, data: bytes) -> str:
        self.write(key, data)
        return "version"


class ForgetfulStore(LocalStore):
    """A server that shows what it was given only later."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return iter(())


def test_a_server_that_ignores_conditions_is_found_out(tmp_path: Path) -> None:
    (problem,) = check_reachable(CarelessStore(tmp_path / "runs"))
    assert problem.rule == "must refuse a conditional write to an object that exists"


def test_a_server_that_forgets_is_found_out(tmp_path: Path) -> None:
    (problem,) = check_reachable(ForgetfulStore(tmp_path / "runs"))
    assert problem.rule == "must list and give back what was just written"


def test_a_dataset_that_may_only_be_read_is_readable(tmp_path: Path) -> None:
    assert check_readable(LocalStore(tmp_path)) == []
    assert check_readable(LocalStore(Path("/sys"))) == []


@pytest.mark.slow(reason="starts a Python of its own")
@pytest.mark.timeout(20)
def test_a_folder_is_opened_without_loading_boto3() -> None:
    code = "import sys; from segsweep.storage.opening import open_store; open_store('/'); print('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"False\n"
