"""Report and export on real networks of random weights: every real instrument once."""

import json
from dataclasses import replace

import pytest

from fake_run import FakeTrial, write_fake_run
from segsweep.core.selection import Choice
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
from segsweep.dataset.sample.synthetic import write_sample
from segsweep.deploy.package import Wanted, export_choice
from segsweep.inference.forms import wanted_forms
from segsweep.inference.precision import weight_precision
from segsweep.inference.predictor import Session
from segsweep.report.bench import ReportOptions
from segsweep.report.build import build_report
from segsweep.storage import layout

OPTIONS = ReportOptions(threads=1, rounds=1, samples=5, warmup=1, device="cpu")


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    """A run of two completed trials, yolov8n-seg and yolov8s-seg of random weights, on a rendered dataset."""
    folder = tmp_path_factory.mktemp("real")
    write_sample(folder / "sample", "coco", 24, 0, 64)
    bundle = prepare(folder / "sample", str(folder / "bundles"), PrepareOptions(imgsz=64, name="demo"))
    prepare_ultralytics(folder / "cache")
    import torch
    from ultralytics.nn.tasks import SegmentationModel

    run = write_fake_run(folder / "runs" / "demo", [FakeTrial("n", 0.2, is_default=True), FakeTrial("s", 0.3)])
    info = run.read_info()
    job = {**info.job, "train": {"imgsz": 64}}
    run.write_info(replace(info, dataset=bundle.uri, dataset_digest=bundle.manifest.digest, job=job))
    classes = bundle.manifest.classes
    for record in run.read_trials():
        model = SegmentationModel(f"yolov8{record.variant}-seg.yaml", nc=len(classes), verbose=False)
        model.names = dict(enumerate(classes))
        weights = folder / "best.pt"
        torch.save({"model": model, "ema": None, "train_args": {"task": "segment", "imgsz": 64}}, weights)
        run.store.upload(weights, layout.trial_key(record.directory, layout.TRIAL_BEST))
    return folder


@pytest.mark.slow(reason="evaluates, exports and times real networks")
@pytest.mark.timeout(300)
def test_a_report_and_an_export_of_real_networks(real_run, tmp_path):
    run_uri = str(real_run / "runs" / "demo")
    facts = build_report(run_uri, tmp_path / "report", real_run / "cache", OPTIONS)
    data = json.loads((tmp_path / "report" / "facts.json").read_text())
    assert [(one["variant"], one["imgsz"]) for one in data["finalists"]] == [("n", 64), ("s", 64)]
    n, s = (one["latency_ms"]["p50"] for one in data["finalists"])
    assert 0.0 < n < s
    assert data["finalists"][0]["timing"]["samples"] == 5
    assert data["finalists"][0]["test"]["images"] == facts.finalists[0].judged.test.images > 0

    package = export_choice(run_uri, tmp_path / "model", Wanted(Choice(variant="s")), real_run / "cache", OPTIONS)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        *["README.md", "model.onnx", "model.pt", "parity.json"]
    ]
    assert package.parity.holds
    assert package.judged.exported.sha256 == facts.finalists[1].judged.exported.sha256
    assert Session(tmp_path / "model" / "model.onnx", threads=1).names == facts.setting.classes


@pytest.mark.slow(reason="exports, converts, evaluates and times real networks")
@pytest.mark.timeout(300)
def test_a_real_network_becomes_files_of_other_precisions(real_run, tmp_path):
    run_uri = str(real_run / "runs" / "demo")
    wanted = Wanted(Choice(trial_id="t0001"), wanted_forms(["fp16", "int8"]))
    package = export_choice(run_uri, tmp_path / "model", wanted, real_run / "cache", OPTIONS)
    parity = json.loads((tmp_path / "model" / "parity.json").read_text())
    assert [(one["file"], one["precision"]) for one in parity["artefacts"]] == [
        *[("model.onnx", "fp32"), ("model-fp16.onnx", "fp16"), ("model-int8.onnx", "int8")]
    ]
    for one in parity["artefacts"]:
        path = tmp_path / "model" / one["file"]
        assert weight_precision(path) == one["precision"]
        assert Session(path, threads=1).names == Session(tmp_path / "model" / "model.onnx", threads=1).names
        assert one["latency_ms"]["p50"] > 0.0
    plain, half, int8 = (one["size_bytes"] for one in parity["artefacts"])
    assert int8 < 0.35 * plain < half < 0.6 * plain
    assert package.artefacts.files[2].judged.exported.calibration_images > 0
