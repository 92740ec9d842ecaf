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
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.configs import read_config
from focalaudio.encoders.layouts import Layout
from focalaudio.encoders.weight_files import read_state_dict
from focalaudio.errors import ModelError
from focalaudio.models.bundle import Bundle
from focalaudio.models.card import Card
from focalaudio.models.description import (
    Description,
    all_arguments,
    variant,
)
from focalaudio.models.export import (
    check_free,
    describe_sound,
    save_bundle,
    synthesize_example,
)
from focalaudio.models.run import (
    SPECTROGRAM_KEYS,
    SoundModel,
    default_interpretation,
)
from focalaudio.models.safe_yaml import read_text
from focalaudio.spectrogram import Spectrogram

WRAPPERS = ("model.", "module.", "embedding_model.", "0.")  # around an encoder
HEAD_LAYOUT = Layout("SpeechBrain Classifier", r"^blocks\.\d+\.|^weight$")
CONVENTIONS: dict[str, Any] = {
    "sample_rate": 16000,  # Hz
    "n_fft": 1024,
    "win_length": 23.2199,  # ms
    "hop_length": 11.6099,  # ms
    "clip_seconds": 5.0,
    "head": "cosine",
    "logit_scale": 1.0,
    "image_size": None,
}


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
        The bundle, whole, and checked in a fresh process.

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
    check_free(Path(folder))
    if (encoder is None) == (config is None):
        raise ValueError("Give one of encoder and config.")
    if encoder is not None:
        kind, arguments = variant(encoder, in_channels=3)
    else:
        kind, arguments = read_config(str(config))
        arguments = all_arguments(kind, arguments)
    values = CONVENTIONS | {"n_classes": len(labels)}
    classifier = SoundClassifier(
        kind(**arguments), len(labels), "cosine", values["logit_scale"]
    )
    fill_published(classifier, *map(Path, checkpoints))
    model = SoundModel(
        classifier.eval(),
        Spectrogram(**{key: values[key] for key in SPECTROGRAM_KEYS}),
        ClipReader(values["sample_rate"], values["clip_seconds"]),
        tuple(labels),
    )
    interpretation = default_interpretation(values)
    bundle = Bundle(model, interpretation)
    wav, example = synthesize_example(bundle)
    names = " and ".join(f"`{Path(path).name}`" for path in checkpoints)
    card = Card(
        encoder or kind.__name__,
        labels,
        describe_sound(values),
        f"Imported from {names}; trained by whoever published them.",
        example,
        license_name,
    )
    description = Description(values, kind, arguments, interpretation)
    return save_bundle(Path(folder), bundle, description, card, wav)


def fill_published(
    classifier: SoundClassifier, encoder_file: Path, head_file: Path
) -> None:
    """Load published weights into a classifier.

    Arguments
    ---------
    classifier : SoundClassifier
        With a cosine head; filled in place.
    encoder_file, head_file : pathlib.Path
        `embedding_model.ckpt` and `classifier.ckpt`.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ModelError
        If a file is damaged, unsafe, or of another model.
    """
    encoder = unwrap(read_state_dict(encoder_file))
    head = unwrap(read_state_dict(head_file))
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


def unwrap(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Take SpeechBrain's wrapper off the names, if all of them carry it.

    Arguments
    ---------
    weights : mapping
        A state dict.

    Returns
    -------
    dict
        The same values.

    Example
    -------
    >>> unwrap({"model.a": 1, "model.b": 2})
    {'a': 1, 'b': 2}
    """
    for prefix in WRAPPERS:
        if weights and all(str(key).startswith(prefix) for key in weights):
            return {key.removeprefix(prefix): w for key, w in weights.items()}
    return dict(weights)


def read_label_file(path: str | Path) -> list[str]:
    r"""Read the labels of a head, in its order.

    Arguments
    ---------
    path : str or pathlib.Path
        One label a line; or a `.csv` in ESC-50's layout, whose order is that
        of first appearance in the rows with fold 1, 2 or 3.

    Returns
    -------
    list of str
        Distinct.

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
