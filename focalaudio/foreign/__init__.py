"""Somebody else's classifier -> what interpreters and metrics ask of one.

classifier  waveforms -> logits, whoever made it, asked as ours are
doors       SpeechBrain's and Hugging Face's -> waveforms -> logits
"""

from focalaudio.foreign.classifier import ForeignClassifier

__all__ = ["ForeignClassifier"]
