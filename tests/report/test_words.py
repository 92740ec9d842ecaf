import pytest

from focalaudio.report.words import (
    doubt_answer,
    doubt_mask,
    doubt_sound,
    tell_scores,
)


@pytest.mark.parametrize(
    ("after", "verb"), [(0.1, "falls"), (0.99, "rises"), (0.61, "stays")]
)
def test_words_say_which_way_a_probability_goes(after, verb):
    (said,) = tell_scores(
        "dog", {"probability": 0.6, "kept_probability": after}
    )
    assert verb in said
    assert f"{after:.2f}" in said


def test_what_is_not_known_is_not_told():
    assert tell_scores("dog", {}) == []
    assert tell_scores("dog", {"probability": 0.5}) == []


def test_a_clear_answer_on_a_whole_clip_raises_no_doubt():
    assert doubt_answer([("dog", 0.9), ("cat", 0.05)]) == []
    assert doubt_sound(0.1, 5.0, 5.0) == []
    assert doubt_sound(0.1, 5.0, 5.0, 4.9) == []
    assert doubt_mask(0.1) == []


@pytest.mark.parametrize(
    ("doubts", "word"),
    [
        (doubt_answer([("dog", 0.9), ("cat", 0.1)], False), "No evidence"),
        (doubt_answer([("dog", 0.45), ("cat", 0.4)]), "Close call"),
        (doubt_answer([("dog", 0.3), ("cat", 0.1)]), "Flat"),
        (doubt_answer([("dog", 0.3)]), "Flat"),
        (doubt_sound(0.001, 5.0, 5.0), "Low energy"),
        (doubt_sound(0.1, 1.0, 5.0), "Padded"),
        (doubt_sound(0.1, 9.0, 5.0), "Cut"),
        (doubt_sound(0.1, 5.0, 5.0, 2.0), "Nothing sounds after 2.0 s"),
        (doubt_mask(1.0), "full"),
        (doubt_mask(0.0), "empty"),
        (doubt_mask(0.1, is_telling=False), "same everywhere"),
        (doubt_mask(0.0, False, is_against_itself=True), "against itself"),
    ],
)
def test_every_reason_to_doubt_has_a_sentence(doubts, word):
    (sentence,) = doubts
    assert word in sentence
    assert sentence.endswith(".")
