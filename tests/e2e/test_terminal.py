"""A sweep as a person watches it: in a terminal, stopped with Ctrl-C, gone on with."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path

import psutil
import pytest

from shell import Shell

CTRL_C = b"\x03"
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal of 40 lines with one command in it."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.seen = ""
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            # Whoever runs this in the background ignores Ctrl-C, and that is inherited; a terminal's shell does not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execvpe(command[0], command, {**env, "TERM": "xterm-256color"})
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))

    def press(self, key: bytes) -> None:
        os.write(self._screen, key)

    def wait_for(self, pattern: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, (
                f"{pattern!r} was not shown within {timeout_s:g} s:\n{self.seen[-3000:]}"
            )
            assert self._read(), f"the command ended without showing {pattern!r}:\n{self.seen[-3000:]}"

    def wait_for_end(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        while self._read():
            assert time.monotonic() < deadline, f"still running after {timeout_s:g} s:\n{self.seen[-3000:]}"
        os.close(self._screen)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        """Take in what is shown within half a second; False at the end."""
        if not select.select([self._screen], [], [], 0.5)[0]:
            return True
        try:
            data = os.read(self._screen, 1 << 16)
        except OSError:  # Linux's way to say that nobody holds the other side
            return False
        self.seen += _STYLE.sub("", data.decode(errors="replace"))
        return bool(data)


@pytest.fixture(scope="module")
def job(sample_bundles: Path) -> tuple[str, ...]:
    return (
        "jobs/demo.yaml",
        "--set", "name=watched",
        "--set", "storage=runs",
        "--set", f"dataset={sample_bundles / 'demo'}",
        "--set", "variants=[n]",
        "--set", "budget={max_epochs: 4, trials: 10}",
        "--set", "scheduler={grace_epochs: 2, reduction_factor: 2}",
        "--set", "train.imgsz=64",
    )  # fmt: skip


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(shell: Shell, job: tuple[str, ...]) -> None:
    terminal = Terminal(shell._command(("sweep", *job)), shell.cwd, shell.env_seen())
    terminal.wait_for(r"t0001\s+n\s+[1-4]/4", 180)  # a line a trial
    for told in (r"best n", r"\d+/10 trials", r"about .* left"):  # best so far, budget and time left
        terminal.wait_for(told, 180)
    family = psutil.Process(terminal.pid).children(recursive=True)
    terminal.press(CTRL_C)
    assert terminal.wait_for_end(120) == 4, terminal.seen[-3000:]
    assert "Traceback" not in terminal.seen
    assert "the same command goes on" in terminal.seen
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    status = shell.facts("status", "runs/watched")
    assert status["state"] == "INTERRUPTED"
    reached = {trial["trial_id"]: trial["epoch"] for trial in status["trials"]}
    assert any(reached.values())

    shell.run("sweep", *job)
    status = shell.facts("status", "runs/watched")
    assert status["state"] == "COMPLETED"
    assert len(status["trials"]) == 10
    assert all(trial["epoch"] >= reached.get(trial["trial_id"], 0) for trial in status["trials"])
