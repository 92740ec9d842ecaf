"""`log-magnitude -> image -> encoder -> embedding -> head -> logits, maps`.

`[batch, time, freq] -> ClassifierOutput`. The conventions (bilinear resize
with antialiasing, time as rows, the image repeated over channels) are those
of arXiv 2402.02754.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from speechbrain.lobes.models.ECAPA_TDNN import Classifier as CosineClassifier
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.contract import CELLS, MAPS, Classifier, ClassifierOutput
from focalaudio.decisions import find_decision
from focalaudio.encoders.base import check_encoder, find_strides
from focalaudio.image import ImageLayout
from focalaudio.mel import MelAxis
from focalaudio.shares import ShareDecoder
from focalaudio.spectrogram import Spectrum

QUIETEST = 0.1  # of a clip's mean loudness: the floor of a cell's weight
EPS_LOUDNESS = 1e-6  # protects the division by the loudness of silence
EPS_NORM = 1e-12  # protects the division by the norm of a zero embedding


class LinearHead(nn.Linear):
    """One linear map from embedding to logits.

    The embedding is a mean over cells, so each cell has its own share of
    every logit: no gradient is needed to say where a class was seen.

    Arguments
    ---------
    n_features, n_classes : int
        Size of the embedding, and number of classes.

    Example
    -------
    >>> head, cells = LinearHead(8, 3), torch.rand(2, 5, 8)
    >>> evidence = head.cell_logits(cells)
    >>> torch.allclose(evidence.mean(1), head(cells.mean(1)), atol=1e-6)
    True
    """

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)

    def cell_logits(self, cells: Tensor) -> Tensor:
        """Map `[batch, cells, n_features]` to logits `[..., n_classes]`."""
        return self(cells)


class CosineHead(nn.Module):
    """SpeechBrain's cosine classifier with a scale.

    BatchNorm, a linear map to 192 dimensions, then the cosine with one vector
    per class. Without a scale the softmax of 50 cosines cannot exceed 0.13.

    Arguments
    ---------
    n_features, n_classes : int
        As in `LinearHead`.
    scale : float
        Factor on the cosines; logits lie within `-scale ... scale`.

    Example
    -------
    >>> CosineHead(8, 3, scale=15.0).eval()(torch.ones(2, 8)).abs().max() <= 15
    tensor(True)
    """

    def __init__(
        self, n_features: int, n_classes: int, scale: float = 15.0
    ) -> None:
        super().__init__()
        self.scale = scale
        self.cosine = CosineClassifier(
            n_features, lin_blocks=1, out_neurons=n_classes
        )

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map `[batch, n_features]` to logits `[batch, n_classes]`."""
        return self.scale * self.cosine(embeddings.unsqueeze(1)).squeeze(1)

    def cell_logits(self, cells: Tensor) -> Tensor:
        """Map `[batch, cells, n_features]` to logits `[..., n_classes]`.

        Its mean over cells is the logit (in evaluation mode): the head is
        affine up to the division by the norm of the pooled vector, which is
        known.
        """
        projected = cells.flatten(0, 1).unsqueeze(1)
        for block in self.cosine.blocks:
            projected = block(projected)
        projected = projected.view(*cells.shape[:2], -1)
        norm = projected.mean(1, keepdim=True).norm(dim=-1, keepdim=True)
        directions = F.normalize(self.cosine.weight)
        return self.scale * projected @ directions.T / norm.clamp(min=EPS_NORM)


@remember_arguments
class SoundClassifier(Classifier):
    """An image encoder and a head that read log-magnitudes.

    Arguments
    ---------
    encoder : torch.nn.Module
        One of `focalaudio.encoders`.
    n_classes : int
        Number of classes.
    head : str
        `cosine` or `linear`.
    scale : float
        Factor on the logits of the cosine head; see `CosineHead`.
    image_size : tuple of int
        Height (time) and width (frequency) of the encoder's input, in pixels;
        the encoder's own if None.
    dropout : float
        Rate of dropout on the embedding, 0 to 1.
    pooling : str
        How cells become the embedding: `mean`, or `loudness`: each cell of the
        features counts by its mean log-magnitude, with a floor of a tenth of
        the mean over the clip, so that silence hardly votes.
    share_decoder : torch.nn.Module
        A `focalaudio.shares.ShareDecoder`, or None.
    image_frames : int
        Frames that fill the image's height; every clip does if None. See
        `focalaudio.image.ImageLayout`.
    axis : focalaudio.mel.MelAxis
        Of the image's width; linear if None.
    labels_per_clip : str
        `one`: the logits go through a softmax; `several`, or none: each goes
        through a sigmoid of its own. See `focalaudio.decisions`.

    Raises
    ------
    ValueError
        If `head`, `pooling` or `labels_per_clip` is neither of its two, or
        they do not go together, or the axis does not fit the image.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 10)
    >>> classifier.eval()(torch.rand(2, 431, 513)).logits.shape
    torch.Size([2, 10])
    """

    is_thread_safe = True

    def __init__(
        self,
        encoder: nn.Module,
        n_classes: int,
        head: str = "cosine",
        scale: float = 15.0,
        image_size: tuple[int, int] | None = None,
        dropout: float = 0.0,
        pooling: str = "mean",
        share_decoder: ShareDecoder | None = None,
        image_frames: int | None = None,
        axis: MelAxis | None = None,
        labels_per_clip: str = "one",
    ) -> None:
        super().__init__()
        self.labels_per_clip = find_decision(labels_per_clip).labels_per_clip
        if head not in ("cosine", "linear"):
            raise ValueError(f"head={head!r} must be 'cosine' or 'linear'.")
        if pooling not in ("mean", "loudness"):
            raise ValueError(
                f"pooling={pooling!r} must be 'mean' or 'loudness'."
            )
        if pooling == "loudness" and head != "linear":
            raise ValueError(
                "pooling='loudness' needs head='linear', whose cells add up to "
                "the logit whatever they weigh."
            )
        check_encoder(encoder)
        self.encoder = encoder
        self.n_classes = n_classes
        self.encoder_frozen = False
        size = image_size or self.encoder.image_size
        strides = find_strides(encoder, size)
        if share_decoder is not None:
            strides = (*strides, share_decoder.stride)
        self.layout = ImageLayout(size, image_frames, axis, strides)
        self.dropout = nn.Dropout(dropout)
        self.pooling = pooling
        self.share_decoder = share_decoder
        own = getattr(encoder, "n_embedding", None)
        width = self.encoder.n_features if own is None else own
        self.head = (
            CosineHead(width, n_classes, scale)
            if head == "cosine"
            else LinearHead(width, n_classes)
        )
        if pooling == "loudness" and own is not None:
            raise ValueError(f"pooling='loudness': {self.lacks(CELLS)}.")

    def lacks(self, need: str) -> str | None:
        """See `Classifier.lacks`."""
        own = getattr(self.encoder, "n_embedding", None)
        if need == CELLS and own is not None:
            return (
                "the embedding of this classifier's encoder is no mean over "
                "its features, so no cell has a share of the logit"
            )
        if need == MAPS and not self.encoder.map_names:
            return "this classifier's encoder returns no maps"
        return None

    def freeze_encoder(self) -> SoundClassifier:
        """Let the encoder be; the head and the share decoder go on learning."""
        self.encoder_frozen = True
        self.encoder.requires_grad_(False).eval()
        return self

    def train(self, mode: bool = True) -> SoundClassifier:
        """Set the mode of what is not frozen."""
        super().train(mode)
        if self.encoder_frozen:
            self.encoder.eval()
        return self

    def compile_network(self) -> None:
        """See `Classifier.compile_network`."""
        self.encoder.compile()
        self.is_thread_safe = False  # while one thread still compiles

    def look(self, spectrum: Spectrum, wavs: Tensor) -> ClassifierOutput:
        """See `Classifier.look`; this one sees, and hears nothing."""
        return self(spectrum.log_magnitude, spectrum.n_frames)

    def maskable(self, spectrum: Spectrum) -> Tensor:
        """Return the log-magnitude."""
        return spectrum.log_magnitude

    def classify_part(
        self, parts: Tensor, spectrum: Spectrum, rows: Tensor
    ) -> Tensor:
        """See `Classifier.classify_part`."""
        return self(parts, spectrum.n_frames[rows]).logits

    def classify_drawn(
        self, log_magnitude: Tensor, spectrum: Spectrum, rows: Tensor
    ) -> Tensor:
        """See `Classifier.classify_drawn`."""
        return self.classify_part(log_magnitude, spectrum, rows)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height (time) and width (frequency) of the image, in pixels."""
        return self.layout.size

    def to_image(
        self,
        log_magnitude: Tensor,
        n_frames: Tensor | None = None,
        snug: bool = False,
    ) -> Tensor:
        """Draw clips as `[batch, in_channels, height (time), width]`.

        `log_magnitude` is `[batch, time, freq]`; `n_frames` `[batch]`, int64,
        each clip's own frames, all of them if None; `snug` as in
        `ImageLayout.draw`.
        """
        n_frames = _all_frames(log_magnitude) if n_frames is None else n_frames
        image = self.layout.draw(log_magnitude, n_frames, snug)
        return image.expand(-1, self.encoder.in_channels, -1, -1)

    def cell_logits(self, output: ClassifierOutput) -> Tensor:
        """Say what each cell of the feature map adds to each class's logit.

        The mean over cells (weighted by `output.cell_weights`, if there are
        any) is the logit, exactly, for encoders that pool their feature map
        (a ViT pools its CLS token too), so this explains by design: nothing is
        estimated, no gradient is taken. With a linear head these are class
        activation maps (CAM, arXiv 1512.04150). In evaluation mode.

        Returns
        -------
        torch.Tensor
            `[batch, n_classes, rows, cols]`, any sign.

        Raises
        ------
        ValueError
            If the encoder's embedding is no mean over its features.
        """
        missing = self.lacks(CELLS)
        if missing is not None:
            raise ValueError(f"cell_logits: {missing}.")
        cells = output.features.flatten(2).transpose(1, 2)
        evidence = self.head.cell_logits(cells).transpose(1, 2)
        return evidence.unflatten(2, output.features.shape[2:])

    def share_logits(self, output: ClassifierOutput) -> Tensor:
        """Refine what the cells say, at the resolution of the share decoder.

        Returns
        -------
        torch.Tensor
            `[batch, n_classes, rows, cols]`; the softmax over classes (or the
            sigmoid) is each class's share of a fine cell.

        Raises
        ------
        ValueError
            If the classifier has no share decoder.
        """
        if self.share_decoder is None:
            raise ValueError(
                "This classifier has no share decoder; train one with "
                "share_channels above 0."
            )
        return self.share_decoder(
            self.cell_logits(output), output.features, output.fine, output.image
        )

    def forward(
        self,
        log_magnitude: Tensor,
        n_frames: Tensor | None = None,
        snug: bool = False,
    ) -> ClassifierOutput:
        """Classify clips; arguments as in `to_image`."""
        n_frames = _all_frames(log_magnitude) if n_frames is None else n_frames
        image = self.to_image(log_magnitude, n_frames, snug)
        encoded = self.encoder(image)
        embeddings, weights = encoded.embeddings, None
        if self.pooling == "loudness":
            shape = tuple(encoded.features.shape[2:])
            height, width = self.layout.cover(shape, image.shape[2:])
            added = (0, width - image.shape[3], 0, height - image.shape[2])
            weights = weigh_by_loudness(F.pad(image, added), shape)
            cells = encoded.features * weights[:, None]
            embeddings = cells.sum((2, 3))
        logits = self.head(self.dropout(embeddings))
        refined = self.share_decoder is not None
        return ClassifierOutput(
            logits,
            embeddings,
            encoded.features,
            encoded.maps,
            weights,
            image if refined else None,
            encoded.fine if refined else None,
            self.layout.find_spans(n_frames, snug),
            self.decision,
        )


def _all_frames(log_magnitude: Tensor) -> Tensor:
    batch, time, _ = log_magnitude.shape
    return torch.full((batch,), time, device=log_magnitude.device)


def weigh_by_loudness(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Return how much each cell counts: its share of the clip's loudness.

    Arguments
    ---------
    image : torch.Tensor
        `[batch, channels, height, width]`, non-negative.
    shape : sequence of int
        Rows and columns of the cells.

    Returns
    -------
    torch.Tensor
        `[batch, rows, cols]`, positive, sums to 1.

    Example
    -------
    >>> image = torch.tensor([[[[1.0, 3.0]]]])
    >>> weigh_by_loudness(image, (1, 2)).round(decimals=3)
    tensor([[[0.2730, 0.7270]]])
    """
    rows, cols = shape
    loudness = F.adaptive_avg_pool2d(image[:, 0].float(), (rows, cols))
    mean = loudness.mean((1, 2), keepdim=True)
    loudness = loudness + QUIETEST * mean + EPS_LOUDNESS
    return loudness / loudness.sum((1, 2), keepdim=True)
