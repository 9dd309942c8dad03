"""What Ultralytics lets one tune for YOLOv8-seg: names, defaults, ranges.

The table mirrors `ultralytics/cfg/default.yaml` of the pinned version (a test compares them), so that a job can be
checked on a machine that has no torch.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

from segsweep.core.trials import ParamValue

OPTIMIZERS = ("SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSProp", "auto")

# With optimizer `auto` Ultralytics chooses these itself and ignores what it was given.
IGNORED_BY_AUTO = ("lr0", "momentum", "warmup_bias_lr")


@dataclass(frozen=True)
class Hyperparameter:
    """One tunable name.

    Attributes:
        default: What Ultralytics uses when nobody says otherwise.
        low: Smallest allowed value, None where it is not a number.
        high: Largest allowed value, None where it has no bound or is not a number.
        options: Allowed values where it is not a number.
    """

    default: ParamValue
    low: float | None = None
    high: float | None = None
    options: tuple[ParamValue, ...] = ()

    @property
    def rule(self) -> str:
        """What a value must be, in words."""
        if self.options:
            return f"one of {', '.join(map(str, self.options))}"
        kind = "an integer" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g}" + (f" to {self.high:g}" if self.high is not None else " up")

    def allows(self, value: object) -> bool:
        """Whether a value is of the right type and in range."""
        if self.options:
            # 1 == True, but Ultralytics takes no number for a flag.
            return any(value == option and type(value) is type(option) for option in self.options)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        if isinstance(self.default, int) and not isinstance(value, int):
            return False  # Ultralytics takes no 8.0 for an 8
        assert self.low is not None
        return self.low <= value and (self.high is None or value <= self.high)


def _fraction(default: float) -> Hyperparameter:
    return Hyperparameter(default, low=0.0, high=1.0)


HYPERPARAMETERS: dict[str, Hyperparameter] = {
    "optimizer": Hyperparameter("auto", options=OPTIMIZERS),
    "batch": Hyperparameter(16, low=1),
    "imgsz": Hyperparameter(640, low=32),
    "nbs": Hyperparameter(64, low=1),
    "cos_lr": Hyperparameter(False, options=(False, True)),
    "close_mosaic": Hyperparameter(10, low=0),
    "lr0": Hyperparameter(0.01, low=1e-8, high=1.0),
    "lrf": _fraction(0.01),
    "momentum": _fraction(0.937),
    "weight_decay": _fraction(0.0005),
    "warmup_epochs": Hyperparameter(3.0, low=0.0),
    "warmup_momentum": _fraction(0.8),
    "warmup_bias_lr": _fraction(0.1),
    "box": Hyperparameter(7.5, low=0.0),
    "cls": Hyperparameter(0.5, low=0.0),
    "dfl": Hyperparameter(1.5, low=0.0),
    "mask_ratio": Hyperparameter(4, low=1),
    "hsv_h": _fraction(0.015),
    "hsv_s": _fraction(0.7),
    "hsv_v": _fraction(0.4),
    "degrees": Hyperparameter(0.0, low=0.0, high=180.0),
    "translate": _fraction(0.1),
    "scale": _fraction(0.5),
    "shear": Hyperparameter(0.0, low=0.0, high=180.0),
    "perspective": Hyperparameter(0.0, low=0.0, high=0.001),
    "flipud": _fraction(0.0),
    "fliplr": _fraction(0.5),
    "bgr": _fraction(0.0),
    "mosaic": _fraction(1.0),
    "mixup": _fraction(0.0),
    "cutmix": _fraction(0.0),
    "copy_paste": _fraction(0.0),
}


def broken_rule(name: object, value: object) -> str:
    """The rule that a name or its value breaks, in words; empty where it breaks none.

    Args:
        name: As it stands in a file; YAML makes `no: 1` a key that is not text.
        value: As it stands in a file.
    """
    known = HYPERPARAMETERS.get(name) if isinstance(name, str) else None
    if known is None:
        close = difflib.get_close_matches(name, HYPERPARAMETERS, 3) if isinstance(name, str) else []
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"is no training argument that may be set or searched{hint}"
    return "" if known.allows(value) else f"must be {known.rule}"
