"""Laws of a recipe's command line: what is given is what the recipe gets."""

import pytest
from hyperpyyaml import load_hyperpyyaml
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.overrides import NOT_TEXT, TEXTS, name_keys, take_overrides

LETTERS = st.characters(categories=("L", "N", "P", "S", "Zs"))
NAMES = st.text(LETTERS, min_size=1).filter(
    lambda name: name != "null" and not name.startswith(("--", *NOT_TEXT))
)


def read(*argv):
    """What a YAML file without values has after a command line."""
    options, overrides = take_overrides(["x.yaml", *argv])
    assert options == ["x.yaml"]
    keys = [word[2:].partition("=")[0] for word in argv if word[:2] == "--"]
    text = "\n".join(f"{key}: null" for key in dict.fromkeys(keys))
    return load_hyperpyyaml(text, overrides)


@given(NAMES, st.sampled_from(sorted(TEXTS)), st.booleans())
def test_a_name_is_what_it_is(name, key, joined):
    given = [f"--{key}={name}"] if joined else [f"--{key}", name]
    assert read(*given, "--seed", "1") == {key: name, "seed": 1}


@pytest.mark.parametrize(
    "name",
    ["dogs #1", "a=b", "*.wav", "{a}.wav", "a: b", "|", ",", "-", "007"]
    + ["nullarbor #1", "'tis", '"a', "~"],
)
@pytest.mark.parametrize("key", ["data_folder", "label_separator"])
def test_a_name_that_means_more_to_yaml_is_what_it_is(key, name):
    assert read(f"--{key}", name)[key] == name


@pytest.mark.parametrize("name", ["dogs #1", "a=b", "*.wav", "a: b", "&x"])
def test_a_text_under_any_other_key_is_not_cut(name):
    assert read("--manifest", name)["manifest"] == name


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["3"], 3),
        (["-1.5"], -1.5),
        (["1e-3"], 1e-3),
        (["null"], None),
        (["[1,", "2]"], [1, 2]),  # the shell split it
        (["'3'"], "3"),
        (["True"], True),
        (["!ref <other>"], 5),
        ([], None),
    ],
)
def test_a_value_is_what_yaml_says(words, value):
    _, overrides = take_overrides(["x.yaml", "--key", *words])
    read = load_hyperpyyaml("key: null\nother: 5", overrides)
    assert read["key"] == value


def test_braces_are_keys_and_values():
    _, overrides = take_overrides(["x.yaml", "--options", "{a: 1}"])
    read = load_hyperpyyaml("options: {a: 0, b: 2}", overrides)
    assert read["options"] == {"a": 1, "b": 2}


def test_nothing_and_tags_are_no_names():
    given = ["--pattern", "null", "--output_folder", "!ref <pattern>"]
    assert read(*given) == {"pattern": None, "output_folder": None}


def test_the_last_of_a_key_counts():
    assert read("--seed", "1", "--seed=2") == {"seed": 2}


@pytest.mark.parametrize("key", sorted(TEXTS))
@pytest.mark.parametrize("ending", [[""], []])
def test_a_name_is_not_empty(key, ending):
    for words in ([f"--{key}", *ending], [f"--{key}="]):
        with pytest.raises(ValueError, match=f"--{key} is empty"):
            take_overrides(["x.yaml", *words, "--seed", "1"])


@pytest.mark.parametrize("value", ["{n: ", "[1, 2", '"a'])
def test_what_is_no_yaml_is_named(value):
    with pytest.raises(ValueError, match="--options .* is no YAML"):
        take_overrides(["x.yaml", "--options", value])


def test_options_of_speechbrain_go_to_speechbrain():
    argv = ["x.yaml", "--debug", "--seed", "1", "--device=cpu"]
    argv += ["--precision", "bf16"]
    options, overrides = take_overrides(argv)
    assert options == [
        *("x.yaml", "--debug", "--device=cpu", "--precision", "bf16"),
    ]
    assert overrides == "seed: 1"


FILE = """
max_speed: 1.25
polarity: 0.5
mixing: 0.9
steps:
    - !new:a.Speed
        max_factor: !ref <max_speed>
    - !new:a.Polarity
        probability: !ref <polarity>
mixer: !new:a.Mixer {probability: !ref <mixing>, ratio: !ref <mixing> * 2}
"""


@pytest.mark.parametrize(("given", "message", "said"), [
    ({"max_speed": 0.5}, "max_factor=0.5 is low.", "max_speed=0.5 is low."),
    ({"polarity": 3}, "probability=3 is high.", "polarity=3 is high."),
    ({"mixing": 3}, "Is 1 or probability=3.", "Is 1 or mixing=3."),
    ({"mixing": "a b"}, "probability='a", "probability='a"),
    ({"mixing": "a"}, "probability='a': no", "mixing='a': no"),
    # two keys that may be meant, none, and what is no reference alone
    ({"mixing": 3, "polarity": 3}, "probability=3", "probability=3"),
    ({}, "probability=7 is high.", "probability=7 is high."),
    ({"mixing": 3}, "ratio=3 is high.", "ratio=3 is high."),
])  # fmt: skip
def test_an_argument_is_named_as_in_the_yaml(given, message, said):
    values = {"max_speed": 1.25, "polarity": 0.5, "mixing": 0.9, **given}
    assert name_keys(message, FILE, values) == said
