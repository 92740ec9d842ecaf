"""`datasets -> trained or measured`: the Brains that recipes run.

classification  ClassifierBrain: train and test a classifier
decoders        PIQBrain, LMACBrain: train the post-hoc interpreters
decoder_runs    a started run of either -> its decoder, trained and tested
interpretation  InterpreterBrain: measure any interpreter
reporting       what a Brain interprets -> the listening report
checks          the further passes of sanity and stability
bars            how much of an epoch is done, and what is left
training        what the Brains that train have in common
loaders         which process validates and tests which clips
averaging       the weights of many steps -> their mean
loggers         the log of each epoch, as far as a resumed run keeps it
checkpoints     what a killed run needs to go on unchanged
progress        what of an evaluation was done before
heard           no clip is tested that a model was trained on
settings        what a run's result depends on; no folder for another's
"""

from focalaudio.brains.classification import ClassifierBrain
from focalaudio.brains.decoders import LMACBrain, PIQBrain
from focalaudio.brains.interpretation import InterpreterBrain

__all__ = ["ClassifierBrain", "InterpreterBrain", "LMACBrain", "PIQBrain"]
