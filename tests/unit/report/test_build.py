"""From a run's folder to a report's files."""

import csv
import json

import pytest

from fake_run import FEW_TRIALS, FakeTrial, fake_tools, write_fake_copy, write_fake_run
from segsweep.core.trials import Status
from segsweep.errors import DamagedRunError, ReportError, RunError, StorageError
from segsweep.report.build import build_report
from segsweep.storage import layout

FILES = ["facts.json", "front.csv", "front.png", "index.html", "trials.csv"]


@pytest.fixture
def build(tmp_path):
    def run(trials=FEW_TRIALS, out="out", **changes):
        place = tmp_path / "runs" / "demo"
        write_fake_run(place, trials)
        tools = fake_tools(write_fake_copy(tmp_path / "copy"), **changes)
        return build_report(str(place), tmp_path / out, tmp_path / "cache", None, tools)

    return run


@pytest.mark.slow(reason="draws a PNG with matplotlib")
@pytest.mark.timeout(60)
def test_a_report_is_five_files_that_say_the_same(build, tmp_path):
    facts = build()
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert (out / "facts.json").read_bytes() == facts.to_bytes()
    data = json.loads(facts.to_bytes())
    with (out / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial_id"] for row in rows if row["on_front"] == "True"] == data["front"]
    assert (out / "front.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len((out / "trials.csv").read_text().splitlines()) == 1 + len(data["trials"])


@pytest.mark.slow(reason="draws a PNG with matplotlib")
@pytest.mark.timeout(60)
def test_one_trial_is_enough_for_a_report(build):
    facts = build([FakeTrial("n", 0.3, 0.25, is_default=True)])
    [only] = facts.finalists
    assert (facts.knee, only.gain_over_default, only.on_front) == ("t0001", 0.0, True)


@pytest.mark.slow(reason="draws a PNG with matplotlib")
@pytest.mark.timeout(60)
def test_a_model_that_finds_nothing_is_reported_too(build):
    facts = build([FakeTrial("n", 0.0, 0.0, is_default=True), FakeTrial("s", 0.0, 0.0, 20.0)])
    assert [one.on_front for one in facts.finalists] == [True, False]
    assert facts.hypervolume == 0.0


def test_without_a_completed_trial_nothing_is_written(build, tmp_path):
    with pytest.raises(ReportError, match="2 STOPPED"):
        build([FakeTrial("n", 0.1, epochs=1, status=Status.STOPPED)] * 2)
    assert not (tmp_path / "out").exists()


def test_a_measurement_that_fails_leaves_no_half_report(build, tmp_path):
    def broken(*_):
        raise ReportError("out of memory")

    with pytest.raises(ReportError, match="out of memory"):
        build(evaluate=broken)
    assert not (tmp_path / "out").exists()


def test_every_file_that_is_missing_is_named_before_anything_is_measured(tmp_path):
    run, calls = write_fake_run(tmp_path / "run", FEW_TRIALS), []
    gone = [layout.trial_key(record.directory, layout.TRIAL_METRICS) for record in run.read_trials()[:2]]
    for key in gone:
        run.store.delete(key)
    tools = fake_tools(write_fake_copy(tmp_path / "copy"), calls)
    with pytest.raises(DamagedRunError) as caught:
        build_report(run.store.uri, tmp_path / "out", tmp_path / "cache", tools=tools)
    assert [problem.where for problem in caught.value.problems] == [f"{run.store.uri}/{key}" for key in gone]
    assert calls == []


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(RunError, match="no run is here"):
        build_report(str(tmp_path / "nothing"), tmp_path / "out", tmp_path / "cache")


@pytest.mark.slow(reason="draws a PNG with matplotlib")
@pytest.mark.timeout(60)
def test_a_file_in_the_way_of_the_folder_is_told(build, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StorageError, match="out"):
        build()
    assert (tmp_path / "out").read_text() == "mine"
