"""`classifier output -> saliency -> mask -> kept / removed -> wavs`.

base             Interpretation, and the one pipeline of all interpreters
by_design        the encoder's own maps, thresholded
piq              a mask drawn by a trained decoder
decoders         PIQ's decoders: features -> quantizer -> mask
decoder_weights  published weights -> a decoder
quantizer        a codebook that is partitioned by class
"""

from focalaudio.interpreters.base import Interpretation, Interpreter
from focalaudio.interpreters.by_design import ByDesignInterpreter
from focalaudio.interpreters.piq import PIQInterpreter

__all__ = [
    "ByDesignInterpreter",
    "Interpretation",
    "Interpreter",
    "PIQInterpreter",
]
