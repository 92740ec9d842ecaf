"""`tensors -> figures` with seconds, kHz and dB on the axes.

The only place that imports matplotlib.

spectrograms  log-magnitude, mask, saliency -> figures of clips
sweep         means at several quantiles -> each metric against the quantile
timeline      segments and boxes of a recording -> what was heard when
learning      history of a training -> loss and accuracy over epochs
compact       log-magnitude, saliency, mask -> small PNG without axes
confusion     counts -> which classes are taken for which
canvas        what all figures share, from their size to their file
"""

from focalaudio.pictures.canvas import save_picture
from focalaudio.pictures.compact import (
    encode_heat,
    encode_levels,
    encode_mask,
)
from focalaudio.pictures.confusion import draw_confusion
from focalaudio.pictures.learning import draw_learning_curve
from focalaudio.pictures.spectrograms import (
    draw_interpretation,
    draw_spectrograms,
)
from focalaudio.pictures.sweep import draw_sweep
from focalaudio.pictures.timeline import draw_timeline

__all__ = [
    "draw_confusion",
    "draw_interpretation",
    "draw_learning_curve",
    "draw_spectrograms",
    "draw_sweep",
    "draw_timeline",
    "encode_heat",
    "encode_levels",
    "encode_mask",
    "save_picture",
]
