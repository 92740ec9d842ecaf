"""`classifier output -> saliency -> mask -> kept / removed -> wavs`.

base             Interpretation, and the one pipeline of all interpreters
by_design        the encoder's own maps, thresholded
piq              a mask drawn by a trained decoder
gradients        captum's post-hoc methods, thresholded
attributions     classifier + spectrum -> attributions, by captum
decoders         PIQ's decoders: features -> quantizer -> mask
decoder_weights  published weights -> a decoder
quantizer        a codebook that is partitioned by class
"""

from focalaudio.interpreters.base import Interpretation, Interpreter
from focalaudio.interpreters.by_design import ByDesignInterpreter
from focalaudio.interpreters.gradients import GradientInterpreter
from focalaudio.interpreters.piq import PIQInterpreter

__all__ = [
    "ByDesignInterpreter",
    "GradientInterpreter",
    "Interpretation",
    "Interpreter",
    "PIQInterpreter",
]
