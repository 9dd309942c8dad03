"""Measurements are taken once, and again when what they depend on changes."""

from dataclasses import replace

import pytest

from fake_run import FakeInstruments, FakeTrial, fake_tools, fake_weights, write_fake_copy, write_fake_run
from segsweep.errors import DamagedRunError, ReportError
from segsweep.report.bench import ReportOptions
from segsweep.report.build import open_study
from segsweep.storage import layout


@pytest.fixture
def open_again(places):
    """Open the run as a new process would; returns the study and what was measured since."""

    def opened(calls, options=None, **changes):
        tools = fake_tools(write_fake_copy(places / "copy"), calls, **changes)
        return open_study(str(places / "runs" / "demo"), places / "cache", options or ReportOptions(threads=2), tools)

    return opened


def test_nothing_is_measured_twice(open_again):
    first, second = [], []
    facts = open_again(first).facts()
    again = open_again(second).facts()
    assert first == [
        *["evaluate t0001", "evaluate t0002", "evaluate t0003"],
        *["export t0002", "export t0003"],
        "time t0002 t0003",
    ]
    assert second == []
    assert again.finalists == facts.finalists


def test_what_was_measured_before_a_failure_is_kept(open_again):
    def broken(*_):
        raise ReportError("the machine went away")

    first, second = [], []
    with pytest.raises(ReportError):
        open_again(first, time=broken).facts()
    open_again(second).facts()
    assert second == ["time t0002 t0003"]


def test_new_weights_are_measured_anew(open_again, places):
    first, second = [], []
    study = open_again(first)
    study.facts()
    record = next(trial for trial in study.trials if trial.trial_id == "t0003")
    key = layout.trial_key(record.directory, layout.TRIAL_BEST)
    study.bench.run.store.write(key, fake_weights({"trial": "t0003", "test": 0.46, "p50_ms": 12.5}))
    facts = open_again(second).facts()
    assert second == ["evaluate t0003", "export t0003", "time t0002 t0003"]
    assert facts.finalists[1].judged.test.mask_map50_95 == 0.46


def test_another_number_of_threads_is_timed_anew_but_not_evaluated(open_again):
    calls = []
    open_again([]).facts()
    open_again(calls, ReportOptions(threads=1)).facts()
    assert calls == ["time t0002 t0003"]


def test_a_timing_that_others_disturbed_is_shown_but_not_kept(open_again):
    calls = []
    busy = FakeInstruments(calls, others_cpus=1.5)
    facts = open_again([], time=busy.time).facts()
    assert not facts.finalists[0].judged.latency.is_quiet
    open_again(calls).facts()
    assert calls == ["time t0002 t0003", "time t0002 t0003"]


def test_a_damaged_result_is_measured_anew(open_again, places):
    open_again([]).facts()
    [result] = places.glob("cache/reports/*/t0002/evaluation-*.json")
    result.write_text('{"result"')
    calls = []
    open_again(calls).facts()
    assert calls == ["evaluate t0002"]


def test_an_onnx_file_that_was_removed_is_exported_anew(open_again, places):
    open_again([]).facts()
    [model] = places.glob("cache/reports/*/t0002/model-96.onnx")
    model.unlink()
    calls = []
    open_again(calls).facts()
    assert calls == ["export t0002"]
    assert model.exists()


def test_the_image_size_is_the_trials_own_rounded_up_to_the_stride(open_again):
    study = open_again([])
    record = study.trials[1]
    assert study.bench.imgsz(record) == 96
    assert study.bench.imgsz(replace(record, params={"imgsz": 100})) == 128


def test_a_trial_without_weights_is_named(open_again):
    study = open_again([])
    with pytest.raises(DamagedRunError, match=r"t0004/best\.pt: is missing \(restore it"):
        study.bench.weights(study.trials[3])
    assert not study.bench.has_weights(study.trials[3])
    assert study.bench.has_weights(study.trials[0])


def test_weights_that_are_truncated_are_named_by_their_place_in_the_run(open_again):
    study = open_again([])
    key = layout.trial_key(study.trials[0].directory, layout.TRIAL_BEST)
    study.bench.run.store.write(key, study.bench.run.store.read(key)[:-30])
    with pytest.raises(DamagedRunError, match=rf"{study.bench.run.store.uri}/.*t0001/best\.pt: is not a whole file"):
        study.bench.weights(study.trials[0])


def test_a_copy_without_test_images_is_refused(places):
    tools = fake_tools(write_fake_copy(places / "copy", images=0))
    study = open_study(str(places / "runs" / "demo"), places / "cache", None, tools)
    with pytest.raises(ReportError, match="test: the split must hold images"):
        study.bench.test_images()


def test_parity_is_measured_once(open_again):
    first, second = [], []
    study = open_again(first)
    study.bench.parity(study.trials[1])
    open_again(second).bench.parity(study.trials[1])
    assert first == ["export t0002", "parity t0002"]
    assert second == []


def test_two_runs_of_one_name_do_not_share_results(tmp_path):
    calls: list[str] = []
    copy = write_fake_copy(tmp_path / "copy")
    for place in ("here", "there"):
        write_fake_run(tmp_path / place / "demo", [FakeTrial("n", 0.3, 0.3, is_default=True)])
        open_study(str(tmp_path / place / "demo"), tmp_path / "cache", None, fake_tools(copy, calls)).facts()
    assert calls.count("evaluate t0001") == 2
