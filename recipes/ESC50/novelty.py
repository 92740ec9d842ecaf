#!/usr/bin/env python3
"""Tell sounds that a classifier knows from others; see hparams/novelty.yaml.

python recipes/ESC50/novelty.py hparams/novelty.yaml \
    --data_folder ../shared/data/ESC-10 \
    --classifier results/classifier_focalnet_nano_pyramid/1234
"""

import sys

import focalaudio.starting  # noqa: F401  # what a Ctrl-C says from here on
from focalaudio.experiment import start_experiment
from focalaudio.inference.novelty import measure_novelty
from focalaudio.models.novelty import save_shape
from focalaudio.report.conclusions import conclude_novelty
from focalaudio.report.novelty import write_novelty

NEEDED = ("keep", "score", "sounds")


def main(argv: list[str]) -> None:
    """Choose thresholds on the validation fold; write what they let through."""
    experiment = start_experiment(argv, "hparams/novelty.yaml", NEEDED)
    hparams = experiment.hparams
    hparams["sounds"].model.to(experiment.device)
    measured, novelty = measure_novelty(
        hparams["sounds"], hparams["keep"], hparams["score"]
    )
    save_shape(novelty, experiment.folder)
    write_novelty(experiment.folder, measured)
    experiment.conclude(conclude_novelty(experiment.folder, measured))


if __name__ == "__main__":
    main(sys.argv[1:])
