"""Mutations of documents: JSON and YAML as trees of mappings, lists and values."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import yaml

# Strings that name other places, or nothing at all; `{outside}` is a folder the case must not touch.
EVIL_PATHS = (
    "../outside/secret", "../../outside/secret.jpg", "../../../outside/secret.jpg", "../../../../outside/secret.jpg",
    "{outside}/secret.jpg", "{outside}", "/", "..", ".", "", " ", "~", "~root", "//", "a\x00b", "a\nb", "x" * 5000,
    "/".join(["d"] * 3000), "-rf", "\ud800", "\udcff.jpg", "a/../b",
    "images/../../outside/secret.jpg", "/dev/zero", "/proc/self/mem", "file:///etc/passwd", "C:\\x", "%s%n", "{0}",
)  # fmt: skip


def _nested(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    return tree


def _odd_value(rng: random.Random) -> Any:
    return rng.choice((
        None, True, False, 0, -1, 1, 2, 0.5, -0.5, 1e308, -1e308, 10**9, 2**31, 2**63, 10**30, 10**400,
        float("nan"), float("inf"), float("-inf"), "", "0", "1", "text", "é\u0301", "\ud800", "a\x00b", "x" * 10000,
        [], {}, [[]], [None], {"a": 1}, [1, 2, 3], [[1, 2, 3, 4, 5, 6]], [float("nan")] * 6, _nested(20), _nested(90),
        {"size": [10**6, 10**6], "counts": [0, 10**12]}, {"size": [30, 40], "counts": "0" * 1000},
        rng.choice(EVIL_PATHS), rng.choice(EVIL_PATHS),
    ))  # fmt: skip


def _spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of the tree."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys: Any = node.keys() if isinstance(node, dict) else range(len(node))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    return found


def _replace(node: Any, key: Any, rng: random.Random) -> None:
    node[key] = _odd_value(rng)


def _remove(node: Any, key: Any, rng: random.Random) -> None:
    del node[key]


def _wrap(node: Any, key: Any, rng: random.Random) -> None:
    node[key] = rng.choice(([node[key]], {"x": node[key]}, [node[key], node[key]], str(node[key])))


def _scale(node: Any, key: Any, rng: random.Random) -> None:
    if isinstance(node[key], int | float):
        node[key] = node[key] * rng.choice((-1, 0, 0.001, 1.01, 2, 1000, 10**15))
    elif isinstance(node[key], str):
        node[key] = node[key] * rng.choice((0, 2, 100))
    else:
        _replace(node, key, rng)


def _repeat(node: Any, key: Any, rng: random.Random) -> None:
    if isinstance(node, list):
        node[key:key] = [copy.deepcopy(node[key]) for _ in range(rng.choice((1, 2, 40)))]
    else:
        node[f"{key}"] = copy.deepcopy(node[key])
        node[rng.choice(("extra", "id", "name", "path", "", "\ud800"))] = copy.deepcopy(node[key])


def _rename(node: Any, key: Any, rng: random.Random) -> None:
    if isinstance(node, dict):
        node[rng.choice((f"{key}x", f"{key}".upper(), "", "id", "é"))] = node.pop(key)
    else:
        node.pop(key)


def _swap(node: Any, key: Any, rng: random.Random) -> None:
    other = rng.choice(list(node.keys() if isinstance(node, dict) else range(len(node))))
    node[key], node[other] = node[other], node[key]


def _evil_path(node: Any, key: Any, rng: random.Random) -> None:
    node[key] = rng.choice(EVIL_PATHS)


_CHANGES: tuple[Callable[[Any, Any, random.Random], None], ...] = (
    _replace, _replace, _replace, _remove, _wrap, _scale, _scale, _repeat, _rename, _swap, _evil_path,
)  # fmt: skip


def mutate_tree(tree: Any, rng: random.Random, outside: str) -> tuple[Any, str]:
    """One to three changes of a copy of the tree; the tree and what was changed.

    Args:
        tree: A mapping or list.
        rng: Chooses.
        outside: A folder that must not be touched; some strings name it.
    """
    tree = copy.deepcopy(tree)
    said = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        spots = _spots(tree)
        if not spots:
            break
        # Half of the changes near the top, where few keys are and each matters.
        node, key = rng.choice(spots[:12] if rng.random() < 0.5 else spots)
        change = rng.choice(_CHANGES)
        said.append(f"{change.__name__[1:]} {key!r}"[:60])
        change(node, key, rng)
        if isinstance(node, dict | list):
            _name_outside(node, outside)
    return tree, "+".join(said)


def _name_outside(node: Any, outside: str) -> None:
    for key in list(node.keys()) if isinstance(node, dict) else range(len(node)):
        if isinstance(node[key], str) and "{outside}" in node[key]:
            node[key] = node[key].replace("{outside}", outside)


def mutate_json(data: bytes, rng: random.Random, outside: str) -> tuple[bytes, str]:
    """Change a JSON document as a tree."""
    tree, said = mutate_tree(json.loads(data), rng, outside)
    if rng.random() < 0.02:
        return json.dumps(rng.choice((tree, [tree], None, 3, "text"))).encode(), f"{said}+top"
    return _dumped(tree).encode("utf-8"), said


def mutate_yaml(data: bytes, rng: random.Random, outside: str) -> tuple[bytes, str]:
    """Change a YAML document as a tree."""
    tree, said = mutate_tree(yaml.safe_load(data), rng, outside)
    try:
        return yaml.safe_dump(tree, sort_keys=False).encode("utf-8", "surrogatepass"), said
    except (yaml.YAMLError, ValueError):  # what YAML cannot say, its flow style can: it holds JSON
        return _dumped(tree).encode("utf-8"), said


def _dumped(tree: Any) -> str:
    # As text, for a whole number of 400 digits is as good JSON as any.
    return json.dumps(tree)
