"""Ultralytics' environment: offline, quiet, safe."""

import json
import os
import subprocess
import sys

import pytest

from segsweep.dataset import environment
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import MissingExtraError

# In a process of its own: Ultralytics reads its environment once.
SCRIPT = """
import json, os, sys
from pathlib import Path
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(sys.argv[1]))
from ultralytics import SETTINGS
from ultralytics.utils import ONLINE
from ultralytics.utils.checks import check_font
print(json.dumps({"settings": SETTINGS, "online": ONLINE, "font": str(check_font("Arial.ttf")),
    "safe": os.environ["ULTRALYTICS_SAFE_LOAD"], "autoinstall": os.environ["YOLO_AUTOINSTALL"]}, default=str))
"""


@pytest.mark.slow(reason="imports Ultralytics and matplotlib in a process of its own")
@pytest.mark.timeout(120)
def test_nothing_is_fetched_reported_or_run(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "ULTRALYTICS_"))}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert not any(found["settings"][name] for name in ("sync", "raytune", "wandb", "mlflow", "tensorboard"))
    assert not found["online"]
    assert found["font"].startswith(str(tmp_path))
    assert found["safe"] == "true"
    assert found["autoinstall"] == "false"


def test_without_ultralytics_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"segsweep\[train\]"):
        prepare_ultralytics(tmp_path)
