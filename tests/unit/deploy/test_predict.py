"""`segsweep predict` with a network whose objects are written down."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from planted_model import planted_outputs, write_planted_model
from segsweep import cli
from segsweep.deploy.predict import PredictOptions, predict
from segsweep.errors import ConfigError

CAT = (32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0)
DOG = (32.0, 10.0, 20.0, 10.0, 1, 0.5, 1.0, 0.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_planted_model(tmp_path / "model.onnx", planted_outputs([CAT, DOG]))


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Two images of one name in two folders."""
    for folder in ("one", "two"):
        (tmp_path / "shots" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "shots" / folder / "cat.png"), np.zeros((64, 64, 3), np.uint8))
    return tmp_path / "shots"


def run(model: Path, *images: Path, **options: object):
    out = model.parent / "out"
    said: list[str] = []
    done = predict(model, [str(one) for one in images], out, PredictOptions(**options), lambda *_: None, said.append)
    return done, json.loads((out / "predictions.json").read_text()), said


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_result_is_written_and_nothing_else(model, shots, tmp_path):
    _, rows, _ = run(model, shots, crops=True)
    assert tree(tmp_path / "out") == [
        *("crops/cat-1.jpg", "crops/cat-2-1.jpg", "crops/cat-2-2.jpg", "crops/cat-2.jpg"),
        *("facts.json", "overlays/cat-2.jpg", "overlays/cat.jpg", "predictions.csv", "predictions.json"),
    ]
    assert [(row["image_id"], row["category_id"], row["bbox"]) for row in rows] == [
        *[(1, 1, [16.0, 24.0, 32.0, 16.0]), (1, 2, [22.0, 5.0, 20.0, 10.0])],
        *[(2, 1, [16.0, 24.0, 32.0, 16.0]), (2, 2, [22.0, 5.0, 20.0, 10.0])],
    ]
    with (tmp_path / "out" / "predictions.csv").open() as file:
        assert [row["category"] for row in csv.DictReader(file)] == ["cat", "dog"] * 2
    assert cv2.imread(str(tmp_path / "out" / "overlays" / "cat.jpg")).max() > 0


def test_another_run_leaves_foreign_files_alone(model, shots, tmp_path):
    run(model, shots)
    (tmp_path / "out" / "overlays" / "mine.jpg").write_text("mine")
    before = tree(tmp_path / "out")
    run(model, shots)
    assert tree(tmp_path / "out") == before


def test_facts_tell_model_options_and_images(model, shots, tmp_path):
    done, _, _ = run(model, shots / "one", conf=0.6)
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert facts == json.loads(json.dumps(done.to_json()))
    assert (facts["provider"], facts["conf"], facts["broken"]) == ("CPUExecutionProvider", 0.6, [])
    assert facts["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    path = str(shots / "one" / "cat.png")
    assert facts["images"] == [
        {"id": 1, "file_name": path, "width": 64, "height": 64, "overlay": "overlays/cat.jpg", "objects": 1}
    ]
    assert done.to_text().startswith("1 objects in 1 images, ")


def test_classes_are_chosen_by_name(model, shots):
    _, rows, _ = run(model, shots / "one", classes=("dog",))
    assert [row["category_id"] for row in rows] == [2]
    with pytest.raises(ConfigError, match="cow: must be a class of the model"):
        run(model, shots, classes=("dog", "cow"))


@pytest.mark.parametrize("options", [{"conf": 1.5}, {"iou": -0.1}, {"conf": float("nan")}, {"threads": 0}])
def test_an_option_out_of_its_range_is_refused(model, shots, options):
    with pytest.raises(ConfigError, match="must be"):
        run(model, shots, **options)


def encoded(suffix: str, image: np.ndarray) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


BROKEN = {
    "text.jpg": b"this is no picture",
    "empty.png": b"",
    "truncated.jpg": encoded(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[:900],
    # A header of 20,000 x 20,000 pixels and little else.
    "huge.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\2\0\0\0"
    + b"\0" * 12
    + b"IEND\xaeB\x60\x82",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_told_and_the_rest_goes_on(model, shots, name):
    (shots / name).write_bytes(BROKEN[name])
    done, rows, said = run(model, shots)
    assert len(rows) == 4
    assert [Path(one["file_name"]).name for one in done.broken] == [name]
    assert name in said[0]
    assert said[0] == done.broken[0]["error"]


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.zeros((1, 1, 3), np.uint8), id="one pixel"),
        pytest.param(np.zeros((40, 50), np.uint8), id="grey"),
        pytest.param(np.zeros((40, 50, 4), np.uint8), id="alpha"),
        pytest.param(np.zeros((40, 50, 3), np.uint16), id="16 bits"),
        pytest.param(np.zeros((2, 70_000, 3), np.uint8), id="too long for a JPEG"),
    ],
)
def test_any_picture_can_be_predicted(model, tmp_path, image):
    path = tmp_path / "any.png"
    path.write_bytes(encoded(".png", image))
    done, _, said = run(model, path)
    assert said == []
    assert (done.images[0]["height"], done.images[0]["width"]) == image.shape[:2]


def test_an_image_lies_as_its_exif_data_say(model, tmp_path):
    plain = encoded(".jpg", np.zeros((40, 80, 3), np.uint8))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    (tmp_path / "turned.jpg").write_bytes(plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + plain[2:])
    done, rows, _ = run(model, tmp_path / "turned.jpg")
    assert (done.images[0]["width"], done.images[0]["height"]) == (40, 80)
    assert rows[0]["segmentation"]["size"] == [80, 40]


def test_the_command_ends_with_3_after_writing_everything_when_an_image_was_broken(model, shots, tmp_path, capsys):
    (shots / "text.jpg").write_bytes(b"this is no picture")
    out = tmp_path / "out"
    assert cli.main(["predict", str(tmp_path), str(shots), "--out", str(out), "--json"]) == 3
    shown = capsys.readouterr()
    assert shown.err.startswith("segsweep predict: ")
    assert "text.jpg" in shown.err
    assert json.loads(shown.out) == json.loads((out / "facts.json").read_text())
    assert cli.main(["predict", str(model), str(shots / "one"), "--out", str(out), "--classes", "cat"]) == 0


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 50])
def test_a_file_that_is_no_model_ends_the_command_with_2(content, shots, tmp_path, capsys):
    (tmp_path / "bad.onnx").write_bytes(content)
    assert cli.main(["predict", str(tmp_path / "bad.onnx"), str(shots), "--out", str(tmp_path / "out")]) == 2
    assert "bad.onnx: must be an ONNX model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
