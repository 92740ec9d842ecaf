"""`runs that each left out a fold -> how sure a classifier may be`.

Where no fold validates, the temperature of one run is fitted to what the others
said of the clips that they had not heard: no clip is judged by a temperature
that it had a part in. Where all clips train, what such runs said of theirs is
all there is to choose a temperature by, or a threshold.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from focalaudio.decisions import ONE, SEVERAL, Decision, mark_classes
from focalaudio.errors import DataError
from focalaudio.metrics.calibration import find_temperature
from focalaudio.metrics.functional import predicted_probability
from focalaudio.report.tables import read_csv
from focalaudio.report.training import DIGITS, PROBABILITIES

TINIEST = 1e-300  # of a probability: less has no logarithm
SMALLEST = 10.0**-DIGITS  # a table says no more of one that is nearly 0 or 1


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier said of clips that it had not heard.

    Arguments
    ---------
    clip_ids : tuple of str
        Which clips.
    labels : tuple of str
        In the order of the class ids.
    logits, marked : torch.Tensor
        `[clips, n_classes]`: what it said; 1 of the classes that are there,
        else 0.
    correct : torch.Tensor
        `[clips]`, bool, whether it was right, in all labels of a clip.
    decision : Decision
        What the logits mean.
    """

    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    logits: Tensor
    marked: Tensor
    correct: Tensor
    decision: Decision = ONE

    def scaled(self, temperature: float) -> Tensor:
        """Return the probability of each clip's answer, `[clips]`, 0 to 1."""
        return predicted_probability(
            self.logits / temperature, self.logits, self.decision
        )


def read_answers(run: str | Path) -> Answers | None:
    """Read what a training run said of its test clips.

    Arguments
    ---------
    run : str or pathlib.Path
        Its folder, with `clips.csv` and `probabilities.csv`.

    Returns
    -------
    Answers
        In the order of `clips.csv`; None if there are no probabilities, or no
        energy, which older versions did not write.

    Raises
    ------
    FileNotFoundError
        If there is no `clips.csv`.
    DataError
        If the two are not of the same clips.

    Example
    -------
    >>> from focalaudio.report.tables import write_csv
    >>> folder = getfixture("tmp_path")
    >>> row = {"clip_id": "a", "label": "dog", "accuracy": 1.0, "energy": 2.0}
    >>> _ = write_csv([row], folder / "clips.csv")
    >>> said = [{"clip_id": "a", "dog": 0.75, "rain": 0.25}]
    >>> _ = write_csv(said, folder / "probabilities.csv")
    >>> read_answers(folder).scaled(1.0)
    tensor([0.7500], dtype=torch.float64)
    """
    run = Path(run)
    clips = read_csv(run / "clips.csv")
    if not (run / PROBABILITIES).is_file() or "energy" not in clips[0]:
        return None
    # labels head the columns, whatever they are
    with (run / PROBABILITIES).open(encoding="utf-8", newline="") as file:
        (_, *labels), *said = csv.reader(file)
    if [row["clip_id"] for row in clips] != [name for name, *_ in said]:
        raise DataError(f"{run}: clips.csv and {PROBABILITIES} are not alike.")
    decision = SEVERAL if "hit" in clips[0] else ONE
    probs = torch.tensor(
        [[float(value) for value in values] for _, *values in said],
        dtype=torch.double,
    )
    if decision.is_several:
        logits = probs.clamp(SMALLEST, 1 - SMALLEST).logit()
    else:
        energy = torch.tensor([[row["energy"]] for row in clips]).double()
        whole = probs.sum(1, keepdim=True)  # 1, but for what was rounded
        logits = (probs / whole).clamp(TINIEST).log() + energy
    places = {name: place for place, name in enumerate(labels)}
    marked = mark_classes(
        [
            [places[name] for name in decision.split(row["label"])]
            for row in clips
        ],
        len(labels),
    )
    correct = torch.tensor([row["accuracy"] for row in clips]).bool()
    ids = tuple(name for name, *_ in said)
    return Answers(ids, tuple(labels), logits, marked, correct, decision)


def read_held_out(
    runs: Sequence[str | Path], labels: Sequence[str], decision: Decision
) -> list[Answers]:
    """Read what several runs said of their test clips.

    Arguments
    ---------
    runs : sequence of str or pathlib.Path
        Their folders, or copies of them without checkpoints.
    labels : sequence of str
        The classes that they know, in any order.
    decision : Decision
        What their logits mean.

    Returns
    -------
    list of Answers
        One for each run.

    Raises
    ------
    FileNotFoundError
        If a run left no `clips.csv`.
    DataError
        If one has other classes, answers another question, or did not say
        enough.
    """
    found = []
    for run in runs:
        answers = read_answers(run)
        if answers is None:
            raise DataError(
                f"{run} does not say enough: an older version made it. Give "
                "the command that trained it once more, where its checkpoints "
                "are: it trains nothing anew, and writes what is missing."
            )
        if answers.decision is not decision:
            raise DataError(
                f"{run} has {answers.decision.labels_per_clip} labels per "
                f"clip, the model {decision.labels_per_clip}."
            )
        if set(answers.labels) != set(labels):
            raise DataError(
                f"{run} knows other classes: {', '.join(answers.labels)}; give "
                f"runs that know {', '.join(labels)}."
            )
        found.append(answers)
    return found


def fit_temperature(answers: Sequence[Answers]) -> float:
    """Return the one temperature that fits what several classifiers said best.

    Arguments
    ---------
    answers : sequence of Answers
        Of classifiers of the same classes, at least one.

    Returns
    -------
    float
        See `focalaudio.metrics.calibration.find_temperature`.
    """
    return find_temperature(
        torch.cat([each.logits for each in answers]),
        torch.cat([each.marked for each in answers]),
        answers[0].decision,
    )


def cross_fit(answers: Sequence[Answers]) -> list[float]:
    """Return of each classifier the temperature that fits the others best.

    Arguments
    ---------
    answers : sequence of Answers
        At least two, each of clips of its own.

    Returns
    -------
    list of float
        One for each.

    Example
    -------
    >>> sure = torch.tensor([[2.0, 0.0]]).repeat(4, 1)
    >>> marked = torch.eye(2)[[0, 0, 0, 1]]
    >>> right = marked[:, 0] == 1
    >>> first = Answers("abcd", ("dog", "rain"), sure, marked, right)
    >>> second = Answers("efgh", ("dog", "rain"), 2 * sure, marked, right)
    >>> [round(value, 4) for value in cross_fit([first, second])]
    [3.641, 1.8205]
    """
    return [
        fit_temperature([*answers[:place], *answers[place + 1 :]])
        for place in range(len(answers))
    ]
