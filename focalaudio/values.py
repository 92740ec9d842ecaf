"""`a YAML file + what is given instead -> values of the file's kinds`.

What a recipe cannot use is refused before any work, by its key: a switch that
is neither on nor off, a word for a number, a text for a mapping, a key that
the file has not or that the recipe needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from focalaudio.data.problems import few
from focalaudio.models.safe_yaml import PlainLoader

RENAMED = {"stages": "maps"}  # keys of older versions
# none of them is negative; null in a file does not show that it is a number
COUNTS = frozenset({
    "curve_steps", "f_fidelity_samples", "max_clips", "n_neighbors",
    "n_partners",
})  # fmt: skip
NUMBERS = frozenset({"snr"})
FOLDERS = frozenset({"data_folder", "output_folder"})  # never null
PLACEHOLDER = "!PLACEHOLDER"
TO_GIVE = {  # what stands for a placeholder
    "classifier": "--classifier RUN (the folder of a finished run)",
    "data_folder": "--data_folder FOLDER (of sounds)",
}
SWITCH = dict.fromkeys(("true", "yes", "on"), "True")
SWITCH |= dict.fromkeys(("false", "no", "off"), "False")
OPTIONS = "The command line"
EXAMPLE = "hparams/train_classifier.yaml"


def read_file(path: str | Path, own: str = "") -> str:
    """Read the YAML file of a recipe, or say that its `own` could be given.

    A `ValueError` if there is none, or it is no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(
            f"{path} cannot be read: {why}; give the YAML file of the recipe, "
            f"such as {own or EXAMPLE}."
        ) from error


def fit_values(
    name: str,
    text: str,
    overrides: str,
    own: str = "",
    needed: Collection[str] = (),
) -> tuple[str, dict[str, Any]]:
    """Check what is given instead of a YAML file's values.

    Arguments
    ---------
    name : str
        Of the file, for messages.
    text : str
        The file.
    overrides : str
        What is given, YAML too, one key a line.
    own : str
        The recipe's own file, such as `hparams/interpret.yaml`.
    needed : collection of str
        The keys that the recipe reads.

    Returns
    -------
    str
        `overrides`; every switch is `True` or `False`, and a single mapping is
        a list of one where the file has a list.
    dict
        The values of both; None is what YAML makes objects of.

    Raises
    ------
    ValueError
        If the file is no YAML, or lacks a key; if a key is none of the file,
        or one that must be given is missing; if a value is no switch, number
        or mapping where the file has one.

    Example
    -------
    >>> fit_values("x.yaml", "{report: True, lr: 0.1}", "report: no")
    ('report: False', {'report': False, 'lr': 0.1})
    >>> fit_values("x.yaml", "{report: True, lr: 0.1}", "report: maybe")
    Traceback (most recent call last):
    ValueError: --report maybe must be True or False.
    """
    nodes, known = _read(name, text)
    _need(name, known, own, needed)
    given_nodes, given = _read(OPTIONS, overrides)
    _know(name, known, given)
    _need_placeholders(name, nodes, given)
    for key, node in reversed(given_nodes.items()):
        if not node.tag.startswith("!"):  # an object, whatever it will be
            start, end = node.start_mark.index, node.end_mark.index
            said = _fit(key, node, given[key], known[key], overrides[start:end])
            overrides = overrides[:start] + said + overrides[end:]
    return overrides, {**known, **_read(OPTIONS, overrides)[1]}


def _read(name: str, text: str) -> tuple[dict[str, yaml.Node], dict[str, Any]]:
    """Return the nodes and the plain values of a YAML text, by their keys."""
    try:
        node = yaml.compose(text, Loader=PlainLoader)
        values = yaml.load(text, Loader=PlainLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ValueError(
            f"{name}, line {line}: {error.problem}; this is no YAML."
        ) from error
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{name} holds no keys; give a recipe's YAML file.")
    return {key.value: value for key, value in node.value}, values


def _need(
    name: str, known: Collection[str], own: str, needed: Collection[str]
) -> None:
    """Refuse the file of another recipe."""
    missing = sorted(set(needed) - set(known))
    if missing:
        raise ValueError(
            f"{name} has no {few(missing, 5)}, which this recipe needs; give "
            f"{own}, or a file made of it."
        )


def _know(name: str, known: Collection[str], given: Collection[str]) -> None:
    """Refuse options that are no keys."""
    for key in (key for key in given if key not in known):
        near = [RENAMED.get(key), *get_close_matches(key, known, 1)]
        hint = next((f" Use --{one}." for one in near if one in known), "")
        raise ValueError(
            f"--{key} is no key of {name} and no option of SpeechBrain.{hint}"
        )


def _need_placeholders(
    name: str, nodes: Mapping[str, yaml.Node], given: Collection[str]
) -> None:
    """Say which options must be given."""
    left = [
        key
        for key, node in nodes.items()
        if node.tag == PLACEHOLDER and key not in given
    ]
    if left:
        options = [TO_GIVE.get(key, f"--{key} VALUE") for key in left]
        raise ValueError(
            f"{name} leaves {' and '.join(left)} to you: give "
            f"{' and '.join(options)}."
        )


def _fit(key: str, node: yaml.Node, value: Any, usual: Any, said: str) -> str:
    """Return what stands for a value that is said so; refuse what cannot."""
    rule = None
    if isinstance(usual, bool):
        if str(node.value).lower() in SWITCH:
            return SWITCH[node.value.lower()]
        rule = "True or False"
    elif key in COUNTS:
        if value is not None and (type(value) is not int or value < 0):
            rule = "a whole number from 0, or null"
    elif key in FOLDERS:
        rule = None if isinstance(value, str) else "a folder"
    elif type(usual) in (int, float):
        rule = _break_number(value, usual)
    elif usual is None and key in NUMBERS:
        rule = _break_number(value, 0.5)
    elif isinstance(usual, dict):
        if value is not None and not isinstance(value, dict):
            rule = f'a mapping, such as "{_show_mapping(node)}"'
    elif isinstance(value, dict):
        if isinstance(usual, list):
            return f"[{said}]"
        rule = "a single value, no mapping"
    if rule is None:
        return said
    shown = node.value if isinstance(node, yaml.ScalarNode) else said
    raise ValueError(f"--{key} {shown or 'null'} must be {rule}.")


def _break_number(value: Any, usual: float) -> str | None:
    """Return the rule that a value breaks as a number; null breaks none."""
    whole = type(usual) is int
    if value is None or type(value) in ((int,) if whole else (int, float)):
        return None
    return f"{'a whole number' if whole else 'a number'}, such as {usual}"


def _show_mapping(node: yaml.Node) -> str:
    """Return what was meant for a mapping, in braces, or an example."""
    meant = f"{{{node.value}}}"
    try:
        pairs = yaml.load(meant, Loader=PlainLoader)  # noqa: S506
    except yaml.YAMLError:
        pairs = {}
    is_meant = isinstance(node, yaml.ScalarNode) and None not in pairs.values()
    return meant if pairs and is_meant else "{key: value}"
