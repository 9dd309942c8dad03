"""Uploads go on in the background, in order, one at a time; what fails is told."""

from __future__ import annotations

import threading

import pytest

from segsweep.errors import StorageError
from segsweep.training.rendezvous import StopTraining
from segsweep.training.uploads import Uploads


def _fail() -> None:
    raise StorageError("the bucket is gone")


def test_training_goes_on_while_an_upload_is_under_way() -> None:
    gate, done = threading.Event(), threading.Event()

    def upload() -> None:
        assert gate.wait(10)
        done.set()

    with Uploads() as uploads:
        uploads.start(upload)
        assert not done.is_set()
        gate.set()
        uploads.finish()
        assert done.is_set()


def test_the_next_upload_waits_for_the_one_before() -> None:
    order: list[str] = []
    with Uploads() as uploads:
        uploads.start(lambda: (threading.Event().wait(0.05), order.append("first"))[0])
        uploads.start(lambda: order.append("second"))
    assert order == ["first", "second"]


def test_what_an_upload_raises_is_raised_by_the_next_call_and_once() -> None:
    with Uploads() as uploads:
        uploads.start(_fail)
        with pytest.raises(StorageError, match="the bucket is gone"):
            uploads.start(lambda: None)
        uploads.finish()


@pytest.mark.parametrize("ending", [None, StopTraining()])
def test_a_failed_last_upload_is_told_also_when_the_trial_was_stopped(ending: BaseException | None) -> None:
    with pytest.raises(StorageError), Uploads() as uploads:  # noqa: PT012 - the block's end is what is tested
        uploads.start(_fail)
        if ending is not None:
            raise ending


def test_what_went_wrong_first_is_told_and_the_upload_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="first"), Uploads() as uploads:  # noqa: PT012 - as above
        uploads.start(_fail)
        raise ValueError("first")
    assert "the bucket is gone" in caplog.text
