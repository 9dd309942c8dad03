"""YAML that stays as large as it looks: no aliases that multiply, no value that holds itself.

Ten lines of YAML can stand for ten thousand million values ("billion laughs"): `a: [x, x]`, `b: [*a, *a]`, ...  PyYAML
builds them as shared objects in no time, and whoever then walks, copies or prints them never ends.
"""

from __future__ import annotations

import yaml

_MOST_VALUES = 1_000_000


class BoundedLoader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    """SafeLoader that refuses documents of more than a million values, aliases and merges counted as often as used."""

    def get_single_node(self) -> yaml.Node | None:
        """The document's root, checked before any value is built."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _size(node, {}) > _MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"holds more than {_MOST_VALUES} values", problem_mark=node.start_mark)
        return node


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values below the node, each counted as often as it is reached."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise yaml.MarkedYAMLError(problem="a value holds itself", problem_mark=node.start_mark)
        return known[id(node)]
    known[id(node)] = 0  # at work
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
