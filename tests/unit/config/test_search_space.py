"""Distributions map the unit interval to values and back; a space's mistakes are told at once."""

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import quick
from segsweep.config.search_space import Distribution, load_search_space, parse_search_space
from segsweep.core.variants import VARIANTS
from segsweep.errors import ConfigError

ROOT = Path(__file__).parents[3]
UNIT = st.floats(0, 1)
GRID = [step / 20 for step in range(21)]


def uniform(low, high):
    return Distribution(uniform=(low, high))


def loguniform(low, high):
    return Distribution(loguniform=(low, high))


def quniform(low, high, step):
    return Distribution(quniform=(low, high, step))


def choice(*options):
    return Distribution(choice=options)


@pytest.mark.parametrize(
    ("distribution", "unit", "value"),
    [
        (uniform(2, 4), 0.0, 2.0),
        (uniform(2, 4), 0.25, 2.5),
        (uniform(2, 4), 1.0, 4.0),
        (loguniform(1e-4, 1e-2), 0.0, 1e-4),
        (loguniform(1e-4, 1e-2), 0.5, pytest.approx(1e-3)),
        (loguniform(1e-3, 10), 1.0, 10.0),
        (loguniform(1e-8, 1), 0.0, 1e-8),
        (quniform(8, 32, 8), 0.0, 8),
        (quniform(8, 32, 8), 0.24, 8),
        (quniform(8, 32, 8), 0.25, 16),
        (quniform(8, 32, 8), 1.0, 32),
        (quniform(8, 31, 8), 1.0, 24),
        (quniform(0, 0.3, 0.1), 1.0, 0.3),
        (choice("SGD", "AdamW"), 0.0, "SGD"),
        (choice("SGD", "AdamW"), 0.49, "SGD"),
        (choice("SGD", "AdamW"), 0.5, "AdamW"),
        (choice("SGD", "AdamW"), 1.0, "AdamW"),
        (choice(7), 1.0, 7),
    ],
)
def test_a_unit_coordinate_has_one_value(distribution, unit, value):
    assert distribution.value(unit) == value


@pytest.mark.parametrize(
    ("distribution", "value", "unit"),
    [
        (uniform(2, 4), 3, 0.5),
        (uniform(2, 4), 2, 0.0),
        (uniform(2, 4), 4.001, None),
        (uniform(2, 4), "3", None),
        (uniform(0, 1), True, None),
        (loguniform(1e-4, 1e-2), 1e-3, pytest.approx(0.5)),
        (loguniform(1e-4, 1e-2), 1e-2, 1.0),
        (loguniform(1e-4, 1e-2), 0.0, None),
        (loguniform(1e-4, 1e-2), -1.0, None),
        (quniform(8, 32, 8), 16, 1.5 / 4),
        (quniform(8, 32, 8), 17, None),
        (quniform(8, 32, 8), 0, None),
        (quniform(8, 32, 8), 40, None),
        (quniform(-0.3, 0.3, 0.1), 0.0, 3.5 / 7),
        (choice("SGD", "AdamW"), "AdamW", 0.75),
        (choice("SGD", "AdamW"), "auto", None),
        (uniform(0, 1), math.nan, None),
    ],
)
def test_a_value_has_a_unit_coordinate_only_inside(distribution, value, unit):
    assert distribution.unit(value) == unit


@st.composite
def continuous(draw):
    low, high = sorted(draw(st.lists(st.floats(1e-8, 1e3), min_size=2, max_size=2, unique=True)))
    return draw(st.sampled_from([uniform, loguniform]))(low, high)


@quick
@given(continuous(), UNIT)
def test_values_never_leave_the_bounds_and_come_back(distribution, unit):
    low, high = distribution.uniform or distribution.loguniform
    value = distribution.value(unit)
    assert low <= value <= high
    assert distribution.value(distribution.unit(value)) == pytest.approx(value, rel=1e-9)
    assert distribution.value(0.0) == low
    assert distribution.value(1.0) == high


@quick
@given(st.integers(0, 20), st.integers(1, 50), st.integers(1, 7), UNIT)
def test_quantised_integers_stay_integers_on_the_grid_and_come_back(low, width, step, unit):
    distribution = quniform(low, low + width, step)
    value = distribution.value(unit)
    assert type(value) is int
    assert value in range(low, low + width + 1, step)
    middle = distribution.unit(value)
    assert distribution.value(middle) == value
    # The unit intervals of all values are equally long.
    count = len(range(low, low + width + 1, step))
    assert middle == ((value - low) // step + 0.5) / count


@quick
@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True), UNIT)
def test_a_choice_divides_the_interval_evenly_and_comes_back(options, unit):
    distribution = choice(*options)
    assert distribution.options == len(options)
    assert distribution.value(distribution.unit(distribution.value(unit))) == distribution.value(unit)
    assert [distribution.unit(option) for option in options] == [
        (index + 0.5) / len(options) for index in range(len(options))
    ]


@pytest.mark.parametrize(
    "distribution", [uniform(-1, 5), loguniform(1e-8, 3), quniform(1, 9, 2), quniform(0.1, 0.7, 0.2)], ids=str
)
def test_values_grow_with_the_coordinate(distribution):
    values = [distribution.value(unit) for unit in GRID]
    assert all(one <= other for one, other in itertools.pairwise(values))
    assert values[0] < values[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({}, "lr0 = {}: exactly one of uniform, loguniform, quniform, choice must be given"),
        (
            {"uniform": [0.1, 0.2], "choice": [0.1]},
            "lr0 = {'uniform': [0.1, 0.2], 'choice': [0.1]}: "
            "exactly one of uniform, loguniform, quniform, choice must be given",
        ),
        ({"normal": [0, 1]}, "lr0.normal = [0, 1]: unknown key (did you mean uniform?)"),
        (
            {"zzz": 1},
            "lr0.zzz = 1: unknown key (remove it; known are uniform, loguniform, quniform, choice)",
        ),
        (0.1, "lr0 = 0.1: must be a mapping of names to values"),
        (None, "lr0 = None: must be a mapping of names to values"),
        ([0.1, 0.2], "lr0 = [0.1, 0.2]: must be a mapping of names to values"),
        ({"uniform": 0.1}, "lr0.uniform = 0.1: must be a list"),
        ({"uniform": [0.1, 0.2, 0.3]}, "lr0.uniform = [0.1, 0.2, 0.3]: must have at most 2 items, not 3"),
        ({"uniform": [0.1]}, "lr0.uniform.1: is required"),
        ({"uniform": [0.1, "0.2"]}, "lr0.uniform.1 = '0.2': must be a valid number"),
        ({"uniform": [0.2, 0.2]}, "lr0 = {'uniform': [0.2, 0.2]}: {FINITE}"),
        ({"uniform": [0.2, 0.1]}, "lr0 = {'uniform': [0.2, 0.1]}: {FINITE}"),
        (
            {"uniform": [0.1, math.inf]},
            "lr0 = {'uniform': [0.1, inf]}: {FINITE}",
        ),
        (
            {"loguniform": [math.nan, 1]},
            "lr0 = {'loguniform': [nan, 1]}: {FINITE}",
        ),
        ({"loguniform": [0, 0.1]}, "lr0 = {'loguniform': [0, 0.1]}: loguniform bounds must be positive"),
        ({"quniform": [0.1, 0.9, 0]}, "lr0 = {'quniform': [0.1, 0.9, 0]}: the step of quniform must be positive"),
        ({"quniform": [0.1, 0.9, True]}, "lr0.quniform.2 = True: must be a number"),
        ({"choice": []}, "lr0 = {'choice': []}: a choice needs at least one option"),
        ({"choice": [[0.1]]}, "lr0.choice.0 = [0.1]: must be a number, a text, true or false"),
        ({"choice": [0.1, "high"]}, "lr0 = 'high': must be a number from 1e-08 to 1"),
        ({"uniform": [0.1, 1.5]}, "lr0 = 1.5: must be a number from 1e-08 to 1"),
        ({"loguniform": [1e-9, 0.1]}, "lr0 = 1e-09: must be a number from 1e-08 to 1"),
    ],
)  # fmt: skip
def test_a_broken_distribution_is_told_with_value_and_rule(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_search_space({"lr0": text}, "space.yaml")
    rule = "the numbers must be finite, the first below the second"
    assert str(caught.value) == f"space.yaml: {message.replace('{FINITE}', rule)}"


@pytest.mark.parametrize("name", ["batch", "mask_ratio"])
def test_a_range_of_real_numbers_is_none_of_integers(name):
    with pytest.raises(ConfigError) as caught:
        parse_search_space({name: {"uniform": [8, 32]}}, "space.yaml")
    assert str(caught.value).splitlines() == [
        f"space.yaml: {name} = 8.0: must be an integer from 1 up",
        f"space.yaml: {name} = 32.0: must be an integer from 1 up",
    ]
    assert parse_search_space({name: {"quniform": [8, 32, 8]}}, "space.yaml").of("n")[name].value(1.0) == 32


def test_every_mistake_of_a_space_is_told_at_once():
    data = {
        "lr": {"uniform": [0.001, 0.1]},
        "lr0": {"loguniform": [0.0, 0.1]},
        "momentum": {"uniform": [0.5, 0.9]},
        "optimizer": {"choice": ["SGD", "AdamW"]},
        "cos_lr": {"choice": [0, 1]},
        False: {"uniform": [0, 1]},
        "per_variant": {
            "q": {},
            "n": 3,
            "s": {"momentum": {"loguniform": [0.5, 0.9]}, "lr0": {"uniform": [1, 2, 3]}, "box": {"uniform": [0, 1]}},
            "x": {"optimizer": {"choice": ["SGD", "AdamW", "NAdam"]}, "momentum": {"uniform": [0.5, 2]}},
        },
    }
    with pytest.raises(ConfigError) as caught:
        parse_search_space(data, "space.yaml")
    assert str(caught.value).splitlines() == [
        "space.yaml: lr = 0.001: is no training argument that may be set or searched; did you mean lrf or lr0?",
        "space.yaml: lr0 = {'loguniform': [0.0, 0.1]}: loguniform bounds must be positive",
        "space.yaml: cos_lr = 0: must be one of False, True",
        "space.yaml: cos_lr = 1: must be one of False, True",
        "space.yaml: False = 0.0: is no training argument that may be set or searched",
        "space.yaml: per_variant.q = {}: must be a mapping under one of n, s, m, l, x",
        "space.yaml: per_variant.n = 3: must be a mapping under one of n, s, m, l, x",
        "space.yaml: per_variant.s.lr0.uniform = [1, 2, 3]: must have at most 2 items, not 3",
        "space.yaml: per_variant.s.momentum = loguniform: must be uniform, like the general one",
        "space.yaml: per_variant.s.box: overrides a name that the space does not have",
        "space.yaml: per_variant.x.momentum = 2.0: must be a number from 0 to 1",
        "space.yaml: per_variant.x.optimizer.choice = ['SGD', 'AdamW', 'NAdam']: "
        "must have at most 2 options, like the general one",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "s: a search space needs at least one hyperparameter"),
        ({"per_variant": {}}, "s: a search space needs at least one hyperparameter"),
        ({"lr0": {"choice": [0.1]}, "per_variant": [1]}, "s: per_variant = [1]: must be a mapping of sizes"),
    ],
)
def test_a_space_needs_names_and_a_mapping_of_sizes(data, message):
    with pytest.raises(ConfigError) as caught:
        parse_search_space(data, "s")
    assert str(caught.value) == message


def test_a_size_of_its_own_is_a_change_of_units():
    space = parse_search_space(
        {
            "lr0": {"loguniform": [1e-4, 1e-2]},
            "mosaic": {"uniform": [0.0, 1.0]},
            "per_variant": {"x": {"lr0": {"loguniform": [1e-5, 1e-3]}}},
        },
        "s",
    )
    point = {"lr0": 0.5, "mosaic": 0.25}
    assert space.params(point, "n") == {"lr0": pytest.approx(1e-3), "mosaic": 0.25}
    assert space.params(point, "x") == {"lr0": pytest.approx(1e-4), "mosaic": 0.25}
    for variant in VARIANTS:
        assert space.unit_point(space.params(point, variant), variant) == pytest.approx(point)
    assert space.unit_point({"lr0": 0.01, "mosaic": 1.0}, "n") == {"lr0": 1.0, "mosaic": 1.0}
    assert space.unit_point({"lr0": 0.01, "mosaic": 1.0}, "x") is None


def test_a_size_may_have_fewer_options_and_every_one_can_be_reached():
    space = parse_search_space(
        {
            "optimizer": {"choice": ["SGD", "AdamW", "NAdam"]},
            "per_variant": {"x": {"optimizer": {"choice": ["SGD", "AdamW"]}}, "l": {"optimizer": {"choice": ["SGD"]}}},
        },
        "s",
    )
    middles = [space.of("n")["optimizer"].unit(option) for option in ("SGD", "AdamW", "NAdam")]
    assert [space.params({"optimizer": unit}, "x")["optimizer"] for unit in middles] == ["SGD", "AdamW", "AdamW"]
    assert [space.params({"optimizer": unit}, "l")["optimizer"] for unit in middles] == ["SGD"] * 3


def test_a_space_is_spelled_as_its_file_spells_it():
    data = {
        "optimizer": {"choice": ["SGD", "AdamW"]},
        "cos_lr": {"choice": [False, True]},
        "batch": {"quniform": [8, 32, 8]},
        "lr0": {"loguniform": [1e-4, 1e-2]},
        "per_variant": {"x": {"lr0": {"loguniform": [1e-4, 1e-3]}}},
    }
    space = parse_search_space(data, "s")
    assert space.to_flat() == data
    assert parse_search_space(space.to_flat(), "s") == space
    assert [type(option) for option in space.to_flat()["batch"]["quniform"]] == [int, int, int]


@pytest.mark.parametrize("path", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_space_loads_and_holds_a_value_for_every_size(path):
    space = load_search_space(path)
    for variant in VARIANTS:
        assert set(space.params(dict.fromkeys(space.distributions, 0.5), variant)) == set(space.distributions)


def test_assignments_change_a_space_and_are_validated_like_the_file():
    path = ROOT / "search_spaces" / "default.yaml"
    assert load_search_space(path, ("lr0.loguniform=[1e-3, 1e-2]",)).of("n")["lr0"].loguniform == (1e-3, 1e-2)
    with pytest.raises(ConfigError, match=r"default.yaml: lr0 = 2.0: must be a number from 1e-08 to 1$"):
        load_search_space(path, ("lr0.loguniform=[1e-3, 2]",))
