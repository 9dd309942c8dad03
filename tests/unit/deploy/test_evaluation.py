"""How an evaluation is written down."""

from __future__ import annotations

import json

import pytest

from segsweep.deploy.evaluation import one_list_a_line


@pytest.mark.parametrize("value", [[1, 2.5, -3e-07], [], {"a": [[1, 2], [3]], "b": ["x,  y", "[1, 2]"]}, [None, 1.0]])
def test_lists_of_numbers_take_one_line_and_the_content_stays(value):
    text = one_list_a_line(json.dumps({"v": value}, indent=1))
    assert json.loads(text) == {"v": value}


def test_a_long_list_is_one_line():
    assert len(one_list_a_line(json.dumps([0.5] * 101, indent=1)).splitlines()) == 1
