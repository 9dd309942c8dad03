import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segsweep.errors import DamagedRunError
from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.owner import Owner, dump_owner, read_owner, this_process

NOW = 1_800_000_000.0
ELSEWHERE = Owner("gpu-1", "another-boot/pid:[1]", 4711, 99, "abc", NOW - 500, NOW, 10.0)


def at(now: float) -> Callable[[], float]:
    return lambda: now


def test_this_process_is_alive_however_old_its_heartbeat() -> None:
    owner = this_process(NOW, 10.0)
    assert owner.pid == os.getpid()
    assert owner.is_on_this_machine
    assert owner.is_alive(at(NOW + 1e6))


def test_a_pid_that_was_given_out_again_is_not_the_owner() -> None:
    owner = this_process(NOW, 10.0)
    assert not replace(owner, process_started=owner.process_started - 1).is_alive(at(NOW))


def test_a_process_that_has_ended_is_dead_at_once_even_before_its_parent_notices() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        # /proc/<pid>/stat, field 22; the name of `sleep` holds no space.
        started = int(Path(f"/proc/{process.pid}/stat").read_text().split()[21])
        owner = replace(this_process(NOW, 10.0), pid=process.pid, process_started=started)
        assert owner.is_alive(at(NOW))
        process.kill()
        deadline = time.monotonic() + 0.8
        while owner.is_alive(at(NOW)) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not owner.is_alive(at(NOW)), "a zombie passes for the owner"
        process.wait()
        assert not owner.is_alive(at(NOW))


def test_on_another_machine_nine_missed_heartbeats_are_death() -> None:
    assert not ELSEWHERE.is_on_this_machine
    assert ELSEWHERE.is_alive(at(NOW + 90))
    assert not ELSEWHERE.is_alive(at(NOW + 90.1))
    assert ELSEWHERE.is_alive(at(NOW - 3600)), "the owner's clock is ahead of ours"


def test_the_same_pid_in_another_container_is_another_process() -> None:
    owner = replace(this_process(NOW, 10.0), machine="another-boot/pid:[1]")
    assert not owner.is_on_this_machine
    assert not owner.is_alive(at(NOW + 91))


def test_without_proc_only_the_heartbeat_counts() -> None:
    owner = replace(ELSEWHERE, machine="")
    assert not owner.is_on_this_machine
    assert owner.is_alive(at(NOW + 90))


def test_nobody_owns_a_run_without_a_lock(tmp_path: Path) -> None:
    assert read_owner(LocalStore(tmp_path)) is None


def test_an_owner_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write(layout.LOCK, dump_owner(ELSEWHERE))
    assert read_owner(store) == ELSEWHERE


def test_a_lock_of_a_newer_version_is_read(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write(layout.LOCK, json.dumps({**json.loads(dump_owner(ELSEWHERE)), "colour": "red"}).encode())
    assert read_owner(store) == ELSEWHERE


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'"text"', b'{"host": "a", "pid": "many"}', b"\xff"])
def test_a_lock_that_is_no_lock_record_is_told(data: bytes, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write(layout.LOCK, data)
    with pytest.raises(DamagedRunError, match=r"lock\.json: is not a lock record"):
        read_owner(store)
