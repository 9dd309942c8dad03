"""The tunnel to a head: how SSH is asked, and what is told where it does not get there."""

import socket
import sys

import pytest

from segsweep.cluster.cluster_file import LocalCluster
from segsweep.cluster.tunnel import Tunnel, head_address
from segsweep.errors import RunError

# Stands for ssh: says what it was asked, listens where it was told to, as long as the file `head` is there.
SSH = """#!{python}
import pathlib, socket, sys, time
folder = pathlib.Path(__file__).parent
with (folder / "asked").open("a") as file:
    print(*sys.argv[1:], file=file)
if not (folder / "head").exists():
    sys.exit("ubuntu@head: Permission denied (publickey).")
host, port = sys.argv[sys.argv.index("-L") + 1].split(":")[:2]
with socket.create_server((host, int(port))) as server:
    while (folder / "head").exists():
        time.sleep(0.02)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    program = tmp_path / "ssh"
    program.write_text(SSH.format(python=sys.executable))
    program.chmod(0o700)
    (tmp_path / "head").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home of mine"))
    return tmp_path


def asked(folder):
    return (folder / "asked").read_text().splitlines()


def port_of(address):
    return int(address.rpartition(":")[2])


def test_it_leads_from_loopback_to_the_head_s_loopback(folder, tmp_path):
    with Tunnel("192.0.2.7", "ubuntu", tmp_path / "key.pem") as tunnel:
        port = port_of(tunnel.address())
        socket.create_connection(("127.0.0.1", port)).close()
    (line,) = asked(folder)
    assert f"-L 127.0.0.1:{port}:127.0.0.1:8265 " in line
    assert f'UserKnownHostsFile="{tmp_path}/home of mine/.ray/known_hosts"' in line
    assert line.endswith(f"-i {tmp_path}/key.pem ubuntu@192.0.2.7")
    with pytest.raises(ConnectionRefusedError):  # it ends with whoever made it
        socket.create_connection(("127.0.0.1", port))


def test_it_stays_the_same_as_long_as_it_stands_and_is_made_anew_where_it_broke(folder):
    with Tunnel("192.0.2.7", "ubuntu", None) as tunnel:
        assert tunnel.address() == tunnel.address()
        assert len(asked(folder)) == 1
        tunnel._process.kill()
        tunnel._process.wait()
        port = port_of(tunnel.address())
        socket.create_connection(("127.0.0.1", port)).close()
        assert len(asked(folder)) == 2


def test_where_ssh_does_not_get_there_its_own_words_are_told(folder):
    (folder / "head").unlink()
    with (
        Tunnel("192.0.2.7", "ubuntu", None) as tunnel,
        pytest.raises(RunError, match=r"Permission denied \(publickey\)"),
    ):
        tunnel.address()


def test_a_head_with_another_key_is_not_trusted_and_how_to_trust_it_is_told(folder):
    program = folder / "ssh"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('Host key verification failed.')\n")
    with (
        Tunnel("192.0.2.7", "ubuntu", None) as tunnel,
        pytest.raises(RunError, match=r"ssh-keygen -f ~/.ray/known_hosts -R 192.0.2.7"),
    ):
        tunnel.address()


def test_without_ssh_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with Tunnel("192.0.2.7", "ubuntu", None) as tunnel, pytest.raises(RunError, match="install OpenSSH"):
        tunnel.address()


def test_machines_of_one_s_own_have_their_head_in_the_file():
    assert head_address(LocalCluster("f.yaml", "c", "me", None, ("192.0.2.1", "192.0.2.2"))) == "192.0.2.1"
