"""Every rule that a reader of a format which Ultralytics reads or converts may report says what becomes of it."""

from __future__ import annotations

import ast
import inspect as source_of
from types import ModuleType

import pytest

from segsweep.dataset import labels
from segsweep.dataset.formats import coco, coco_shapes, yolo
from segsweep.dataset.inspection.consequences import UNKNOWN_FAULT, UNKNOWN_REPAIR, consequence_of


def repairs_of(module: ModuleType) -> list[str]:
    """The rules that a module's source passes to `Findings.repair`."""
    calls = [node for node in ast.walk(ast.parse(source_of.getsource(module))) if isinstance(node, ast.Call)]
    rules = [call.args[0] for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "repair"]
    return [eval(compile(ast.Expression(rule), "", "eval"), vars(module)) for rule in rules]


@pytest.mark.parametrize("module", [yolo, labels, coco, coco_shapes], ids=lambda module: module.__name__)
def test_what_a_reader_mends_has_a_consequence_in_training(module):
    rules = repairs_of(module)
    assert rules
    assert [rule for rule in rules if not consequence_of(rule).training] == []


def test_what_is_not_known_is_refused_as_a_fault_and_told_as_a_repair():
    assert consequence_of("never heard of", is_fault=True) == UNKNOWN_FAULT
    assert consequence_of("never heard of") == UNKNOWN_REPAIR
