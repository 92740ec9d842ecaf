"""`folder -> model`: use what was trained.

runs     a finished run's folder -> classifier, its reader and labels
methods  a model -> interpreters, by the names of their methods
"""

from focalaudio.inference.methods import load_compared, load_interpreter
from focalaudio.inference.runs import SoundModel, load_model

__all__ = ["SoundModel", "load_compared", "load_interpreter", "load_model"]
