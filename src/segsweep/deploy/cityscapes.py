"""Cityscapes' own metric of instances on the same predictions, against the original labels with their groups.

The package `cityscapesscripts` judges: `instances2dict` lists the true instances, `evaluateMatches` and
`computeAverages` of `evalInstanceLevelSemanticLabeling` make AP and AP50% out of pairs, with its rules for objects
below 100 pixels, for groups and for void. Only the pairs are made here, its `assignGt2Preds` with crops in the place of
a PNG of 2 megapixels for each prediction; release 2.3.0 asks NumPy there for what 2.4 no longer has. A test compares
the two.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segsweep.dataset.formats.cityscapes_labels import EVALUATED, LABELS, LABELS_NAME
from segsweep.dataset.formats.cityscapes_tree import ANNOTATIONS, IMAGE_END, MASK_END, find_half
from segsweep.dataset.formats.index_png import read_png
from segsweep.errors import ConfigError, DatasetError, MissingExtraError, Problem
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction

FLAG = "--cityscapes"
_PACKAGE = "cityscapesscripts.evaluation"
_IDS = {label.name: label.id for label in LABELS}
_SAME_SHAPE = 0.02  # how far the two scales from the bundle's image to the original may differ

Values = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class CityscapesFigures:
    """What Cityscapes calls AP and AP50%, 0-1; None where the images hold no object that counts.

    Attributes:
        ap: Mean over the classes and the IoUs 0.50:0.95:0.05.
        ap50: Mean over the classes at IoU 0.5.
        classes: Both, by class.
    """

    ap: float | None
    ap50: float | None
    classes: Mapping[str, tuple[float | None, float | None]]


class Cityscapes:
    """The original labels of a bundle's images.

    Args:
        tree: The unpacked dataset, or its gtFine.
        images: Of the bundle.
        names: The bundle's classes; those that Cityscapes evaluates are judged.

    Raises:
        ConfigError: The tree is not Cityscapes, lacks labels of the images, or the bundle has none of its classes.
        MissingExtraError: cityscapesscripts is not installed.
    """

    def __init__(self, tree: Path, images: Sequence[Path], names: Sequence[str]) -> None:
        self._truth = _find_truth(tree, images)
        self.names = tuple(names)
        self.evaluated = tuple(name for name in EVALUATED if name in names)
        if not self.evaluated:
            rule = f"the bundle must have a class of Cityscapes: {', '.join(EVALUATED)}"
            raise ConfigError(Problem(FLAG, rule, value=", ".join(names[:5])))
        self.judge = _module("evalInstanceLevelSemanticLabeling")
        self._list = _module("instances2dict").instances2dict
        self.instances = cache(self._instances)

    def __len__(self) -> int:
        return len(self._truth)

    def values(self, index: int) -> Values:
        """Pixels of an image's instanceIds."""
        return read_png(self._truth[index], str(self._truth[index])).values

    def _instances(self, index: int) -> dict[str, list[dict[str, Any]]]:
        """The package's true instances of an image, groups included, by class."""
        (found,) = self._list([str(self._truth[index])]).values()
        return {name: found[name] for name in self.evaluated}


class CityscapesTally:
    """Pairs of one model's predictions with the original labels.

    Args:
        cityscapes: The labels.
    """

    def __init__(self, cityscapes: Cityscapes) -> None:
        self._cityscapes = cityscapes
        self.matches: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {}

    def add(self, index: int, prediction: Prediction) -> None:
        """Pair the predictions of an image, in the bundle's classes.

        Raises:
            DatasetError: The labels cannot be read, or are of another shape than the image.
        """
        known = self._cityscapes
        values = known.values(index)
        _check_shape(prediction.shape, values.shape, index)
        true = deepcopy(known.instances(index))
        for instances in true.values():
            for instance in instances:
                instance["matchedPred"] = []
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in known.evaluated}
        void = [label.id for label in known.judge.labels if label.ignoreInEval]
        rows = zip(prediction.classes, prediction.scores, prediction.masks, strict=True)
        for number, (kind, score, mask) in enumerate(rows):
            name = known.names[kind]
            pixels = _under(mask, prediction.shape, values) if name in found else values[:0]
            if not pixels.size:
                continue
            one: dict[str, Any] = {
                **{"imgName": str(number), "predID": sum(map(len, found.values())), "labelID": _IDS[name]},
                **{"pixelCount": int(pixels.size), "confidence": float(score)},
                "voidIntersection": int(np.isin(pixels, void).sum()),
            }
            ids, counts = np.unique(pixels, return_counts=True)
            shared = dict(zip(ids.tolist(), counts.tolist(), strict=True))
            one["matchedGt"] = []
            for each, plain in zip(true[name], known.instances(index)[name], strict=True):
                if each["instID"] in shared:
                    met = {"intersection": shared[each["instID"]]}
                    each["matchedPred"].append({**{key: one[key] for key in one if key != "matchedGt"}, **met})
                    one["matchedGt"].append({**plain, **met})
            found[name].append(one)
        self.matches[str(index)] = {"groundTruth": true, "prediction": found}

    def figures(self) -> CityscapesFigures:
        """AP and AP50% of what was added."""
        judge, names = self._cityscapes.judge, self._cityscapes.evaluated
        how = deepcopy(judge.args)
        how.instLabels, how.quiet, how.distanceAvailable = list(names), True, False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing
            found = judge.computeAverages(judge.evaluateMatches(self.matches, how), how)
        classes = {
            name: (_known(found["classes"][name]["ap"]), _known(found["classes"][name]["ap50%"])) for name in names
        }
        return CityscapesFigures(_known(found["allAp"]), _known(found["allAp50%"]), classes)


def _find_truth(tree: Path, images: Sequence[Path]) -> list[Path]:
    labels = find_half(tree, ANNOTATIONS) or tree
    if (labels / LABELS_NAME).exists():
        rule = f"must be Cityscapes itself: {LABELS_NAME} says that the labels are others"
        raise ConfigError(Problem(FLAG, rule, value=str(tree)))
    known = {path.name.removesuffix(MASK_END): path for path in labels.glob(f"*/*/*{MASK_END}")}
    if not known:
        fix = f"name the folder that gtFine_trainvaltest.zip was unpacked in, with gtFine/<split>/<city>/*{MASK_END}"
        raise ConfigError(Problem(FLAG, "must hold the labels of Cityscapes", value=str(tree), fix=fix))
    stems = [image.stem.removesuffix(IMAGE_END) for image in images]
    missing = [stem for stem in stems if stem not in known]
    if missing:
        rule = (
            f"must hold the labels of every image of the split; {len(missing)} are missing, as {missing[0]}{MASK_END}"
        )
        fix = "the bundle's images must be whole images of Cityscapes, not tiles or copies"
        raise ConfigError(Problem(FLAG, rule, value=str(tree), fix=fix))
    return [known[stem] for stem in stems]


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except ImportError as exc:
        fix = "pip install 'segsweep[cityscapes]'"
        raise MissingExtraError(Problem("cityscapesscripts", f"is needed for {FLAG}", fix=fix)) from exc


def _check_shape(shape: tuple[int, int], original: tuple[int, ...], index: int) -> None:
    vertical, horizontal = original[0] / shape[0], original[1] / shape[1]
    if abs(vertical - horizontal) > _SAME_SHAPE * horizontal:
        rule = f"must have the shape of its labels, {original[1]} x {original[0]} pixels, at another scale"
        raise DatasetError(Problem(f"image {index + 1}", rule, value=f"{shape[1]} x {shape[0]}"))


def _under(mask: Mask, shape: tuple[int, int], values: Values) -> Values:
    """The labels under a mask: a pixel of the labels belongs to it if the pixel of the image at its centre does."""
    windows, picks = [], []
    for start, length, side, full in zip((mask.top, mask.left), mask.pixels.shape, shape, values.shape, strict=True):
        places = (2 * np.arange(full) + 1) * side // (2 * full)
        window = slice(int(np.searchsorted(places, start)), int(np.searchsorted(places, start + length)))
        windows.append(window)
        picks.append(places[window] - start)
    return np.asarray(values[windows[0], windows[1]][mask.pixels[np.ix_(*picks)]])


def _known(value: Any) -> float | None:
    number = float(np.squeeze(value))
    return None if np.isnan(number) else number
