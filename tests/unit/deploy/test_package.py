"""The chosen model's folder, and what an impossible choice leaves: nothing."""

import json

import pytest

from fake_run import facts_of, fake_tools, write_fake_copy
from segsweep.core.selection import Choice
from segsweep.deploy.package import Wanted, export_choice
from segsweep.errors import ExportError, ReportError
from segsweep.inference.export import Parity
from segsweep.inference.forms import PLAIN
from segsweep.report.bench import ReportOptions

FILES = ["README.md", "model.onnx", "model.pt", "parity.json"]


@pytest.fixture
def export(places):
    def run(choice, calls=None, forms=(PLAIN,), **changes):
        tools = fake_tools(write_fake_copy(places / "copy"), calls, **changes)
        options, wanted = ReportOptions(threads=2), Wanted(choice, forms)
        return export_choice(str(places / "runs" / "demo"), places / "out", wanted, places / "cache", options, tools)

    return run


@pytest.mark.parametrize(
    ("choice", "trial_id", "why"),
    [
        (Choice(), "t0006", "the knee of the front"),
        (Choice(variant="m"), "t0008", "the best trial of size m"),
        (Choice(max_latency_ms=11.9), "t0004", "the most accurate finalist within 11.9 ms (p50)"),
        (Choice(max_latency_ms=1000.0), "t0008", "the most accurate finalist within 1000 ms (p50)"),
    ],
)
def test_the_chosen_finalist_is_packaged(export, places, choice, trial_id, why):
    package = export(choice)
    assert (package.judged.record.trial_id, package.why) == (trial_id, why)
    assert sorted(path.name for path in (places / "out").iterdir()) == FILES
    assert facts_of(places / "out" / "model.onnx")["trial"] == trial_id
    assert facts_of(places / "out" / "model.pt")["trial"] == trial_id


def test_a_named_trial_may_have_been_stopped_and_is_judged_by_itself(export, places):
    calls = []
    package = export(Choice(trial_id="t0007"), calls)
    assert calls == ["evaluate t0007", "export t0007", "time t0007", "parity t0007"]
    assert package.judged.record.status == "STOPPED"
    assert "was not trained to the end" in (places / "out" / "README.md").read_text()


def test_an_export_after_an_export_measures_nothing_again(export):
    export(Choice())
    calls = []
    export(Choice(), calls)
    assert calls == []


def test_parity_is_written_with_its_tolerance(export, places):
    export(Choice())
    parity = json.loads((places / "out" / "parity.json").read_text())
    assert (parity["raw_max_abs_difference"], parity["mask_iou_min"], parity["mask_iou_mean"]) == (4e-3, 0.99, 0.999)
    assert parity["holds"] is True
    assert parity["tolerance"] == {"score_max_abs_difference": 1e-3, "mask_iou_mean": 0.99, "unpaired_share": 0.02}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(max_latency_ms=1.0), r"--max-latency-ms = 1: no model is that fast \(nearest: t0004 \(n\): .* 8\.0 ms"),
        (Choice(variant="x"), r"--variant = x: no trial of this size .*nearest: t0008 \(m\)"),
        (Choice(trial_id="t0099"), r"--trial = t0099: the run has no such trial \(nearest: t0008 \(m\): 0\.490 on val"),
        (Choice(trial_id="t0012"), r"--trial = t0012: the trial has no weights yet \(nearest"),
    ],
)
def test_an_impossible_choice_names_the_nearest_and_writes_nothing(export, places, choice, message):
    with pytest.raises(ExportError, match=message) as caught:
        export(choice)
    assert caught.value.exit_code == 4
    assert not (places / "out").exists()


def test_broken_parity_writes_nothing(export, places):
    def broken(*_):
        return Parity(3, 9, 4, 0.5, 0.5, 0.5, 0.5, 0.1, 0.4)

    with pytest.raises(ExportError, match=r"t0006: parity = scores differ by 0\.5, mean mask IoU 0\.4"):
        export(Choice(), parity=broken)
    assert not (places / "out").exists()


def test_a_failed_measurement_leaves_the_package_of_before(export, places):
    def broken(*_):
        raise ReportError("out of memory")

    export(Choice(variant="n"))
    before = (places / "out" / "model.onnx").read_bytes()
    with pytest.raises(ReportError):
        export(Choice(trial_id="t0007"), evaluate=broken)
    assert (places / "out" / "model.onnx").read_bytes() == before
    assert sorted(path.name for path in (places / "out").iterdir()) == FILES


def test_all_four_files_are_replaced_or_none(export, places):
    export(Choice(variant="n"))
    before = (places / "out" / "model.onnx").read_bytes()
    (places / "out" / "parity.json").unlink()
    (places / "out" / "parity.json").mkdir()
    with pytest.raises(ExportError, match=r"parity\.json: a folder is in the way"):
        export(Choice(variant="m"))
    assert (places / "out" / "model.onnx").read_bytes() == before


def test_a_package_tells_itself_as_text_and_json(export, places):
    package = export(Choice())
    lines = package.to_text().splitlines()
    assert lines[:2] == [
        "t0006, size s, the knee of the front",
        "mask mAP50-95 0.450 and mAP50 0.630 on test, 12.0 ms an image (p90 14.4, p99 18.0)",
    ]
    data = json.loads(json.dumps(package.to_json()))
    assert (data["trial_id"], data["variant"], data["latency_ms"]["p50"]) == ("t0006", "s", 12.0)
