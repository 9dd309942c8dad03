"""What the installed Ultralytics says of itself, as a program: JSON on stdin, JSON on stdout.

In a process of its own, because importing Ultralytics reads the environment once and for all, and other tests in this
process prepare that environment themselves.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from torch import nn
from ultralytics import cfg
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER


class Bare(BaseTrainer):
    """A trainer that can build an optimizer and nothing else."""

    def __init__(self) -> None:
        self.args = cfg.get_cfg(overrides={"lr0": 0.5, "warmup_bias_lr": 0.5})
        self.data = {"nc": 4}


def takes(name: str, value: Any) -> bool:
    """Whether a training argument passes Ultralytics' own check."""
    try:
        cfg.check_cfg({name: value}, hard=True)
    except (TypeError, ValueError):
        return False
    return True


def groups_of(trainer: Bare, optimizer: str) -> list[tuple[float, float]]:
    """Learning rate and momentum (or beta1) of every parameter group, asked for 0.5 and 0.5."""
    net = nn.Module()
    net.model = nn.ModuleList([nn.Linear(2, 2)])
    groups = trainer.build_optimizer(net, optimizer, lr=0.5, momentum=0.5, iterations=100).param_groups
    return [(group["lr"], group["momentum"] if "momentum" in group else group["betas"][0]) for group in groups]


def main() -> None:
    """Answer one question of each kind."""
    asked = json.load(sys.stdin)
    LOGGER.setLevel("ERROR")
    auto = Bare()
    with contextlib.redirect_stdout(sys.stderr):
        facts = {
            "defaults": cfg.DEFAULT_CFG_DICT,
            "takes": [takes(name, value) for name, value in asked["values"]],
            "optimizers": {name: groups_of(Bare(), name) for name in asked["optimizers"]},
            "auto": groups_of(auto, "auto"),
            "auto_warmup_bias_lr": auto.args.warmup_bias_lr,
        }
    print(json.dumps(facts))  # noqa: T201 - a program's output


if __name__ == "__main__":
    main()
