"""Hosts on one machine: network namespaces on a bridge, each with its own processes, home and SSH server.

Needs root, iproute2, util-linux, openssh-server. Killing a host is killing its first process: all others go with it.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "10.77.13"
_BRIDGE = "segbr0"
_HOME = "/mnt/home"  # the same path on every host
TOOLS = ("ip", "unshare", "sshd", "ssh-keygen", "rsync")

_BOOT = """
set -e
mount --make-rprivate /
for folder in /tmp/ray /tmp/ray_tmp_mount /dev/shm; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
mount -t tmpfs tmpfs /mnt
mkdir -p {home} /run/sshd
mount --bind {own} {home}
mount --bind {own}/etc/passwd /etc/passwd
hostname {name}
cd {home}
exec {sshd} -D -e -f {own}/etc/sshd_config
"""

_SSHD = """
Port 22
ListenAddress {address}
HostKey {own}/etc/host_key
AuthorizedKeysFile {own}/etc/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes

"""


@dataclass
class Host:
    """One host.

    Attributes:
        name: Its host name.
        address: On the bridge.
        home: Root's home there, as this machine sees it.
    """

    name: str
    address: str
    home: Path
    _first: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def boot(self) -> None:
        """Start it, its home as it was left; SSH answers when this returns."""
        script = _BOOT.format(home=_HOME, own=self.home, name=self.name, sshd=shutil.which("sshd"))
        with (self.home / "etc" / "boot.log").open("ab") as log:
            first = subprocess.Popen(
                [
                    "setpriv", "--pdeathsig", "KILL",  # a test that is killed leaves no host
                    "ip", "netns", "exec", self.name,
                    "unshare", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc",
                    "bash", "-c", script,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._first.append(first)
        deadline = time.monotonic() + 20
        while self.run("true", timeout=10).returncode:
            assert first.poll() is None, (self.home / "etc" / "boot.log").read_text()
            assert time.monotonic() < deadline, f"{self.name}: no SSH"
            time.sleep(0.2)

    def kill(self) -> None:
        """What a machine that loses its power looks like."""
        while self._first:
            first = self._first.pop()
            first.send_signal(signal.SIGKILL)
            first.wait()

    def run(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command there, over SSH."""
        return subprocess.run(
            ["ssh", *ssh_options(self.home.parent / "key"), f"root@{self.address}", command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip


def ssh_options(key: Path) -> list[str]:
    """For hosts that are made anew under the same address."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=5")
    return ["-q", "-i", str(key), *(word for option in options for word in ("-o", option))]


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts, booted; the folder of their homes is seen by all at the same path, and gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="segsweep-hosts-", dir="/var/tmp"))
    made: list[Host] = []
    try:
        _tear_down(count)
        _do("ip", "link", "add", _BRIDGE, "type", "bridge")
        _do("ip", "address", "add", f"{NETWORK}.1/24", "dev", _BRIDGE)
        _do("ip", "link", "set", _BRIDGE, "up")
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
        for number in range(count):
            made.append(_plug_in(number, folder))
            made[-1].boot()
        yield made
    finally:
        for host in made:
            host.kill()
        _tear_down(count)
        shutil.rmtree(folder, ignore_errors=True)


def _plug_in(number: int, folder: Path) -> Host:
    host = Host(f"seghost{number}", f"{NETWORK}.{number + 10}", folder / f"host{number}")
    inner = ("ip", "-n", host.name)
    _do("ip", "netns", "add", host.name)
    _do("ip", "link", "add", f"segout{number}", "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _do("ip", "link", "set", f"segout{number}", "master", _BRIDGE, "up")
    _do(*inner, "address", "add", f"{host.address}/24", "dev", "eth0")
    _do(*inner, "link", "set", "lo", "up")
    _do(*inner, "link", "set", "eth0", "up")
    _do(*inner, "route", "add", "default", "via", f"{NETWORK}.1")  # without it Ray takes 127.0.0.1 for its address
    etc = host.home / "etc"
    etc.mkdir(parents=True)
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(etc / "host_key"))
    shutil.copy(folder / "key.pub", etc / "authorized_keys")
    (etc / "sshd_config").write_text(_SSHD.format(own=host.home, address=host.address))
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
    (etc / "passwd").write_text("\n".join([f"root:x:0:0:root:{_HOME}:/bin/bash", *users, ""]))
    return host


def _tear_down(count: int) -> None:
    """Also what a killed run has left."""
    for number in range(count):
        subprocess.run(["ip", "netns", "delete", f"seghost{number}"], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "link", "delete", f"segout{number}"], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["ip", "link", "delete", _BRIDGE], stderr=subprocess.DEVNULL, check=False)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
