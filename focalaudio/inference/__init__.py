"""`folder -> model`: use what was trained.

runs  a finished run's folder -> classifier, its reader and labels; interpreter
"""

from focalaudio.inference.runs import (
    SoundModel,
    load_interpreter,
    load_model,
)

__all__ = ["SoundModel", "load_interpreter", "load_model"]
