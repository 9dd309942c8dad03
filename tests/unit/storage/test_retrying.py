import logging
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from segsweep.errors import AccessError, ConfigError, ConflictError, NotFoundError, Problem, UnreachableError
from segsweep.storage.local import LocalStore
from segsweep.storage.retrying import Patience, RetryingStore, patience_s, without_retries


class FlakyStore(LocalStore):
    """Does not answer the first `failures` calls; with `deaf` it does what it was asked all the same."""

    def __init__(self, root: Path, failures: int, *, deaf: bool = False) -> None:
        super().__init__(root)
        self.failures = failures
        self.deaf = deaf
        self.calls = 0

    def _answer(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls > self.failures:
            return call()
        if self.deaf:
            call()
        raise UnreachableError(Problem("s3://runs/key", "no answer"))

    def read(self, key: str) -> bytes:
        return self._answer(lambda: super(FlakyStore, self).read(key))

    def write(self, key: str, data: bytes) -> None:
        self._answer(lambda: super(FlakyStore, self).write(key, data))

    def create(self, key: str, data: bytes) -> str:
        return self._answer(lambda: super(FlakyStore, self).create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        return self._answer(lambda: super(FlakyStore, self).replace(key, data, version))

    def stream(self, key: str, consume: Callable[[BinaryIO], Any]) -> Any:
        return self._answer(lambda: super(FlakyStore, self).stream(key, consume))


class Highest(random.Random):
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def retried(store: FlakyStore, attempts: int = 5, waits: list[float] | None = None) -> RetryingStore:
    return RetryingStore(store, attempts, sleep=(waits if waits is not None else []).append, rng=Highest())


def test_what_succeeds_the_first_time_is_called_exactly_once(tmp_path: Path) -> None:
    store, waits = FlakyStore(tmp_path, failures=0), []
    retried(store, waits=waits).write("key", b"bytes")
    assert (store.calls, waits) == (1, [])


def test_what_succeeds_the_third_time_is_called_three_times_with_growing_waits(tmp_path: Path) -> None:
    store, waits = FlakyStore(tmp_path, failures=2), []
    retried(store, waits=waits).write("key", b"bytes")
    assert (store.calls, waits) == (3, [1.0, 2.0])
    assert (tmp_path / "key").read_bytes() == b"bytes"


def test_what_never_succeeds_raises_after_the_last_attempt_without_waiting_for_another(tmp_path: Path) -> None:
    store, waits = FlakyStore(tmp_path, failures=99), []
    with pytest.raises(UnreachableError, match="no answer"):
        retried(store, 8, waits).read("key")
    assert (store.calls, waits) == (8, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])


def test_a_stream_that_broke_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    store = FlakyStore(tmp_path, failures=2, deaf=True)
    (tmp_path / "key").write_bytes(b"bytes")
    seen: list[bytes] = []

    def consume(file: BinaryIO) -> int:
        seen.append(file.read())
        return len(seen)

    assert retried(store).stream("key", consume) == 3
    assert seen == [b"bytes"] * 3


def test_what_a_reader_of_a_stream_raises_is_no_reason_to_read_again(tmp_path: Path) -> None:
    store = FlakyStore(tmp_path, failures=0)
    (tmp_path / "key").write_bytes(b"bytes")
    with pytest.raises(ZeroDivisionError):
        retried(store).stream("key", lambda file: 1 // len(file.read(0)))
    assert store.calls == 1


def test_one_attempt_is_no_retry(tmp_path: Path) -> None:
    store, waits = FlakyStore(tmp_path, failures=1), []
    with pytest.raises(UnreachableError):
        retried(store, 1, waits).read("key")
    assert (store.calls, waits) == (1, [])


def test_jitter_takes_at_most_half_of_a_wait(tmp_path: Path) -> None:
    waits: list[float] = []
    store = RetryingStore(FlakyStore(tmp_path, failures=100), 100, sleep=waits.append, rng=random.Random(0))
    with pytest.raises(UnreachableError):
        store.read("key")
    longest = [min(30.0, 2.0**n) for n in range(99)]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, longest, strict=True))
    assert len(set(waits[10:])) > 80


@pytest.mark.parametrize("kind", [AccessError, ConflictError])
def test_an_answer_that_says_no_is_not_asked_again(kind: type[Exception], tmp_path: Path) -> None:
    class Refusing(LocalStore):
        calls = 0

        def read(self, key: str) -> bytes:
            self.calls += 1
            raise kind(key)

    store = Refusing(tmp_path)
    with pytest.raises(kind):
        RetryingStore(store, sleep=lambda _: None).read("key")
    assert store.calls == 1


def test_a_create_whose_answer_was_lost_has_won(tmp_path: Path) -> None:
    store = FlakyStore(tmp_path, failures=1, deaf=True)
    version = retried(store).create("lock", b"mine")
    assert store.read_versioned("lock") == (b"mine", version)
    assert store.calls == 2


def test_a_create_that_another_won_meanwhile_is_refused(tmp_path: Path) -> None:
    store = FlakyStore(tmp_path, failures=1)
    LocalStore(tmp_path).create("lock", b"another's")
    with pytest.raises(ConflictError):
        retried(store).create("lock", b"mine")
    assert LocalStore(tmp_path).read("lock") == b"another's"


def test_a_create_that_lost_at_once_is_refused_even_if_the_bytes_are_the_same(tmp_path: Path) -> None:
    LocalStore(tmp_path).create("lock", b"same")
    with pytest.raises(ConflictError):
        retried(FlakyStore(tmp_path, failures=0)).create("lock", b"same")


def test_a_replace_whose_answer_was_lost_has_won(tmp_path: Path) -> None:
    first = LocalStore(tmp_path).create("lock", b"first")
    store = FlakyStore(tmp_path, failures=1, deaf=True)
    version = retried(store).replace("lock", b"second", first)
    assert store.read_versioned("lock") == (b"second", version)


def test_a_copy_in_another_process_retries_too(tmp_path: Path) -> None:
    store = pickle.loads(pickle.dumps(RetryingStore(FlakyStore(tmp_path, failures=1), first_delay_s=0.001)))
    store.write("key", b"bytes")
    assert (tmp_path / "key").read_bytes() == b"bytes"


def test_the_store_inside_can_be_had_without_retries(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert without_retries(RetryingStore(store)) is store
    assert without_retries(store) is store


class Clock:
    """Goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def patient(store: FlakyStore, clock: Clock, patience: Patience) -> RetryingStore:
    return RetryingStore(store, sleep=clock.sleep, rng=Highest(), patience=patience)


def test_a_place_that_has_answered_is_waited_for(tmp_path: Path) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)
    place = patient(store, clock, Patience(900, clock))
    place.write("key", b"old")
    store.calls, store.failures = 0, 12  # 241 s at the waits below
    place.write("key", b"new")
    assert store.calls == 13
    assert clock.waits == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]
    assert (tmp_path / "key").read_bytes() == b"new"


def test_it_is_given_up_when_patience_ends_and_the_end_says_how_long_it_was(tmp_path: Path) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)
    place = patient(store, clock, Patience(100, clock))
    place.write("key", b"old")
    store.failures = 999
    with pytest.raises(UnreachableError) as raised:
        place.write("key", b"new")
    assert sum(clock.waits) == 100
    assert str(raised.value) == (
        "s3://runs/key: no answer; silent for 100 s (run the same command again "
        "once it answers; SEGSWEEP_PATIENCE_S says how long it is waited for)"
    )


def test_the_last_words_of_a_process_that_gave_up_wait_no_more_until_there_is_an_answer(tmp_path: Path) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)
    patience = Patience(100, clock)
    place, other = (patient(store, clock, patience) for _ in range(2))
    place.write("key", b"old")
    store.failures = 999
    with pytest.raises(UnreachableError):
        place.write("key", b"new")
    clock.waits.clear()
    with pytest.raises(UnreachableError, match="no answer; silent for 100 s"):
        other.write("last words", b"")
    assert clock.waits == []
    store.failures = 0
    other.write("key", b"again")
    store.failures = store.calls + 3
    other.write("key", b"and again")
    assert clock.waits == [1, 2, 4]


def test_calls_of_one_outage_share_their_patience(tmp_path: Path) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)
    patience = Patience(100, clock)
    place = patient(store, clock, patience)
    place.write("key", b"old")
    store.failures = 999
    patience.kept_silent()  # another thread has met it already
    clock.now += 70
    with pytest.raises(UnreachableError, match="silent for 100 s"):
        place.write("key", b"new")
    assert sum(clock.waits) == pytest.approx(30)


def test_a_call_that_alone_is_never_answered_is_given_up_too(tmp_path: Path) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)
    patience = Patience(100, clock)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        patience.answered()  # to somebody else

    place = RetryingStore(store, sleep=sleep, rng=Highest(), patience=patience)
    place.write("key", b"old")
    store.failures = 999
    with pytest.raises(UnreachableError):
        place.write("key", b"new")
    assert sum(clock.waits) == 100


def test_a_missing_object_is_an_answer(tmp_path: Path) -> None:
    clock, patience = Clock(), Patience(100)
    place = patient(FlakyStore(tmp_path, failures=0), clock, patience)
    with pytest.raises(NotFoundError):
        place.read("nothing")
    assert patience.has_answered


@pytest.mark.parametrize("where", ["call", "wait"])
def test_whoever_interrupts_a_wait_is_not_kept_waiting_for_the_last_words(where: str, tmp_path: Path) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    place = RetryingStore(store, sleep=interrupt, rng=Highest(), patience=Patience(100, clock))
    place.write("key", b"old")
    store.failures = 999
    if where == "call":
        store.write = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        place.write("key", b"new")
    with pytest.raises(UnreachableError):
        place.read("last words")


def test_a_wait_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, store = Clock(), FlakyStore(tmp_path, failures=0)
    place = patient(store, clock, Patience(300, clock))
    place.write("key", b"old")
    store.failures = 8
    with caplog.at_level(logging.WARNING):
        place.write("key", b"new")
    assert "no answer; silent for 0 s, waiting for 300 s more, again in 1.0 s" in caplog.messages[0]
    assert "silent for 61 s, waiting for 239 s more, again in 30.0 s" in caplog.messages[-1]


@pytest.mark.parametrize(("text", "seconds"), [(None, 900), ("", 900), ("0", 0), ("3600", 3600), ("2.5", 2.5)])
def test_patience_is_what_the_environment_says(
    text: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGSWEEP_PATIENCE_S", raising=False)
    if text is not None:
        monkeypatch.setenv("SEGSWEEP_PATIENCE_S", text)
    assert patience_s() == seconds


@pytest.mark.parametrize("text", ["-1", "soon", "nan", "inf"])
def test_no_number_of_seconds_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSWEEP_PATIENCE_S", text)
    with pytest.raises(ConfigError, match="SEGSWEEP_PATIENCE_S"):
        patience_s()
