"""`segsweep inspect` as a user runs it, on the real photographs and on a dataset with one of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from faulty import write_faulty_yolo
from outline import Outline
from shell import Shell

pytestmark = [pytest.mark.e2e, pytest.mark.slow(reason="whole commands"), pytest.mark.timeout(120)]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.data
def test_feralcat_lacks_its_train_folder_and_holds_copies(shell, real_data):
    done = shell.run("inspect", real_data / "feralcat", "--html", "page.html")
    assert "! data.yaml names a folder that is not there: 1\n    train: ../train/images\n" in done.stdout
    assert "README.roboflow.txt says: 3 augmented versions were made of each source image" in done.stdout
    assert "Pictures: 10 images show 5 scenes (perceptual hashes at most 8 of 64 bits apart)." in done.stdout
    assert "It would not run: there are no images of train." in done.stdout
    page = (shell.cwd / "page.html").read_text()
    outline = Outline(page)
    assert outline.open == []
    assert {address[:16] for address in outline.addresses} == {"data:image/jpeg;"}
    assert "leak: 2 images in test and val, 2 of 64 bits apart" in page


def test_faults_are_an_answer_and_not_an_error(shell):
    write_faulty_yolo(shell.cwd / "raw")
    facts = shell.facts("inspect", "raw")
    assert len(facts["faults"]) == 6
    assert facts["training"]["used"] == 19


def test_only_where_there_is_no_dataset_it_fails(shell):
    shell.run("inspect", "nowhere", code=3)
    (shell.cwd / "empty").mkdir()
    shell.run("inspect", "empty", code=3)
    shell.run("inspect", "empty", "--format", "nonsense", code=2)
    write_faulty_yolo(shell.cwd / "raw")
    (shell.cwd / "file").write_text("")
    shell.run("inspect", "raw", "--html", "file/page.html", code=3)
