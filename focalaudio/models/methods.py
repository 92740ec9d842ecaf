"""`model -> interpreters`: every method by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from focalaudio.interpreters import (
    ByDesignInterpreter,
    GradientInterpreter,
    Interpreter,
    PIQInterpreter,
)
from focalaudio.interpreters.attributions import METHODS as GRADIENTS
from focalaudio.interpreters.floors import REFERENCES, ReferenceInterpreter
from focalaudio.interpreters.piq import build_decoder
from focalaudio.models.run import (
    SoundModel,
    best_checkpoint,
    fill_weights,
    read_values,
)

DECODER_KEYS = (
    "decoder_name",
    "decoder_options",
    "n_codes",
    "n_shared",
    "mask_threshold",
    "select_by",
)


def load_interpreter(
    model: SoundModel,
    method: str = "by_design",
    quantile: float = 0.9,
    stages: Sequence[int | str] = (-1,),
    mask: str = "binary",
    piq: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Interpreter:
    """Build an interpreter of a trained classifier.

    Arguments
    ---------
    model : SoundModel
        The classifier, frozen in place.
    method : str
        `by_design`, `piq`, one of captum's (`saliency`, `smoothgrad`,
        `integrated_gradients`, `gradient_shap`, `gradcam`), or a floor:
        `random`, `loudest`.
    quantile : float
        Fraction of a clip's cells to drop, 0 to 1; `piq` has no use for it.
    stages, mask
        Of `by_design`, see `ByDesignInterpreter`.
    piq : str or pathlib.Path
        Of `piq`: the folder of a finished run of `train_piq.py` on this
        classifier.
    options : mapping
        Of captum's methods, see `GradientInterpreter`.

    Returns
    -------
    Interpreter
        In evaluation mode, on the CPU.

    Raises
    ------
    ValueError
        If the method is unknown, or lacks what it needs.
    FileNotFoundError
        If the folder, or a file that a finished run leaves, is not there.
    ModelError
        If the files do not fit each other or the classifier.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.data.pipelines import ClipReader
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> model = SoundModel(classifier, Spectrogram(), ClipReader(), ("a", "b"))
    >>> load_interpreter(model, "by_design").map_names
    ('stage_2',)
    """
    parts = (model.classifier, model.spectrogram)
    if method == "by_design":
        return ByDesignInterpreter(*parts, quantile, stages, mask)
    if method == "piq":
        return load_piq(model, piq)
    if method in REFERENCES:
        return ReferenceInterpreter(*parts, method, quantile)
    if method in GRADIENTS:
        return GradientInterpreter(*parts, method, quantile, options)
    known = ("by_design", "piq", *GRADIENTS, *REFERENCES)
    raise ValueError(f"method={method!r} must be one of {', '.join(known)}.")


def load_piq(model: SoundModel, piq: str | Path | None) -> PIQInterpreter:
    """Load a trained PIQ; arguments and errors as in `load_interpreter`."""
    if piq is None:
        raise ValueError(
            "method='piq' needs piq: the folder of a run of train_piq.py."
        )
    folder = Path(piq)
    values = read_values(folder / "hyperparams.yaml", DECODER_KEYS)
    decoder = build_decoder(
        values["decoder_name"],
        model.classifier,
        n_codes=values["n_codes"],
        n_shared=values["n_shared"],
        options=values["decoder_options"],
    )
    best = best_checkpoint(folder / "save", max_key=values["select_by"])
    fill_weights(decoder.requires_grad_(False), best / "decoder.ckpt")
    interpreter = PIQInterpreter(
        model.classifier, model.spectrogram, decoder, values["mask_threshold"]
    )
    return interpreter.eval()


def load_compared(
    model: SoundModel,
    interpreter: Interpreter,
    others: Sequence[Mapping[str, Any]] = (),
    quantiles: Sequence[float] = (),
    quantile: float = 0.9,
) -> nn.ModuleList:
    """Build interpreters that are compared with one, on the same first pass.

    Arguments
    ---------
    model : SoundModel
        Whose classifier they share.
    interpreter : Interpreter
        The one that they are compared with.
    others : sequence of mapping
        For each the arguments of `load_interpreter`.
    quantiles : sequence of float
        A sweep: everything that has a quantile also stands at each of these.
    quantile : float
        Of those whose mapping has none.

    Returns
    -------
    torch.nn.ModuleList
        All but `interpreter` itself, without repetition.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.data.pipelines import ClipReader
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> model = SoundModel(classifier, Spectrogram(), ClipReader(), ("a", "b"))
    >>> one = load_interpreter(model)
    >>> rest = load_compared(model, one, [{"method": "random"}], [0.5])
    >>> [each.name for each in rest]
    ['random, quantile 0.9', 'stage_2, quantile 0.5', 'random, quantile 0.5']
    """
    listed = [
        load_interpreter(model, **{"quantile": quantile, **other})
        for other in others
    ]
    swept = [
        each.at_quantile(point)
        for point in quantiles
        for each in (interpreter, *listed)
        if each.quantile is not None
    ]
    named = {each.name: each for each in (*listed, *swept)}
    named.pop(interpreter.name, None)
    return nn.ModuleList(named.values())
