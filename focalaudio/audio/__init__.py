"""File <-> waveform: the only place that opens sound files.

files    on a disk, of any format and length
folders  which files of a folder are sounds
memory   bytes in memory: what lossy coding leaves, sounds within a page
"""

from focalaudio.audio.files import (
    AUDIO_SUFFIXES,
    MAX_WAV_BYTES,
    SAMPLE_BYTES,
    AnyPath,
    AudioInfo,
    audio_info,
    iter_blocks,
    load_wav,
    read_audio,
    wav_writer,
    write_wav,
)
from focalaudio.audio.folders import list_sounds, walk_sounds
from focalaudio.audio.memory import code_vorbis, encode_sound

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_WAV_BYTES",
    "SAMPLE_BYTES",
    "AnyPath",
    "AudioInfo",
    "audio_info",
    "code_vorbis",
    "encode_sound",
    "iter_blocks",
    "list_sounds",
    "load_wav",
    "read_audio",
    "walk_sounds",
    "wav_writer",
    "write_wav",
]
