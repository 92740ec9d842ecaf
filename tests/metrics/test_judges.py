"""Laws of another judge: which class it is asked about, and of what."""

import torch

from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics.columns import interpretation_columns
from focalaudio.metrics.judges import judge_columns, removal_columns
from focalaudio.metrics.removal import random_drops
from focalaudio.spectrogram import Spectrogram

SPECTROGRAM = Spectrogram()


def interpret(wavs, class_ids):
    spectrum = SPECTROGRAM(wavs)
    mask = (spectrum.log_magnitude > 1).float()
    class_ids = torch.tensor(class_ids)
    logits = torch.nn.functional.one_hot(class_ids, 4).float()
    return Interpretation(logits, class_ids, mask, mask, spectrum, SPECTROGRAM)


def test_the_judge_is_asked_of_the_class_that_is_explained():
    """Not of the label, and not of what the judge would say itself."""
    record = interpret(torch.rand(2, 4000), [0, 3])
    whole = torch.tensor([[9.0, 0, 0, 0], [9.0, 0, 0, 0]])
    kept = torch.tensor([[0, 9.0, 0, 0], [0, 0, 0, 9.0]])
    columns = judge_columns(record, whole, (kept, torch.zeros(2, 4)))
    assert columns["judge_agreement"].tolist() == [1, 0]
    assert columns["judge_fidelity"].tolist() == [0, 1]
    said = whole.softmax(-1)
    wanted = torch.stack((said[0, 0], said[1, 3])) - 0.25
    torch.testing.assert_close(columns["judge_faithfulness"], wanted)


def test_a_judge_that_agrees_says_what_the_classifier_says():
    record = interpret(torch.rand(3, 4000), [0, 2, 3])
    parts = tuple(torch.randn(2, 3, 4))
    own = interpretation_columns(record, parts, record.class_ids)
    judged = judge_columns(record, record.logits, parts)
    for name in ("fidelity", "faithfulness"):
        assert torch.equal(judged[f"judge_{name}"], own[name])


def test_random_parts_are_those_of_the_record_under_their_names():
    record = interpret(torch.rand(2, 4000), [0, 3])

    def classify(clips, rows):
        return clips.mean(1)[:, :4]

    logits = classify(record.log_magnitude, None)
    columns = removal_columns(record, classify, logits, "ab", 2)
    plus, minus = random_drops(
        record.mask,
        record.log_magnitude,
        record.spectrum.n_frames,
        classify,
        record.class_ids,
        logits,
        "ab",
        2,
    )
    assert torch.equal(columns["f_fidelity_plus"], plus)
    assert torch.equal(columns["f_fidelity_minus"], minus)
    assert not torch.equal(plus, minus)
