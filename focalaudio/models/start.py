"""`a trained model or encoder -> a classifier that goes on learning`.

Where training starts: from the weights of an encoder, as they are published,
or from a classifier of ours: a bundle, a finished run, a name on the hub, or
its file of weights alone. The same classes keep their head, in the order that
is asked for; other classes get a new one, and that is said.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from focalaudio.classifier import SoundClassifier
from focalaudio.data.labels import LABELS_FILE
from focalaudio.decisions import ONE, Decision, find_decision
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.weight_files import (
    SUFFIXES,
    digest_weights,
    read_state_dict,
)
from focalaudio.errors import ModelError, escape_text
from focalaudio.models.load import compare_analyses, load_model
from focalaudio.models.run import existing, read_labels
from focalaudio.models.safe_yaml import read_text
from focalaudio.spectrogram import Spectrogram

logger = logging.getLogger(__name__)

ENCODER, SHARES = "encoder.", "share_decoder."
CLASS_ROWS = (  # of each, the first dimension is the classes
    *("head.weight", "head.bias", "head.cosine.weight"),
    *("share_decoder.to_classes.weight", "share_decoder.to_classes.bias"),
)


def start_classifier(
    classifier: SoundClassifier,
    labels: Sequence[str],
    spectrogram: Spectrogram | None = None,
    pretrained: str | Path | None = None,
    freeze_encoder: bool = False,
) -> SoundClassifier:
    """Fill a new classifier with what was learnt before.

    Arguments
    ---------
    classifier : SoundClassifier
        Gets the weights.
    labels : sequence of str
        Of its classes, in their order.
    spectrogram : Spectrogram
        What it is going to read; a warning if that is not what was learnt on.
    pretrained : str or pathlib.Path
        A file of an encoder's weights (see
        `focalaudio.encoders.checkpoints.load_weights`) or of a classifier's; or
        what `focalaudio.models.load_model` takes. Nothing is loaded if None.
    freeze_encoder : bool
        Whether only the head and the share decoder learn: for little data.

    Returns
    -------
    SoundClassifier
        The same.

    Raises
    ------
    FileNotFoundError, ModelError, HubError
        If there are no such weights, or they are of another encoder.
    ValueError
        If an encoder is to be frozen that has learnt nothing, or takes another
        number of channels.

    Example
    -------
    >>> import torch
    >>> from focalaudio.encoders import build_encoder
    >>> make = lambda: SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> file = getfixture("tmp_path") / "classifier.ckpt"
    >>> torch.save(make().state_dict(), file)
    >>> classifier = start_classifier(make(), ["a", "b"], pretrained=file)
    """
    if freeze_encoder and pretrained is None:
        raise ValueError(
            "freeze_encoder=True needs pretrained: the encoder would stay as "
            "it was drawn by chance."
        )
    if pretrained is not None:
        if _is_file(pretrained):
            _start_from_file(classifier, labels, Path(pretrained))
        else:
            _start_from_model(classifier, labels, spectrogram, pretrained)
    return classifier.freeze_encoder() if freeze_encoder else classifier


def digest_source(source: str | Path) -> str:
    """Return the SHA-256 of what training starts from, hexadecimal.

    Of a file it is that of its bytes, else that of the classifier's weights.
    """
    if _is_file(source):
        content = existing(Path(source)).read_bytes()
        return hashlib.sha256(content).hexdigest()
    return digest_weights(load_model(source).classifier)


def _is_file(source: str | Path) -> bool:
    path = Path(source)
    return path.is_file() or path.suffix in SUFFIXES


def _start_from_file(
    classifier: SoundClassifier, labels: Sequence[str], path: Path
) -> None:
    """Load an encoder's weights, or a classifier's."""
    state = read_state_dict(path)
    if not {"head.weight", "head.cosine.weight"} & set(state):
        _load_encoder(classifier, path, path)
        return
    beside = (path.parent / LABELS_FILE, path.parent.parent / LABELS_FILE)
    found = next((place for place in beside if place.exists()), None)
    known = read_labels(found) if found else ()
    _transfer(classifier, labels, state, known, path, _read_decision(path))


def _read_decision(path: Path) -> Decision:
    """Read what the logits of a file of weights mean, beside it; else one."""
    described = [
        place / name
        for place in (path.parent, path.parent.parent)
        for name in ("model.yaml", "hyperparams.yaml")
    ]
    texts = (read_text(each) for each in described if each.is_file())
    found = re.search(r"^ +labels_per_clip: (\w+)", "\n".join(texts), re.M)
    return find_decision(found[1]) if found else ONE


def _start_from_model(
    classifier: SoundClassifier,
    labels: Sequence[str],
    spectrogram: Spectrogram | None,
    source: str | Path,
) -> None:
    """Load a model's classifier; say where it read sounds otherwise."""
    model = load_model(source)
    state = model.classifier.state_dict()
    decision = model.classifier.decision
    _transfer(classifier, labels, state, model.labels, source, decision)
    pairs = (
        compare_analyses(model.spectrogram, spectrogram) if spectrogram else ()
    )
    others = [
        f"{name} {theirs} instead of {own}"
        for name, theirs, own in pairs
        if theirs != own
    ]
    if others:
        logger.warning(
            "pretrained=%s learnt with %s.",
            escape_text(source),
            ", ".join(others),
        )


def _transfer(
    classifier: SoundClassifier,
    labels: Sequence[str],
    state: Mapping[str, Tensor],
    known: Sequence[str],
    source: str | Path,
    decision: Decision,
) -> None:
    """Load the encoder; and of the rest what has the same classes and form.

    By the `decision` the head learnt of one label for a clip, or several.
    """
    encoder = {
        key.removeprefix(ENCODER): weight
        for key, weight in state.items()
        if key.startswith(ENCODER)
    }
    _load_encoder(classifier, encoder, source)
    own = classifier.state_dict()
    rest = {key for key in own if not key.startswith(ENCODER)}
    head = {key for key in rest if not key.startswith(SHARES)}
    taken = _fitting(rest - head, state, own) - {*CLASS_ROWS}
    alike = decision.is_several == classifier.decision.is_several
    same = set(known) == set(labels) and alike
    if same and _fitting(head, state, own) == head:
        taken |= head | (_fitting(rest, state, own) & {*CLASS_ROWS})
        logger.info("pretrained=%s: the head is kept.", escape_text(source))
    else:
        why = "of another form" if same else f"of {_describe(known)}"
        if not alike:
            why = f"of {decision.labels_per_clip} of the labels for a clip"
        logger.warning(
            "pretrained=%s: the head is new; it was %s.",
            escape_text(source),
            why,
        )
    order = [known.index(label) for label in labels] if same else []
    weights = {
        key: state[key][order] if key in CLASS_ROWS else state[key]
        for key in taken
    }
    classifier.load_state_dict(own | weights)


def _fitting(
    keys: set[str], state: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> set[str]:
    """Return the keys whose weights are there, in the same shape."""
    return {k for k in keys if k in state and state[k].shape == own[k].shape}


def _describe(labels: Sequence[str]) -> str:
    """Say which classes a head was for."""
    if not labels:
        return f"unknown classes (there is no {LABELS_FILE} beside it)"
    rest = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return f"other classes ({', '.join(map(repr, labels[:3]))}{rest})"


def _load_encoder(
    classifier: SoundClassifier,
    weights: Mapping[str, Tensor] | Path,
    source: str | Path,
) -> None:
    """Load the encoder's weights; the channels must be those of the image."""
    encoder = classifier.encoder
    try:
        report = load_weights(encoder, weights)
    except ModelError as error:
        raise ModelError(f"pretrained={source}: {error}") from error
    if report.summed_channels:
        raise ValueError(
            f"in_channels={encoder.in_channels} does not fit "
            f"pretrained={source}, whose images have three channels; "
            "give in_channels: 3 (the spectrogram is repeated)."
        )
