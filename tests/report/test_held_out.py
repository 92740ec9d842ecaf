"""Laws of temperatures that are fitted to clips of other folds."""

import pytest
import torch
from scipy.optimize import minimize_scalar

from focalaudio.decisions import ONE, SEVERAL
from focalaudio.errors import DataError
from focalaudio.report.held_out import (
    cross_fit,
    fit_temperature,
    read_answers,
    read_held_out,
)
from focalaudio.report.tables import read_csv, write_csv
from focalaudio.report.training import write_training_report

LABELS = ["dog", "nan", "clip_id"]  # a class may be called anything


def write_run(folder, seed, decision=ONE, n_clips=40, sure=3.0):
    """Leave what a training run leaves of its test clips."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_clips, 3, generator=draw) * sure
    if decision is SEVERAL:
        marked = (torch.rand(n_clips, 3, generator=draw) < 0.5).float()
    else:
        ids = (logits + torch.randn(n_clips, 3, generator=draw)).argmax(1)
        marked = torch.eye(3)[ids]
    rows = [
        {
            "clip_id": f"{place:02}",
            "label": ";".join(
                name for name, is_there in zip(LABELS, own, strict=True)
                if is_there
            ),
            "predicted": "dog",
            "probability": 0.5,
            "accuracy": float(place % 3 > 0),
            "energy": float(decision.energy(logits[place])),
        }
        | ({"hit": 1.0} if decision is SEVERAL else {})
        for place, own in enumerate(marked.tolist())
    ]  # fmt: skip
    said = logits, marked
    folder.mkdir()
    write_training_report(folder, rows, LABELS, 1.0, said, decision)
    return logits, marked


@pytest.mark.parametrize("decision", [ONE, SEVERAL])
@pytest.mark.parametrize("sure", [0.1, 3.0, 7.0])  # logits to 20
def test_what_was_said_is_read_again(tmp_path, decision, sure):
    logits, marked = write_run(tmp_path / "a", 0, decision, sure=sure)
    found = read_answers(tmp_path / "a")
    assert (found.labels, found.decision) == (tuple(LABELS), decision)
    assert torch.equal(found.marked, marked)
    assert found.correct.tolist() == [place % 3 > 0 for place in range(40)]
    torch.testing.assert_close(
        found.logits, logits.double(), rtol=1e-3, atol=1e-5
    )
    largest = decision.probs(logits.double() / 2.5).amax(1)
    torch.testing.assert_close(found.scaled(2.5), largest, rtol=1e-4, atol=0)


def test_a_temperature_is_the_most_likely_one(tmp_path):
    said = [write_run(tmp_path / name, ord(name)) for name in "ab"]
    logits, marked = (
        torch.cat(parts).double() for parts in zip(*said, strict=True)
    )
    ids = marked.argmax(1)

    def loss(temperature):
        return float(
            torch.nn.functional.cross_entropy(logits / temperature, ids)
        )

    wanted = minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x
    found = fit_temperature([read_answers(tmp_path / name) for name in "ab"])
    assert found == pytest.approx(wanted, rel=1e-4)


def test_no_fold_has_a_part_in_its_own_temperature(tmp_path):
    for name, sure in (("a", 1.0), ("b", 3.0), ("c", 9.0), ("d", 2.0)):
        write_run(tmp_path / name, 0, sure=sure)
    a, b, c, d = (read_answers(tmp_path / name) for name in "abcd")
    first, second, third = cross_fit([a, b, c])
    other, changed, _ = cross_fit([d, b, c])
    assert first == other == fit_temperature([b, c])
    assert changed != second
    assert third == fit_temperature([a, b])


@pytest.mark.parametrize("decision", [ONE, SEVERAL])
def test_runs_of_older_versions_did_not_say_enough(tmp_path, decision):
    for name in "ab":
        write_run(tmp_path / name, 0, decision)
    (tmp_path / "a" / "probabilities.csv").unlink()
    clips = read_csv(tmp_path / "b" / "clips.csv")
    for row in clips:
        del row["energy"]
    write_csv(clips, tmp_path / "b" / "clips.csv")
    for name in "ab":
        assert read_answers(tmp_path / name) is None
        with pytest.raises(DataError, match="older version made it"):
            read_held_out([tmp_path / name], LABELS, decision)


def test_runs_that_answer_another_question_are_refused(tmp_path):
    write_run(tmp_path / "a", 0)
    with pytest.raises(DataError, match="other classes"):
        read_held_out([tmp_path / "a"], LABELS[:2], ONE)
    with pytest.raises(DataError, match="one labels per clip, the model sev"):
        read_held_out([tmp_path / "a"], LABELS, SEVERAL)


def test_probabilities_of_other_clips_are_refused(tmp_path):
    for name, n_clips in (("a", 4), ("b", 5)):
        write_run(tmp_path / name, 0, n_clips=n_clips)
    text = (tmp_path / "b" / "probabilities.csv").read_text()
    (tmp_path / "a" / "probabilities.csv").write_text(text)
    with pytest.raises(DataError, match="not alike"):
        read_answers(tmp_path / "a")
