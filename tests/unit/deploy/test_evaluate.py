"""`segsweep evaluate` with networks whose objects are written down, on a bundle whose objects are as well."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from planted_model import planted_outputs, write_planted_model
from segsweep import cli
from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.dataset.preparing.bundle import prepare
from segsweep.dataset.preparing.options import PrepareOptions
from segsweep.deploy.evaluate import EvaluateOptions, evaluate_models
from segsweep.deploy.named_models import exported_models
from segsweep.errors import ConfigError

CAT = (32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0)  # x 16 to 48, y 24 to 40
DOG = (32.0, 10.0, 20.0, 10.0, 1, 0.8, 1.0, 0.0)  # x 22 to 42, y 5 to 15
GHOST = (8.0, 56.0, 8.0, 8.0, 0, 0.95, 1.0, 0.0)  # nothing is there
ROWS = {
    "cat": "0 0.25 0.375 0.75 0.375 0.75 0.625 0.25 0.625\n",
    "dog": "1 0.34375 0.078125 0.65625 0.078125 0.65625 0.234375 0.34375 0.234375\n",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> NodeCopy:
    """Four images of 64 x 64 in test, a cat and a dog on each."""
    folder = tmp_path_factory.mktemp("evaluate")
    raw = folder / "raw"
    for split, count in (("train", 1), ("valid", 1), ("test", 4)):
        (raw / split / "images").mkdir(parents=True)
        (raw / split / "labels").mkdir()
        for number in range(count):
            noise = np.random.default_rng([*split.encode(), number]).integers(0, 255, (64, 64, 3), np.uint8)
            cv2.imwrite(str(raw / split / "images" / f"{split}{number}.png"), noise)
            (raw / split / "labels" / f"{split}{number}.txt").write_text(ROWS["cat"] + ROWS["dog"])
    (raw / "data.yaml").write_text("train: train/images\nval: valid/images\ntest: test/images\nnames: [cat, dog]\n")
    bundle = prepare(raw, str(folder / "bundles"), PrepareOptions(name="pets", imgsz=64, keep_duplicates=True))
    return stage(bundle.uri, folder / "cache")


def run(copy: NodeCopy, out: Path | None = None, **objects):
    folder = copy.root.parent
    models = {
        name: write_planted_model(folder / f"{name}.onnx", planted_outputs(list(each)))
        for name, each in objects.items()
    }
    return evaluate_models(models, copy, out, EvaluateOptions(resamples=50), lambda *_: None)


def test_a_model_that_finds_everything_is_perfect_before_both_judges(copy):
    (perfect,) = run(copy, perfect=(CAT, DOG)).models
    assert perfect.mask_map50_95 == pytest.approx(1.0)
    assert perfect.box_map50_95 == pytest.approx(1.0)
    assert perfect.second.mask["map50_95"] == pytest.approx(1.0)
    assert perfect.mask_map50_95_interval == (pytest.approx(1.0), pytest.approx(1.0))
    assert (perfect.operating_point.precision, perfect.operating_point.recall) == (1.0, 1.0)


def test_what_is_missed_and_what_is_invented_costs_what_it_should(copy):
    evaluated = run(copy, no_dog=(CAT,), ghost=(GHOST, CAT, DOG))
    no_dog, ghost = evaluated.models
    assert no_dog.mask_map50_95 == pytest.approx(0.5)
    assert [one.mask_map50 for one in no_dog.classes] == [pytest.approx(1.0), 0.0]
    assert ghost.mask_map50 == pytest.approx((0.5 + 1) / 2)  # every cat comes after a ghost
    assert (evaluated.images, evaluated.objects) == (4, 8)


def test_a_cat_that_looks_a_little_more_like_a_dog_is_found_as_a_cat_too(copy):
    raw, prototypes = planted_outputs([CAT, DOG])
    raw[0, 5, 0] = 0.95  # the cat's score as a dog
    model = write_planted_model(copy.root.parent / "doubtful.onnx", (raw, prototypes))
    (found,) = evaluate_models({"one": model}, copy, None, EvaluateOptions(resamples=0), lambda *_: None).models
    cat, dog = found.classes
    assert cat.mask_map50 == pytest.approx(1.0)
    assert dog.mask_map50 == pytest.approx(0.5)
    assert found.mask_map50_95_interval is None


def test_masks_and_boxes_are_judged_apart(copy):
    half = (32.0, 32.0, 32.0, 16.0, 0, 0.9, 0.0, 1.0)  # the same box, only its left half inside
    (model,) = run(copy, half=(half, DOG)).models
    assert model.box_map50_95 == pytest.approx(1.0)
    assert model.classes[0].box_map50_95 == pytest.approx(1.0)
    assert model.classes[0].mask_map50_95 < 0.2


@pytest.mark.parametrize("objects", [(CAT, DOG), (GHOST, CAT), (GHOST,), ()])
def test_both_judges_agree(copy, objects):
    (model,) = run(copy, one=objects).models
    assert model.largest_gap < 1e-6


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
def test_what_is_written_lets_anybody_judge_again(copy, tmp_path):
    evaluated = run(copy, tmp_path / "out", one=(CAT, DOG))
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == json.loads(json.dumps(evaluated.to_json()))
    assert (written["schema"], written["protocol"]["conf"], written["digest"]) == (2, 0.001, copy.manifest.digest)
    assert written["recalls"][:2] == [0.0, 0.01]
    assert written["models"][0]["mask_confusion"] == [[4, 0, 0], [0, 4, 0], [0, 0, 0]]
    assert "images/test/test0.jpg" in (tmp_path / "out" / "index.html").read_text()
    truth = json.loads((tmp_path / "out" / "ground_truth.json").read_text())
    assert [one["bbox"] for one in truth["annotations"][:2]] == [[16, 24, 32, 16], [22, 5, 20, 10]]
    rows = json.loads((tmp_path / "out" / "one" / "predictions.json").read_text())
    assert {row["image_id"] for row in rows} == {image["id"] for image in truth["images"]}


def test_models_that_cannot_be_judged_are_told_at_once(copy, tmp_path):
    others = write_planted_model(tmp_path / "others.onnx", planted_outputs([CAT]), "{0: 'ape', 1: 'bee'}")
    (tmp_path / "text.onnx").write_text("hello")
    models = {"others": others, "text": tmp_path / "text.onnx"}
    with pytest.raises(ConfigError) as caught:
        evaluate_models(models, copy, None, EvaluateOptions(), lambda *_: None)
    assert ["ape, bee" in str(problem) or "text.onnx" in str(problem) for problem in caught.value.problems] == [
        True
    ] * 2


def test_a_model_of_other_classes_is_judged_on_those_it_shares(copy, tmp_path):
    raw, prototypes = planted_outputs([(*CAT[:4], 2, *CAT[5:]), GHOST, (*DOG[:4], 1, *DOG[5:])], classes=3)
    names = "{0: 'ape', 1: 'bee', 2: 'Cat'}"
    models = {"other": write_planted_model(tmp_path / "other.onnx", (raw, prototypes), names)}
    (found,) = evaluate_models(models, copy, None, EvaluateOptions(resamples=0), lambda *_: None).models
    assert (found.dropped, found.missed) == (("ape", "bee"), ("dog",))
    assert [one.mask_map50 for one in found.classes] == [pytest.approx(1.0), 0.0]  # the ghost is an ape
    assert found.mask_confusion == ((4, 0, 0), (0, 0, 0), (0, 4, 0))
    assert found.largest_gap < 1e-6
    options = EvaluateOptions(resamples=0, classes={"bee": "dog"})
    evaluated = evaluate_models(models, copy, None, options, lambda *_: None)
    assert evaluated.models[0].mask_map50_95 == pytest.approx(1.0)
    assert "other: its classes are counted as dog (bee), cat (Cat)" in evaluated.to_text()


def test_a_renaming_that_no_model_knows_is_refused(copy):
    model = write_planted_model(copy.root.parent / "one.onnx", planted_outputs([CAT]))
    options = EvaluateOptions(classes={"ape": "dog", "cat": "lynx"})
    with pytest.raises(ConfigError) as caught:
        evaluate_models({"one": model}, copy, None, options, lambda *_: None)
    assert [problem.value for problem in caught.value.problems] == ["ape", "lynx"]


def test_equal_images_are_shown_in_their_order_and_each_once(copy):
    (found,) = run(copy, half=(CAT,)).models
    assert [one.file for one in found.worst] == ["images/test/test0.jpg", "images/test/test1.jpg"]
    assert [one.file for one in found.best] == ["images/test/test2.jpg", "images/test/test3.jpg"]
    assert [one.f1 for one in (*found.worst, *found.best)] == [pytest.approx(2 / 3)] * 4


@pytest.mark.parametrize("options", [{"split": "all"}, {"threads": 0}, {"resamples": -1}])
def test_options_that_break_a_rule(copy, options):
    with pytest.raises(ConfigError):
        evaluate_models({}, copy, None, EvaluateOptions(**options), lambda *_: None)


def test_two_files_of_one_name_get_two_labels(tmp_path):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(write_planted_model(tmp_path / folder / "m.onnx", planted_outputs([CAT])))
    found = exported_models([str(path) for path in paths], 64, tmp_path, lambda _: None)
    assert found == {"m": paths[0], "m-2": paths[1]}


def test_everything_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        exported_models(["no.onnx", "no.pt", "nowhere"], 0, tmp_path, lambda _: None)
    assert [str(problem.where) for problem in caught.value.problems] == ["--imgsz", "no.onnx", "no.pt", "nowhere"]


@pytest.mark.slow(reason="imports ultralytics")
@pytest.mark.timeout(120)
def test_the_command_tells_every_model_in_a_line_and_what_is_wrong_in_another(copy, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEGSWEEP_CACHE", str(copy.root.parents[1]))
    model = write_planted_model(tmp_path / "pets.onnx", planted_outputs([CAT, DOG]))
    words = ["evaluate", str(model), "--data", str(copy.root.parents[2] / "bundles" / "pets"), "--resamples", "20"]
    assert cli.main(words) == 0
    title, _, row = capsys.readouterr().out.splitlines()
    assert title == f"test of {copy.manifest.directory}: 4 images, 8 objects"
    assert row.split() == ["pets", "64x64", *["1.0000"] * 4, "to", "1.0000", "1.0000"]
    assert cli.main([*words, "--split", "all"]) == ConfigError.exit_code
    assert "--split" in capsys.readouterr().err
