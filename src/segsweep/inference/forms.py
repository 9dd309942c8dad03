"""The forms that one model is exported in: precision, fixed or dynamic shapes, NMS outside or inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segsweep.errors import ConfigError, Problem
from segsweep.storage import layout

FP32, FP16, INT8 = "fp32", "fp16", "int8"
PRECISIONS = (FP32, FP16, INT8)
STRIDE = 32  # px; sides of the network's input are multiples of it


@dataclass(frozen=True)
class Form:
    """How a model file is made.

    Attributes:
        precision: Of its weights and arithmetic, one of `PRECISIONS`. Inputs and outputs are float32 in all of them.
        dynamic: Whether batch, height and width are the caller's; sides are multiples of 32 pixels.
        nms: Whether non-maximum suppression is part of the graph.
    """

    precision: str = FP32
    dynamic: bool = False
    nms: bool = False

    @property
    def suffix(self) -> str:
        """What tells its file from the others: `-int8-dynamic-nms`, nothing for the plain fp32 file."""
        words = [self.precision] if self.precision != FP32 else []
        words += ["dynamic"] * self.dynamic + ["nms"] * self.nms
        return "".join(f"-{word}" for word in words)

    @property
    def file_name(self) -> str:
        """`model.onnx` for the plain fp32 file, `model-int8.onnx` and so on for the others."""
        return layout.package_model(self.suffix)

    def __str__(self) -> str:
        return ", ".join([self.precision, *["dynamic shapes"] * self.dynamic, *["NMS inside"] * self.nms])


PLAIN = Form()


def wanted_forms(precisions: Sequence[str], *, dynamic: bool = False, nms: bool = False) -> tuple[Form, ...]:
    """The plain fp32 form, which every export has, and one of each wanted precision, in order and once each.

    Args:
        precisions: Names of precisions.
        dynamic: Whether the wanted ones have dynamic shapes.
        nms: Whether the wanted ones have NMS inside.

    Raises:
        ConfigError: A precision is unknown; all at once.
    """
    rule = f"must be among {', '.join(PRECISIONS)}"
    problems = [Problem("--precision", rule, value=name or "''") for name in precisions if name not in PRECISIONS]
    if problems:
        raise ConfigError(problems)
    return tuple(dict.fromkeys([PLAIN, *(Form(name, dynamic, nms) for name in precisions)]))


def all_file_names() -> frozenset[str]:
    """Every name that an exported file may have."""
    flags = (False, True)
    return frozenset(Form(name, dynamic, nms).file_name for name in PRECISIONS for dynamic in flags for nms in flags)
