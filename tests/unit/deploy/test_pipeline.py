"""Stages that work at the same time: order, bounds, ends and failures."""

from __future__ import annotations

import _thread
import itertools
import threading
import time

import pytest

from segsweep.deploy.pipeline import Channel, Pipeline, Stage


def ourselves() -> set[threading.Thread]:
    return set(threading.enumerate())


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = ourselves()
    yield
    assert ourselves() <= before


def same(item):
    return item


def test_every_item_goes_through_every_stage_in_order():
    seen = []
    stages = [Stage("double", [lambda x: 2 * x]), Stage("keep", [lambda x: seen.append(x) or x])]
    pipeline = Pipeline(range(500), stages, bound=3)
    pipeline.run()
    assert seen == [2 * number for number in range(500)]
    assert pipeline.dropped == 0


def test_order_holds_behind_a_stage_whose_workers_overtake_each_other():
    seen = []

    def slow_at_even_numbers(item):
        time.sleep(0.002 if item % 2 == 0 else 0.0)
        return item

    stages = [Stage("work", [slow_at_even_numbers] * 3), Stage("keep", [lambda x: seen.append(x) or x])]
    Pipeline(range(60), stages, bound=2).run()
    assert seen == list(range(60))


def test_no_queue_ever_holds_more_than_its_bound_and_a_slow_stage_holds_the_source_back():
    given, written = [0], [0]
    ahead = []

    def source():
        for number in range(3000):
            given[0] = number + 1
            yield number

    def write(item):
        ahead.append(given[0] - written[0])
        written[0] += 1
        return item

    pipeline = Pipeline(source(), [Stage("work", [same, same]), Stage("write", [write])], bound=4)
    pipeline.run()
    assert written[0] == 3000
    assert max(pipeline.peaks) <= 4
    # Two queues of 4; in hand: one with the source, two with workers, one with the writer.
    assert max(ahead) <= 4 + 4 + 1 + 2 + 1


def test_the_stages_work_at_the_same_time():
    # Each of three stages waits for the other two, with items of its own: one after the other they would never meet.
    meeting = threading.Barrier(3, timeout=0.8)

    def meet(item):
        if item == {"a": 2, "b": 1, "c": 0}[threading.current_thread().name]:
            meeting.wait()
        return item

    def named(name):
        def work(item):
            threading.current_thread().name = name
            return meet(item)

        return work

    Pipeline(range(3), [Stage(name, [named(name)]) for name in "abc"], bound=1).run()


@pytest.mark.parametrize("failing", ["source", "first", "middle", "last"])
@pytest.mark.parametrize("bound", [1, 4])
def test_a_failure_anywhere_ends_all_stages_and_is_raised_once(failing, bound):
    def fail(item):
        if item == 7:
            raise OSError(f"{failing} broke")
        return item

    def source():
        for number in itertools.count():
            yield fail(number) if failing == "source" else number

    stages = [Stage(name, [fail if name == failing else same] * 2) for name in ("first", "middle")]
    stages.append(Stage("last", [fail if failing == "last" else same]))
    with pytest.raises(OSError, match=f"{failing} broke"):
        Pipeline(source(), stages, bound=bound).run()


def test_of_two_failures_the_first_is_raised():
    entered = threading.Event()

    def first(item):
        if item == 1:
            assert entered.wait(5)
            raise ValueError("first")
        return item

    def later(item):
        entered.set()
        time.sleep(0.1)
        raise ValueError("second")

    with pytest.raises(ValueError, match="first"):
        Pipeline(range(9), [Stage("a", [first]), Stage("b", [later])], bound=2).run()


def test_a_failing_tick_ends_all_stages_too():
    def tick():
        raise ValueError("the window is broken")

    with pytest.raises(ValueError, match="the window is broken"):
        Pipeline(itertools.count(), [Stage("a", [same])], bound=2).run(tick)


def test_ctrl_c_ends_the_source_and_finishes_what_it_gave():
    given, seen = [], []

    def source():
        for number in itertools.count():
            given.append(number)
            if number == 20:
                _thread.interrupt_main()
            yield number

    def keep(item):
        time.sleep(0.002)
        seen.append(item)
        return item

    pipeline = Pipeline(source(), [Stage("a", [same]), Stage("b", [keep])], bound=3)
    pipeline.run()
    assert pipeline.is_interrupted
    assert seen == list(range(len(seen)))
    assert len(seen) >= 20 - 8
    assert len(given) - len(seen) <= 2  # what was in the source's hand and found the queue closed


def test_a_second_ctrl_c_ends_everything():
    entered = threading.Event()

    def stuck(item):
        entered.set()
        time.sleep(0.3)
        return item

    ticks = []

    def tick():
        if entered.is_set():
            ticks.append(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline(itertools.count(), [Stage("a", [stuck])], bound=9).run(tick)
    assert len(ticks) == 2


def test_stop_wakes_a_source_that_pauses():
    halt = threading.Event()

    def source():
        yield 1
        assert halt.wait(60)

    pipeline = Pipeline(source(), [Stage("a", [same])], bound=1, halt=halt)
    pipeline.run(tick=pipeline.stop)


def test_the_latest_item_wins_where_the_first_stage_is_too_slow_and_the_rest_is_counted():
    seen = []
    released = threading.Event()

    def source():
        yield from range(100)
        released.set()

    def slow(item):
        seen.append(item)
        released.wait()
        return item

    pipeline = Pipeline(source(), [Stage("a", [slow])], bound=4, latest_wins=True)
    pipeline.run()
    assert seen[-1] == 99
    assert len(seen) <= 2 + 1
    assert pipeline.dropped == 100 - len(seen)
    assert pipeline.peaks == (1,)


def test_nothing_is_dropped_where_every_item_counts():
    def slow(item):
        time.sleep(0.001)
        return item

    pipeline = Pipeline(range(100), [Stage("a", [slow])], bound=1)
    pipeline.run()
    assert (pipeline.dropped, pipeline.times["a"].count, pipeline.times["decode"].count) == (0, 100, 100)


def test_a_source_without_items_ends_at_once():
    pipeline = Pipeline((), [Stage("a", [same, same]), Stage("b", [same])], bound=1)
    pipeline.run()
    assert pipeline.times["b"].count == 0


def test_working_times_are_without_waiting():
    def slow(item):
        time.sleep(0.01)
        return item

    pipeline = Pipeline(range(20), [Stage("quick", [same]), Stage("slow", [slow])], bound=1)
    pipeline.run()
    assert pipeline.times["quick"].total_s < pipeline.times["slow"].total_s / 2
    assert pipeline.times["slow"].count == 20


def test_a_closed_channel_gives_what_waits_and_takes_nothing():
    channel = Channel(2)
    assert channel.put(0, "a")
    channel.close()
    assert not channel.put(1, "b")
    assert channel.take() == (0, "a")
    assert channel.take() is None


def test_an_aborted_channel_forgets_what_waits():
    channel = Channel(2)
    channel.put(0, "a")
    channel.abort()
    assert channel.take() is None


def test_a_full_channel_where_the_latest_wins_lets_go_of_the_oldest():
    channel = Channel(2, latest_wins=True)
    for ticket, item in enumerate("abc"):
        channel.put(ticket, item)
    assert [channel.take(), channel.take()] == [(0, "b"), (1, "c")]
    assert channel.dropped == 1
