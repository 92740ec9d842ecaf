"""`folder or hub -> model -> interpretation`: use what was trained.

interpreter   SoundInterpreter: classify, interpret and explain sounds
sources       a bundle, a run or a name on the hub -> model
methods       a model -> interpreters, by the names of their methods
bundle        model <-> the folder that is published
bundle_files  the names of a bundle's files, and their digests
description   what a model is made of -> hyperparams.yaml
safe_yaml     hyperparams.yaml -> values and objects, running nothing
allowed       the closed table of what that file may say
exporting     a finished run -> bundle
parity        a bundle -> the same answers in a fresh process
importing     SpeechBrain's published checkpoints -> bundle
fetching      a folder, or a hub's owner/name -> folder of a bundle; and back
hub           what is asked of a hub, and how it refuses
streaming     a recording of any length -> kept sound and timeline
stream_parts  what a stream has done so far, on disk
clips         clips as a classifier wants them, and the way back
run_opts      device, precision, compile
runs          a finished run's folder -> classifier, its reader and labels
"""

from focalaudio.inference.fetching import fetch_bundle, push_bundle
from focalaudio.inference.methods import load_compared, load_interpreter
from focalaudio.inference.runs import SoundModel
from focalaudio.inference.sources import load_model
from focalaudio.inference.streaming import StreamResult, explain_stream

__all__ = [
    "SoundModel",
    "StreamResult",
    "explain_stream",
    "fetch_bundle",
    "load_compared",
    "load_interpreter",
    "load_model",
    "push_bundle",
]
