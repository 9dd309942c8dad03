from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from segsweep.dataset.spread import in_processes, in_this_process, usable_cores
from segsweep.errors import DatasetError

in_a_pool = [pytest.mark.slow(reason="starts Python processes"), pytest.mark.timeout(60)]


def spell(number: int) -> bytes:
    return f"{number} by {os.getpid()}".encode()


def die(number: int) -> bytes:
    os._exit(9)


def fail(number: int) -> bytes:
    raise DatasetError(f"chunk {number} is wrong")


def test_in_this_process_all_is_done_here():
    assert list(in_this_process(spell, range(3))) == [f"{i} by {os.getpid()}".encode() for i in range(3)]


def test_there_is_a_core_to_work_on():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


class TestPool:
    pytestmark = in_a_pool

    def test_every_chunk_is_done_once_by_the_workers_in_turn(self):
        words = [data.decode().split(" by ") for data in in_processes(2)(spell, range(20))]
        assert [int(number) for number, _ in words] == list(range(20))
        assert str(os.getpid()) not in {worker for _, worker in words}

    def test_only_a_few_chunks_are_asked_for_ahead(self):
        asked: list[int] = []

        def chunks() -> Iterator[int]:
            for number in range(100):
                asked.append(number)
                yield number

        results = in_processes(2)(spell, chunks())
        next(results)
        assert len(asked) == 4
        results.close()

    def test_a_worker_that_is_killed_is_told_in_words(self):
        with pytest.raises(DatasetError, match="a worker process was killed, most likely for want of memory"):
            list(in_processes(1)(die, range(3)))

    def test_what_is_wrong_in_a_worker_is_told_here(self):
        with pytest.raises(DatasetError, match="chunk 0 is wrong"):
            list(in_processes(2)(fail, range(3)))
