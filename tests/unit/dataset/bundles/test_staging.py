from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import yaml

from segsweep.dataset.bundles.cache import let_go
from segsweep.dataset.bundles.staging import NodeCopy, is_staged, stage
from segsweep.dataset.preparing.bundle import Bundle, PrepareOptions, prepare
from segsweep.errors import DatasetError, NoSpaceError


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
