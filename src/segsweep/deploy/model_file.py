"""The model that a user names, an exported ONNX file or the folder that `segsweep export` wrote, and its classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from segsweep.errors import ConfigError, Problem
from segsweep.storage import layout

T = TypeVar("T")

_CHECKPOINTS = frozenset({".pt", ".pth"})
_EXPORT = "export it first with `segsweep export`"


def find_model(named: Path) -> Path:
    """The ONNX file; what is in it is for `segsweep.inference.predictor.Session` to judge.

    Raises:
        ConfigError: It does not exist, is a checkpoint, which is never opened here, or a folder without a model.
    """
    if named.suffix.lower() in _CHECKPOINTS:
        raise ConfigError(Problem(str(named), "must be an exported model, not a checkpoint", "MODEL", fix=_EXPORT))
    found = named / layout.PACKAGE_ONNX if named.is_dir() else named
    if not found.is_file():
        raise ConfigError(Problem(str(found), "does not exist or is no file", "MODEL", fix=_EXPORT))
    return found


def is_run(named: str) -> bool:
    """Whether what the user names is a run, by URI or folder, and no model."""
    return "://" in named or (Path(named) / layout.RUN).is_file()


def model_label(named: Path) -> str:
    """What a model is called where several are shown: its folder's name, or its file's without the extension."""
    return named.resolve().name if named.is_dir() else named.stem


def told_apart(found: Sequence[tuple[str, T]]) -> dict[str, T]:
    """By label, in the same order; a label that is taken gets a number."""
    labelled: dict[str, T] = {}
    for label, value in found:
        number = 1
        unique = label
        while unique in labelled:
            number += 1
            unique = f"{label}-{number}"
        labelled[unique] = value
    return labelled


def class_indices(wanted: Sequence[str], names: Sequence[str]) -> frozenset[int] | None:
    """Indices of the wanted classes, given by name or index; None, which means all, where none is given.

    Raises:
        ConfigError: The model has no such class.
    """
    if not wanted:
        return None
    known = {str(index): index for index in range(len(names))} | {name: index for index, name in enumerate(names)}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        fix = f"it knows {', '.join(names[:20])}{' and more' if len(names) > 20 else ''}"
        raise ConfigError([Problem("--classes", "must be a class of the model", "", name, fix) for name in unknown])
    return frozenset(known[name] for name in wanted)
