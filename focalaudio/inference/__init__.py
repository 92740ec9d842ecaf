"""`folder or hub -> model -> interpretation`: use what was trained.

interpreter  SoundInterpreter: classify, interpret and explain sounds
sources      a bundle, a run or a name on the hub -> model
methods      a model -> interpreters, by the names of their methods
bundle       model <-> the folder that is published
description  what a model is made of -> hyperparams.yaml
safe_yaml    hyperparams.yaml -> values and objects, running nothing
allowed      the closed table of what that file may say
exporting    a finished run -> bundle, checked in a fresh process
importing    SpeechBrain's published checkpoints -> bundle
runs         a finished run's folder -> classifier, its reader and labels
"""

from focalaudio.inference.methods import load_compared, load_interpreter
from focalaudio.inference.runs import SoundModel
from focalaudio.inference.sources import load_model

__all__ = ["SoundModel", "load_compared", "load_interpreter", "load_model"]
