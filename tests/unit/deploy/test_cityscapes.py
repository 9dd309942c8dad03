"""Cityscapes' own metric: figures that are derived by hand, and pairs as the package itself makes them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from planted_model import planted_outputs, write_planted_model
from segsweep.dataset.bundles.staging import stage
from segsweep.dataset.formats.index_png import encode_index
from segsweep.dataset.preparing.bundle import prepare
from segsweep.dataset.preparing.options import PrepareOptions
from segsweep.deploy.cityscapes import Cityscapes, CityscapesTally
from segsweep.deploy.evaluate import EvaluateOptions, evaluate_models
from segsweep.errors import ConfigError, DatasetError, MissingExtraError
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction, StageTimes

NAMES = ("person", "car", "cat")
SHAPE = (64, 128)  # of the images; labels are twice as large
CAR, SMALL, GROUP, GHOST, VOID = (2, 2, 12, 12), (20, 2, 24, 6), (40, 2, 60, 12), (70, 40, 90, 60), (100, 2, 120, 22)


def write_truth(folder: Path, stem: str, values: np.ndarray) -> Path:
    path = folder / "gtFine" / "val" / stem.partition("_")[0] / f"{stem}_gtFine_instanceIds.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_index(values))
    return Path("images") / "test" / f"{stem}_leftImg8bit.jpg"


def street() -> np.ndarray:
    """Road with a car of 400 pixels, one of 64, a group of cars, a person, and a place out of interest."""
    values = np.full((2 * SHAPE[0], 2 * SHAPE[1]), 7, np.uint16)
    for (x1, y1, x2, y2), number in ((CAR, 26000), (SMALL, 26001), (GROUP, 26), (VOID, 3), ((2, 40, 20, 60), 24000)):
        values[2 * y1 : 2 * y2, 2 * x1 : 2 * x2] = number
    return values


def prediction(*objects: tuple[tuple[int, int, int, int], int, float]) -> Prediction:
    masks = tuple(Mask(x1, y1, np.ones((y2 - y1, x2 - x1), np.bool_)) for (x1, y1, x2, y2), _, _ in objects)
    boxes = np.array([box for box, *_ in objects], np.float32).reshape(-1, 4)
    scores = np.array([score for *_, score in objects], np.float32)
    kinds = np.array([kind for _, kind, _ in objects], np.int64)
    return Prediction(boxes, scores, kinds, masks, SHAPE, StageTimes(0.0, 0.0, 0.0))


def judged(folder: Path, *objects: tuple[tuple[int, int, int, int], int, float]):
    image = write_truth(folder, "ulm_000000_000019", street())
    tally = CityscapesTally(Cityscapes(folder, [image], NAMES))
    tally.add(0, prediction(*objects))
    return tally.figures()


@pytest.mark.parametrize(
    ("objects", "car"),
    [
        ([(CAR, 1, 0.9)], 1.0),
        ([(CAR, 1, 0.9), (GROUP, 1, 0.95), (SMALL, 1, 0.95), (VOID, 1, 0.95)], 1.0),  # none of these counts
        ([(CAR, 1, 0.9), (GHOST, 1, 0.95)], 0.25),  # precision 1/2 over half of the recall, see computeAverages
        ([(CAR, 1, 0.9), (GHOST, 1, 0.5)], 1.0),
        ([(CAR, 1, 0.9), (GHOST, 2, 0.95)], 1.0),  # Cityscapes knows no cats
        ([(CAR, 0, 0.9)], 0.0),
        ([], 0.0),
    ],
)
def test_figures_derived_by_hand(tmp_path, objects, car):
    figures = judged(tmp_path, *objects)
    assert figures.classes == {"person": (0.0, 0.0), "car": (pytest.approx(car), pytest.approx(car))}
    assert figures.ap == pytest.approx(car / 2)
    assert figures.ap50 == pytest.approx(car / 2)


def test_an_overlap_counts_up_to_its_iou(tmp_path):
    x1, y1, x2, y2 = CAR
    figures = judged(tmp_path, ((x1, y1, x2, y2 - 3), 1, 0.9))  # IoU 0.7 exactly: above 0.5, 0.55, 0.6 and 0.65
    assert figures.classes["car"] == (pytest.approx(0.4), pytest.approx(1.0))


def test_an_image_without_a_class_says_nothing_of_it(tmp_path):
    image = write_truth(tmp_path, "ulm_000000_000019", np.full((2 * SHAPE[0], 2 * SHAPE[1]), 7, np.uint16))
    tally = CityscapesTally(Cityscapes(tmp_path, [image], NAMES))
    tally.add(0, prediction())
    assert tally.figures().ap is None
    assert tally.figures().classes["car"] == (None, None)


@pytest.mark.slow(reason="the package compares whole images")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_the_package(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(np, "in1d", lambda one, two: np.isin(one, two).ravel(), raising=False)  # as NumPy 2.3 had it
    random = np.random.default_rng(seed)
    images, scenes = [], []
    for number in range(3):
        values = np.full((2 * SHAPE[0], 2 * SHAPE[1]), 7, np.uint16)
        found = []
        for place in (26000, 26001, 26002, 26, 24000, 24001, 24, 3, 29000):
            x, y, w, h = (int(v) for v in (random.integers(2, 80), random.integers(2, 40), *random.integers(3, 20, 2)))
            values[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)] = place
            for _ in range(2):  # near it, and often of its class
                left, top = x + int(random.integers(-2, 3)), y + int(random.integers(-2, 3))
                kind = int(str(place).startswith("26")) if random.random() < 0.8 else int(random.integers(0, 3))
                found.append(((left, top, left + w, top + h), kind, round(float(random.random()), 3)))
        images.append(write_truth(tmp_path, f"ulm_{number:06d}_000019", values))
        scenes.append(prediction(*found))
    known = Cityscapes(tmp_path, images, NAMES)
    tally = CityscapesTally(known)
    for index, scene in enumerate(scenes):
        tally.add(index, scene)
    theirs = _pairs_of_the_package(tmp_path / "predictions", known, images, scenes)
    assert [_plain(one) for one in tally.matches.values()] == [_plain(one) for one in theirs.values()]
    how = _arguments(known, tmp_path)
    ours, same = known.judge.evaluateMatches(tally.matches, how), known.judge.evaluateMatches(theirs, how)
    assert np.array_equal(ours, same, equal_nan=True)
    assert 0 < np.nanmax(ours) <= 1


def _arguments(known: Cityscapes, folder: Path):
    from copy import deepcopy

    how = deepcopy(known.judge.args)
    how.instLabels, how.quiet, how.predictionPath = list(known.evaluated), True, str(folder)
    return how


def _pairs_of_the_package(folder: Path, known: Cityscapes, images: list[Path], scenes: list[Prediction]):
    from cityscapesscripts.evaluation.instances2dict import instances2dict

    folder.mkdir()
    truths = [str(next(folder.parent.rglob(f"{image.name[:17]}_gtFine_instanceIds.png"))) for image in images]
    lists = []
    for number, scene in enumerate(scenes):
        lines = []
        for place, (kind, score, mask) in enumerate(zip(scene.classes, scene.scores, scene.masks, strict=True)):
            name = f"{number}-{place}.png"
            whole = mask.on_image(scene.shape).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
            cv2.imwrite(str(folder / name), 255 * whole)
            lines.append(f"{name} {(24, 26, 7)[kind]} {float(score)!r}\n")
        lists.append(folder / f"{number}.txt")
        lists[-1].write_text("".join(lines))
    how = _arguments(known, folder.parent)
    return known.judge.matchGtWithPreds([str(one) for one in lists], truths, instances2dict(truths), how)


def _plain(match):
    """Without what is only a name or a count of the package's own."""
    skip = {"imgName", "predID"}

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in skip}
        return [plain(one) for one in value] if isinstance(value, list) else value

    return plain(match)


def test_what_is_not_cityscapes_is_refused(tmp_path):
    image = write_truth(tmp_path / "a", "ulm_000000_000019", street())
    with pytest.raises(ConfigError, match="must hold the labels of Cityscapes"):
        Cityscapes(tmp_path / "nowhere", [image], NAMES)
    with pytest.raises(ConfigError, match="1 are missing, as bonn_000001_000019_gtFine"):
        Cityscapes(tmp_path / "a", [image, Path("bonn_000001_000019_leftImg8bit.jpg")], NAMES)
    with pytest.raises(ConfigError, match="must have a class of Cityscapes"):
        Cityscapes(tmp_path / "a", [image], ("cat",))
    (tmp_path / "a" / "gtFine" / "labels.json").write_text("{}")
    with pytest.raises(ConfigError, match="must be Cityscapes itself"):
        Cityscapes(tmp_path / "a", [image], NAMES)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    for name in ("", ".evaluation", ".evaluation.evalInstanceLevelSemanticLabeling"):
        monkeypatch.setitem(sys.modules, f"cityscapesscripts{name}", None)
    image = write_truth(tmp_path, "ulm_000000_000019", street())
    with pytest.raises(MissingExtraError, match=r"segsweep\[cityscapes\]"):
        Cityscapes(tmp_path, [image], NAMES)


def test_an_image_of_another_shape_is_refused(tmp_path):
    image = write_truth(tmp_path, "ulm_000000_000019", street()[:, :200])
    with pytest.raises(DatasetError, match="200 x 128"):
        CityscapesTally(Cityscapes(tmp_path, [image], NAMES)).add(0, prediction())


@pytest.mark.slow(reason="imports matplotlib, and a bundle is made")
@pytest.mark.timeout(120)
def test_a_bundle_made_of_cityscapes_is_judged_by_both(tmp_path):
    for split, cities in (("train", ("aachen", "bonn", "ulm")), ("val", ("munster",))):
        for city in cities:
            write_truth(tmp_path / "raw", f"{city}_000000_000019", street())
            old = tmp_path / "raw" / "gtFine" / "val" / city
            new = tmp_path / "raw" / "gtFine" / split / city
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)
            picture = np.random.default_rng([*city.encode()]).integers(0, 255, (128, 256, 3), np.uint8)
            image = tmp_path / "raw" / "leftImg8bit" / split / city / f"{city}_000000_000019_leftImg8bit.png"
            image.parent.mkdir(parents=True)
            cv2.imwrite(str(image), picture)
    options = PrepareOptions(name="streets", imgsz=128, keep_duplicates=True, classes=("person", "car"))
    bundle = prepare(tmp_path / "raw", str(tmp_path / "bundles"), options)
    copy = stage(bundle.uri, tmp_path / "cache")
    x1, y1, x2, y2 = (value / 2 for value in CAR)  # the canvas is half the bundle's image, which lies in its middle
    car = ((x1 + x2) / 2, (y1 + y2) / 2 + 16, x2 - x1, y2 - y1, 1, 0.9, 1.0, 0.0)
    model = write_planted_model(tmp_path / "m.onnx", planted_outputs([car]), "{0: 'person', 1: 'car'}")
    asked = EvaluateOptions(resamples=0, cityscapes=tmp_path / "raw")
    evaluated = evaluate_models({"m": model}, copy, tmp_path / "out", asked, lambda *_: None)
    own = evaluated.models[0].cityscapes
    assert own is not None
    assert own.classes == {"person": (0.0, 0.0), "car": (pytest.approx(1.0), pytest.approx(1.0))}
    assert evaluated.models[0].classes[1].mask_map50_95 == pytest.approx(0.5, abs=0.01)  # the small car is missed
    assert "m: Cityscapes' own AP 0.5000, AP50% 0.5000" in evaluated.to_text()
    assert "Cityscapes&#x27; own metric" in (tmp_path / "out" / "index.html").read_text()
