"""The table of tunable names mirrors the installed Ultralytics, so that what passes our check passes theirs."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segsweep.core.hyperparameters import HYPERPARAMETERS, IGNORED_BY_AUTO, OPTIMIZERS, broken_rule

ALLOWED = [
    (name, value)
    for name, known in HYPERPARAMETERS.items()
    for value in known.options
    or [type(known.default)(end) for end in (known.low, known.high, known.default) if end is not None]
]
REFUSED = [
    ("lr0", 1.5),
    ("mosaic", -0.1),
    ("momentum", math.nan),
    ("close_mosaic", 10.5),
    ("nbs", 0),
    ("mask_ratio", 0),
    ("cos_lr", 1),
    ("box", "7.5"),
    ("warmup_epochs", None),
    ("optimizer", 3),
]
NAMED_OPTIMIZERS = [name for name in OPTIMIZERS if name != "auto"]


@pytest.mark.slow(reason="a process that imports ultralytics and torch")
@pytest.mark.timeout(60)
def test_the_installed_ultralytics_has_our_defaults_and_rules(tmp_path):
    questions = {"values": ALLOWED + REFUSED, "optimizers": NAMED_OPTIMIZERS}
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[2] / "ultralytics_facts.py"],
        input=json.dumps(questions),
        env={**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "YOLO_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout.splitlines()[-1])  # a first import tells about its settings file

    defaults = {name: theirs["defaults"].get(name) for name in HYPERPARAMETERS}
    assert {name: (type(value), value) for name, value in defaults.items()} == {
        name: (type(known.default), known.default) for name, known in HYPERPARAMETERS.items()
    }

    assert {question: broken_rule(*question) for question in ALLOWED} == dict.fromkeys(ALLOWED, "")
    assert all(broken_rule(*question) for question in REFUSED)
    verdicts = dict(zip([repr(question) for question in ALLOWED + REFUSED], theirs["takes"], strict=True))
    assert [question for question in ALLOWED if not verdicts[repr(question)]] == []
    assert [question for question in REFUSED if verdicts[repr(question)]] == []

    # Asked for 0.5 and 0.5: a named optimizer obeys, `auto` ignores both and the bias warm-up with them.
    assert all([0.5, 0.5] in groups for groups in theirs["optimizers"].values())
    assert all(lr != 0.5 and momentum != 0.5 for lr, momentum in theirs["auto"])
    assert theirs["auto_warmup_bias_lr"] == 0.0
    assert IGNORED_BY_AUTO == ("lr0", "momentum", "warmup_bias_lr")


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
