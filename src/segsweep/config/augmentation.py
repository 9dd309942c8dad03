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
exists and takes its parameters is asked of albumentations itself, by `segsweep.dataset.augmentation.transforms`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


# Says what is wrong with a transform, given its file and its place there, e.g. `online[3]`; albumentations', behind
# `segsweep.dataset.augmentation.augment.judge`.
Judge = Callable[[TransformSpec, str, str], Iterable[Problem]]


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


def load_augmentation_file(path: Path, judge: Judge | None = None) -> AugmentationFile:
    """Read an augmentation file; see `parse_augmentation`.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
    """
    return parse_augmentation(read_yaml(path), str(path), judge)


def parse_augmentation(data: Mapping[str, Any], where: str, judge: Judge | None = None) -> AugmentationFile:
    """Build an augmentation from plain data; inverse of `to_flat`.

    Args:
        data: The file's content.
        where: The file, for messages.
        judge: Asked about every transform whose shape is right; None looks at shapes only.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
    """
    problems: list[Problem] = []
    shaped: dict[str, Any] = dict(data)
    offline = data.get("offline")
    if isinstance(offline, Mapping):
        shaped["offline"] = dict(offline)
        if "transforms" in offline:
            listed = _Listed(offline["transforms"], where, "offline.transforms", judge)
            shaped["offline"]["transforms"] = _specs(listed, problems)
        problems += _pointless(offline, where)
    if "online" in data:
        shaped["online"] = _specs(_Listed(data["online"], where, "online", judge), problems)
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


@dataclass(frozen=True)
class _Listed:
    """A list of transforms as it stands in a file."""

    value: Any
    where: str
    field: str
    judge: Judge | None


def _specs(listed: _Listed, problems: list[Problem]) -> Sequence[TransformSpec]:
    """The entries of a list that are transforms; what is wrong with any is appended to `problems`."""
    if not isinstance(listed.value, list | tuple):
        rule = "must be a list of transforms, e.g. - HorizontalFlip: {p: 0.5}"
        problems.append(Problem(listed.where, rule, listed.field, repr(listed.value)[:80]))
        return ()
    found = []
    for index, entry in enumerate(listed.value):
        at = f"{listed.field}[{index}]"
        spec, told = _spec(entry, listed.where, at)
        problems += told
        if spec is not None:
            problems += listed.judge(spec, listed.where, at) if listed.judge else ()
            found.append(spec)
    return found


def _spec(entry: Any, where: str, at: str) -> tuple[TransformSpec | None, list[Problem]]:
    name, params = (entry, None) if isinstance(entry, str) else _only_item(entry)
    if not isinstance(name, str) or not isinstance(params, Mapping | None):
        rule = "must be one transform with its parameters, e.g. HorizontalFlip: {p: 0.5}"
        return None, [Problem(where, rule, at, repr(entry)[:80])]
    strange = [key for key in params or {} if not isinstance(key, str)]
    if strange:
        rule = "a parameter's name must be text"
        return None, [Problem(where, rule, f"{at}.{name}", repr(key)) for key in strange]
    return TransformSpec(name=name, params=dict(params or {})), []


def _only_item(entry: Any) -> tuple[Any, Any]:
    """Key and value of a mapping of one; (None, None) of anything else."""
    return next(iter(entry.items())) if isinstance(entry, Mapping) and len(entry) == 1 else (None, None)
