"""Errors say what is wrong, carry their exit code, and survive the way between processes."""

import pickle
import re

import pytest

import segsweep.errors
from segsweep.errors import Problem, SegsweepError

TREE = {
    name: kind
    for name, kind in vars(segsweep.errors).items()
    if isinstance(kind, type) and issubclass(kind, SegsweepError)
}


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("job.yaml", "no such file"), "job.yaml: no such file"),
        (Problem("job.yaml", "is required", "name"), "job.yaml: name: is required"),
        (Problem("job.yaml", "must be 1 up", "seed", "-1"), "job.yaml: seed = -1: must be 1 up"),
        (Problem("--set", "must look like a.b=value", value="x"), "--set: x: must look like a.b=value"),
        (
            Problem("job.yaml", "unknown key", "sed", "1", "did you mean seed?"),
            "job.yaml: sed = 1: unknown key (did you mean seed?)",
        ),
    ],
)
def test_a_problem_names_place_field_value_rule_and_fix(problem, text):
    assert str(problem) == text


def test_an_error_takes_a_sentence_one_problem_or_several():
    one, other = Problem("a", "is wrong"), Problem("b", "is wrong too")
    assert (str(SegsweepError("it broke")), SegsweepError("it broke").problems) == ("it broke", ())
    assert (str(SegsweepError(one)), SegsweepError(one).problems) == ("a: is wrong", (one,))
    both = SegsweepError([one, other])
    assert (str(both), both.problems) == ("a: is wrong\nb: is wrong too", (one, other))


@pytest.mark.parametrize("kind", TREE.values(), ids=TREE)
@pytest.mark.parametrize("said", ["a sentence", [Problem("a", "r", "f", "v", "x"), Problem("b", "r")]])
def test_an_error_crosses_process_borders_unchanged(kind, said):
    error = kind(said)
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), there.problems, str(there)) == (kind, error.problems, str(error))


def test_the_drawn_tree_is_the_real_one():
    drawn, path = {}, []
    for line in segsweep.errors.__doc__.splitlines():
        if found := re.match(r"(?P<indent>[│├└─ ]*)(?P<name>\w+Error)\b(?: +exit (?P<code>\d))?", line):
            path[len(found["indent"]) // 4 :] = [found["name"]]
            drawn[found["name"]] = (path[-2] if len(path) > 1 else "Exception", found["code"])
    assert drawn.keys() == TREE.keys()
    for name, (parent, code) in drawn.items():
        assert TREE[name].__base__.__name__ == parent
        inherited = TREE[parent].exit_code if parent in TREE else 1
        assert TREE[name].exit_code == int(code or inherited)
