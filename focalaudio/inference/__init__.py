"""`folder -> model`: use what was trained.

runs  a finished run's folder -> classifier, spectrogram, reader, labels
"""

from focalaudio.inference.runs import SoundModel, load_model

__all__ = ["SoundModel", "load_model"]
