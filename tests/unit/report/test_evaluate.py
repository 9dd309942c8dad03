"""The evaluation protocol, beside Ultralytics' own evaluator."""

import os
import shutil
import time
from pathlib import Path

import pytest
import yaml

from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import ReportError
from segsweep.report.evaluate import Evaluation, EvaluationPlan, evaluate

CAT = 15  # COCO's index


@pytest.fixture(scope="module")
def data_folder():
    """The folder of real data; its absence skips, and fails where CI promises it."""
    folder = Path(os.environ.get("SEGSWEEP_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        message = f"no real data at {folder}: set SEGSWEEP_DATA"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return folder


@pytest.fixture(scope="module")
def cats(data_folder, tmp_path_factory):
    """A few photographs of cats, labelled with COCO's classes: data file, weights, class names."""
    root = tmp_path_factory.mktemp("cats")
    prepare_ultralytics(root / "cache")
    from ultralytics import YOLO

    (root / "images" / "test").mkdir(parents=True)
    (root / "labels" / "test").mkdir(parents=True)
    for image in sorted((data_folder / "feralcat" / "test" / "images").glob("*.jpg"))[:12]:
        shutil.copy(image, root / "images" / "test")
        label = (data_folder / "feralcat" / "test" / "labels" / f"{image.stem}.txt").read_text()
        rows = [f"{CAT} {row.partition(' ')[2]}\n" for row in label.splitlines()]
        (root / "labels" / "test" / f"{image.stem}.txt").write_text("".join(rows))
    weights = data_folder / "weights" / "yolov8n-seg.pt"
    names = tuple(YOLO(weights).names.values())
    data = {"path": str(root), "train": "images/test", "val": "images/test", "test": "images/test"}
    (root / "data.yaml").write_text(yaml.safe_dump(data | {"names": dict(enumerate(names))}))
    return root / "data.yaml", weights, names


def plan(names, imgsz=256) -> EvaluationPlan:
    return EvaluationPlan("test", imgsz, names, threads=2, device="cpu")


@pytest.mark.data
@pytest.mark.slow(reason="evaluates a real network twice")
@pytest.mark.timeout(120)
def test_values_are_those_of_ultralytics_with_masks_at_full_resolution(cats, tmp_path):
    data_yaml, weights, names = cats
    told: list[str] = []
    found = evaluate(weights, data_yaml, plan(names), told.append)

    from ultralytics import YOLO

    settings = {"split": "test", "imgsz": 256, "batch": 4, "rect": False, "mask_ratio": 1, "overlap_mask": False}
    quiet = {"plots": False, "verbose": False, "device": "cpu", "workers": 0, "project": str(tmp_path)}
    upstream = YOLO(weights).val(data=str(data_yaml), save_json=True, **settings, **quiet)
    coarse = YOLO(weights).val(data=str(data_yaml), **{**settings, "mask_ratio": 4}, **quiet)
    assert found.mask_map50_95 == pytest.approx(upstream.seg.map, abs=1e-9)
    assert found.box_map50_95 == pytest.approx(upstream.box.map, abs=1e-9)
    assert found.mask_map50_95 != pytest.approx(
        coarse.seg.map, abs=1e-3
    )  # a quarter of the resolution is another figure
    assert (found.images, [item.name for item in found.classes]) == (12, ["cat"])
    assert found.classes[0].mask_map50_95 == pytest.approx(found.mask_map50_95, abs=1e-9)
    assert told[-1] == "evaluating on test: 100 %"


@pytest.mark.data
@pytest.mark.slow(reason="evaluates a real network twice")
@pytest.mark.timeout(120)
def test_a_loaded_machine_drops_no_detection(cats, monkeypatch):
    data_yaml, weights, names = cats
    quiet_machine = evaluate(weights, data_yaml, plan(names), lambda _: None)

    from ultralytics.utils import nms

    real_time = time.time
    calls = iter(range(10**9))
    # Every look at the clock costs a minute: upstream's limit of 2.2 s a batch is over after the first image.
    monkeypatch.setattr(nms.time, "time", lambda: real_time() + 60.0 * next(calls))
    loaded_machine = evaluate(weights, data_yaml, plan(names), lambda _: None)
    assert loaded_machine == quiet_machine


@pytest.mark.data
@pytest.mark.slow(reason="loads a real network")
@pytest.mark.timeout(60)
def test_a_model_of_other_classes_is_refused(cats):
    data_yaml, weights, _ = cats
    with pytest.raises(ReportError, match="must know the dataset's classes, disc, ring"):
        evaluate(weights, data_yaml, plan(("disc", "ring")), lambda _: None)


@pytest.mark.slow(reason="imports torch")
@pytest.mark.timeout(60)
def test_weights_that_cannot_be_loaded_are_named(tmp_path):
    prepare_ultralytics(tmp_path / "cache")
    (tmp_path / "best.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ReportError, match=r"best\.pt.*could not be evaluated on test"):
        evaluate(tmp_path / "best.pt", tmp_path / "data.yaml", plan(("a",)), lambda _: None)


def test_an_evaluation_survives_json(facts):
    test = facts.finalists[0].judged.test
    assert Evaluation.from_json(test.to_json()) == test
