"""Every store that a contract is asked of."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from seaweed import SeaweedServer
from segsweep.storage.local import LocalStore
from segsweep.storage.retrying import RetryingStore
from segsweep.storage.s3 import S3Store
from segsweep.storage.store import Store


@pytest.fixture(params=["folder", "retried folder", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "s3":
        server: SeaweedServer = request.getfixturevalue("seaweed_environment")
        return S3Store(server.bucket, f"contract/{uuid.uuid4().hex}")
    folder = LocalStore(tmp_path / "store")
    return RetryingStore(folder) if request.param == "retried folder" else folder
