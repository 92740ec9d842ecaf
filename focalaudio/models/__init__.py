"""`run, bundle or hub <-> model`: what a trained model is, in one place.

model         SoundModel, the one record of a trained model
run           a finished run's folder -> model, without running its YAML
bundle        model <-> the folder that is published
bundle_files  the names of a bundle's files, their number, their sums
description   what a model is made of -> hyperparams.yaml
safe_yaml     hyperparams.yaml -> values and objects, running nothing
schema        the closed table of what that file may say
load          a run, a bundle or a name on the hub -> model
start         a model, or weights -> a classifier that goes on learning
checkpoints   a run's save/ -> its checkpoints, those that are whole
novelty       what a classifier says -> is it like any class at all
shipped       the model that comes with the package
export        a finished run -> bundle
trained_on    the clips that trained a bundle, without their names
card          what is known of a model -> README.md
convert       SpeechBrain's published checkpoints -> bundle
hub           a hub's owner/name -> folder of a bundle; and back
hub_names     what a model is called -> path, or a hub's owner/name
hub_cache     what was fetched of a hub, whole, and what it is now
repository    a hub's repository -> its listing, its files as promised
upload        files of a bundle -> a hub's repository, in one commit
"""

from focalaudio.models.hub import fetch_bundle, push_bundle
from focalaudio.models.load import (
    load_compared,
    load_interpreter,
    load_judge,
    load_model,
)
from focalaudio.models.model import Explanation, SoundModel, choose_explanation
from focalaudio.models.shipped import DEFAULT, default_model
from focalaudio.models.start import start_classifier

__all__ = [
    "DEFAULT",
    "Explanation",
    "SoundModel",
    "choose_explanation",
    "default_model",
    "fetch_bundle",
    "load_compared",
    "load_interpreter",
    "load_judge",
    "load_model",
    "push_bundle",
    "start_classifier",
]
