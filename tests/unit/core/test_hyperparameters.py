"""The table of tunable names mirrors the installed Ultralytics, so that what passes our check passes theirs."""

import math

import pytest

from segsweep.core.hyperparameters import HYPERPARAMETERS, IGNORED_BY_AUTO, OPTIMIZERS, broken_rule

needs_ultralytics = pytest.mark.slow(reason="imports ultralytics and torch")


@pytest.fixture
def cfg(monkeypatch, tmp_path):
    """Ultralytics' own module of defaults and rules."""
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    from ultralytics import cfg

    return cfg


@needs_ultralytics
@pytest.mark.timeout(60)
def test_every_default_is_ultralytics_own(cfg):
    ours = {name: (known.default, type(known.default)) for name, known in HYPERPARAMETERS.items()}
    theirs = {name: (value, type(value)) for name, value in cfg.DEFAULT_CFG_DICT.items() if name in HYPERPARAMETERS}
    assert ours == theirs


@needs_ultralytics
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_ultralytics_takes_every_value_that_we_allow(cfg, name):
    known = HYPERPARAMETERS[name]
    kind = type(known.default)
    values = known.options or [kind(end) for end in (known.low, known.high) if end is not None]
    for value in values:
        assert known.allows(value)
        cfg.check_cfg({name: value}, hard=True)


@needs_ultralytics
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "value"),
    [("lr0", 1.5), ("mosaic", -0.1), ("close_mosaic", 10.5), ("nbs", 0), ("mask_ratio", 0), ("cos_lr", 1),
     ("box", "7.5"), ("momentum", math.nan), ("warmup_epochs", None), ("optimizer", 3)],
)  # fmt: skip
def test_we_refuse_what_ultralytics_refuses(cfg, name, value):
    with pytest.raises((TypeError, ValueError)):
        cfg.check_cfg({name: value}, hard=True)
    assert broken_rule(name, value)


@needs_ultralytics
@pytest.mark.timeout(60)
def test_optimizer_auto_ignores_what_we_say_it_ignores(cfg):
    """`auto` picks the optimizer itself; a given name is used as given."""
    from torch import nn
    from ultralytics.engine.trainer import BaseTrainer

    class Bare(BaseTrainer):
        def __init__(self):
            self.args, self.data = cfg.get_cfg(overrides={"lr0": 0.5, "warmup_bias_lr": 0.5}), {"nc": 4}

    net = nn.Module()
    net.model = nn.ModuleList([nn.Linear(2, 2)])
    trainer = Bare()
    groups = trainer.build_optimizer(net, "auto", lr=0.5, momentum=0.5, iterations=100).param_groups
    assert all(group["lr"] != 0.5 and group["betas"][0] != 0.5 for group in groups)
    assert trainer.args.warmup_bias_lr == 0.0
    assert IGNORED_BY_AUTO == ("lr0", "momentum", "warmup_bias_lr")
    for name in set(OPTIMIZERS) - {"auto"}:
        groups = Bare().build_optimizer(net, name, lr=0.5, momentum=0.5).param_groups
        assert (0.5, 0.5) in [(g["lr"], g["momentum"] if "momentum" in g else g["betas"][0]) for g in groups]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("lr0", 0.01, ""),
        ("lr0", 1, ""),
        ("lr0", 0, "must be a number from 1e-08 to 1"),
        ("lr0", "0.1", "must be a number from 1e-08 to 1"),
        ("lr0", True, "must be a number from 1e-08 to 1"),
        ("lr0", math.nan, "must be a number from 1e-08 to 1"),
        ("box", math.inf, "must be a number from 0 up"),
        ("box", 0, ""),
        ("batch", 16, ""),
        ("batch", 16.0, "must be an integer from 1 up"),
        ("batch", -1, "must be an integer from 1 up"),
        ("batch", True, "must be an integer from 1 up"),
        ("optimizer", "AdamW", ""),
        ("optimizer", "Lion", "must be one of SGD, MuSGD, Adam, Adamax, AdamW, NAdam, RAdam, RMSProp, auto"),
        ("optimizer", ["SGD"], "must be one of SGD, MuSGD, Adam, Adamax, AdamW, NAdam, RAdam, RMSProp, auto"),
        ("cos_lr", True, ""),
        ("cos_lr", 0, "must be one of False, True"),
        ("lr", 0.1, "is no training argument that may be set or searched; did you mean lrf or lr0?"),
        ("device", "cpu", "is no training argument that may be set or searched"),
        (False, 1, "is no training argument that may be set or searched"),  # YAML's `no: 1`
        (7, 1, "is no training argument that may be set or searched"),
    ],
)
def test_a_broken_rule_is_told_in_words(name, value, rule):
    assert broken_rule(name, value) == rule


def test_every_default_keeps_its_own_rule():
    assert {name: broken_rule(name, known.default) for name, known in HYPERPARAMETERS.items()} == dict.fromkeys(
        HYPERPARAMETERS, ""
    )
