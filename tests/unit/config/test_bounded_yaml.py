from __future__ import annotations

from typing import Any

import pytest
import yaml

from segsweep.config.bounded_yaml import BoundedLoader


def load(text: str) -> Any:
    return yaml.load(text, BoundedLoader)


def laughs(levels: int, entry: str) -> str:
    lines = [f"a0: &a0 {entry}"]
    for level in range(1, levels):
        used = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{used}]")
    return "\n".join(lines)


@pytest.mark.parametrize("text", ["a: [1, {b: c}]", "- 1", "", "3", "a: &x {b: 1}\nc: {<<: *x}\nd: [*x, *x]"])
def test_what_is_harmless_is_read_as_ever(text: str):
    assert load(text) == yaml.safe_load(text)


def test_a_billion_laughs_are_refused():
    with pytest.raises(yaml.YAMLError, match="more than 1000000 values"):
        load(laughs(10, "[lol]"))


def test_a_million_laughs_by_merging_are_refused():
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 9)]
    with pytest.raises(yaml.YAMLError, match="more than 1000000 values"):
        load("\n".join(lines))


def test_few_laughs_are_none():
    assert len(load(laughs(4, "[lol]"))["a3"]) == 10


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "&a [1, [2, *a]]"])
def test_a_value_that_holds_itself_is_refused(text: str):
    with pytest.raises(yaml.YAMLError, match="holds itself"):
        load(text)


def test_code_is_refused_as_ever():
    with pytest.raises(yaml.YAMLError):
        load("!!python/object/apply:os.system ['true']")
