"""An AWS account on loopback, and the shipped cluster file with its lines edited."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

REPO = Path(__file__).parents[3]
EDITED = {
    "EDIT-bucket": "my-bucket",
    "EDIT-address/32": "203.0.113.7/32",
    "~/.ssh/EDIT-key.pem": "KEY-FILE",
    "EDIT-key": "my-key",
}


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fresh account with a key pair; everything that asks AWS in this process asks it."""
    import urllib.request

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": moto_endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{moto_endpoint}/moto-api/reset", method="POST")).close()
    session = boto3.session.Session(region_name="us-east-1")
    session.client("ec2").create_key_pair(KeyName="my-key")
    return session


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """`cluster.yaml` as a user has edited it."""
    text = (REPO / "cluster.yaml").read_text()
    key = tmp_path / "my-key.pem"
    key.write_text("private")
    key.chmod(0o600)
    for placeholder, value in EDITED.items():
        text = text.replace(placeholder, value)
    path = tmp_path / "cluster.yaml"
    path.write_text(text.replace("KEY-FILE", str(key)))
    return path
