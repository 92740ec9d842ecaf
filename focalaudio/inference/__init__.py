"""`sounds -> labels, and what they were heard in`: use what was trained.

interpreter  SoundInterpreter: classify, interpret and explain sounds
streaming    a recording of any length -> kept sound and timeline
clips        clips as a classifier wants them, and the way back
targets      labels or class ids -> class ids
run_opts     device, precision, compile
"""

from focalaudio.inference.streaming import StreamResult, explain_stream

__all__ = ["StreamResult", "explain_stream"]
