"""Classes of a model met with the classes of a bundle, by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segsweep.errors import ConfigError, Problem, shortened
from segsweep.inference.predictor import Prediction

FLAG = "--classes"


@dataclass(frozen=True)
class ClassMatch:
    """What the classes of a model are called in a bundle.

    Attributes:
        names: Classes of the bundle, by index.
        targets: For each class of the model its index in the bundle, -1 where that lacks it.
        renamed: Classes of the model that have another name in the bundle, and that name.
        dropped: Classes of the model that the bundle lacks: what is found of them does not count.
        missed: Classes of the bundle that the model does not know: each of their objects is one it missed.
    """

    names: tuple[str, ...]
    targets: tuple[int, ...]
    renamed: Mapping[str, str]
    dropped: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def known(self) -> frozenset[int] | None:
        """Indices of the model's classes that count; None for all."""
        known = frozenset(index for index, target in enumerate(self.targets) if target >= 0)
        return None if len(known) == len(self.targets) else known

    def to_bundle(self, prediction: Prediction) -> Prediction:
        """A prediction of classes that count, in the bundle's classes."""
        return replace(prediction, classes=np.asarray(self.targets, np.int64)[prediction.classes])

    def remarks(self) -> list[str]:
        """What a reader of the figures must know, in sentences."""
        told = []
        if self.renamed:
            pairs = [f"{theirs} ({ours})" for ours, theirs in self.renamed.items()]
            told.append(f"its classes are counted as {shortened(pairs)}")
        if self.dropped:
            told.append(f"what it finds of classes that the dataset lacks is left out: {shortened(self.dropped)}")
        if self.missed:
            told.append(f"does not know {shortened(self.missed)}: their objects count as missed")
        return told


def match_classes(model: Sequence[str], bundle: Sequence[str], asked: Mapping[str, str], path: str) -> ClassMatch:
    """Match by name: first as asked, then equal names, then names that differ in case, spaces, `_` and `-` alone.

    Args:
        model: The model's classes by index.
        bundle: The bundle's.
        asked: Names of the bundle by names of the model; of several models, some may not have all of them. Several
            classes of a model may be one of the bundle.
        path: Which model it is, for the message.

    Raises:
        ConfigError: They have none in common.
    """
    exact = {name: index for index, name in enumerate(bundle)}
    loose = _loose(bundle)
    own = _loose(model)
    targets = []
    for name in model:
        target = exact.get(asked.get(name, name))
        if target is None and own.get(_spelling(name)) is not None:
            target = loose.get(_spelling(name))
        targets.append(-1 if target is None else target)
    found = {target for target in targets if target >= 0}
    if not found:
        rule = f"must share a class with the dataset, which has {shortened(bundle)}"
        fix = f"say which is which: {FLAG} {shortened(model[:1])}={shortened(bundle[:1])}"
        raise ConfigError(Problem(path, rule, "names", shortened(model), fix))
    pairs = [(name, target) for name, target in zip(model, targets, strict=True) if target >= 0]
    return ClassMatch(
        names=tuple(bundle),
        targets=tuple(targets),
        renamed={name: bundle[target] for name, target in pairs if name != bundle[target]},
        dropped=tuple(name for name, target in zip(model, targets, strict=True) if target < 0),
        missed=tuple(name for index, name in enumerate(bundle) if index not in found),
    )


def parse_classes(text: str | None) -> dict[str, str]:
    """`MODEL=BUNDLE,...` to names of the bundle by names of the model.

    Raises:
        ConfigError: A part is no pair, or a class of the model is named twice.
    """
    asked: dict[str, str] = {}
    problems = []
    for part in text.split(",") if text is not None else ():
        ours, equals, theirs = (word.strip() for word in part.partition("="))
        if not (ours and equals and theirs):
            problems.append(
                Problem(FLAG, "must be pairs MODEL_CLASS=BUNDLE_CLASS with commas between them", value=part)
            )
        elif ours in asked:
            problems.append(Problem(FLAG, "must name a class of the model once", value=ours))
        asked[ours] = theirs
    if problems:
        raise ConfigError(problems)
    return asked


def check_asked(asked: Mapping[str, str], models: Sequence[Sequence[str]], bundle: Sequence[str]) -> list[Problem]:
    """What is wrong with names that were asked for: no model has the one, or the bundle lacks the other."""
    known = {name for names in models for name in names}
    problems = []
    for ours, theirs in asked.items():
        if ours not in known:
            have = shortened([*dict.fromkeys(name for names in models for name in names)])
            problems.append(Problem(FLAG, f"must name classes of a model: {have}", value=ours))
        if theirs not in bundle:
            problems.append(Problem(FLAG, f"must name classes of the dataset: {shortened(bundle)}", value=theirs))
    return problems


def _spelling(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _loose(names: Sequence[str]) -> dict[str, int]:
    """Index by loose spelling, of those that no other name has."""
    often = Counter(_spelling(name) for name in names)
    return {_spelling(name): index for index, name in enumerate(names) if often[_spelling(name)] == 1}
