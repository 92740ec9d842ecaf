from types import SimpleNamespace

import pytest
import yaml
from hyperpyyaml import load_hyperpyyaml

from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.models.safe_yaml import (
    MAX_DEPTH,
    Maker,
    PlainLoader,
    Rule,
    read_objects,
    read_text,
)

ANY = Rule("anything", lambda value: True)
TABLE = {"thing": Maker(SimpleNamespace, {"x": ANY, "y": ANY})}
KEYS = dict.fromkeys("abcdefgh", ANY)
ALLOWED = """
a: 1
b: [1, -2.5, 1.0e-12, +3, 0, null, true, False, text, "quoted: text"]
c: {x: [1, 2], y: {z: 3}}
d:
e: !ref <a>
f: !ref <g>
""".replace("f: !ref <g>\n", "g: [x, y]\nf: !ref <g>\n")


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        return read_objects(path, KEYS, TABLE)

    return read


def test_what_is_allowed_is_what_hyperpyyaml_reads(read):
    assert read(ALLOWED) == load_hyperpyyaml(ALLOWED)


@pytest.mark.parametrize(
    "text", ["010", "0x10", "0o7", "yes", "on", "1_000", "1:30", "2001-01-01"]
)
def test_what_yaml_1_1_and_1_2_read_differently_is_text(read, text):
    assert read(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    "text",
    ["0", "-7", "12345678901234567890", "0.5", "5.", "1e3", "1.5E-3", "-0.0"],
)
def test_numbers_are_those_of_hyperpyyaml(read, text):
    ours, theirs = read(f"a: {text}")["a"], load_hyperpyyaml(f"a: {text}")["a"]
    assert (ours, type(ours)) == (theirs, type(theirs))


def test_objects_are_made_of_what_stands_above(read):
    text = "a: 2\nb: !new:thing\n  x: !ref <a>\n  y: [1]\n"
    text += "c: !new:thing {x: !ref <b>}"
    assert read(text)["c"].x == SimpleNamespace(x=2, y=[1])


def test_objects_are_shared_and_not_copied(read):
    text = "a: !new:thing {x: 1}\nb: !ref <a>"
    values = read(text)
    assert values["a"] is values["b"]


def test_nesting_is_allowed_up_to_the_limit(read):
    inside = MAX_DEPTH - 2  # of the mapping of keys, and of the innermost value
    read("a: " + "[" * inside + "1" + "]" * inside)
    with pytest.raises(UnsafeModelError, match="levels"):
        read("a: [" + "[" * inside + "1" + "]" * inside + "]")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: !apply:os.getcwd []", 2),
        ("a:\n  - 1\n  - !x y", 3),
        ("a: 1\n\n\nz: 1", 4),
        ("a: 1\nb: [2,\n  3,\n  !ref <x>]", 4),
        ("b: !new:thing\n  x: 1\n  z: 1", 3),
        ("a: 1\nb: {c: 1,\n  c: 2}", 3),
    ],
)
def test_refusals_name_the_line(read, text, line):
    with pytest.raises(UnsafeModelError, match=f"a.yaml, line {line}: "):
        read(text)


@pytest.mark.parametrize(
    "text", ["", "[1]", "text", "a: [1", "a: b: c", "a: \0"]
)
def test_what_holds_no_keys_is_an_error(read, text):
    with pytest.raises(ModelError, match=r"a.yaml"):
        read(text)


def test_arguments_that_do_not_go_together_are_an_error(tmp_path):
    def fail(x):
        raise ValueError("x is odd.")

    path = tmp_path / "a.yaml"
    path.write_text("\na: !new:odd {x: 1}")
    with pytest.raises(ModelError, match="a.yaml, line 2: odd: x is odd"):
        read_objects(path, KEYS, {"odd": Maker(fail, {"x": ANY})})
    path.write_text("a: !new:odd {}")
    with pytest.raises(ModelError, match="line 1: odd: .*missing 1 required"):
        read_objects(path, KEYS, {"odd": Maker(fail, {"x": ANY})})


def test_values_break_rules_by_name(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 5")
    rules = {"a": Rule("below 3", lambda value: value < 3)}
    with pytest.raises(UnsafeModelError, match="line 1: a=5 must be below 3;"):
        read_objects(path, rules, {})


def test_reading_changes_no_other_loader(read):
    before = {
        k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    constructors = dict(yaml.SafeLoader.yaml_constructors)
    read(ALLOWED)
    yaml.load("a: !x [b]", Loader=PlainLoader)
    after = {
        k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    assert after == before
    assert yaml.SafeLoader.yaml_constructors == constructors
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load("a: !new:os.getcwd {}")
    assert yaml.safe_load("yes") is True


def test_text_has_a_limit(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("12345")
    assert read_text(path, limit=5) == "12345"
    with pytest.raises(UnsafeModelError, match="more than 4 bytes"):
        read_text(path, limit=4)
