#!/usr/bin/env python3
"""Train PIQ on a trained classifier; see hparams/train_piq.yaml.

python recipes/ESC50/train_piq.py hparams/train_piq.yaml \
    --data_folder ../shared/data/ESC-10 \
    --classifier results/classifier_focalnet_nano_pyramid/1234
"""

import sys

import focalaudio.starting  # noqa: F401  # what a Ctrl-C says from here on
from focalaudio.brains import PIQBrain
from focalaudio.brains.decoder_runs import DECODER_KEYS, train_decoder
from focalaudio.experiment import start_experiment

NEEDED = (*PIQBrain.HPARAMS_NEEDED, *DECODER_KEYS)


def main(argv: list[str]) -> None:
    """Train, test the most faithful checkpoint, write rows and averages."""
    experiment = start_experiment(argv, "hparams/train_piq.yaml", NEEDED)
    train_decoder(experiment, "piq", PIQBrain)


if __name__ == "__main__":
    main(sys.argv[1:])
