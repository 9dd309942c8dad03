"""A head that is started as the cluster files start it lets in who has the token, and nobody else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from segsweep.cluster.token import make_token
from shell import Shell, wait_until


@dataclass(frozen=True)
class Head:
    """A running head.

    Attributes:
        address: As `RAY_ADDRESS` takes it.
        home: Of the user who has the token.
    """

    address: str
    home: Path


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    home = tmp_path_factory.mktemp("home")
    make_token(home)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scratch = Path(f"/tmp/segsweep-head-{port}")  # Ray's sockets need a short path
    log = home / "head.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}", "--num-cpus=2",
                "--dashboard-host=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats", "--block",
                f"--temp-dir={scratch}",
            ],
            env={**_environment(home), "RAY_AUTH_MODE": "token"},
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        return "Ray runtime started" in log.read_text()

    try:
        wait_until(is_up, 60, "the head")
        yield Head(f"127.0.0.1:{port}", home)
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            member.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(["rm", "-rf", str(scratch)], check=False)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SEGSWEEP_"))}
    return {**kept, "HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _check(shell: Shell, head: Head, bundles: Path, home: Path, code: int, **more: str) -> str:
    there = shell.with_env(RAY_ADDRESS=head.address, HOME=str(home), RAY_AUTH_MODE="token", **more)
    own = ("--set", f"dataset={bundles / 'demo'}", "--set", "storage=runs", "--set", "train.imgsz=64")
    done = there.run("check", "jobs/demo.yaml", *own, code=code)
    return " ".join((done.stdout + done.stderr).split())


def test_who_has_the_token_is_let_in(head: Head, shell: Shell, sample_bundles: Path) -> None:
    assert "demo" in _check(shell, head, sample_bundles, head.home, 0)


def test_who_has_none_is_told_what_is_missing(head: Head, shell: Shell, sample_bundles: Path, tmp_path: Path) -> None:
    told = _check(shell, head, sample_bundles, tmp_path, 2)
    assert f"RAY_ADDRESS: {head.address}: the cluster wants a token" in told


def test_who_has_another_is_refused(head: Head, shell: Shell, sample_bundles: Path, tmp_path: Path) -> None:
    told = _check(shell, head, sample_bundles, tmp_path, 2, RAY_AUTH_TOKEN="00" * 32)
    assert "no cluster answers" in told
    assert "another ~/.ray/auth_token" in told
