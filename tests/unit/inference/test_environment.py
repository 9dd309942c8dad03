"""Ultralytics' environment: offline, quiet, safe."""

import os

import pytest

from segsweep.errors import MissingExtraError
from segsweep.inference import environment
from segsweep.inference.environment import prepare_ultralytics


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("YOLO_CONFIG_DIR", "YOLO_OFFLINE", "YOLO_AUTOINSTALL", "YOLO_VERBOSE", "ULTRALYTICS_SAFE_LOAD"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.slow(reason="imports matplotlib for its font")
@pytest.mark.timeout(30)
def test_nothing_is_fetched_and_no_code_is_run(tmp_path):
    prepare_ultralytics(tmp_path)
    assert os.environ["YOLO_OFFLINE"] == "1"
    assert os.environ["YOLO_AUTOINSTALL"] == "false"
    assert os.environ["ULTRALYTICS_SAFE_LOAD"] == "true"
    assert os.environ["YOLO_CONFIG_DIR"] == str(tmp_path / "ultralytics")
    assert (tmp_path / "ultralytics" / "Arial.ttf").stat().st_size > 100_000


def test_without_ultralytics_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"segsweep\[train\]"):
        prepare_ultralytics(tmp_path)
