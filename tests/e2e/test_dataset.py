"""From a sample to a copy that can be trained on, through folders and through S3, killed on the way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seaweed import SeaweedServer
from segsweep.dataset.bundles.manifest import read_manifest
from segsweep.dataset.bundles.naming import resolve_bundle
from segsweep.dataset.bundles.staging import is_staged, stage
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
from segsweep.dataset.sample.synthetic import write_sample
from segsweep.errors import DatasetError

pytestmark = [pytest.mark.e2e, pytest.mark.slow(reason="whole commands"), pytest.mark.timeout(300)]

OPTIONS = PrepareOptions(imgsz=96, name="shapes")

PREPARE = """
import sys
from pathlib import Path
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
print("ready", flush=True)
prepare(Path(sys.argv[1]), sys.argv[2], PrepareOptions(imgsz=96, name="shapes"))
"""
STAGE = """
import sys
from pathlib import Path
from segsweep.dataset.bundles.staging import stage
print("ready", flush=True)
stage(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "coco"
    write_sample(folder, "coco", images=48, imgsz=160)
    return folder


def kill_after(seconds: float, program: str, *arguments: str) -> None:
    """Run a program and kill it so many seconds after it is ready, if it is not done by then."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")  # what the store was writing when it was killed
    }


def test_a_bundle_in_a_folder_and_one_on_s3_are_the_same_bytes_and_so_are_their_copies(
    sample: Path, tmp_path: Path, seaweed_environment: SeaweedServer
):
    local = prepare(sample, str(tmp_path / "bundles"), OPTIONS)
    remote = prepare(sample, seaweed_environment.uri("test-dataset", "bundles"), OPTIONS)
    assert remote.manifest.digest == local.manifest.digest
    assert remote.uri.startswith("s3://")
    assert not prepare(sample, seaweed_environment.uri("test-dataset", "bundles"), OPTIONS).is_new
    assert resolve_bundle(seaweed_environment.uri("test-dataset", "bundles", "shapes")) == remote.uri
    copies = [stage(bundle.uri, tmp_path / name) for name, bundle in (("a", local), ("b", remote))]
    first, second = (contents(copy.root) for copy in copies)
    for own in ("data.yaml", "complete.json"):
        del first[own], second[own]
    assert first == second
    assert len(first) == 2 * 48 + 1


def test_prepare_killed_at_any_moment_leaves_no_half_bundle_and_its_rerun_completes_it(sample: Path, tmp_path: Path):
    expected = prepare(sample, str(tmp_path / "expected"), OPTIONS)
    for step in range(12):
        to = tmp_path / f"killed-{step}"
        kill_after(0.03 * step, PREPARE, str(sample), str(to))
        for folder in to.iterdir() if to.exists() else ():
            if (folder / "manifest.json").exists():
                assert stage(str(folder), tmp_path / f"cache-{step}").manifest == expected.manifest
            else:
                with pytest.raises(DatasetError, match="no bundle is here"):
                    read_manifest(str(folder))
        again = prepare(sample, str(to), OPTIONS)
        assert again.manifest.digest == expected.manifest.digest
        assert [folder.name for folder in to.iterdir()] == [again.manifest.directory]
        assert contents(Path(again.uri)) == contents(Path(expected.uri))


def test_staging_killed_at_any_moment_leaves_no_half_copy_and_its_rerun_completes_it(sample: Path, tmp_path: Path):
    bundle = prepare(sample, str(tmp_path / "bundles"), OPTIONS)
    for step in range(12):
        cache = tmp_path / f"cache-{step}"
        kill_after(0.005 * step, STAGE, bundle.uri, str(cache))
        root = cache / "bundles" / bundle.manifest.directory
        if is_staged(root):
            assert len(list(root.rglob("*.jpg"))) == 48
        copy = stage(bundle.uri, cache)
        assert len(list(copy.root.rglob("*.jpg"))) == 48
        visible = {path.name for path in (cache / "bundles").iterdir() if not path.name.endswith(".lock")}
        assert visible == {bundle.manifest.directory, "downloads.log"}


PREPARE_ALL = """
import itertools
import sys
import time
from pathlib import Path
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
from segsweep.storage.local import LocalStore

def tell(done, total):
    sys.stdout.write(f"done {done}\\n")
    sys.stdout.flush()

if __name__ == "__main__":
    numbers, upload = itertools.count(1), LocalStore.upload

    def watched(self, path, key):
        upload(self, path, key)
        number = next(numbers)
        sys.stdout.write(f"sent {number}\\n")
        sys.stdout.flush()
        time.sleep(0.5 * (number >= 3))  # in which the test may kill us

    LocalStore.upload = watched
    prepare(Path(sys.argv[1]), sys.argv[2], PrepareOptions(imgsz=256, shard_mb=1, workers=2, name="many"), tell)
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough images that workers are started, in several shards of a megabyte."""
    folder = tmp_path_factory.mktemp("many") / "coco"
    write_sample(folder, "coco", images=160, imgsz=256)
    return folder


def killed_when(line: str, source: Path, to: Path, environment: dict[str, str]) -> None:
    """Run a prepare with workers, kill its driver when it says the line, and see that nobody outlives it."""
    command = [sys.executable, "-c", PREPARE_ALL, str(source), str(to)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert any(said.strip() == line for said in process.stdout)
        workers = children_of(process.pid)
        process.kill()
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline, "workers outlive their driver"
        time.sleep(0.1)


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def children_of(parent: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found += [int(folder.name), *children_of(int(folder.name))]
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_prepare_killed_in_the_middle_goes_on_with_what_it_has(many: Path, tmp_path: Path):
    expected = prepare(many, str(tmp_path / "expected"), PrepareOptions(imgsz=256, shard_mb=1, workers=1, name="many"))
    assert len(expected.manifest.shards) > 4
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    to = tmp_path / "bundles"
    killed_when("done 48", many, to, environment)
    assert not to.exists()
    (work,) = temporary.glob("segsweep-*")
    batches = {path.name: path.stat().st_mtime_ns for path in work.glob("batches/*.batch")}
    assert len(batches) >= 3
    killed_when("sent 3", many, to, environment)
    (bundle,) = to.iterdir()
    assert not (bundle / "manifest.json").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("batches/*.batch")}
    assert len(kept) == 10
    assert batches.items() <= kept.items()
    shards = {path.name: path.stat().st_mtime_ns for path in (bundle / "shards").glob("*.tar")}
    noted = {note.name.removeprefix("shards-") for note in work.glob("uploaded-*/*")}
    assert noted
    done = run([sys.executable, "-c", PREPARE_ALL, str(many), str(to)], environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "done 160"  # all were kept
    assert contents(bundle) == contents(Path(expected.uri))
    for name in noted:
        assert (bundle / "shards" / name).stat().st_mtime_ns == shards[name]
    assert list(temporary.glob("segsweep-*")) == []


def test_a_bundle_made_on_a_ray_cluster_is_the_one_that_one_core_makes(many: Path, tmp_path: Path, ray_cluster: str):
    broken = tmp_path / "raw"
    shutil.copytree(many, broken)
    place = next((broken / "images").rglob("*.*"))
    options = ["--name", "many", "--imgsz", "256", "--json"]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    found = []
    for more, address in ((["--workers", "1"], ""), ([], ray_cluster)):
        command = [sys.executable, "-m", "segsweep", "prepare", str(many), "--to", str(tmp_path / f"to{len(found)}")]
        done = run([*command, *options, *more], {**environment, "RAY_ADDRESS": address})
        assert done.returncode == 0, done.stderr
        found.append(Path(json.loads(done.stdout)["uri"]))
    assert found[0].name == found[1].name
    assert contents(found[0]) == contents(found[1])
    place.write_bytes(b"no image")
    command = [sys.executable, "-m", "segsweep", "prepare", str(broken), "--to", str(tmp_path / "never")]
    done = run(command, {**environment, "RAY_ADDRESS": ray_cluster})
    assert done.returncode == 3
    assert str(place) in done.stderr  # as the user knows it, not as the node does
