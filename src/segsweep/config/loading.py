"""YAML files and `--set` values to plain mappings, and pydantic's complaints to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from segsweep.errors import ConfigError, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)


class _Loader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    """SafeLoader that refuses duplicate keys; YAML would silently keep the last one."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            line = node.value[index][0].start_mark
            raise yaml.MarkedYAMLError(problem=f"key {key!r} stands twice", problem_mark=line)
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
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(Problem(where, f"cannot be read: {exc}")) from exc
    except yaml.YAMLError as exc:
        raise ConfigError(Problem(where, f"is not YAML: {' '.join(str(exc).split())}")) from exc
    if not isinstance(data, dict):
        raise ConfigError(Problem(where, "must be a mapping of names to values", value=type(data).__name__))
    return data


def apply_sets(data: Mapping[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    """Apply `a.b=value` assignments; values are read as YAML.

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
        except yaml.YAMLError:
            problems.append(Problem("--set", "the value is not YAML", value=text))
            continue
        place: Any = result
        for key in keys[:-1]:
            place = place.setdefault(key, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            problems.append(Problem("--set", f"{'.'.join(keys[:-1])} is not a mapping", value=text))
            continue
        place[keys[-1]] = parsed
    if problems:
        raise ConfigError(problems)
    return result


def validate(model: type[ModelT], data: Mapping[str, Any], where: str) -> ModelT:
    """Build a model from plain data.

    Raises:
        ConfigError: One problem for every rule that is broken.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise ConfigError(list(problems_of(exc, where))) from exc


def problems_of(error: ValidationError, where: str) -> Iterable[Problem]:
    """One `Problem` for each pydantic error, in the words of the file."""
    for detail in error.errors(include_url=False):
        field = ".".join(str(part) for part in detail["loc"])
        rule = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if detail["type"] == "extra_forbidden":
            yield Problem(where, "unknown key", field, _shown(detail["input"]), "remove it or mend its spelling")
        elif detail["type"] == "missing":
            yield Problem(where, "is required", field)
        else:
            yield Problem(where, rule[0].lower() + rule[1:], field, _shown(detail["input"]) if field else "")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _deep_copy(value: Any) -> Any:
    return {key: _deep_copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
