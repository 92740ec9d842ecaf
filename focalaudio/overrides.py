"""`a recipe's command line -> SpeechBrain's options + YAML`: values stay whole.

SpeechBrain joins what it does not know with `=` and reads the whole as YAML, to
which `#`, `=`, `*` and braces mean something: a folder called `dogs #1` would
become `dogs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from speechbrain.utils.run_opts import RunOptions

from focalaudio.models.safe_yaml import PlainLoader

# keys whose values are names, whatever YAML would take them for
TEXTS = frozenset({
    "added_folder", "classifier", "data_folder", "experiment_name", "judge",
    "label_separator", "others", "output_folder", "pattern", "pretrained",
})  # fmt: skip
_NAMED = re.compile(r"\b(\w+)=(?=(\S+?)[.,;:)]*(?:\s|$))")  # in an error
_REFERENCE = re.compile(r"<(\w+)>")
NOTHING = ("", "~", "null")
NOT_TEXT = ("!", '"', "'")  # a tag, and what is quoted


def take_overrides(argv: Sequence[str]) -> tuple[list[str], str]:
    """Split a command line into SpeechBrain's options and a YAML file's keys.

    Arguments
    ---------
    argv : sequence of str
        `file.yaml --key value ... --speechbrain_option`.

    Returns
    -------
    list of str
        The file, and the options that are SpeechBrain's.
    str
        The others as YAML, a key a line, the last of each.

    Raises
    ------
    ValueError
        If a value is neither YAML nor text, or a name is empty.

    Example
    -------
    >>> argv = ["x.yaml", "--seed", "1", "--device", "cpu", "--pattern={a}.wav"]
    >>> options, overrides = take_overrides(argv)
    >>> options
    ['x.yaml', '--device', 'cpu']
    >>> print(overrides)
    seed: 1
    pattern: "{a}.wav"
    """
    theirs = RunOptions().as_dict()
    options: list[str] = []
    given: dict[str, list[str]] = {}
    values = options
    for word in argv:
        if word.startswith("--"):
            key, joined, value = word[2:].partition("=")
            if key in theirs or key == "help":
                options.append(word)
                values = options
                continue
            values = given[key] = [value] if joined else []
        else:
            values.append(word)
    lines = [f"{key}: {_write(key, ' '.join(v))}" for key, v in given.items()]
    return options, "\n".join(lines)


def name_keys(message: str, text: str, values: dict[str, Any]) -> str:
    """Say an error of a class in the words of the YAML file that made it.

    An argument of a class is given as the key that it refers to, where there is
    one such key only.

    Arguments
    ---------
    message : str
        What was wrong, `name=value` in it.
    text : str
        The YAML file.
    values : dict
        Its values, those of the command line among them.

    Example
    -------
    >>> text = "x: !new:torch.nn.Dropout {p: !ref <dropout>}"
    >>> name_keys("p=3 must be from 0 to 1.", text, {"dropout": 3})
    'dropout=3 must be from 0 to 1.'
    """
    named: dict[str, set[str]] = {}
    for argument, key in _references(yaml.compose(text, Loader=PlainLoader)):
        named.setdefault(argument, set()).add(key)

    def rename(found: re.Match[str]) -> str:
        name, value = found.groups()
        keys = [
            key
            for key in named.get(name, ())
            if value in (str(values.get(key)), repr(values.get(key)))
        ]
        return f"{keys[0]}=" if len(keys) == 1 else found[0]

    return _NAMED.sub(rename, message)


def _references(node: yaml.Node | None) -> Iterator[tuple[str, str]]:
    """Yield each `argument: !ref <key>` below a node."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _references(each)
    elif isinstance(node, yaml.MappingNode):
        for argument, value in node.value:
            found = value.tag == "!ref" and _REFERENCE.fullmatch(value.value)
            if found:
                yield argument.value, found[1]
            else:
                yield from _references(value)


def _write(key: str, value: str) -> str:
    """Return a value as YAML: as it is, or quoted if YAML would change it."""
    quoted = json.dumps(value, ensure_ascii=False)
    is_name = key in TEXTS
    if is_name and not value:
        raise ValueError(
            f"--{key} is empty; give it a value, or null for none. Is a shell "
            "variable not set?"
        )
    if is_name and value != NOTHING[-1] and not value.startswith(NOT_TEXT):
        return quoted
    try:
        read = _read(key, value)
    except (yaml.YAMLError, RecursionError) as error:
        if not is_name and value.startswith(("[", "{", *NOT_TEXT)):
            raise ValueError(
                f"--{key} {value} is no YAML; see that its brackets and quotes "
                "are closed, and that the shell leaves them."
            ) from error
        return quoted
    # of a text that is not itself any more a comment was cut off, or more
    is_same = read == value.strip() if isinstance(read, str) else True
    if read is None:
        is_same = value.strip().lower() in NOTHING
    return value if is_same or value.startswith(NOT_TEXT) else quoted


def _read(key: str, value: str) -> Any:
    """Return what YAML makes of one line."""
    line = yaml.load(f"{key}: {value}", Loader=PlainLoader)  # noqa: S506
    return line[key]
