from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from segsweep import cli, commands
from segsweep.errors import ConfigError, DatasetError, NoSpaceError, Problem, RunError

COMMANDS = (
    "sample", "prepare", "convert", "check", "sweep", "status", "report", "export", "predict", "compare", "video",
    "submit",
)  # fmt: skip


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

    monkeypatch.setattr(commands, "status", fail)
    assert cli.main(["status", "runs/demo"]) == code
    shown = capsys.readouterr()
    assert shown.err == f"segsweep status: {error}\n"
    assert shown.out == ""


def test_of_a_flood_of_problems_the_beginning_is_shown_and_all_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    problems = [Problem(f"{number}.jpg", "must be an image") for number in range(30_000)]

    def fail(args: object) -> int:
        raise DatasetError(problems)

    monkeypatch.setattr(commands, "status", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cli.main(["status", "runs/demo"]) == 3
    shown = capsys.readouterr().err.splitlines()
    assert shown[:2] == ["segsweep status: 0.jpg: must be an image", "1.jpg: must be an image"]
    (kept,) = tmp_path.iterdir()
    assert shown[50:] == [f"... and 29950 more; all are in {kept}"]
    assert kept.read_text().splitlines() == [str(problem) for problem in problems]


def test_a_flood_is_shown_whole_where_it_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(args: object) -> int:
        raise DatasetError([Problem(f"{number}.jpg", "must be an image") for number in range(60)])

    monkeypatch.setattr(commands, "status", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert cli.main(["status", "runs/demo"]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 60


def test_an_unknown_command_exits_with_2() -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["swep"])
    assert ended.value.code == 2


def test_a_missing_extra_is_told_with_the_command_that_installs_it() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'segsweep\[train\]'"):
        commands._need("no_such_module", "train")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSWEEP_CACHE", "/mnt/nvme/cache")
    assert commands.cache_dir() == Path("/mnt/nvme/cache")
    monkeypatch.delenv("SEGSWEEP_CACHE")
    assert commands.cache_dir() == Path.home() / ".cache" / "segsweep"
