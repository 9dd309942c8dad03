from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from segsweep.dataset.bundles import damage
from segsweep.dataset.bundles.cache import let_go
from segsweep.dataset.bundles.staging import NodeCopy, is_staged, stage
from segsweep.dataset.preparing.bundle import Bundle, PrepareOptions, prepare
from segsweep.errors import DatasetError, NoSpaceError, SegsweepError


@pytest.fixture
def bundle(small_yolo: Path, tmp_path: Path) -> Bundle:
    return prepare(small_yolo, str(tmp_path / "bundles"), PrepareOptions(imgsz=32, name="pets"))


def downloads(cache: Path) -> int:
    return len((cache / "bundles/downloads.log").read_text().splitlines())


def left_in(cache: Path) -> set[str]:
    return {path.name for path in (cache / "bundles").iterdir() if not path.name.endswith(".lock")} - {"downloads.log"}


# Waits for the starting signal, so that all are at the lock together.
STAGE_ONCE = """
import sys
from pathlib import Path
from segsweep.dataset.bundles import damage
from segsweep.dataset.bundles.cache import let_go
from segsweep.dataset.bundles.staging import stage

def finish(copy):
    (copy.root / "finished").write_text("x")

print("ready", flush=True)
sys.stdin.readline()
assert (stage(sys.argv[1], Path(sys.argv[2]), finish).root / "finished").is_file()
"""


def test_a_copy_holds_every_file_at_a_path_made_of_name_and_digest(bundle: Bundle, tmp_path: Path):
    copy = stage(bundle.uri, tmp_path / "cache")
    assert copy.root == tmp_path / "cache/bundles" / bundle.manifest.directory
    assert copy.manifest == bundle.manifest
    assert all((copy.root / file.path).stat().st_size == file.size_bytes for file in bundle.manifest.files)
    assert left_in(tmp_path / "cache") == {bundle.manifest.directory}
    assert not list(copy.root.glob("*.tar"))


def test_data_yaml_names_absolute_folders_that_are_there(bundle: Bundle, tmp_path: Path):
    copy = stage(bundle.uri, tmp_path / "cache")
    data = yaml.safe_load(copy.data_yaml.read_text())
    assert data["names"] == {0: "cat", 1: "dog"}
    assert all(Path(data["path"], data[split]).is_dir() for split in ("train", "val", "test"))
    assert Path(data["path"]).is_absolute()


def test_a_second_call_fetches_nothing_and_needs_no_bundle(bundle: Bundle, tmp_path: Path):
    first = stage(bundle.uri, tmp_path / "cache")
    shutil.rmtree(bundle.uri)
    assert stage(bundle.uri, tmp_path / "cache", finish=pytest.fail) == first
    assert downloads(tmp_path / "cache") == 1


@pytest.mark.slow(reason="starts eight processes")
@pytest.mark.timeout(60)
def test_eight_processes_at_once_fetch_once(bundle: Bundle, tmp_path: Path):
    command = [sys.executable, "-c", STAGE_ONCE, bundle.uri, str(tmp_path / "cache")]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [(worker.communicate()[1], worker.returncode) for worker in workers] == [("", 0)] * 8
    assert downloads(tmp_path / "cache") == 1


def test_the_copy_is_finished_at_its_final_path_before_anybody_sees_it(bundle: Bundle, tmp_path: Path):
    seen: list[tuple[Path, bool]] = []

    def finish(copy: NodeCopy) -> None:
        seen.append((copy.root, is_staged(copy.root)))

    copy = stage(bundle.uri, tmp_path / "cache", finish)
    assert seen == [(copy.root, False)]
    assert is_staged(copy.root)


def test_a_finish_that_fails_leaves_nothing(bundle: Bundle, tmp_path: Path):
    def fail(copy: NodeCopy) -> None:
        raise DatasetError("no")

    with pytest.raises(DatasetError, match="no"):
        stage(bundle.uri, tmp_path / "cache", fail)
    assert left_in(tmp_path / "cache") == set()


def test_what_a_killed_process_left_is_replaced(bundle: Bundle, tmp_path: Path):
    folder = tmp_path / "cache/bundles"
    (folder / bundle.manifest.directory / "images").mkdir(parents=True)
    (folder / f".{bundle.manifest.directory}.work-x").mkdir()
    assert not is_staged(folder / bundle.manifest.directory)
    copy = stage(bundle.uri, tmp_path / "cache")
    assert is_staged(copy.root)
    assert left_in(tmp_path / "cache") == {bundle.manifest.directory}


def test_a_truncated_shard_is_told_with_both_hashes_and_leaves_nothing(bundle: Bundle, tmp_path: Path):
    shard = bundle.manifest.shards[1]
    path = Path(bundle.uri, shard.key)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetError) as caught:
        stage(bundle.uri, tmp_path / "cache")
    (problem,) = caught.value.problems
    assert problem.where == str(path)
    assert shard.sha256 in problem.rule
    assert "sha256" in problem.value
    assert left_in(tmp_path / "cache") == set()


def test_a_manifest_that_was_changed_is_refused(bundle: Bundle, tmp_path: Path):
    path = Path(bundle.uri, "manifest.json")
    data = json.loads(path.read_text())
    data["files"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(data))
    with pytest.raises(DatasetError, match="must be that of the content"):
        stage(bundle.uri, tmp_path / "cache")


def test_a_bundle_under_another_digests_name_is_refused(bundle: Bundle, tmp_path: Path):
    other = Path(bundle.uri).rename(tmp_path / "bundles/pets-000000000000")
    with pytest.raises(DatasetError, match=f"must be named by its content, {bundle.head.directory}"):
        stage(str(other), tmp_path / "cache")


def test_a_bundle_under_a_name_without_digest_gets_the_path_of_its_content(bundle: Bundle, tmp_path: Path):
    other = Path(bundle.uri).rename(tmp_path / "bundles/renamed")
    assert stage(str(other), tmp_path / "cache").root.name == bundle.head.directory


def test_a_full_disk_is_told_with_what_is_needed_and_what_is_free(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(NoSpaceError, match=r"staging pets-[0-9a-f]{12} needs 64 MB, 5 MB are free"):
        stage(bundle.uri, tmp_path / "cache")
    assert left_in(tmp_path / "cache") == set()


def test_waiting_for_another_process_is_told(bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    import fcntl
    import threading

    folder = tmp_path / "cache/bundles"
    folder.mkdir(parents=True)
    with (folder / f".{bundle.manifest.directory}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with caplog.at_level(logging.INFO):
            waiter = threading.Thread(target=stage, args=(bundle.uri, tmp_path / "cache"))
            waiter.start()
            waiter.join(0.2)
            assert waiter.is_alive()
            fcntl.flock(held, fcntl.LOCK_UN)
            waiter.join()
    assert f"waiting for another process on this node to stage {bundle.manifest.directory}" in caplog.text


def test_staging_again_marks_the_copy_as_used(bundle: Bundle, tmp_path: Path):
    mark = stage(bundle.uri, tmp_path / "cache").root / "complete.json"
    os.utime(mark, (1, 1))
    stage(bundle.uri, tmp_path / "cache")
    assert mark.stat().st_mtime > 1


def test_a_copy_that_nobody_uses_goes_for_another_and_one_that_is_used_does_not(
    bundle: Bundle, small_yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = prepare(small_yolo, str(tmp_path / "bundles"), PrepareOptions(imgsz=40, name="pets"))
    first = stage(bundle.uri, tmp_path / "cache").root
    monkeypatch.setenv("SEGSWEEP_CACHE_GB", "0.00015")  # one of them takes 98 kB
    with pytest.raises(NoSpaceError, match="are in use"):
        stage(other.uri, tmp_path / "cache")
    let_go(first)
    second = stage(other.uri, tmp_path / "cache").root
    assert (is_staged(first), is_staged(second)) == (False, True)
    let_go(second)
    assert stage(bundle.uri, tmp_path / "cache").root == first
    assert downloads(tmp_path / "cache") == 3


# --- a copy that was damaged on the node -----------------------------------------------------------------------------


def contents(copy: NodeCopy) -> dict[str, bytes]:
    return {file.path: (copy.root / file.path).read_bytes() for file in copy.manifest.files}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def truncate_and_keep_the_date(path: Path) -> None:
    """As a file system does that has lost its last blocks in a crash."""
    facts = path.stat()
    truncate(path)
    os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0 0.1 0.1 0.9 0.1 0.9 0.9\n")


@pytest.mark.parametrize("folder", ["images/train", "labels/val"])
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (Path.unlink, "missing"),
        (truncate, r"\d+ bytes instead of \d+"),
        (truncate_and_keep_the_date, r"\d+ bytes instead of \d+"),
        (lengthen, r"\d+ bytes instead of \d+"),
        (flip, "another sha256"),
    ],
)
def test_a_damaged_file_is_noticed_told_and_fetched_again_alone(
    harm: Callable[[Path], object], told: str, folder: str, bundle: Bundle, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    first = stage(bundle.uri, tmp_path / "cache")
    sound = contents(first)
    hurt = next(path for path in sorted(sound) if path.startswith(folder) and sound[path])
    others = {path: (first.root / path).stat().st_ino for path in sound if path != hurt}
    harm(first.root / hurt)
    finished: list[Path] = []
    with caplog.at_level(logging.INFO):
        second = stage(bundle.uri, tmp_path / "cache", lambda copy: finished.append(copy.root))
    assert contents(second) == sound
    line = rf"1 of {len(sound)} files of {first.root.name} on this node are damaged \({hurt}: {told}\)"
    assert re.search(line, caplog.text)
    assert {path: (first.root / path).stat().st_ino for path in others} == others
    assert " 1 of 3 shards of " in (tmp_path / "cache/bundles/downloads.log").read_text().splitlines()[1]
    assert finished == [first.root]
    assert left_in(tmp_path / "cache") == {first.root.name}
    assert stage(bundle.uri, tmp_path / "cache", finish=pytest.fail) == second
    assert downloads(tmp_path / "cache") == 2


def test_a_folder_that_is_gone_comes_back(bundle: Bundle, tmp_path: Path):
    copy = stage(bundle.uri, tmp_path / "cache")
    sound = contents(copy)
    shutil.rmtree(copy.root / "images/val")
    assert contents(stage(bundle.uri, tmp_path / "cache")) == sound


def test_a_file_that_was_written_anew_with_the_same_bytes_is_read_once_and_not_fetched(bundle: Bundle, tmp_path: Path):
    copy = stage(bundle.uri, tmp_path / "cache")
    path = copy.root / copy.manifest.files[0].path
    dated = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes())
    assert path.stat().st_mtime_ns != dated
    shutil.rmtree(bundle.uri)
    assert stage(bundle.uri, tmp_path / "cache") == copy
    assert path.stat().st_mtime_ns == dated, "Ultralytics' label cache is valid for this time only"
    assert stage(bundle.uri, tmp_path / "cache", finish=pytest.fail) == copy


def test_what_was_verified_is_not_read_again(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copy = stage(bundle.uri, tmp_path / "cache")
    monkeypatch.setattr(damage, "_sha256", lambda path: pytest.fail(f"{path} was read"))
    assert stage(bundle.uri, tmp_path / "cache") == copy


@pytest.mark.parametrize(
    "mark", [b"", b"[]", b'{"digest": "' + b"0" * 64 + b'", "size_bytes": 1}', b'{"size_bytes": 1}']
)
def test_a_mark_that_says_something_else_vouches_for_nothing(
    mark: bytes, bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    copy = stage(bundle.uri, tmp_path / "cache")
    sound = contents(copy)
    path = copy.root / copy.manifest.files[0].path
    facts = path.stat()
    flip(path)
    os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))  # nobody sees it from outside
    good = (copy.root / "complete.json").read_bytes()
    (copy.root / "complete.json").write_bytes(mark)
    assert contents(stage(bundle.uri, tmp_path / "cache")) == sound
    assert "verifying all of its files" in caplog.text
    assert (copy.root / "complete.json").read_bytes() == good


@pytest.mark.parametrize("name", ["manifest.json", "data.yaml"])
@pytest.mark.parametrize("harm", [Path.unlink, truncate])
def test_the_copys_own_facts_are_mended_without_fetching_a_file(
    harm: Callable[[Path], object], name: str, bundle: Bundle, tmp_path: Path
):
    copy = stage(bundle.uri, tmp_path / "cache")
    before = (copy.root / name).read_bytes()
    harm(copy.root / name)
    assert stage(bundle.uri, tmp_path / "cache") == copy
    assert (copy.root / name).read_bytes() == before
    assert downloads(tmp_path / "cache") == 1


def test_a_damaged_copy_of_a_bundle_that_is_gone_is_an_error_and_stays_for_the_next_try(bundle: Bundle, tmp_path: Path):
    copy = stage(bundle.uri, tmp_path / "cache")
    sound = contents(copy)
    truncate(copy.root / copy.manifest.files[0].path)
    away = Path(bundle.uri).rename(tmp_path / "away")
    with pytest.raises(SegsweepError, match="does not exist"):
        stage(bundle.uri, tmp_path / "cache")
    assert left_in(tmp_path / "cache") == {copy.root.name}
    away.rename(bundle.uri)
    assert contents(stage(bundle.uri, tmp_path / "cache")) == sound
