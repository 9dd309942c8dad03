"""What the README promises: two commands, and examples that run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from shell import REPO


def test_make_demo_makes_a_front_and_a_model(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (REPO / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, tmp_path / name)
    # The installation is the one under test; everything else is a fresh clone.
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (Path(sys.prefix) / "ready").touch()
    env = {**os.environ, "SEGSWEEP_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(["make", "demo"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    facts = json.loads((tmp_path / "build" / "report" / "facts.json").read_text())
    statuses = [trial["status"] for trial in facts["trials"]]
    assert len(statuses) >= 8
    assert "STOPPED" in statuses
    assert {t["variant"] for t in facts["trials"] if t["status"] == "COMPLETED"} == {"n", "s"}
    assert (tmp_path / "build" / "model" / "model.onnx").exists()
    assert "build/report/index.html" in done.stdout


def test_every_segsweep_command_in_the_readme_parses() -> None:
    from segsweep.cli import _parser

    text = "\n".join(path.read_text() for path in [REPO / "README.md", *(REPO / "docs").rglob("*.md")])
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [line for line in lines if line.startswith("segsweep ")]
    assert len(commands) >= 7
    for line in commands:
        _parser().parse_args(shlex.split(line)[1:])
