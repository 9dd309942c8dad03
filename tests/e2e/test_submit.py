"""A job submitted to a head that was started as the cluster files start it: followed, left, stopped, gone on with."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from segsweep.cluster.token import make_token
from shell import Shell, wait_until


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def owner(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The terminal of the user who has the token."""
    home = tmp_path_factory.mktemp("home")
    make_token(home)
    return shell.with_env(HOME=str(home), RAY_AUTH_MODE="token")


@pytest.fixture(scope="module")
def address(owner: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the job server of a running head."""
    port, dashboard = _free_port(), _free_port()
    scratch = Path(f"/tmp/segsweep-head-{port}")  # Ray's sockets need a short path
    log = tmp_path_factory.mktemp("head") / "log"
    bin_dir = Path(sys.executable).parent
    with log.open("wb") as out:
        head = subprocess.Popen(
            [
                str(bin_dir / "ray"), "start", "--head", f"--port={port}", "--num-cpus=2", "--block",
                "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", "--disable-usage-stats",
                # Ray's own would be taken where another head runs on this machine, and no job could be submitted.
                f"--dashboard-agent-listen-port={_free_port()}", f"--temp-dir={scratch}",
            ],
            env={**owner.env_seen(), "PATH": f"{bin_dir}:/usr/bin:/bin"},
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip

    def is_up() -> bool:
        assert head.poll() is None, log.read_text()[-3000:]
        return "Ray runtime started" in log.read_text()

    try:
        wait_until(is_up, 90, "the head")
        yield f"http://127.0.0.1:{dashboard}"
    finally:
        for member in [*psutil.Process(head.pid).children(recursive=True), psutil.Process(head.pid)]:
            member.send_signal(signal.SIGKILL)
        head.wait()
        subprocess.run(["rm", "-rf", str(scratch)], check=False)


def _words(name: str, address: str, bundles: Path, runs: Path, epochs: int) -> tuple[str, ...]:
    sets = {
        "name": name,
        "dataset": bundles / "demo",
        "storage": runs,
        "variants": "[n]",
        "train.imgsz": 64,
        "budget.trials": 1,
        "budget.max_epochs": epochs,
        "scheduler.grace_epochs": epochs,
    }
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    return ("submit", "jobs/demo.yaml", "--address", address, *words)


def _epochs(shell: Shell, run: Path) -> int:
    if not (run / "run.json").exists():
        return 0
    return max((trial["epoch"] for trial in shell.facts("status", run)["trials"]), default=0)


def test_a_job_goes_on_without_us_is_come_back_to_stopped_and_gone_on_with(
    owner: Shell, address: str, sample_bundles: Path, tmp_path: Path
) -> None:
    words = _words("long", address, sample_bundles, tmp_path / "runs", epochs=25)
    run = tmp_path / "runs" / "long"

    log = tmp_path / "log"
    following = owner.start(*words, log=log)  # a laptop that is closed
    wait_until(lambda: "epoch 1/25" in log.read_text(), 120, "the first epoch in the log")
    following.kill()
    following.wait()
    assert "come back with: segsweep submit jobs/demo.yaml --address" in log.read_text()
    seen = _epochs(owner, run)
    wait_until(lambda: _epochs(owner, run) > seen, 60, "an epoch while nobody follows")

    again = owner.start(*words, log=log)
    wait_until(lambda: "epoch 1/25" in log.read_text(), 60, "the log from its beginning")
    assert "at work since before" in log.read_text()
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 0
    assert "the job goes on; come back with" in log.read_text()
    assert "Traceback" not in log.read_text()

    stopped = owner.run(*words, "--stop")
    assert "stopped; nothing is lost" in stopped.stdout
    at_stop = _epochs(owner, run)
    assert owner.facts("status", run)["state"] == "INTERRUPTED"
    assert 1 < at_stop < 25
    shown = owner.run(*words, "--logs", code=4).stdout
    assert "stopped; nothing is lost, the same command goes on from the last epochs" in shown

    done = owner.run(*words)  # the same command goes on
    assert "completed: 1" in done.stdout
    assert "epoch 1/25" not in done.stdout
    assert owner.facts("status", run)["state"] == "COMPLETED"
    assert "completed: 1" in owner.run(*words, "--logs").stdout


def test_the_sweep_s_own_code_and_words_come_through(
    owner: Shell, address: str, sample_bundles: Path, tmp_path: Path
) -> None:
    words = _words("missing", address, tmp_path / "nowhere", tmp_path / "runs", epochs=1)
    shown = owner.run(*words, code=3).stdout
    assert "nowhere" in shown
    assert "failed: the reason is above" in shown


def test_who_has_no_token_or_another_is_refused(
    owner: Shell, shell: Shell, address: str, sample_bundles: Path, tmp_path: Path
) -> None:
    words = _words("stranger", address, sample_bundles, tmp_path / "runs", epochs=1)
    nobody = shell.with_env(HOME=str(tmp_path))
    assert "refuses this token, or wants one" in nobody.run(*words, code=2).stderr
    assert "refuses this token, or wants one" in owner.with_env(RAY_AUTH_TOKEN="00" * 32).run(*words, code=2).stderr
    assert not (tmp_path / "runs").exists()


def test_a_head_that_is_down_is_told(owner: Shell, sample_bundles: Path, tmp_path: Path) -> None:
    words = _words("down", f"http://127.0.0.1:{_free_port()}", sample_bundles, tmp_path / "runs", epochs=1)
    assert "the job server: does not answer" in owner.run(*words, code=4).stderr
