"""A search space: named distributions, and what a size overrides.

The searcher works in unit coordinates: every distribution maps [0, 1] to its values, so that a size's own range is a
change of units and what was learnt on one size holds for another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from segsweep.config.augmentation import dimension_of, is_dimension
from segsweep.config.loading import Number, Real, Scalar, apply_sets, problems_of, read_yaml
from segsweep.core.hyperparameters import HYPERPARAMETERS, broken_rule
from segsweep.core.trials import ParamValue
from segsweep.core.variants import VARIANTS, Variant
from segsweep.errors import ConfigError, Problem

PER_VARIANT = "per_variant"

_MAX_STEPS = 1_000_000
_KINDS = ("uniform", "loguniform", "quniform", "choice")


class Distribution(BaseModel):
    """One distribution; exactly one of its four kinds is given.

    Attributes:
        uniform: `[low, high]`.
        loguniform: `[low, high]`, both positive; uniform in the logarithm.
        quniform: `[low, high, step]`; integers where all three are integers.
        choice: At least one option.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    uniform: tuple[Real, Real] | None = None
    loguniform: tuple[Real, Real] | None = None
    quniform: tuple[Number, Number, Number] | None = None
    choice: tuple[Scalar, ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(_KINDS)} must be given")
        if self.choice == ():
            raise ValueError("a choice needs at least one option")
        bounds = self.uniform or self.loguniform or self.quniform
        if bounds is not None and not (all(map(math.isfinite, bounds)) and bounds[0] < bounds[1]):
            raise ValueError("the numbers must be finite, the first below the second")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError("loguniform bounds must be positive")
        if self.quniform is not None and self.quniform[2] <= 0:
            raise ValueError("the step of quniform must be positive")
        if self.quniform is not None and (self.quniform[1] - self.quniform[0]) / self.quniform[2] > _MAX_STEPS:
            raise ValueError(f"quniform must have at most {_MAX_STEPS} steps")
        return self

    @property
    def kind(self) -> str:
        """Which of the four it is."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @property
    def options(self) -> int | None:
        """Number of options of a choice, None otherwise."""
        return len(self.choice) if self.choice is not None else None

    def value(self, unit: float) -> ParamValue:
        """The value at a unit coordinate in [0, 1]; a choice divides the interval evenly."""
        if self.uniform is not None:
            low, high = self.uniform
            return min(max(low, (1 - unit) * low + unit * high), high)  # rounding may leave the bounds
        if self.loguniform is not None:
            low, high = self.loguniform
            return min(max(low, math.pow(low, 1 - unit) * math.pow(high, unit)), high)
        if self.quniform is not None:
            first, last, step = self.quniform
            return min(first + step * min(int(unit * self._steps), self._steps - 1), last)
        assert self.choice is not None
        return self.choice[min(int(unit * len(self.choice)), len(self.choice) - 1)]

    def unit(self, value: ParamValue) -> float | None:
        """The unit coordinate of a value, or None where the distribution cannot produce it."""
        if self.choice is not None:
            return (self.choice.index(value) + 0.5) / len(self.choice) if value in self.choice else None
        if isinstance(value, str | bool):
            return None
        if self.uniform is not None:
            low, high = self.uniform
            found = (value - low) / (high - low)
        elif self.loguniform is not None:
            low, high = map(math.log, self.loguniform)
            found = (math.log(value) - low) / (high - low) if value > 0 else -1.0
        else:
            assert self.quniform is not None
            first, _, step = self.quniform
            index = round((value - first) / step)
            on_grid = math.isclose(first + step * index, value, abs_tol=1e-9 * step)
            found = (index + 0.5) / self._steps if on_grid else -1.0
        return min(max(0.0, found), 1.0) if -1e-12 <= found <= 1 + 1e-12 else None

    @property
    def _steps(self) -> int:
        """Number of values of a quniform."""
        assert self.quniform is not None
        first, last, step = self.quniform
        return math.floor((last - first) / step + 1e-9) + 1


class SearchSpace(BaseModel):
    """Named distributions and per-size overrides.

    Attributes:
        distributions: Hyperparameter name -> distribution, for every size.
        per_variant: Size -> name -> the size's own distribution of the same kind.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    distributions: dict[str, Distribution]
    per_variant: dict[Variant, dict[str, Distribution]] = Field(default_factory=dict)

    def of(self, variant: Variant) -> dict[str, Distribution]:
        """The distributions of one size, in the file's order."""
        return {**self.distributions, **self.per_variant.get(variant, {})}

    def params(self, unit: Mapping[str, float], variant: Variant) -> dict[str, ParamValue]:
        """A point of the unit cube in the units of one size."""
        return {name: distribution.value(unit[name]) for name, distribution in self.of(variant).items()}

    def unit_point(self, params: Mapping[str, ParamValue], variant: Variant) -> dict[str, float] | None:
        """Inverse of `params`; None where a value lies outside the size's space."""
        point = {name: distribution.unit(params[name]) for name, distribution in self.of(variant).items()}
        inside = {name: value for name, value in point.items() if value is not None}
        return inside if len(inside) == len(point) else None

    def to_flat(self) -> dict[str, Any]:
        """The space as its file spells it."""
        flat: dict[str, Any] = {
            name: distribution.model_dump(mode="json", exclude_none=True)
            for name, distribution in self.distributions.items()
        }
        if self.per_variant:
            flat[PER_VARIANT] = {
                variant: {name: d.model_dump(mode="json", exclude_none=True) for name, d in own.items()}
                for variant, own in self.per_variant.items()
            }
        return flat


def load_search_space(path: Path, sets: tuple[str, ...] = ()) -> SearchSpace:
    """Read a search space file.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
    """
    return parse_search_space(apply_sets(read_yaml(path), sets), str(path))


def parse_search_space(data: Mapping[str, Any], where: str) -> SearchSpace:
    """Build a space from its flat file form: every key but `per_variant` is a hyperparameter.

    `augment.<Transform>.<parameter>` is one too: a parameter of an online transform in the job's augment file. Which
    ones there are is the job's to know, see `load_job`.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
    """
    problems: list[Problem] = []
    general = _parse({name: value for name, value in data.items() if name != PER_VARIANT}, where, "", problems)
    if not general and not problems:
        problems.append(Problem(where, "a search space needs at least one hyperparameter"))
    overrides = data.get(PER_VARIANT) or {}
    if not isinstance(overrides, Mapping):
        problems.append(Problem(where, "must be a mapping of sizes", PER_VARIANT, repr(overrides)))
        overrides = {}
    per_variant: dict[Variant, dict[str, Distribution]] = {}
    for variant, own in overrides.items():
        field = f"{PER_VARIANT}.{variant}"
        if variant not in VARIANTS or not isinstance(own, Mapping):
            problems.append(Problem(where, f"must be a mapping under one of {', '.join(VARIANTS)}", field, repr(own)))
            continue
        per_variant[variant] = _parse(own, where, f"{field}.", problems)
        for name, distribution in per_variant[variant].items():
            if name not in data:
                problems.append(Problem(where, "overrides a name that the space does not have", f"{field}.{name}"))
            elif name in general and general[name].kind != distribution.kind:
                rule = f"must be {general[name].kind}, like the general one"
                problems.append(Problem(where, rule, f"{field}.{name}", distribution.kind))
            elif name in general and (distribution.options or 0) > (general[name].options or 0):
                # The searcher picks among the general options: a further one would never be tried.
                rule = f"must have at most {general[name].options} options, like the general one"
                problems.append(Problem(where, rule, f"{field}.{name}.choice", repr(list(distribution.choice or ()))))
    if problems:
        raise ConfigError(problems)
    return SearchSpace(distributions=general, per_variant=per_variant)


def _parse(data: Mapping[str, Any], where: str, prefix: str, problems: list[Problem]) -> dict[str, Distribution]:
    """The valid distributions of one level; what is wrong with the others is appended to `problems`."""
    found: dict[str, Distribution] = {}
    for name, value in data.items():
        field = f"{prefix}{name}"
        try:
            distribution = Distribution.model_validate(value)
        except ValidationError as exc:
            told = problems_of(exc, where, Distribution)
            problems.extend(replace(p, field=".".join(filter(None, (field, p.field)))) for p in told)
            continue
        ends = distribution.choice or (distribution.value(0.0), distribution.value(1.0))
        rules = {repr(end): _rule(name, end) for end in ends}
        broken = [Problem(where, rule, field, shown) for shown, rule in rules.items() if rule]
        problems.extend(broken[:1] if name not in HYPERPARAMETERS else broken)
        found[name] = distribution
    return found


def _rule(name: Any, end: ParamValue) -> str:
    """The rule that a name or the end of its range breaks; albumentations judges the values of its own parameters."""
    if not is_dimension(name):
        return broken_rule(name, end)
    return "" if all(dimension_of(name)) else "must name transform and parameter, e.g. augment.GaussNoise.p"
