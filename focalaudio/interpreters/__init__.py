"""`classifier output -> saliency -> mask -> kept / removed -> wavs`.

interpretation   what was said of clips, and heard in them: one record
base             the one pipeline of all interpreters
maps             the classifier's own maps, and the floors -> saliency
captum           captum's post-hoc methods -> saliency
rise             the same by random masks, without a gradient
threshold        saliency -> mask, for every method that needs no training
decoded          a mask drawn by a trained decoder
piq, lmac        what its decoder learns
decoders         features -> mask logits; PIQ's with a quantizer within
decoder_weights  published weights -> a decoder
quantizer        a codebook that is partitioned by class
"""

from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.interpreters.lmac import LMACInterpreter
from focalaudio.interpreters.piq import PIQInterpreter
from focalaudio.interpreters.threshold import ThresholdInterpreter

__all__ = [
    "Interpretation",
    "Interpreter",
    "LMACInterpreter",
    "PIQInterpreter",
    "ThresholdInterpreter",
]
