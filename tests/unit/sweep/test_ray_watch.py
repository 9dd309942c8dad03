"""Processes that are gone are noticed, and what Ray says about deaths is for us to tell."""

import logging
import subprocess
import sys
import threading

import psutil
import pytest
from ray._private import worker

from segsweep.sweep.ray_watch import ray_kept_quiet, rays_processes, watching


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_child_that_is_killed_is_told_once_though_nobody_has_waited_for_it(child):
    told, happened = [], threading.Event()

    def on_death(name):
        told.append(name)
        happened.set()

    with watching(lambda: {"raylet": psutil.Process(child.pid)}, on_death, every_s=0.01):
        assert not happened.wait(0.1)
        child.kill()
        assert happened.wait(10)
    assert told == ["raylet"]


def test_a_process_that_somebody_has_waited_for_is_gone_too(child):
    process = psutil.Process(child.pid)
    child.kill()
    child.wait()
    happened = threading.Event()
    with watching(lambda: {"GCS": process}, lambda name: happened.set(), every_s=0.01):
        assert happened.wait(10)


def test_one_that_is_found_later_is_watched_from_then_on(child):
    happened, asked = threading.Event(), []

    def find():
        asked.append(1)
        return {"GCS": psutil.Process(child.pid)} if len(asked) == 3 else {}

    with watching(find, lambda name: happened.set(), every_s=0.01):
        while len(asked) < 4:
            pass
        child.kill()
        assert happened.wait(10)


def test_nothing_is_told_after_the_end(child):
    told = []
    with watching(lambda: {"raylet": psutil.Process(child.pid)}, told.append, every_s=0.01):
        pass
    child.kill()
    child.wait()
    assert told == []


def test_children_that_are_not_rays_are_not_looked_after(child):
    assert rays_processes() == {}


def test_rays_words_about_deaths_are_not_printed_but_memory_that_ran_out_is_told(capsys, caplog):
    def said(text):
        worker.print_to_stdstream({"lines": [text], "pid": "raylet", "is_err": False}, ignore_prefix=False)

    with ray_kept_quiet(), caplog.at_level(logging.INFO):
        said("A worker died or was killed\n[state-dump] 20 lines")
        said("1 Workers (tasks / actors) killed due to memory pressure (OOM)\nmore")
    assert capsys.readouterr().out == ""
    assert caplog.messages == ["Ray says: 1 Workers (tasks / actors) killed due to memory pressure (OOM)"]
    said("A worker died")
    assert "A worker died" in capsys.readouterr().out
