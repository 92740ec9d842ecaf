"""Laws of focalaudio.models.hub_names: what is a path, and what a hub's."""

from pathlib import Path

import pytest

from focalaudio.models.hub_names import parse_source


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("https://huggingface.co/ann/dogs", "ann/dogs"),
        ("https://huggingface.co/ann/dogs/", "ann/dogs"),
        ("http://www.huggingface.co/ann/dogs?x=1", "ann/dogs"),
        ("https://hf.co/ann/dogs/tree/v1", "ann/dogs@v1"),
    ],
)
def test_a_models_page_is_its_name(page, name):
    assert parse_source(page) == parse_source(name)


@pytest.mark.parametrize(
    "page",
    [
        "https://huggingface.co/ann",
        "https://huggingface.co/datasets/ann/dogs",
        "https://huggingface.co.evil.org/ann/dogs",
        "https://example.org/ann/dogs",
        "file:///ann/dogs",
    ],
)
def test_other_addresses_are_answered_with_what_is_wanted(page):
    with pytest.raises(ValueError, match="give owner/name, or a folder"):
        parse_source(page)


@pytest.mark.parametrize(
    "source",
    ["./a/b", "/a/b", "a/b/c", "a", "../b", "~/b", "a/b@", "a/.b", "a--b/c",
     "a/b@refs/pr/1", "a\\b", "", Path("a/b")],
)  # fmt: skip
def test_what_is_not_owner_and_name_is_a_path(source):
    assert isinstance(parse_source(source), Path)


def test_owner_and_name_is_the_hub_s_with_a_revision_from_either_place():
    def parsed(*arguments):
        return vars(parse_source(*arguments))

    assert parsed("a/b") == {"name": "a/b", "revision": "main"}
    assert parsed("a/b@v1") == {"name": "a/b", "revision": "v1"}
    assert parsed("a/b", "refs/pr/1")["revision"] == "refs/pr/1"


@pytest.mark.parametrize(
    ("source", "revision"),
    [("a/b@v1", "v2"), ("./a", "v1"), ("a/b", "../x"), ("a/b", "a b"),
     ("a/b", "x/../y"), ("a/b@-x", None)],
)  # fmt: skip
def test_a_revision_without_meaning_is_refused(source, revision):
    with pytest.raises(ValueError, match="revision="):
        parse_source(source, revision)
