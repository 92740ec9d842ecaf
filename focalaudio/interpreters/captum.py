"""`classifier + spectrum -> attributions`: the post-hoc methods of the field.

All are captum's, of the extra `focalaudio[baselines]`, and explain the logit
of a class, for any encoder:

- `saliency`: the gradient, arXiv 1312.6034
- `smoothgrad`: its mean over noisy copies, arXiv 1706.03825
- `integrated_gradients`: its mean from silence to the clip, times the clip,
  arXiv 1703.01365
- `gradient_shap`: the same at random points, arXiv 1705.07874
- `occlusion`: what the logit loses when a patch is silenced, arXiv 1311.2901
- `gradcam`: features weighted by the gradient, arXiv 1610.02391

All but the last are with respect to the log-magnitude, one clip at a time, cut
to its own frames: neither neighbors nor padding can reach a result, noise
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.contract import Classifier, ClassifierOutput
from focalaudio.spectrogram import Spectrum

BATCH = 8  # copies of a clip in one pass: bounds the memory
Classify = Callable[[Tensor], Tensor]  # log-magnitude -> logits


def import_captum() -> ModuleType:
    """Return `captum.attr`, of an optional package, or raise `ImportError`."""
    try:
        from captum import attr
    except ImportError as error:
        raise ImportError(
            "This method of explanation needs captum, which is not installed: "
            "pip install 'focalaudio[baselines]'."
        ) from error
    return attr


def saliency(classify: Classify, clip: Tensor, class_id: int) -> Tensor:
    """Return the gradient of a logit.

    Arguments
    ---------
    classify : callable
        Maps `[batch, time, freq]` to logits `[batch, n_classes]`.
    clip : torch.Tensor
        `[1, time, freq]`, log-magnitude, a leaf that requires a gradient.
    class_id : int
        The class to explain.

    Returns
    -------
    torch.Tensor
        `[1, time, freq]`, any sign.

    Example
    -------
    >>> clip = torch.ones(1, 1, 2, requires_grad=True)
    >>> saliency(lambda x: 3 * x[:, 0], clip, 1)
    tensor([[[0., 3.]]])
    """
    method = import_captum().Saliency(classify)
    return method.attribute(clip, class_id, abs=False)


def smoothgrad(
    classify: Classify,
    clip: Tensor,
    class_id: int,
    *,
    n_samples: int,
    noise_level: float,
    seed: int,
) -> Tensor:
    """Average the gradient over noisy copies of a clip.

    Arguments
    ---------
    classify, clip, class_id
        As in `saliency`, and so is the result.
    n_samples : int
        How many copies.
    noise_level : float
        Standard deviation of the noise over the range of the clip's values.
    seed : int
        Of the noise.
    """
    method = import_captum().Saliency(classify)
    total = torch.zeros_like(clip)
    for copies, _ in _noisy_copies(clip, n_samples, noise_level, seed):
        found = method.attribute(copies.requires_grad_(), class_id, abs=False)
        total += found.sum(0, keepdim=True)
    return total / n_samples


def integrated_gradients(
    classify: Classify, clip: Tensor, class_id: int, *, n_steps: int
) -> Tensor:
    """Integrate the gradient on the way from silence, times the clip.

    The attributions add up to the logit of the clip less that of silence, as
    well as `n_steps` points of a Gauss-Legendre quadrature approximate it.

    Arguments
    ---------
    classify, clip, class_id
        As in `saliency`, and so is the result.
    n_steps : int
        Points on the way.
    """
    method = import_captum().IntegratedGradients(classify)
    return method.attribute(
        clip, target=class_id, n_steps=n_steps, internal_batch_size=BATCH
    )


def gradient_shap(
    classify: Classify,
    clip: Tensor,
    class_id: int,
    *,
    n_samples: int,
    noise_level: float,
    seed: int,
) -> Tensor:
    """Average the gradient between silence and noisy copies, times these.

    Each copy is taken at a random point of its own way from silence.

    Arguments and result as in `smoothgrad`.
    """
    method = import_captum().Saliency(classify)
    total = torch.zeros_like(clip)
    for copies, places in _noisy_copies(clip, n_samples, noise_level, seed):
        points = (places * copies).requires_grad_()
        found = copies * method.attribute(points, class_id, abs=False)
        total += found.sum(0, keepdim=True)
    return total / n_samples


def occlusion(
    classify: Classify,
    clip: Tensor,
    class_id: int,
    *,
    frames: int,
    bins: int,
    overlap: int,
) -> Tensor:
    """Silence patch after patch; a cell gets what the logit lost on average.

    Takes no gradient, but a pass for each patch: about
    `overlap^2 * time * freq / (frames * bins)`.

    Arguments
    ---------
    classify, clip, class_id
        As in `saliency`.
    frames, bins : int
        Size of a patch in time and in frequency; at most the clip's.
    overlap : int
        In how many patches a cell lies, along each axis: the stride is the
        patch's size divided by this, rounded up.

    Returns
    -------
    torch.Tensor
        `[1, time, freq]`, any sign; the mean over the patches that hold a
        cell.

    Example
    -------
    >>> options = {"frames": 1, "bins": 2, "overlap": 1}
    >>> clip = torch.tensor([[[1.0, 2.0, 5.0, 0.0]]])
    >>> occlusion(lambda x: x.sum(2), clip, 0, **options)
    tensor([[[3., 3., 5., 5.]]])
    """
    patch = (min(frames, clip.shape[1]), min(bins, clip.shape[2]))
    method = import_captum().Occlusion(classify)
    return method.attribute(
        clip,
        sliding_window_shapes=patch,
        strides=tuple(-(-size // overlap) for size in patch),
        baselines=0,
        target=class_id,
        perturbations_per_eval=BATCH,
    )


def _noise_deviation(clip: Tensor, noise_level: float) -> float:
    """Return a share of the range of a clip's values."""
    low, high = clip.detach().aminmax()
    return noise_level * float(high - low)


def _noisy_copies(
    clip: Tensor, n_samples: int, noise_level: float, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of noisy copies, and a place from 0 to 1 for each.

    captum has both, of the global generators: threads that explain at once
    would draw each other's noise. The generator here is the call's own.
    """
    generator = torch.Generator().manual_seed(seed)
    clip = clip.detach()
    deviation = _noise_deviation(clip, noise_level)
    for start in range(0, n_samples, BATCH):
        n_copies = min(BATCH, n_samples - start)
        shape = (n_copies, *clip.shape[1:])
        noise = torch.randn(shape, generator=generator).to(clip)
        places = torch.rand(n_copies, 1, 1, generator=generator).to(clip)
        yield clip + deviation * noise, places


def per_clip(attribute: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make of a method for one clip a method for a batch, as `gradcam` is."""

    def attribute_batch(
        classifier: Classifier,
        output: ClassifierOutput,
        spectrum: Spectrum,
        class_ids: Tensor,
        **options: Any,
    ) -> Tensor:
        def classify(row: int, log_magnitude: Tensor) -> Tensor:
            rows = torch.full(
                (len(log_magnitude),), row, device=log_magnitude.device
            )
            return classifier.classify_drawn(log_magnitude, spectrum, rows)

        attributions = torch.zeros_like(spectrum.log_magnitude)
        for row, frames in enumerate(spectrum.n_frames.tolist()):
            clip = spectrum.log_magnitude[row : row + 1, :frames].clone()
            own = attribute(
                partial(classify, row),
                clip.requires_grad_(),
                int(class_ids[row]),
                **options,
            )
            attributions[row, :frames] = own[0].detach()
        return attributions

    return attribute_batch


class _PooledCells(nn.Module):
    """A head that reads an embedding, as a function of the cells in it."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.cells = nn.Identity()  # the layer that Grad-CAM looks at

    def forward(self, features: Tensor, embeddings: Tensor) -> Tensor:
        """Return the logits of `embeddings`, with a gradient to the cells."""
        change = self.cells(features) - features.detach()
        return self.head(embeddings + change.mean((2, 3)))


def gradcam(
    classifier: Classifier,
    output: ClassifierOutput,
    spectrum: Spectrum,
    class_ids: Tensor,
) -> Tensor:
    """Weigh the last features by the gradient; keep the positive part.

    `relu(sum_k a_k A_k)`, `a_k` the mean gradient of the logit over the cells
    of channel k. The features are those that the embedding averages: the last
    stage's map, or a ViT's patches after the last norm (its CLS token, which
    is averaged too, belongs to no place; without it gradients, and maps, are
    larger by the constant factor `1 + 1 / patches`). The encoder is not asked
    again.

    Arguments
    ---------
    classifier, output, spectrum
        One in evaluation mode, what it says of clips, and their spectrum.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes to explain.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, non-negative.
    """
    pooled = _PooledCells(classifier.head)
    features = output.features.detach().float().clone()
    method = import_captum().LayerGradCam(pooled, pooled.cells)
    maps = method.attribute(
        features,
        class_ids,
        output.embeddings.detach().float().clone(),
        relu_attributions=True,
    ).detach()
    return classifier.layout.carry_back(
        maps[:, 0], spectrum.n_frames, spectrum.log_magnitude.shape[1:]
    )


NOISE = {"n_samples": 32, "noise_level": 0.1, "seed": 0}

# A method, and its options.
METHODS: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "saliency": (per_clip(saliency), {}),
    "smoothgrad": (per_clip(smoothgrad), NOISE),
    "integrated_gradients": (per_clip(integrated_gradients), {"n_steps": 32}),
    "gradient_shap": (per_clip(gradient_shap), NOISE),
    "occlusion": (
        per_clip(occlusion),
        {"frames": 43, "bins": 57, "overlap": 1},  # .5 s, 0.9 kHz, 99 passes
    ),
    "gradcam": (gradcam, {}),
}


def attribute(
    method: str,
    classifier: Classifier,
    output: ClassifierOutput,
    spectrum: Spectrum,
    class_ids: Tensor,
    **options: Any,
) -> Tensor:
    """Say what each cell contributes to the logit of a class.

    In full precision, whatever mode is on outside.

    `method` is one of `METHODS`, `options` are all that it has, the rest as in
    `gradcam`. Returns `[batch, time, freq]`, any sign.
    """
    find, _ = METHODS[method]
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(output.logits.device.type, enabled=False),
    ):
        return find(classifier, output, spectrum, class_ids, **options)
