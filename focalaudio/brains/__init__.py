"""`datasets -> trained or measured`: the Brains that recipes run.

classification  ClassifierBrain: train and test a classifier
interpretation  InterpreterBrain: measure an interpreter
piq             PIQBrain: train the post-hoc interpreter
resumable       what the Brains that train have in common
recoverables    checkpoints, random state, history, rate of a resumable run
"""

from focalaudio.brains.classification import ClassifierBrain
from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.brains.piq import PIQBrain

__all__ = ["ClassifierBrain", "InterpreterBrain", "PIQBrain"]
