"""`PageClip -> JSON`: sounds as FLAC, pictures as PNG, all of it as text.

Binary parts become `data:` URIs, which a page holds as they are, or which
`link_files` turns into files beside it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from focalaudio.audio import encode_sound, load_wav
from focalaudio.boxes import HeardBox
from focalaudio.errors import escape_text
from focalaudio.files import replace_file
from focalaudio.pictures import encode_heat, encode_levels, encode_mask
from focalaudio.report.page import Neighbor, PageClip, View
from focalaudio.report.profiles import profile_clip
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import common_gain, loudness_gain

FLAC, OGG, PNG = "audio/flac", "audio/ogg", "image/png"
ENDINGS = {FLAC: ".flac", OGG: ".ogg", PNG: ".png"}
NEIGHBOR_QUALITY = 0.3  # of Ogg Vorbis: to be recognized, not measured
BINARY = {"sound", "picture", "maps", "mask", "kept", "removed"}  # keys
SHOWN = ("explained", "method", "quantile", "kept")  # keys of a view
DIGITS = 6  # of numbers in a page
Encoded = dict[str, Any]


def encode_clip(clip: PageClip, spectrogram: Spectrogram) -> Encoded:
    r"""Encode all that a page shows of a clip.

    All sounds share one gain, so that they add up and compare.

    Arguments
    ---------
    clip : PageClip
        Any.
    spectrogram : Spectrogram
        The analysis of its views; gives seconds and Hz.

    Returns
    -------
    dict
        Of what JSON knows; every foreign text is escaped.

    Example
    -------
    >>> import torch
    >>> wav, cells = torch.rand(1000), torch.rand(6, 513)
    >>> clip = PageClip("a\n", "dog", [("dog", 1.0)], wav, cells, ())
    >>> encoded = encode_clip(clip, Spectrogram())
    >>> encoded["id"], encoded["sound"][:15]
    ('a\\n', 'data:audio/flac')
    """
    rate = spectrogram.sample_rate
    parts = [part for v in clip.views for part in (v.kept, v.removed)]
    gain = common_gain(clip.wav, *parts)
    whole = gain * clip.wav
    maps: list[Tensor] = []
    views = []
    for view in clip.views:
        views.append(_encode_view(view, whole, gain, rate, maps))
    first = clip.views[0] if clip.views else None
    return {
        "id": escape_text(clip.clip_id),
        "label": None if clip.label is None else escape_text(clip.label),
        "top": [[escape_text(x), _number(p)] for x, p in clip.probabilities],
        "seconds": len(clip.wav) / rate,
        "start": clip.start,
        "rate": rate,
        "extent": _find_extent(clip.log_magnitude, spectrogram),
        "refused": clip.refused,
        "warnings": [escape_text(each) for each in clip.warnings],
        "sound": encode_wav(whole, rate),
        "picture": to_uri(encode_levels(clip.log_magnitude), PNG),
        "maps": [to_uri(encode_heat(each), PNG) for each in maps],
        "views": views,
        "neighbors": [_encode_neighbor(each) for each in clip.neighbors],
        "profile": None
        if first is None or clip.refused
        else profile_clip(
            escape_text(first.explained),
            first.saliency,
            clip.log_magnitude,
            spectrogram,
        ),
    }


def _encode_view(
    view: View, whole: Tensor, gain: float, rate: int, maps: list[Tensor]
) -> Encoded:
    """Encode one explanation; a saliency that is there already is shared."""
    kept, removed = gain * view.kept, gain * view.removed
    return {
        "explained": escape_text(view.explained),
        "method": escape_text(view.method),
        "quantile": view.quantile,
        "map": _find_map(view.saliency, maps),
        "mask": to_uri(encode_mask(view.mask), PNG),
        "kept": encode_wav(kept, rate),
        "removed": encode_wav(removed, rate),
        "gains": [
            _number(loudness_gain(w, whole, rate)) for w in (kept, removed)
        ],
        "kept_fraction": _number(view.kept_fraction),
        "scores": {
            escape_text(key): _number(value)
            for key, value in view.scores.items()
            if isinstance(value, (int, float))
        },
        "sentences": [escape_text(each) for each in view.sentences],
        "warnings": [escape_text(each) for each in view.warnings],
        "boxes": [_encode_box(each) for each in view.boxes],
    }


def _find_map(saliency: Tensor, maps: list[Tensor]) -> int:
    """Return the place of a saliency in a list; add it if it is new."""
    for place, known in enumerate(maps):
        if known.shape == saliency.shape and bool((known == saliency).all()):
            return place
    maps.append(saliency)
    return len(maps) - 1


def _encode_box(box: HeardBox) -> Encoded:
    numbers = (box.begin, box.end, box.low, box.high, box.score)
    return {
        "edges": [_number(each) for each in numbers[:4]],
        "score": _number(numbers[4]),
        "label": escape_text(box.label),
    }


def _encode_neighbor(neighbor: Neighbor) -> Encoded:
    return {
        "relation": neighbor.relation,
        "label": escape_text(neighbor.label),
        "distance": _number(neighbor.distance),
        "name": escape_text(neighbor.path.name),
        "sound": name_sound(neighbor.path),
    }


def name_sound(path: Path) -> str:
    """Return what a page calls the sound of a file: the same for one path.

    Example
    -------
    >>> name_sound(Path("a/1.wav")) == name_sound(Path("b/1.wav"))
    False
    """
    absolute = os.fsencode(path.absolute())
    return hashlib.sha256(absolute).hexdigest()[:16]


def encode_wav(
    wav: Tensor, sample_rate: int, quality: float | None = None
) -> str:
    """Encode `[samples]`, -1 to 1, as the URI of a FLAC or Ogg Vorbis file.

    Example
    -------
    >>> import torch
    >>> encode_wav(torch.zeros(9), 16000)[:22]
    'data:audio/flac;base64'
    """
    kind = FLAC if quality is None else OGG
    sound = wav.clamp(-1, 1)  # a gain may leave a peak of 1 + 1e-7
    return to_uri(encode_sound(sound, sample_rate, quality), kind)


def encode_file(path: Path, sample_rate: int) -> str:
    """Encode a sound file as the URI of one channel of Ogg Vorbis."""
    wav = load_wav(path, sample_rate)
    return encode_wav(common_gain(wav) * wav, sample_rate, NEIGHBOR_QUALITY)


def to_uri(content: bytes, kind: str) -> str:
    """Write bytes of a kind as text.

    Example
    -------
    >>> to_uri(b"a", PNG)
    'data:image/png;base64,YQ=='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def from_uri(uri: str) -> tuple[bytes, str]:
    """Return the bytes that `to_uri` wrote, and their kind.

    Example
    -------
    >>> from_uri("data:image/png;base64,YQ==")
    (b'a', 'image/png')
    """
    head, _, content = uri.partition(",")
    kind = head.removeprefix("data:").removesuffix(";base64")
    return base64.b64decode(content), kind


def link_files(values: Any, folder: Path, name: str) -> Any:
    """Write sounds and pictures of a clip as files; return links instead.

    They are the `data:` URIs of `BINARY`; a name may look like one.

    Arguments
    ---------
    values : Any
        Of what JSON knows; not changed.
    folder : pathlib.Path
        Gets the files; stands beside the page.
    name : str
        What the files' names begin with.

    Returns
    -------
    Any
        The same with links, relative to the page.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "files"
    >>> link_files({"maps": ["data:image/png;base64,YQ=="]}, folder, "0")
    {'maps': ['files/0-1.png']}
    """
    written: list[str] = []

    def link(value: str) -> str:
        content, kind = from_uri(value)
        path = folder / f"{name}-{len(written) + 1}{ENDINGS[kind]}"
        with replace_file(path) as temporary:
            temporary.write_bytes(content)
        written.append(path.name)
        return f"{folder.name}/{path.name}"

    return _replace_uris(values, link)


def _replace_uris(
    values: Any, link: Callable[[str], str], key: str = ""
) -> Any:
    if isinstance(values, dict):
        return {k: _replace_uris(each, link, k) for k, each in values.items()}
    if isinstance(values, list):
        return [_replace_uris(each, link, key) for each in values]
    is_text = isinstance(values, str) and key in BINARY
    return link(values) if is_text and values.startswith("data:") else values


def digest_clips(clips: Iterable[Encoded]) -> str:
    """Return what tells clips from others: sounds, methods, their order.

    Example
    -------
    >>> clip = {"id": "a", "sound": "", "views": []}
    >>> digest_clips([clip]) == digest_clips([{**clip, "sound": "data:"}])
    False
    """
    digest = hashlib.sha256()
    for clip in clips:
        shown = [clip["id"], clip["sound"]]
        for view in clip["views"]:
            shown += [view[key] for key in SHOWN]
        digest.update(json.dumps(shown).encode() + b"\n")
    return digest.hexdigest()


def without_removed(clip: Encoded) -> Encoded:
    """Drop what a page computes by itself: the whole sound less the kept."""
    views = [
        {key: value for key, value in view.items() if key != "removed"}
        for view in clip["views"]
    ]
    return {**clip, "views": views}


def to_script(values: Any) -> str:
    r"""Write JSON on one line that can stand in a `<script>`.

    Example
    -------
    >>> print(to_script("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(values, ensure_ascii=True, allow_nan=False)
    return (
        text.replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )


def _number(value: float) -> float | None:
    """Round a number for a page; what is not finite is null."""
    return round(float(value), DIGITS) if math.isfinite(value) else None


def _find_extent(
    log_magnitude: Tensor, spectrogram: Spectrogram
) -> list[float]:
    """Return the edges of a picture: two times in s, two frequencies in Hz."""
    hop = spectrogram.hop_samples / spectrogram.sample_rate
    band = spectrogram.sample_rate / spectrogram.n_fft
    frames, bins = log_magnitude.shape
    return [-0.5 * hop, (frames - 0.5) * hop, -0.5 * band, (bins - 0.5) * band]
