"""`YAML file -> values and objects`, without running anything that it says.

Two readers. `read_plain` reads the plain values of a run's own files, which may
be HyperPyYAML, and drops the rest. `read_objects` reads a bundle: data in which
nothing is allowed but scalars, lists, mappings, `!ref <key>`, and `!new:` of
what a closed table names; all else is refused with the number of its line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from focalaudio.errors import ModelError, UnsafeModelError

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 10_000
MAX_DIGITS = 30  # of a number, sign and exponent included
NUMBER_STARTS = list("-+.0123456789")
REFERENCE = re.compile(r"<([A-Za-z_]\w*)>")
TAG = "tag:yaml.org,2002:"
# what YAML 1.1 (PyYAML) and 1.2 (HyperPyYAML) read alike
SCALARS: dict[str, tuple[str, list[str]]] = {
    "null": (r"null|~|", ["n", "~", ""]),
    "bool": (r"true|false|True|False", list("tfTF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", NUMBER_STARTS),
    "float": (
        r"[-+]?[0-9]+(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)",
        NUMBER_STARTS,
    ),
}


# what PyYAML raises too, at deep nesting or at `!!int ""`
_BROKEN = (AttributeError, LookupError, RecursionError, ValueError)


class PlainLoader(yaml.SafeLoader):
    """Read plain values only: whatever has a tag of its own becomes None.

    Example
    -------
    >>> yaml.load("{a: 1, b: !apply:os.system [x]}", Loader=PlainLoader)
    {'a': 1, 'b': None}
    """


PlainLoader.add_multi_constructor("", lambda loader, tag, node: None)
PlainLoader.add_implicit_resolver(  # 1e1, -.1 are numbers to HyperPyYAML
    f"{TAG}float",
    re.compile(r"([-+]?\d+(\.\d*)?[eE][-+]?\d+|[-+]\.\d+)$"),
    list("-+0123456789"),
)


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Arguments
    ---------
    text : str
        Ends the sentence "... must be".
    accepts : callable
        Says whether a value is.
    """

    text: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True)
class Maker:
    """What `!new:` may make, and of what.

    Arguments
    ---------
    make : callable
        Called with the arguments, as keywords.
    rules : mapping
        A rule for each argument that may be given.
    """

    make: Callable[..., Any]
    rules: Mapping[str, Rule] = field(default_factory=dict)


class _NodeLoader(yaml.SafeLoader):
    """Compose nodes; refuse what can hide something, before it is read."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # its own, not SafeLoader's
    depth = 0
    n_nodes = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """Count nodes and levels on the way down."""
        event = self.peek_event()
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise refused(mark, "anchors and aliases are not allowed")
        tag = event.tag
        if not (tag in (None, "!ref") or tag.startswith("!new:")):
            raise refused(mark, f"the tag {tag!r} is not allowed")
        self.depth += 1
        self.n_nodes += 1
        if self.depth > MAX_DEPTH or self.n_nodes > MAX_NODES:
            raise refused(
                mark,
                f"more than {MAX_DEPTH} levels or {MAX_NODES} values are "
                "not allowed",
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def process_directives(self) -> Any:
        """Refuse `%TAG` and `%YAML`."""
        if self.check_token(yaml.DirectiveToken):
            mark = self.peek_token().start_mark
            raise refused(mark, "directives are not allowed")
        return super().process_directives()


for _name, (_pattern, _starts) in SCALARS.items():
    _NodeLoader.add_implicit_resolver(
        TAG + _name, re.compile(f"(?:{_pattern})$"), _starts
    )


def refused(mark: yaml.Mark, reason: str) -> UnsafeModelError:
    """Make the error that names the file, the line and the reason."""
    return UnsafeModelError(
        f"{mark.name}, line {mark.line + 1}: {reason[:200]}; a model's file "
        "is data (see docs/publish.md). Ask its author for a bundle made by "
        "`focalaudio export`."
    )


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Read a UTF-8 file of at most `limit` bytes.

    `UnsafeModelError` if it is larger, `ModelError` if it is no text.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnsafeModelError(f"{path} has more than {limit} bytes.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not a text file: {error}") from error


def read_plain(path: Path) -> dict[Any, Any]:
    """Read the plain values of a run's file; nothing is run.

    `ModelError` if it is not YAML, or holds no keys.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("{a: 1, b: !apply:os.system [x]}")
    >>> read_plain(path)
    {'a': 1, 'b': None}
    """
    try:
        values = yaml.load(read_text(path), Loader=PlainLoader)  # noqa: S506
    except (*_BROKEN, yaml.YAMLError) as error:
        raise ModelError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds no keys; is it a run's own file?")
    return values


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number.

    Example
    -------
    >>> [is_number(value) for value in (1, 0.5, "hot", True, math.nan)]
    [True, True, False, False, False]
    """
    return type(value) in (int, float) and -math.inf < value < math.inf


def read_objects(
    path: Path, rules: Mapping[str, Rule], table: Mapping[str, Maker]
) -> dict[str, Any]:
    """Read a bundle's YAML: values, and objects of a closed table.

    `rules` has a rule for each key that the file may have, `table` what may
    stand behind `!new:`, to the letter. `UnsafeModelError` if there is anything
    in it that is not allowed, `ModelError` if it is not YAML, or an object
    cannot be made of its arguments.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("{n: 2, x: !new:thing {size: !ref <n>}}")
    >>> whole = Rule("a whole number", lambda value: isinstance(value, int))
    >>> thing = Rule("a thing", lambda value: isinstance(value, dict))
    >>> rules, table = {"n": whole, "x": thing}, {}
    >>> table["thing"] = Maker(dict, {"size": whole})
    >>> read_objects(path, rules, table)
    {'n': 2, 'x': {'size': 2}}
    """
    root = _compose(path)
    reader = _Reader(table)
    for key, node in _pairs(root):
        if key not in rules:
            raise refused(node.start_mark, f"the key {key!r} is not allowed")
        reader.scope[key] = _checked(key, reader.read(node), rules[key], node)
    return reader.scope


def _compose(path: Path) -> yaml.MappingNode:
    try:
        loader = _NodeLoader(read_text(path))
        loader.name = str(path)
        root = loader.get_single_node()
    except (yaml.YAMLError, ValueError) as error:
        raise ModelError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(root, yaml.MappingNode) or root.tag != f"{TAG}map":
        raise ModelError(f"{path} holds no keys; is it a model's file?")
    return root


def _pairs(mapping: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    """Yield keys and nodes; a key is a name and stands once."""
    seen = set()
    for key, node in mapping.value:
        name = key.value
        if key.tag != f"{TAG}str" or not isinstance(name, str) or name == "<<":
            raise refused(key.start_mark, f"the key {name!r} is no name")
        if name in seen:
            raise refused(key.start_mark, f"the key {name!r} stands twice")
        seen.add(name)
        yield name, node


def _checked(name: str, value: Any, rule: Rule, node: yaml.Node) -> Any:
    if not rule.accepts(value):
        shown = repr(value)[:80]
        reason = f"{name}={shown} must be {rule.text}"
        raise refused(node.start_mark, reason)
    return value


class _Reader:
    """Turn nodes into values, knowing what stood above them."""

    def __init__(self, table: Mapping[str, Maker]) -> None:
        self.table = table
        self.scope: dict[str, Any] = {}

    def read(self, node: yaml.Node) -> Any:
        if node.tag == "!ref":
            return self.look_up(node)
        if node.tag.startswith("!new:"):
            return self.make(node)
        if isinstance(node, yaml.MappingNode):
            return {key: self.read(value) for key, value in _pairs(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item) for item in node.value]
        return _scalar(node)

    def look_up(self, node: yaml.Node) -> Any:
        match = isinstance(node.value, str) and REFERENCE.fullmatch(node.value)
        if not match or match[1] not in self.scope:
            raise refused(
                node.start_mark, "!ref must be the <key> of a line above"
            )
        value = self.scope[match[1]]
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, list | dict) for item in items):
            raise refused(  # what refers to what refers to ... grows
                node.start_mark, "!ref must name a value, list or object"
            )
        return value

    def make(self, node: yaml.Node) -> Any:
        name = node.tag.removeprefix("!new:")
        if name not in self.table:
            raise refused(node.start_mark, f"!new:{name} is not allowed")
        if not isinstance(node, yaml.MappingNode):
            raise refused(node.start_mark, f"!new:{name} needs named arguments")
        maker, arguments = self.table[name], {}
        for key, value in _pairs(node):
            if key not in maker.rules:
                reason = f"!new:{name} has no argument {key!r}"
                raise refused(value.start_mark, reason)
            rule = maker.rules[key]
            arguments[key] = _checked(key, self.read(value), rule, value)
        try:
            return maker.make(**arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            where = f"{node.start_mark.name}, line {node.start_mark.line + 1}"
            raise ModelError(f"{where}: {name}: {error}") from error


def _scalar(node: yaml.Node) -> Any:
    kind, text = node.tag.removeprefix(TAG), str(node.value)
    if text.lstrip().startswith("("):
        raise refused(node.start_mark, "values that start with ( are code")
    if kind not in ("int", "float"):
        return {"null": None, "bool": text.lower() == "true"}.get(kind, text)
    if len(text) > MAX_DIGITS or not math.isfinite(float(text)):
        raise refused(node.start_mark, f"{text[:80]} is no sensible number")
    return int(text) if kind == "int" else float(text)
