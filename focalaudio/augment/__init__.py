"""What training does to its clips; nothing of it is done in evaluation.

waveforms  each clip by itself: shift, speed, crop, polarity, noise, gain
equalizer  each clip by itself: a frequency response
outliers   sounds of no class among them
mixing     two clips at once, or one after the other
masking    stripes of a spectrogram, and views of it by masks
ranges     which numbers they take
"""

from focalaudio.augment.equalizer import RandomEqualizer
from focalaudio.augment.masking import MaskedViews, MaskSpectrogram, Views
from focalaudio.augment.mixing import MixClips, MixedClips
from focalaudio.augment.outliers import RandomOutliers
from focalaudio.augment.waveforms import (
    Augment,
    RandomCrop,
    RandomGain,
    RandomNoise,
    RandomPolarity,
    RandomSpeed,
    TimeShift,
)

__all__ = [
    "Augment",
    "MaskSpectrogram",
    "MaskedViews",
    "MixClips",
    "MixedClips",
    "RandomCrop",
    "RandomEqualizer",
    "RandomGain",
    "RandomNoise",
    "RandomOutliers",
    "RandomPolarity",
    "RandomSpeed",
    "TimeShift",
    "Views",
]
