"""From a sample to a copy that can be trained on, through folders and through S3, killed on the way."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seaweed import SeaweedServer
from segsweep.dataset.bundle import PrepareOptions, prepare
from segsweep.dataset.manifest import read_manifest
from segsweep.dataset.naming import resolve_bundle
from segsweep.dataset.staging import is_staged, stage
from segsweep.dataset.synthetic import write_sample
from segsweep.errors import DatasetError

pytestmark = [pytest.mark.e2e, pytest.mark.slow(reason="whole commands"), pytest.mark.timeout(300)]

OPTIONS = PrepareOptions(imgsz=96, name="shapes")

PREPARE = """
import sys
from pathlib import Path
from segsweep.dataset.bundle import PrepareOptions, prepare
print("ready", flush=True)
prepare(Path(sys.argv[1]), sys.argv[2], PrepareOptions(imgsz=96, name="shapes"))
"""
STAGE = """
import sys
from pathlib import Path
from segsweep.dataset.staging import stage
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
