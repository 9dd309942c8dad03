from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segsweep import cli
from segsweep.errors import ConfigError, NoSpaceError, Problem, RunError

COMMANDS = ("sample", "prepare", "convert", "check", "sweep", "status", "report", "export")


@pytest.mark.slow(reason="starts a Python process")
@pytest.mark.timeout(20)
def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from segsweep.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'ultralytics', 'boto3', 'plotly', 'matplotlib', 'gradio', 'cv2', 'hyperopt'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: segsweep {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(Problem("job.yaml", "must be a number", "seed", "'x'")), 2),
        (NoSpaceError("the disk is full"), 3),
        (RunError("no run is here"), 4),
    ],
)
def test_an_error_is_a_message_and_its_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_status", fail)
    assert cli.main(["status", "runs/demo"]) == code
    shown = capsys.readouterr()
    assert shown.err == f"segsweep status: {error}\n"
    assert shown.out == ""


def test_an_unknown_command_exits_with_2() -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["swep"])
    assert ended.value.code == 2


def test_a_missing_extra_is_told_with_the_command_that_installs_it() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'segsweep\[train\]'"):
        cli._need("no_such_module", "train")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSWEEP_CACHE", "/mnt/nvme/cache")
    assert cli.cache_dir() == Path("/mnt/nvme/cache")
    monkeypatch.delenv("SEGSWEEP_CACHE")
    assert cli.cache_dir() == Path.home() / ".cache" / "segsweep"
