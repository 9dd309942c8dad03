"""A loop in a thread of its own gives one row at a time, and ends where it waits."""

import threading

import pytest

from segsweep.training.rendezvous import SteppedTraining, StopTraining


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=0.5)
        assert not thread.is_alive()


def test_rows_come_one_at_a_time_and_then_none():
    steps = []

    def body(report):
        for epoch in (1, 2, 3):
            steps.append(epoch)
            report({"epoch": epoch})

    training = SteppedTraining(body, "t0001")
    for epoch in (1, 2, 3):
        assert training.next_row() == {"epoch": epoch}
        assert steps == list(range(1, epoch + 1))  # the next epoch waits until it is asked for
    assert [training.next_row(), training.next_row()] == [None, None]


def test_the_loop_runs_in_a_thread_of_that_name():
    names = []
    training = SteppedTraining(lambda report: names.append(threading.current_thread().name), "t0007")
    assert training.next_row() is None
    assert names == ["t0007"]


def test_stopping_a_waiting_loop_unwinds_it_before_it_returns():
    unwound = []

    def body(report):
        try:
            report({"epoch": 1})
            unwound.append("went on")
        except Exception:  # noqa: BLE001 - as upstream code does
            unwound.append("caught")
        finally:
            unwound.append("finally")

    training = SteppedTraining(body, "t0001")
    training.next_row()
    training.stop()
    assert unwound == ["finally"]
    assert training.next_row() is None


def test_a_loop_that_asks_is_ended_in_the_middle_of_an_epoch():
    unwound, begun = [], threading.Event()

    def body(report):
        report({"epoch": 1})
        try:
            while True:
                begun.set()
                training.raise_if_stopped()
        finally:
            unwound.append("finally")

    training = SteppedTraining(body, "t0001")
    training.next_row()
    waiting = threading.Thread(target=training.next_row, daemon=True)  # whose row never comes
    waiting.start()
    assert begun.wait(1)
    training.stop()
    assert unwound == ["finally"]
    training._rows.put(None)
    waiting.join()


def test_a_report_on_the_way_out_ends_it_too():
    def body(report):
        try:
            report({"epoch": 1})
        finally:
            report({"epoch": 2})

    training = SteppedTraining(body, "t0001")
    assert training.next_row() == {"epoch": 1}
    training.stop()
    assert training.next_row() is None


def test_a_loop_that_was_stopped_before_its_start_never_runs():
    ran = []
    training = SteppedTraining(lambda report: ran.append(True), "t0001")
    training.stop()
    assert training.next_row() is None
    assert ran == []


def test_stopping_twice_and_after_the_end_is_harmless():
    training = SteppedTraining(lambda report: report({"epoch": 1}), "t0001")
    training.next_row()
    training.next_row()
    training.stop()
    training.stop()
    assert training.next_row() is None


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_the_loop_raises_is_raised_where_the_row_was_asked_for_once(kind):
    def body(report):
        report({"epoch": 1})
        raise kind("diverged")

    training = SteppedTraining(body, "t0001")
    assert training.next_row() == {"epoch": 1}
    with pytest.raises(kind, match="diverged"):
        training.next_row()
    assert training.next_row() is None


def test_an_error_before_the_first_row_is_raised():
    def body(report):
        raise OSError("no such dataset")

    with pytest.raises(OSError, match="no such dataset"):
        SteppedTraining(body, "t0001").next_row()


def test_a_handler_of_ordinary_errors_in_the_loop_does_not_swallow_the_stop():
    assert not issubclass(StopTraining, Exception)


def test_trials_follow_each_other_in_one_process():
    for number in range(20):
        training = SteppedTraining(lambda report, number=number: report({"epoch": number}), f"t{number:04d}")
        assert training.next_row() == {"epoch": number}
        training.stop()
