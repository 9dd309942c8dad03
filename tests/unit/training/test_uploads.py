"""Uploads go on in the background, in order, one at a time; what fails is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from segsweep.errors import StorageError
from segsweep.training.uploads import Uploads


def _fail() -> None:
    raise StorageError("the bucket is gone")


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    made = Uploads()
    yield made
    made.close()


def test_training_goes_on_while_an_upload_is_under_way(uploads: Uploads) -> None:
    gate, done = threading.Event(), threading.Event()

    def upload() -> None:
        assert gate.wait(10)
        done.set()

    uploads.start(upload)
    assert not done.is_set()
    gate.set()
    uploads.finish()
    assert done.is_set()


def test_the_next_upload_waits_for_the_one_before(uploads: Uploads) -> None:
    order: list[str] = []
    uploads.start(lambda: (threading.Event().wait(0.05), order.append("first"))[0])
    uploads.start(lambda: order.append("second"))
    uploads.finish()
    assert order == ["first", "second"]


def test_what_is_offered_while_another_is_under_way_is_left_out(uploads: Uploads) -> None:
    order: list[str] = []
    gate = threading.Event()
    uploads.offer(lambda: (gate.wait(10), order.append("first"))[0])
    uploads.offer(lambda: order.append("left out"))
    gate.set()
    uploads.finish()
    uploads.offer(lambda: order.append("third"))
    uploads.finish()
    assert order == ["first", "third"]


def test_what_an_upload_raises_is_raised_by_the_next_call_and_once(uploads: Uploads) -> None:
    uploads.start(_fail)
    with pytest.raises(StorageError, match="the bucket is gone"):
        uploads.start(lambda: None)
    uploads.finish()


def test_an_offer_tells_it_too(uploads: Uploads) -> None:
    gate = threading.Event()
    uploads.start(lambda: (gate.set(), _fail())[0])
    assert gate.wait(10)

    def offer_until_told() -> None:
        while True:
            uploads.offer(lambda: None)

    with pytest.raises(StorageError, match="the bucket is gone"):
        offer_until_told()
