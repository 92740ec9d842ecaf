"""`classifier output -> saliency -> mask -> kept / removed -> wavs`.

base       Interpretation, and the one pipeline that all interpreters share
by_design  the encoder's own maps, thresholded
"""

from focalaudio.interpreters.base import Interpretation, Interpreter
from focalaudio.interpreters.by_design import ByDesignInterpreter

__all__ = ["ByDesignInterpreter", "Interpretation", "Interpreter"]
