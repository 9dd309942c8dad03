"""An augmentation file: which albumentations transforms, with which parameters, offline and online.

```yaml
offline:                        # copies of every train image, written into the bundle by `segsweep prepare --augment`
  copies: 2
  transforms:
    - HorizontalFlip: {p: 0.5}
    - Rotate: {limit: 15, p: 0.5}
online:                         # drawn anew for every image that training sees, by a job's `augment: FILE`
  - GaussNoise: {p: 0.2}
```

A list is a sequence: each transform in turn, each with its own probability `p`. This module knows the shape of the file
and nothing of albumentations, so that a job can be read where albumentations is not installed; whether a transform
exists and takes its parameters is asked of albumentations itself, by `segsweep.dataset.transforms`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segsweep.config.loading import problems_of, read_yaml
from segsweep.core.trials import ParamValue
from segsweep.errors import ConfigError, Problem

# A dimension of a search space that is a parameter of an online transform: `augment.GaussNoise.p`.
DIMENSION_PREFIX = "augment."

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class TransformSpec(BaseModel):
    """One transform as its file spells it.

    Attributes:
        name: Class name in albumentations.
        params: Its arguments, by name.
    """

    model_config = _FROZEN

    name: str
    params: dict[str, Any]

    def to_flat(self) -> dict[str, Any]:
        """As the file spells it."""
        return {self.name: dict(self.params)}


class Offline(BaseModel):
    """What is written into a bundle.

    Attributes:
        copies: Augmented copies of every train image.
        transforms: Applied in turn to each copy.
    """

    model_config = _FROZEN

    copies: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    transforms: tuple[TransformSpec, ...] = ()

    def to_flat(self) -> dict[str, Any]:
        """As the file spells it."""
        return {"copies": self.copies, "transforms": [spec.to_flat() for spec in self.transforms]}


class AugmentationFile(BaseModel):
    """An augmentation file whose shape is right.

    Attributes:
        offline: For `segsweep prepare`.
        online: For training, applied in turn.
    """

    model_config = _FROZEN

    offline: Offline = Offline()
    online: tuple[TransformSpec, ...] = ()

    def to_flat(self) -> dict[str, Any]:
        """The file's content as plain data; `parse_augmentation` reads it back."""
        return {"offline": self.offline.to_flat(), "online": [spec.to_flat() for spec in self.online]}

    def online_with(self, params: Mapping[str, ParamValue]) -> tuple[TransformSpec, ...]:
        """The online transforms with a trial's own values, `{"augment.GaussNoise.p": 0.3}`; other names are ignored."""
        own = {dimension_of(name): value for name, value in params.items() if is_dimension(name)}
        return tuple(
            TransformSpec(
                name=spec.name,
                params={key: own.get((spec.name, key), value) for key, value in spec.params.items()},
            )
            for spec in self.online
        )

    def default_of(self, name: str) -> ParamValue | None:
        """What the file gives the parameter that a dimension names; None where `dimension_rule` has a complaint."""
        transform, parameter = dimension_of(name)
        values = [spec.params.get(parameter) for spec in self.online if spec.name == transform]
        return values[0] if len(values) == 1 and isinstance(values[0], float | int | str | bool) else None

    def dimension_rule(self, name: str) -> str:
        """What keeps a dimension from being searched, in words; empty where nothing does."""
        transform, parameter = dimension_of(name)
        count = Counter(spec.name for spec in self.online)[transform]
        if count == 0:
            known = ", ".join(dict.fromkeys(spec.name for spec in self.online)) or "none"
            return f"the job's augment file has no online transform {transform}; it has {known}"
        if count > 1:
            return f"the job's augment file names {transform} {count} times: one cannot tell which is meant"
        if self.default_of(name) is None:
            return f"the job's augment file must give {transform} one value for {parameter}: it is the default trial's"
        return ""


def is_dimension(name: object) -> bool:
    """Whether a name in a search space means a parameter of a transform."""
    return isinstance(name, str) and name.startswith(DIMENSION_PREFIX)


def dimension_of(name: str) -> tuple[str, str]:
    """Transform and parameter that a dimension names; empty texts where it names none."""
    transform, _, parameter = name.removeprefix(DIMENSION_PREFIX).partition(".")
    return transform, parameter


def load_augmentation_file(path: Path) -> AugmentationFile:
    """Read an augmentation file, its shape only.

    Raises:
        ConfigError: Everything that is wrong with its shape, at once.
    """
    return parse_augmentation(read_yaml(path), str(path))


def parse_augmentation(data: Mapping[str, Any], where: str) -> AugmentationFile:
    """Build an augmentation from plain data; inverse of `to_flat`.

    Raises:
        ConfigError: Everything that is wrong with its shape, at once.
    """
    problems: list[Problem] = []
    shaped: dict[str, Any] = dict(data)
    offline = data.get("offline")
    if isinstance(offline, Mapping):
        shaped["offline"] = dict(offline)
        if "transforms" in offline:
            shaped["offline"]["transforms"] = _specs(offline["transforms"], where, "offline.transforms", problems)
        problems += _pointless(offline, where)
    if "online" in data:
        shaped["online"] = _specs(data["online"], where, "online", problems)
    try:
        found = AugmentationFile.model_validate(shaped)
    except ValidationError as exc:
        problems += problems_of(exc, where, AugmentationFile)
        raise ConfigError(problems) from exc
    if not problems and not found.online and not found.offline.transforms:
        problems.append(Problem(where, "names no transform at all", fix="list some under online or offline.transforms"))
    if problems:
        raise ConfigError(problems)
    return found


def job_clashes(
    augmentation: AugmentationFile | None, named: str, searched: Iterable[object], where: str
) -> Iterator[Problem]:
    """What an augmentation file lacks for a job and its space.

    Args:
        augmentation: The file's content, None where the job names none.
        named: The file, as the job names it.
        searched: Names in the job's search space.
        where: The job's file.
    """
    if augmentation is not None and not augmentation.online:
        fix = "list transforms under online, or give the file to segsweep prepare --augment alone"
        yield Problem(where, "has no online transforms, and a job takes only those", "augment", named, fix)
    for name in searched:
        rule = "is a parameter of a transform, and the job names no augment file"
        if is_dimension(name) and augmentation is not None:
            rule = augmentation.dimension_rule(str(name))
        if is_dimension(name) and rule:
            yield Problem(where, rule, f"search_space.{name}")


def _pointless(offline: Mapping[Any, Any], where: str) -> list[Problem]:
    copies, transforms = offline.get("copies", 0), offline.get("transforms")
    if type(copies) is int and copies > 0 and not transforms:
        rule = "copies without transforms would be duplicates"
        return [Problem(where, rule, "offline.transforms", fix="list transforms, or set copies: 0")]
    return []


def _specs(value: Any, where: str, field: str, problems: list[Problem]) -> Sequence[TransformSpec]:
    """The entries of a list that are transforms; what is wrong with the others is appended to `problems`."""
    if not isinstance(value, list | tuple):
        rule = "must be a list of transforms, e.g. - HorizontalFlip: {p: 0.5}"
        problems.append(Problem(where, rule, field, repr(value)[:80]))
        return ()
    found = []
    for index, entry in enumerate(value):
        at = f"{field}[{index}]"
        name, params = (entry, None) if isinstance(entry, str) else _only_item(entry)
        if not isinstance(name, str) or not isinstance(params, Mapping | None):
            rule = "must be one transform with its parameters, e.g. HorizontalFlip: {p: 0.5}"
            problems.append(Problem(where, rule, at, repr(entry)[:80]))
            continue
        strange = [key for key in params or {} if not isinstance(key, str)]
        problems += [Problem(where, "a parameter's name must be text", f"{at}.{name}", repr(key)) for key in strange]
        if not strange:
            found.append(TransformSpec(name=name, params=dict(params or {})))
    return found


def _only_item(entry: Any) -> tuple[Any, Any]:
    """Key and value of a mapping of one; (None, None) of anything else."""
    return next(iter(entry.items())) if isinstance(entry, Mapping) and len(entry) == 1 else (None, None)
