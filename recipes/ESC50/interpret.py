#!/usr/bin/env python3
"""Interpret a trained classifier on a fold; see hparams/interpret.yaml.

python recipes/ESC50/interpret.py hparams/interpret.yaml \
    --data_folder ../shared/data/ESC-10 \
    --classifier results/classifier_focalnet_nano/1234
"""

import sys

from focalaudio.brains import InterpreterBrain
from focalaudio.experiment import start_experiment
from focalaudio.report.evaluation import write_evaluation


def main(argv: list[str]) -> None:
    """Interpret the test folds, write rows and averages."""
    experiment = start_experiment(argv)
    hparams = experiment.hparams
    brain = experiment.brain(InterpreterBrain)
    brain.evaluate(
        hparams["data"].test, test_loader_kwargs=hparams["eval_loader"]
    )
    write_evaluation(
        experiment.folder,
        brain.tracker.rows(),
        hparams["interpreter"].settings,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
