"""A user's terminal: segsweep commands as processes, and ways to kill them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

REPO = Path(__file__).parents[1]


@dataclass(frozen=True)
class Shell:
    """A user's terminal.

    Attributes:
        cwd: Holds `jobs/` and `search_spaces/` of the repository.
        env: What the commands see.
    """

    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one segsweep command and insist on its exit code; a traceback is never acceptable."""
        done = subprocess.run(
            self._command(args), cwd=self.cwd, env=self.env_seen(), capture_output=True, text=True, check=False
        )
        shown = f"segsweep {' '.join(map(str, args))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr, shown
        assert done.returncode == code, f"exit {done.returncode}, expected {code}: {shown}"
        return done

    def facts(self, *args: object) -> Any:
        """Run a command with --json and return what it prints."""
        return json.loads(self.run(*args, "--json").stdout)

    def start(self, *args: object, log: Path) -> subprocess.Popen[bytes]:
        """Start one segsweep command in a session of its own."""
        with log.open("wb") as out:
            return subprocess.Popen(
                self._command(args), cwd=self.cwd, env=self.env_seen(), stdout=out, stderr=out, start_new_session=True
            )

    def with_env(self, **more: str) -> Shell:
        return Shell(self.cwd, {**self.env, **more})

    def _command(self, args: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "segsweep", *map(str, args)]

    def env_seen(self) -> dict[str, str]:
        """The environment of the commands."""
        return {**{k: v for k, v in os.environ.items() if not k.startswith(("SEGSWEEP_", "RAY_"))}, **self.env}


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a driver and everything it has started, all at once: what a machine that vanishes looks like."""
    parent = psutil.Process(process.pid)
    family = [*parent.children(recursive=True), parent]
    for member in family:
        member.send_signal(signal.SIGSTOP)  # nobody gets to clean up
    for member in family:
        member.kill()
    process.wait()


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s:g} s"
        time.sleep(0.2)
