"""YAML files and `--set` values to plain mappings, and pydantic's complaints to ours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, Field, PlainValidator, ValidationError

from segsweep.config.bounded_yaml import BoundedLoader
from segsweep.core.trials import ParamValue
from segsweep.errors import ConfigError, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)


def _scalar(value: Any) -> Any:
    if type(value) not in (float, int, str, bool):
        raise ValueError("must be a number, a text, true or false")
    return value


def _number(value: Any) -> Any:
    if type(value) not in (float, int):
        raise ValueError("must be a number")
    return value


# Field types: a number is a number, not a text that looks like one, and a union breaks one rule, not one a member.
Real = Annotated[float, Field(strict=True)]
Number = Annotated[float | int, PlainValidator(_number)]
Scalar = Annotated[ParamValue, PlainValidator(_scalar)]


class _Loader(BoundedLoader):
    """BoundedLoader that refuses duplicate keys, where YAML silently keeps the last one, and reads 1e-4 as a number."""


# YAML 1.1 wants 1.0e-4 and takes 1e-4 for a text; nobody who writes it means one.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    keys = [loader.construct_object(key, deep=True) for key in own]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise yaml.MarkedYAMLError(problem=f"key {key!r} stands twice", problem_mark=own[index].start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: The file is missing, unreadable, not YAML, not a mapping, or a key stands twice.
    """
    where = str(path)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as exc:
        raise ConfigError(
            Problem(where, "no such file", fix="check the path; it is relative to the folder you are in")
        ) from exc
    except (OSError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(Problem(where, f"cannot be read: {exc}")) from exc
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: a date that does not exist
        raise ConfigError(Problem(where, f"is not YAML: {' '.join(str(exc).split())}")) from exc
    if not isinstance(data, dict):
        raise ConfigError(Problem(where, "must be a mapping of names to values", value=type(data).__name__))
    return data


def apply_sets(data: Mapping[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    """Apply `a.b=value` assignments; values are read as YAML. A key of the file may itself hold dots.

    Raises:
        ConfigError: An assignment has no `=`, an empty name, or goes through something that is not a mapping.
    """
    result: dict[str, Any] = _deep_copy(data)
    problems: list[Problem] = []
    for text in sets:
        name, separator, value = text.partition("=")
        keys = name.split(".")
        if not separator or not all(keys):
            problems.append(Problem("--set", "must look like a.b=value", value=text))
            continue
        try:
            parsed = yaml.load(value, _Loader)  # noqa: S506 - a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError):
            problems.append(Problem("--set", "the value is not YAML", value=text))
            continue
        place: Any = result
        *sections, last = _steps(result, keys)
        for key in sections:
            place = place.setdefault(key, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            problems.append(Problem("--set", f"{'.'.join(sections)} is not a mapping", value=text))
            continue
        place[last] = parsed
    if problems:
        raise ConfigError(problems)
    return result


def _steps(data: Any, keys: Sequence[str]) -> list[str]:
    """The keys that lead through the data, with those joined that are one key there, e.g. `augment.GaussNoise.p`."""
    if not keys:
        return []
    joined = [".".join(keys[:count]) for count in range(len(keys), 1, -1)]
    key = next((key for key in joined if isinstance(data, Mapping) and key in data), keys[0])
    inner = data.get(key) if isinstance(data, Mapping) else None
    return [key, *_steps(inner, keys[key.count(".") + 1 :])]


def validate(model: type[ModelT], data: Mapping[str, Any], where: str) -> ModelT:
    """Build a model from plain data.

    Raises:
        ConfigError: One problem for every rule that is broken.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise ConfigError(list(problems_of(exc, where, model))) from exc


def problems_of(error: ValidationError, where: str, model: type[BaseModel]) -> Iterable[Problem]:
    """One `Problem` for each pydantic error about `model`, in the words of the file."""
    for detail in error.errors(include_url=False):
        loc = tuple(part for part in detail["loc"] if part != "[key]")
        field, value = ".".join(map(str, loc)), _shown(detail["input"])
        if detail["type"] == "extra_forbidden":
            yield Problem(where, "unknown key", field, value, _spelling(str(loc[-1]), _names_at(model, loc[:-1])))
        elif detail["type"] == "missing":
            yield Problem(where, "is required", field)
        elif detail["type"] in ("model_type", "dict_type"):
            yield Problem(where, "must be a mapping of names to values", field, value)
        else:
            yield Problem(where, _rule(detail["msg"]), field, value)


def _rule(message: str) -> str:
    """Pydantic's message as a rule of ours: `Tuple should have at most 2 items` -> `must have at most 2 items`."""
    rule = message.removeprefix("Value error, ").replace("a valid tuple", "a list").replace(" after validation", "")
    rule = re.sub(r"^(Input|Tuple|String) should", "must", rule)
    return rule[0].lower() + rule[1:]


def _names_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the section at `loc`, which leads through models and mappings of models."""
    section: Any = model
    for part in loc:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = section.model_fields[str(part)].annotation
        else:
            section = get_args(section)[-1]  # dict[size, section]
    return list(section.model_fields)


def _spelling(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"remove it; known are {', '.join(known)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _deep_copy(value: Any) -> Any:
    return {key: _deep_copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
