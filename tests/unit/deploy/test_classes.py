"""Which class of a model is which of a bundle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.deploy.classes import check_asked, match_classes, parse_classes
from segsweep.errors import ConfigError
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction, StageTimes

NAMES = st.lists(st.text("abcAB _", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def test_equal_lists_match_one_to_one_without_a_remark():
    found = match_classes(["cat", "dog"], ["cat", "dog"], {}, "m")
    assert (found.targets, found.known, found.remarks()) == ((0, 1), None, [])


def test_the_order_does_not_matter():
    assert match_classes(["dog", "cat"], ["cat", "dog"], {}, "m").targets == (1, 0)


def test_what_the_bundle_lacks_is_dropped_and_what_the_model_does_not_know_is_missed():
    found = match_classes(["person", "cat", "tie"], ["cat", "lynx"], {}, "m")
    assert (found.targets, found.known) == ((-1, 0, -1), frozenset({1}))
    assert (found.dropped, found.missed) == (("person", "tie"), ("lynx",))
    dropped, missed = found.remarks()
    assert "person, tie" in dropped
    assert "lynx" in missed


def test_names_may_differ_in_case_spaces_and_dashes_where_that_says_which():
    found = match_classes(["Traffic-Light", "car"], ["traffic light", "CAR"], {}, "m")
    assert found.targets == (0, 1)
    assert found.renamed == {"Traffic-Light": "traffic light", "car": "CAR"}
    assert "traffic light (Traffic-Light)" in found.remarks()[0]
    assert match_classes(["Cat", "CAT", "dog"], ["cat", "dog"], {}, "m").targets == (-1, -1, 1)
    assert match_classes(["cat", "dog"], ["Cat", "CAT", "dog"], {}, "m").targets == (-1, 2)


def test_an_equal_name_goes_before_a_similar_one():
    assert match_classes(["Cat"], ["cat", "Cat"], {}, "m").targets == (1,)


def test_what_was_asked_goes_before_names_and_two_classes_may_be_one():
    found = match_classes(["cat", "lynx", "dog"], ["feralcat", "cat"], {"cat": "feralcat", "lynx": "feralcat"}, "m")
    assert found.targets == (0, 0, -1)
    assert found.missed == ("cat",)


def test_nothing_in_common_is_refused_with_both_lists_and_what_to_type():
    with pytest.raises(ConfigError) as caught:
        match_classes(["person", "cat"], ["feralcat"], {}, "model.onnx")
    text = str(caught.value)
    assert all(word in text for word in ("model.onnx", "person, cat", "feralcat", "--classes person=feralcat"))


def test_a_prediction_speaks_the_bundles_classes_afterwards():
    mask = Mask(0, 0, np.ones((1, 1), np.bool_))
    found = Prediction(
        *(np.zeros((2, 4), np.float32), np.array([0.9, 0.8], np.float32), np.array([2, 0])),
        *((mask, mask), (4, 4), StageTimes(0.0, 0.0, 0.0)),
    )
    classes = match_classes(["dog", "ape", "cat"], ["cat", "dog"], {}, "m")
    assert classes.to_bundle(found).classes.tolist() == [0, 1]


@settings(max_examples=50)
@given(NAMES, NAMES)
def test_every_class_is_matched_or_told(model, bundle):
    try:
        found = match_classes(model, bundle, {}, "m")
    except ConfigError:
        assert not set(model) & set(bundle)
        return
    assert len(found.targets) == len(model)
    for name, target in zip(model, found.targets, strict=True):
        assert (target < 0) == (name in found.dropped)
        assert name not in bundle or bundle[target] == name
    assert {name for index, name in enumerate(bundle) if index not in found.targets} == set(found.missed)


def test_pairs_are_read_and_broken_ones_told_at_once():
    assert parse_classes(None) == {}
    assert parse_classes("cat=feralcat, big cat = lynx") == {"cat": "feralcat", "big cat": "lynx"}
    with pytest.raises(ConfigError) as caught:
        parse_classes("cat,=dog,a=b,a=c")
    assert [problem.value for problem in caught.value.problems] == ["cat", "=dog", "a"]


def test_names_that_nobody_has_are_told():
    problems = check_asked({"cat": "dog", "ape": "bee"}, [["cat"], ["dog"]], ["dog"])
    assert [problem.value for problem in problems] == ["ape", "bee"]
    assert "cat, dog" in str(problems[0])
