#!/usr/bin/env python3
"""Train a sound classifier; see hparams/train_classifier.yaml.

python recipes/ESC50/train_classifier.py hparams/train_classifier.yaml \
    --data_folder ../shared/data/ESC-10
"""

import sys

import focalaudio.starting  # noqa: F401  # what a Ctrl-C says from here on
from focalaudio.brains import ClassifierBrain
from focalaudio.brains.training import FIT_KEYS
from focalaudio.experiment import start_experiment
from focalaudio.models.run import save_model
from focalaudio.report.conclusions import conclude_training
from focalaudio.report.training import write_history, write_training_report

NEEDED = (*ClassifierBrain.HPARAMS_NEEDED, *FIT_KEYS, "save_folder")


def main(argv: list[str]) -> None:
    """Train, test the best checkpoint, write the report."""
    experiment = start_experiment(argv, "hparams/train_classifier.yaml", NEEDED)
    hparams, data = experiment.hparams, experiment.hparams["data"]
    data.save_folds(experiment.folder)
    data.save_labels(hparams["save_folder"])
    save_model(hparams["model"], experiment.folder)
    brain = experiment.brain(ClassifierBrain)
    reading = data.read_ahead(hparams["num_workers"])
    brain.fit(
        hparams["epoch_counter"],
        data.train,
        data.valid,
        train_loader_kwargs=hparams["train_loader"] | reading,
        valid_loader_kwargs=hparams["eval_loader"] | reading,
    )
    if data.test is not None:
        brain.evaluate(
            data.test,
            **brain.selection,
            test_loader_kwargs=hparams["eval_loader"],
        )
    rows = hparams["history"].rows
    write_history(experiment.folder, rows, brain.best_epoch())
    metrics = None
    if data.test is not None:
        metrics = write_training_report(
            experiment.folder,
            brain.tracker.rows(),
            data.labels,
            brain.temperature,
            brain.said(),
            brain.classifier.decision,
        )
    experiment.conclude(conclude_training(experiment.folder, metrics))


if __name__ == "__main__":
    main(sys.argv[1:])
