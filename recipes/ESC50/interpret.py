#!/usr/bin/env python3
"""Interpret a trained classifier on a fold; see hparams/interpret.yaml.

python recipes/ESC50/interpret.py hparams/interpret.yaml \
    --data_folder ../shared/data/ESC-10 \
    --classifier results/classifier_focalnet_nano_pyramid/1234
"""

import sys

import focalaudio.starting  # noqa: F401  # what a Ctrl-C says from here on
from focalaudio.brains import InterpreterBrain
from focalaudio.experiment import start_experiment
from focalaudio.report.conclusions import conclude_interpretation
from focalaudio.report.evaluation import write_comparison, write_evaluation

NEEDED = (
    *InterpreterBrain.HPARAMS_NEEDED,
    *("condition", "data", "eval_loader", "judge", "reporter", "test_data"),
)


def main(argv: list[str]) -> None:
    """Interpret the test folds; write rows, averages, a page to listen to."""
    experiment = start_experiment(argv, "hparams/interpret.yaml", NEEDED)
    hparams = experiment.hparams
    hparams["data"].save_folds(experiment.folder)
    brain = experiment.brain(InterpreterBrain)
    brain.evaluate(
        hparams["test_data"], test_loader_kwargs=hparams["eval_loader"]
    )
    rows = brain.rows()
    settings = {
        "condition": hparams["condition"],
        "judge": hparams["judge"],
        **hparams["interpreter"].settings,
    }
    first = rows[hparams["interpreter"].name]
    if len(rows) > 1:
        used = {name: one.settings for name, one in brain.interpreters.items()}
        write_comparison(experiment.folder, rows, used)
    hparams["reporter"].finish(rows, settings)
    # last: a run that has its metrics has everything
    metrics = write_evaluation(experiment.folder, first, settings)
    experiment.conclude(conclude_interpretation(experiment.folder, metrics))


if __name__ == "__main__":
    main(sys.argv[1:])
