"""What the picker of the demo page offers, and the loaded networks behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segsweep.deploy.model_file import class_indices, find_model, model_label, told_apart
from segsweep.errors import ConfigError, Problem
from segsweep.inference.decode import Thresholds
from segsweep.inference.predictor import Predictor


@dataclass(frozen=True)
class Offered:
    """One model of the picker.

    Attributes:
        label: What the picker shows; no other has it.
        path: The ONNX file.
    """

    label: str
    path: Path


@dataclass(frozen=True)
class Offer:
    """What a page shows.

    Attributes:
        models: At least one.
        first: Label of the one that is chosen at first.
        examples: Image files that a visitor can try.
    """

    models: tuple[Offered, ...]
    first: str
    examples: tuple[Path, ...] = ()


def offer_files(named: Sequence[str]) -> tuple[Offered, ...]:
    """ONNX files and folders of `segsweep export`, by their names.

    Raises:
        ConfigError: One does not exist or is a checkpoint; all such are told.
    """
    found: list[tuple[str, Path]] = []
    problems: list[Problem] = []
    for name in named:
        try:
            found.append((model_label(Path(name)), find_model(Path(name))))
        except ConfigError as exc:
            problems += exc.problems
    if problems:
        raise ConfigError(problems)
    return tuple(Offered(label, path) for label, path in told_apart(found).items())


class Shelf:
    """The networks of an offer, all loaded: what is no model is told at the start, not to a visitor.

    Attributes:
        labels: Of the models, in order.

    Args:
        models: The offer.
        threads: CPU threads of a network.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ConfigError: Some are no YOLOv8-seg models; all such are told.
    """

    def __init__(self, models: Sequence[Offered], threads: int) -> None:
        self.labels = tuple(model.label for model in models)
        self._predictors: dict[str, Predictor] = {}
        problems: list[Problem] = []
        for model in models:
            try:
                self._predictors[model.label] = Predictor(model.path, threads)
            except ConfigError as exc:
                problems += exc.problems
        if problems:
            raise ConfigError(problems)

    def path(self, label: str) -> Path:
        """The model's file."""
        return self._predictors[label].session.path

    def classes(self, label: str) -> tuple[str, ...]:
        """The model's class names, by index."""
        return self._predictors[label].session.names

    def predictor(self, label: str, conf: float, classes: Sequence[str] = ()) -> Predictor:
        """A predictor of one's own on the loaded network, for one visitor's wishes.

        Args:
            label: One of `labels`.
            conf: A score must be above this, 0-1.
            classes: Classes to look for, by name or index; all where empty.

        Raises:
            ConfigError: The model has no such class.
        """
        twin = self._predictors[label].twin()
        twin.thresholds = Thresholds(conf=conf, classes=class_indices(classes, twin.session.names))
        return twin
