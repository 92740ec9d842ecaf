"""Laws of focalaudio.reproduction.wanted: one, several, or an error."""

import pytest

from focalaudio.reproduction.wanted import choose, find_folds, find_pair

SYSTEMS = {"vit": {"a": 1}, "focalnet": {"b": 2}}


@pytest.mark.parametrize("pair", [["a", "b"], ("a", "b")])
def test_an_agreement_is_of_two_conditions(pair):
    assert find_pair(pair) == ["a", "b"]
    assert find_pair(None) is find_pair([]) is None


@pytest.mark.parametrize("given", ["clean", ["clean"], ["a", "b", "c"], 3])
def test_what_is_no_pair_is_named(given):
    with pytest.raises(ValueError, match="agreement=.* must be two conditions"):
        find_pair(given)


def test_folds_and_systems_that_are_none_are_answered_with_a_list():
    with pytest.raises(ValueError, match=r"folds=1,2 .* such as '\[1, 2\]'"):
        find_folds("1,2", [1, 2, 3])
    with pytest.raises(ValueError, match=r"such as '\[vit, focalnet\]'"):
        choose("systems", SYSTEMS, "vit,focalnet")
    assert choose("systems", SYSTEMS, ["focalnet", "vit"]) == SYSTEMS
