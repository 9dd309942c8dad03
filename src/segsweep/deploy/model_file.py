"""The model that a user names: an exported ONNX file, or the folder that `segsweep export` wrote."""

from __future__ import annotations

from pathlib import Path

from segsweep.errors import ConfigError, Problem
from segsweep.storage import layout

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
