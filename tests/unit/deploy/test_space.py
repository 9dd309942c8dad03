from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from films import write_cat_model
from segsweep.deploy import space
from segsweep.deploy.app_models import Offer, Offered
from segsweep.deploy.app_source import PACKAGE
from segsweep.deploy.space import modules_of, write_space
from segsweep.errors import ConfigError


@pytest.fixture
def offer(tmp_path):
    cv2.imwrite(str(tmp_path / "cat.png"), np.full((20, 30, 3), 99, np.uint8))
    model = write_cat_model(tmp_path / "cat.onnx")
    models = (Offered("n · mAP50-95 0.330 · 8.0 ms · t0004", model), Offered("../../s", model))
    return Offer(models, "../../s", (tmp_path / "cat.png",))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_what_a_space_needs(tmp_path, offer):
    made = write_space(offer, tmp_path / "space")
    found = files(tmp_path / "space")
    assert (
        found["models/1-n-mAP50-95-0.330-8.0-ms-t0004.onnx"]
        == found["models/2-s.onnx"]
        == offer.models[0].path.read_bytes()
    )
    assert cv2.imread(str(tmp_path / "space" / "examples" / "cat.jpg")).shape == (20, 30, 3)
    assert b"GNU AFFERO" in found["LICENSE"]
    assert b"*.onnx filter=lfs" in found[".gitattributes"]
    facts = json.loads(found["space.json"])
    assert [model["label"] for model in facts["models"]] == [model.label for model in offer.models]
    assert facts["first"] == "../../s"
    assert facts["examples"] == ["examples/cat.jpg"]
    assert made.to_json()["size_bytes"] == sum(len(data) for data in found.values())


def test_the_front_matter_is_what_hugging_face_reads(tmp_path, offer):
    write_space(offer, tmp_path / "space")
    text = (tmp_path / "space" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == version("gradio")
    assert (tmp_path / "space" / front["app_file"]).is_file()
    assert front["license"] == "agpl-3.0"
    assert front["python_version"] == "3.11"


def test_the_requirements_are_pinned_to_what_is_installed_here_and_train_nothing(tmp_path, offer):
    write_space(offer, tmp_path / "space")
    lines = (tmp_path / "space" / "requirements.txt").read_text().split()
    assert lines == [
        f"{name}=={version(name)}" for name in ("gradio", "onnxruntime", "av", "numpy", "opencv-python-headless")
    ]


def test_every_module_that_is_copied_is_needed_and_none_is_missing(tmp_path, offer):
    write_space(offer, tmp_path / "space")
    copied = {name for name in files(tmp_path / "space") if name.startswith("segsweep/")}
    assert {"segsweep/deploy/app.py", "segsweep/inference/predictor.py", "segsweep/__init__.py"} <= copied
    assert not [name for name in copied if "/report/" in name or "/search/" in name or "s3" in name or "export" in name]
    for name in copied:
        assert (tmp_path / "space" / name).read_bytes() == (PACKAGE.parent / name).read_bytes()


@pytest.mark.slow(reason="starts a fresh interpreter that imports onnxruntime, OpenCV and Gradio")
@pytest.mark.timeout(60)
def test_the_copied_modules_import_each_other_alone(tmp_path, offer):
    write_space(offer, tmp_path / "space")
    script = "import sys, app; from segsweep.deploy import app as page; print(page.__file__)"
    folder = tmp_path / "space"
    env = {"PATH": "/usr/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == folder / "segsweep" / "deploy" / "app.py"


def test_the_app_of_a_space_names_what_exists(tmp_path, offer):
    write_space(offer, tmp_path / "space")
    tree = ast.parse((tmp_path / "space" / "app.py").read_text())
    wanted = [node.module for node in tree.body if isinstance(node, ast.ImportFrom) and "segsweep" in str(node.module)]
    assert wanted == ["segsweep.deploy.app_models", "segsweep.deploy.app_server"]


def test_imports_are_followed_through_packages_and_not_into_functions(tmp_path):
    for name, text in {
        "__init__.py": "",
        "a.py": "import segsweep.b.c\nfrom os import sep\nfrom segsweep import d\ndef f():\n    import segsweep.lazy\n",
        "b/__init__.py": "",
        "b/c.py": "from segsweep.b.e import thing\nfrom segsweep.a import f\n",
        "b/e.py": "thing = 1\n",
        "d.py": "",
        "lazy.py": "",
        "other.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [path.as_posix() for path in modules_of(["segsweep.a"], tmp_path)]
    assert found == ["__init__.py", "a.py", "b/__init__.py", "b/c.py", "b/e.py", "d.py"]


@pytest.mark.slow(reason="writes two Spaces")
@pytest.mark.timeout(10)
def test_a_folder_of_ours_is_replaced_and_nothing_is_left_beside(tmp_path, offer):
    write_space(offer, tmp_path / "out" / "space")
    write_space(Offer(offer.models[1:], "../../s"), tmp_path / "out" / "space")
    found = files(tmp_path / "out" / "space")
    assert [name for name in found if name.startswith(("models/", "examples/"))] == ["models/1-s.onnx"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["space"]


@pytest.mark.parametrize("strange", ["notes.txt", ".git", "app.py"])
def test_a_folder_of_others_is_refused_and_stays(tmp_path, offer, strange):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / strange).write_text("mine")
    with pytest.raises(ConfigError, match=f"--space: .*here is {strange}"):
        write_space(offer, tmp_path / "space")
    assert files(tmp_path / "space") == {strange: b"mine"}


@pytest.mark.slow(reason="writes two Spaces")
@pytest.mark.timeout(10)
def test_what_somebody_has_put_into_a_folder_of_ours_is_not_deleted(tmp_path, offer):
    write_space(offer, tmp_path / "space")
    (tmp_path / "space" / "mine.txt").write_text("mine")
    before = files(tmp_path / "space")
    with pytest.raises(ConfigError, match=r"here is mine\.txt"):
        write_space(offer, tmp_path / "space")
    assert files(tmp_path / "space") == before


def test_an_empty_folder_is_filled_and_a_file_is_in_the_way(tmp_path, offer):
    (tmp_path / "space").mkdir()
    write_space(offer, tmp_path / "space")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="a file is in the way"):
        write_space(offer, tmp_path / "file")


@pytest.mark.slow(reason="writes two Spaces")
@pytest.mark.timeout(10)
def test_what_fails_in_the_middle_leaves_what_was_there(tmp_path, offer, monkeypatch):
    write_space(offer, tmp_path / "out" / "space")
    before = files(tmp_path / "out")

    def fail(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(space, "_readme", fail)
    with pytest.raises(Exception, match="no room to write"):
        write_space(offer, tmp_path / "out" / "space")
    assert files(tmp_path / "out") == before
    with pytest.raises(Exception, match="no room to write"):
        write_space(offer, tmp_path / "new" / "space")
    assert not (tmp_path / "new" / "space").exists()


def test_what_is_no_model_or_no_example_is_told_before_anything_is_written(tmp_path, offer):
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ConfigError, match="must be an ONNX model"):
        write_space(Offer((Offered("text", tmp_path / "text.onnx"),), "text"), tmp_path / "space")
    with pytest.raises(ConfigError, match="is not an image"):
        write_space(Offer(offer.models, offer.first, (tmp_path / "text.onnx",)), tmp_path / "space")
    assert not (tmp_path / "space").exists()
