"""The chosen model's folder, and what an impossible choice leaves: nothing."""

import hashlib
import json
from dataclasses import replace

import pytest

from fake_run import facts_of, fake_tools, write_fake_copy
from segsweep.core.selection import Choice
from segsweep.deploy.package import Wanted, export_choice
from segsweep.errors import ExportError, ReportError
from segsweep.inference.export import Parity
from segsweep.inference.forms import PLAIN, Form, wanted_forms
from segsweep.inference.quantization import lower_precision
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


THREE = wanted_forms(["fp32", "fp16", "int8"])


def test_every_wanted_form_becomes_a_file_beside_the_plain_one(export, places):
    calls = []
    export(Choice(), calls, THREE)
    assert calls[calls.index("parity t0006") + 1 :] == [
        *["lower t0006-fp16 with 0 images", "evaluate t0006-fp16"],
        *["lower t0006-int8 with 2 images", "evaluate t0006-int8"],
        "time t0006 t0006-fp16 t0006-int8 t0004 t0008 t0009",  # in turns with the finalists of other sizes
        *["likeness t0006-fp16", "likeness t0006-int8"],
    ]
    assert sorted(path.name for path in (places / "out").iterdir()) == sorted(
        [*FILES, "model-fp16.onnx", "model-int8.onnx"]
    )
    assert facts_of(places / "out" / "model-int8.onnx")["form"] == "-int8"
    assert "form" not in facts_of(places / "out" / "model.onnx")


def test_files_are_measured_beside_each_other(export, places):
    package = export(Choice(), forms=THREE)
    parity = json.loads((places / "out" / "parity.json").read_text())
    plain, half, int8 = parity["artefacts"]
    assert [one["file"] for one in parity["artefacts"]] == ["model.onnx", "model-fp16.onnx", "model-int8.onnx"]
    assert (int8["test_mask_map50_95"], int8["latency_ms"]["p50"]) == (pytest.approx(0.43), pytest.approx(7.2))
    assert (int8["difference_to_fp32"], int8["latency_ratio"]) == (pytest.approx(-0.02), pytest.approx(0.6))
    assert (plain["difference_to_fp32"], plain["likeness"], plain["calibration_images"]) == (0.0, None, 0)
    assert (int8["calibration_images"], int8["likeness"]["shared"], int8["likeness"]["objects"]) == (2, 19, 20)
    assert [one["on_front"] for one in parity["artefacts"]] == [True, True, True]
    for one in parity["artefacts"]:
        data = (places / "out" / one["file"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (one["sha256"], one["size_bytes"])
    assert half["precision"] == "fp16"
    assert json.loads(json.dumps(package.to_json()))["artefacts"] == parity["artefacts"]


def test_a_file_that_beats_a_smaller_size_is_told(export, places):
    package = export(Choice(), forms=THREE)
    [verdict] = package.artefacts.verdicts()
    assert verdict == "s at int8 beats n at fp32: mask mAP50-95 0.430 against 0.330, 7.2 ms against 8.0 ms"
    assert verdict in package.to_text()
    card = (places / "out" / "README.md").read_text()
    assert f"- {verdict}" in card
    assert "| model-int8.onnx | " in card
    assert "ranges from 2 train images" in card
    assert "--trial t0006 --precision fp32,fp16,int8" in card
    assert package.artefacts.files[2].judged.exported.sha256 in card


def test_rounds_that_overlap_beat_nobody(export):
    artefacts = export(Choice(), forms=wanted_forms(["int8"])).artefacts
    int8 = artefacts.files[1]
    latency = replace(int8.judged.latency, round_p50_ms=(7.0, 7.2, 8.1))  # n at fp32 takes 8.0 ms in every round
    unsteady = replace(int8, judged=replace(int8.judged, latency=latency))
    assert len(artefacts.verdicts()) == 1
    assert replace(artefacts, files=(artefacts.files[0], unsteady)).verdicts() == []


def test_a_file_that_another_one_beats_is_not_on_the_front(export):
    package = export(Choice(variant="l"), forms=wanted_forms(["int8"]))
    # l at int8: 0.42 in 34.8 ms; m at fp32 has 0.47 in 31.
    assert package.artefacts.is_on_front() == (False, False)
    assert package.artefacts.verdicts() == []


def test_a_named_trial_is_compared_with_its_own_plain_file_alone(export):
    package = export(Choice(trial_id="t0007"), forms=wanted_forms(["int8"]))
    assert package.artefacts.finalists == ()
    assert package.artefacts.is_on_front() == (True, True)


def test_with_nms_inside_the_accuracy_is_that_of_the_file_without(export, places):
    calls = []
    package = export(Choice(variant="n"), calls, (PLAIN, Form("int8", dynamic=True, nms=True)))
    assert "evaluate t0004-int8-dynamic" in calls
    assert "evaluate t0004-int8-dynamic-nms" not in calls
    assert package.artefacts.files[1].file_name == "model-int8-dynamic-nms.onnx"
    card = (places / "out" / "README.md").read_text()
    assert "NMS inside (confidence 0.05, IoU 0.7, at most 300 objects)" in card
    assert "--trial t0004 --precision int8 --dynamic --nms" in card


def test_files_of_an_earlier_export_do_not_stay_beside_another_model(export, places):
    export(Choice(), forms=THREE)
    (places / "out" / "notes.txt").write_text("mine")
    export(Choice(variant="n"), forms=wanted_forms(["fp16"]))
    names = sorted(path.name for path in (places / "out").iterdir())
    assert names == sorted([*FILES, "model-fp16.onnx", "notes.txt"])
    assert facts_of(places / "out" / "model-fp16.onnx")["trial"] == "t0004"


def test_what_a_killed_export_left_is_cleared_away(export, places):
    left = places / "out" / ".model.onnx.work-abc"
    left.mkdir(parents=True)
    (left / "model.onnx").write_bytes(b"half")
    export(Choice())
    assert sorted(path.name for path in (places / "out").iterdir()) == FILES


def test_int8_without_train_images_leaves_nothing(places):
    tools = fake_tools(write_fake_copy(places / "copy", train=0), lower=lower_precision)
    wanted = Wanted(Choice(), wanted_forms(["int8"]))
    with pytest.raises(ExportError, match=r"--precision int8.*train split has none"):
        export_choice(str(places / "runs" / "demo"), places / "out", wanted, places / "cache", None, tools)
    assert not (places / "out").exists()


def test_an_export_of_forms_after_another_measures_nothing_again(export):
    export(Choice(), forms=THREE)
    calls = []
    export(Choice(), calls, THREE)
    assert calls == []


def test_a_package_tells_itself_as_text_and_json(export, places):
    package = export(Choice())
    lines = package.to_text().splitlines()
    assert lines[:2] == [
        "t0006, size s, the knee of the front",
        "mask mAP50-95 0.450 and mAP50 0.630 on test, 12.0 ms an image (p90 14.4, p99 18.0)",
    ]
    data = json.loads(json.dumps(package.to_json()))
    assert (data["trial_id"], data["variant"], data["latency_ms"]["p50"]) == ("t0006", "s", 12.0)
