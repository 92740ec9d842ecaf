"""`folder or hub -> model; recording -> what was heard`: use what was trained.

runs          a finished run's folder -> classifier, its reader and labels
methods       a model -> interpreters, by the names of their methods
fetching      a folder, or a hub's owner/name -> folder of a bundle; and back
hub           what is asked of a hub, and how it refuses
bundle_files  the names of a bundle's files, and their digests
streaming     a recording of any length -> kept sound and timeline
stream_parts  what a stream has done so far, on disk
"""

from focalaudio.inference.fetching import fetch_bundle, push_bundle
from focalaudio.inference.methods import load_compared, load_interpreter
from focalaudio.inference.runs import SoundModel, load_model
from focalaudio.inference.streaming import StreamResult, explain_stream

__all__ = [
    "SoundModel",
    "StreamResult",
    "explain_stream",
    "fetch_bundle",
    "load_compared",
    "load_interpreter",
    "load_model",
    "push_bundle",
]
