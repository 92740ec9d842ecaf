"""`SpeechBrain's published checkpoints -> bundle`.

`embedding_model.ckpt` is the state dict of transformers' `FocalNetBackbone` or
`ViTModel`, `classifier.ckpt` that of SpeechBrain's cosine classifier. Neither
says how sound becomes an image; the conventions of arXiv 2402.02754 do. Its
cosines have no scale, so the scale here is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from focalaudio.classifier import SoundClassifier
from focalaudio.data.esc50 import read_label_order
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.configs import read_config
from focalaudio.encoders.layouts import Layout
from focalaudio.encoders.weight_files import read_state_dict
from focalaudio.errors import ModelError
from focalaudio.models.card import Card
from focalaudio.models.export import (
    check_free,
    describe_sound,
    save_bundle,
    synthesize_example,
)
from focalaudio.models.model import SoundModel
from focalaudio.models.safe_yaml import read_text
from focalaudio.spectrogram import Spectrogram

WRAPPERS = ("model.", "module.", "embedding_model.", "0.")  # around an encoder
HEAD_LAYOUT = Layout("SpeechBrain Classifier", r"^blocks\.\d+\.|^weight$")
SCALE = 1.0  # of the published cosines


def import_checkpoints(
    checkpoints: Sequence[str | Path],
    folder: str | Path,
    labels: Sequence[str],
    encoder: str | None = None,
    config: str | Path | None = None,
    license_name: str = "apache-2.0",
) -> Path:
    """Make a bundle of SpeechBrain's published checkpoints.

    Arguments
    ---------
    checkpoints : sequence of str or pathlib.Path
        `embedding_model.ckpt` and `classifier.ckpt`, in this order.
    folder : str or pathlib.Path
        Of the bundle; must not exist, or be empty.
    labels : sequence of str
        In the head's order.
    encoder : str
        Name of the encoder, see `focalaudio.encoders.list_encoders`.
    config : str or pathlib.Path
        transformers' own configuration, instead of a name.
    license_name : str
        Of the weights, for the card.

    Returns
    -------
    pathlib.Path
        The bundle: complete, and read back.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    UnsafeModelError
        If a file asks for code to be run.
    ModelError
        If files are damaged or do not fit each other; nothing is left then.
    ValueError
        If there is no such encoder, or not one of name and configuration.
    """
    labels = [labels] if isinstance(labels, str) else labels
    check_free(Path(folder))
    if (encoder is None) == (config is None):
        raise ValueError("Give one of encoder and config.")
    if encoder is not None:
        built = build_encoder(encoder, in_channels=3)
    else:
        kind, arguments = read_config(str(config))
        built = kind(**arguments)
    classifier = SoundClassifier(built, len(labels), "cosine", SCALE)
    _fill_published(classifier, *map(Path, checkpoints))
    # the conventions of arXiv 2402.02754 are the defaults of these two
    model = SoundModel(
        classifier.eval(), Spectrogram(), ClipReader(), tuple(labels)
    )
    wav, example = synthesize_example(model)
    names = " and ".join(f"`{Path(path).name}`" for path in checkpoints)
    card = Card(
        encoder or type(built).__name__,
        labels,
        describe_sound(model),
        f"Imported from {names}; trained by whoever published them.",
        example,
        license_name,
    )
    return save_bundle(model, Path(folder), card, wav)


def _fill_published(
    classifier: SoundClassifier, encoder_file: Path, head_file: Path
) -> None:
    """Load published weights into a classifier."""
    encoder = _unwrap(read_state_dict(encoder_file))
    head = _unwrap(read_state_dict(head_file))
    vectors = head.get("weight")
    n_classes = classifier.n_classes
    if isinstance(vectors, Tensor) and vectors.shape[:1] != (n_classes,):
        raise ModelError(
            f"{head_file} has class vectors of shape {tuple(vectors.shape)} "
            f"but there are {n_classes} labels; give one for each class, in "
            "the head's order."
        )
    try:
        load_weights(classifier.encoder, encoder)
        cosine = classifier.get_submodule("head.cosine")
        load_weights(cosine, head, (HEAD_LAYOUT,))
    except ModelError as error:
        raise ModelError(
            f"{encoder_file}, {head_file}: {error} Give embedding_model.ckpt, "
            "then classifier.ckpt, with the encoder's name or configuration."
        ) from error


def _unwrap(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Take SpeechBrain's wrapper off the names, if all of them carry it."""
    for prefix in WRAPPERS:
        if weights and all(str(key).startswith(prefix) for key in weights):
            return {key.removeprefix(prefix): w for key, w in weights.items()}
    return dict(weights)


def read_label_file(path: str | Path) -> list[str]:
    r"""Read the labels of a head, in its order.

    One label a line; or a `.csv` in ESC-50's layout, whose order is that of
    first appearance in the rows with fold 1, 2 or 3.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If a `.csv` is not in ESC-50's layout.
    ModelError
        If there is no label, or one stands twice.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels.txt"
    >>> _ = path.write_text("dog\nrain\n")
    >>> read_label_file(path)
    ['dog', 'rain']
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"labels={path.absolute()} does not exist.")
    if path.suffix == ".csv":
        return read_label_order(path)
    lines = [line.strip() for line in read_text(path).splitlines()]
    labels = [line for line in lines if line]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice or not labels:
        raise ModelError(
            f"labels={path} must have one label a line, each once; "
            f"{', '.join(twice) or 'none'} stands "
            f"{'twice' if twice else 'there'}."
        )
    return labels
