"""YAML to plain values: bounded in size and depth, and with one kind of error whatever the text is."""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_CHARS, MAX_DEPTH, MAX_VALUES = 1_000_000, 40, 20_000
_INT_BITS = 64


def read_yaml(text: str) -> Any:
    """Read one YAML document into dicts, lists, texts, numbers, truth values and None; `1e4` is a number.

    Raises:
        yaml.YAMLError: no YAML, a key that comes twice, a value that is not what its tag says, or too much of it:
            a few lines of aliases would fill the memory (`a: &a [x, x]`, `b: &b [*a, *a]`, ...).
    """
    if len(text) > MAX_CHARS:
        raise yaml.YAMLError(f"more than {MAX_CHARS:,} characters")
    loader = _Loader(text)
    try:
        _check_depth(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, ())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(text: str) -> None:
    """Follow the brackets before anything recurses into them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {MAX_DEPTH} levels")


def _count(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """Count the values that a node stands for when all aliases are written out."""
    if id(node) in above:
        raise yaml.MarkedYAMLError(problem="an alias stands inside its own anchor", problem_mark=node.start_mark)
    if id(node) not in known:
        if len(above) > MAX_DEPTH:  # aliases nest, too
            problem = f"nested deeper than {MAX_DEPTH} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        known[id(node)] = 1 + sum(_count(part, known, (*above, id(node))) for part in _parts(node))
        if known[id(node)] > MAX_VALUES:
            problem = f"more than {MAX_VALUES:,} values, aliases written out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return known[id(node)]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes `1e4` for a string; here it is a number, as in YAML 1.2. A date stays text, as no setting is one.
    A key that comes twice is an error."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Make a value, and name the place where that can't be done."""
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError):  # `!!int x`, `!!bool x`, `0x_`
            shown = str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else "this"
            problem = f"'{shown}' is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        if isinstance(value, int) and value.bit_length() > _INT_BITS:
            problem = f"a whole number of more than {_INT_BITS} bits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse keys that come twice."""
        names: set[str] = set()
        pairs = node.value if isinstance(node, yaml.MappingNode) else []  # `!!map [1]` is refused below
        for key in (key for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if key.value in names:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' comes twice", node.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep)


_DATE = "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != _DATE]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
