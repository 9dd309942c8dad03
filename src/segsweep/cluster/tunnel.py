"""A way to the job server of a head: it listens there on loopback alone, so SSH carries what we say to it."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from segsweep.cluster.cluster_file import AwsCluster, LocalCluster
from segsweep.errors import Problem, RunError

DASHBOARD_PORT = 8265  # Ray's own: of the dashboard and the job server
_PATIENCE_S = 30.0
_PAUSE_S = 0.1
_KNOWN_HOSTS = Path("~/.ray/known_hosts")  # of heads alone: where one is set up anew, no other key is in doubt


class Tunnel:
    """An SSH tunnel from a free port of this machine's loopback to the head's job server, made anew where it broke.

    Args:
        host: The head's address.
        user: Who logs in there.
        private_key: File of the key; None where SSH knows it by itself.
    """

    def __init__(self, host: str, user: str, private_key: Path | None) -> None:
        self._host = host
        self._to = f"{user}@{host}"
        self._key = () if private_key is None else ("-i", str(private_key))
        self._process: subprocess.Popen[bytes] | None = None
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._port = 0

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._words.close()

    def address(self) -> str:
        """URL of the job server on this machine, once the tunnel stands.

        Raises:
            RunError: SSH does not get there; its own words are in the message.
        """
        if self._process is None or self._process.poll() is not None:
            self._dig()
        return f"http://127.0.0.1:{self._port}"

    def _dig(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._words.seek(0)
        self._words.truncate()
        _KNOWN_HOSTS.expanduser().parent.mkdir(parents=True, exist_ok=True)
        options = {
            "UserKnownHostsFile": f'"{_KNOWN_HOSTS.expanduser()}"',
            "BatchMode": "yes",  # asks nothing
            "StrictHostKeyChecking": "accept-new",
            "ExitOnForwardFailure": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "10",  # a head that vanishes without a word is noticed
            "ServerAliveCountMax": "3",
        }
        flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
        forward = f"127.0.0.1:{self._port}:127.0.0.1:{DASHBOARD_PORT}"
        command = ["ssh", "-N", "-L", forward, *flags, *self._key, self._to]
        try:
            # A session of its own: Ctrl-C is for us, not for the tunnel.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._words, start_new_session=True
            )
        except FileNotFoundError as exc:
            raise RunError(Problem("ssh", "is needed to reach the head", fix="install OpenSSH's client")) from exc
        deadline = time.monotonic() + _PATIENCE_S
        while not self._stands():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                said = self._said()
                fix = _FIX_KEY.format(host=self._host) if _WRONG_KEY in said else _FIX
                raise RunError(Problem(self._to, f"SSH does not reach the head: {said}", fix=fix))
            time.sleep(_PAUSE_S)

    def _stands(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def _said(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no answer")


_WRONG_KEY = "Host key verification failed"
_FIX_KEY = f"if that machine was set up anew, forget its old key: ssh-keygen -f {_KNOWN_HOSTS} -R {{host}}"
_FIX = "is the cluster up (make cluster-up), and does its file name your address, user and key?"


def head_address(file: AwsCluster | LocalCluster) -> str:
    """Address of the cluster's head.

    Raises:
        RunError: No head is up, or AWS does not say.
    """
    if isinstance(file, LocalCluster):
        return file.addresses[0]
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - with AWS only
    from ray.autoscaler.sdk import get_head_node_ip  # noqa: PLC0415 - seconds, and with AWS only

    try:
        return str(get_head_node_ip(file.path))
    except (BotoCoreError, ClientError, RuntimeError) as exc:
        said = str(exc).strip().split("\n", 1)[0]
        raise RunError(Problem(file.path, f"its head is not up: {said}", fix=f"ray up {file.path}")) from exc
