"""`log-magnitude -> image`, and back: the grid that an encoder looks at.

`[batch, time, freq] -> [batch, 1, height, width]`, time as rows. What is found
on the image, or on a coarser grid of cells over it, is carried back to the
spectrogram's frames and bins, where masks are made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.mel import MelAxis
from focalaudio.spectrogram import Spectrogram, group_by_length


def _average_rows(values: Tensor, n_frames: int, n_rows: int) -> Tensor:
    """Average frames, zero up to `n_frames`, as adaptive pooling does.

    `[batch, time, freq]` to `[batch, n_rows, freq]`, as one matrix product,
    in a tenth of the time of `adaptive_avg_pool2d` on a CPU.
    """
    device = values.device
    rows = torch.arange(n_rows, device=device)[:, None]
    frames = torch.arange(values.shape[1], device=device)
    starts, ends = (
        rows * n_frames // n_rows,
        -(-(rows + 1) * n_frames // n_rows),
    )
    inside = (starts <= frames) & (frames < ends)
    with torch.autocast(device.type, enabled=False):
        return (inside / (ends - starts)) @ values.float()


def build_axis(
    name: str,
    image_size: Sequence[int] | None,
    sample_rate: int,
    n_fft: int,
) -> MelAxis | None:
    """Build an image's frequency axis by its name.

    Arguments
    ---------
    name : str
        `linear` or `mel`.
    image_size : sequence of int
        Height and width (frequency), pixels; a mel axis needs it.
    sample_rate, n_fft : int
        See `MelAxis`.

    Returns
    -------
    MelAxis or None
        None for a linear axis.

    Raises
    ------
    ValueError
        If there is no such axis, or no size for it.

    Example
    -------
    >>> build_axis("mel", [216, 128], 16000, 1024).n_bands
    128
    """
    if name not in ("linear", "mel"):
        raise ValueError(f"frequency_axis={name!r} must be linear or mel.")
    if name == "linear" and image_size is None:
        return None
    sides = image_size if isinstance(image_size, (list, tuple)) else ()
    if [type(side) is int and side > 0 for side in sides] != [True, True]:
        raise ValueError(
            f"image_size={image_size} must be height and width in pixels, such "
            "as [216, 128]; frequency_axis='mel' needs both."
        )
    return MelAxis(sides[1], sample_rate, n_fft) if name == "mel" else None


def count_image_frames(
    spectrogram: Spectrogram, seconds: float | None
) -> int | None:
    """Return how many frames a sound of so many seconds has; None for None.

    Example
    -------
    >>> count_image_frames(Spectrogram(), 5.0)
    431
    """
    if seconds is None:
        return None
    length = round(seconds * spectrogram.sample_rate)
    n_samples = torch.tensor(length, device="cpu")
    return int(spectrogram.count_frames(n_samples))


class ImageLayout(nn.Module):
    """Where on an image each frame and bin of a spectrogram lies.

    Arguments
    ---------
    size : sequence of int
        Height (time) and width (frequency), pixels.
    image_frames : int
        Frames that fill the height: shorter clips leave the rest of the image
        black, longer ones are squeezed into it. If None every clip is
        stretched or squeezed to fill it.
    axis : MelAxis
        Of the width; linear if None.
    strides : sequence of int
        Pixels along the side of a cell, of each grid that an encoder makes of
        an image; see `align`.

    Raises
    ------
    ValueError
        If the axis has not as many bands as the image has columns.

    Example
    -------
    >>> layout = ImageLayout((6, 4), image_frames=12)
    >>> image = layout.draw(torch.ones(1, 12, 20), torch.tensor([8]))
    >>> image[0, 0, :, 0]
    tensor([1.0000, 1.0000, 1.0000, 0.8750, 0.1250, 0.0000])
    """

    def __init__(
        self,
        size: Sequence[int],
        image_frames: int | None = None,
        axis: MelAxis | None = None,
        strides: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if axis is not None and axis.n_bands != size[1]:
            raise ValueError(
                f"The image is {size[1]} pixels wide, but its axis has "
                f"{axis.n_bands} bands; make them equal."
            )
        self.size = (int(size[0]), int(size[1]))
        self.image_frames = image_frames
        self.axis = axis
        self.strides = tuple(strides)

    def find_spans(self, n_frames: Tensor, snug: bool = False) -> Tensor:
        """Return how many frames the height of each clip's image stands for.

        Arguments
        ---------
        n_frames : torch.Tensor
            `[batch]`, int64, each clip's own frames.
        snug : bool
            See `draw`.

        Returns
        -------
        torch.Tensor
            `[batch]`, int64, at least `n_frames`.
        """
        if self.image_frames is None:
            return n_frames
        if snug and n_frames.max() < self.image_frames:
            return n_frames.max().expand_as(n_frames)
        return n_frames.clamp(min=self.image_frames)

    def draw(
        self, log_magnitude: Tensor, n_frames: Tensor, snug: bool = False
    ) -> Tensor:
        """Draw clips as images.

        Bilinear with antialiasing, as in arXiv 2402.02754.

        Arguments
        ---------
        log_magnitude : torch.Tensor
            `[batch, time, freq]`, non-negative.
        n_frames : torch.Tensor
            `[batch]`, int64, each clip's own frames.
        snug : bool
            With `image_frames`: end the images where the longest clip of the
            batch ends, which makes crops cheap. What is said of a clip
            depends on its batch then, so this is for training.

        Returns
        -------
        torch.Tensor
            `[batch, 1, height, width]`.
        """
        spans = self.find_spans(n_frames, snug)
        height, width = self._find_size(spans)
        image = log_magnitude.new_empty(len(spans), 1, height, width)
        for frames, rows in group_by_length(n_frames):
            clips = log_magnitude[rows, None, :frames]
            if self.axis is not None:
                clips = self.axis.to_bands(clips)
            clips = F.pad(clips, (0, 0, 0, int(spans[rows][0]) - frames))
            image[rows] = F.interpolate(
                clips, (height, width), mode="bilinear", antialias=True
            )
        return image

    def _find_size(self, spans: Tensor) -> tuple[int, int]:
        """Return the pixels of images whose heights stand for these frames."""
        height, width = self.size
        if self.image_frames is not None and spans.max() < self.image_frames:
            height = math.ceil(height * int(spans.max()) / self.image_frames)
        return height, width

    def cover(
        self, cells: Sequence[int], size: Sequence[int] | None = None
    ) -> tuple[int, int]:
        """Return the pixels that a grid of cells stands for.

        An encoder whose stride does not divide a side pads the image, so that
        its last cells reach beyond it, or drops what is left over.

        Arguments
        ---------
        cells : sequence of int
            Rows and columns of the grid.
        size : sequence of int
            Height and width of the image, pixels; the layout's own if None.

        Returns
        -------
        tuple of int
            Rows and columns of pixels, from the top left; those of the image
            if no stride makes such a grid of it.

        Example
        -------
        >>> layout = ImageLayout((216, 128), strides=(8, 16))
        >>> layout.cover((27, 16)), layout.cover((14, 8))
        ((216, 128), (224, 128))
        >>> layout.cover((13, 8)), layout.cover((216, 128))
        ((208, 128), (216, 128))
        """
        sides = self.size if size is None else size
        height, width = (
            _cover_side(side, each, self.strides)
            for side, each in zip(sides, cells, strict=True)
        )
        return height, width

    def align(
        self,
        maps: Tensor,
        spans: Tensor | None = None,
        cells: Sequence[int] | None = None,
        fill: str = "constant",
    ) -> Tensor:
        """Bring maps on a grid of cells to one that ends where the image does.

        Arguments
        ---------
        maps : torch.Tensor
            `[batch, rows, cols]`, on a grid that an encoder made of the images,
            or on a finer one that was made of it.
        spans : torch.Tensor
            `[batch]`, int64, of `find_spans`; those of whole images if None.
        cells : sequence of int
            Rows and columns of the encoder's grid; the maps' own if None.
        fill : str
            What stands where an encoder has dropped what was left over: 0
            (`constant`), or what is next to it (`replicate`).

        Returns
        -------
        torch.Tensor
            The maps as they are if they do; otherwise pixel by pixel,
            `[batch, height, width]`.

        Example
        -------
        >>> layout = ImageLayout((3, 2), strides=(2,))
        >>> layout.align(torch.ones(1, 2, 1)).shape
        torch.Size([1, 3, 2])
        """
        size = self.size if spans is None else self._find_size(spans)
        grid = maps.shape[1:] if cells is None else cells
        height, width = self.cover(grid, size)
        if (height, width) == size:
            return maps
        pixels = F.interpolate(maps[:, None], (height, width), mode="bilinear")
        own = pixels[:, :, : size[0], : size[1]]
        rest = (0, size[1] - own.shape[3], 0, size[0] - own.shape[2])
        return F.pad(own, rest, mode=fill)[:, 0]

    def carry_back(
        self,
        maps: Tensor,
        n_frames: Tensor,
        shape: Sequence[int],
        spans: Tensor | None = None,
        cells: Sequence[int] | None = None,
        fill: str = "constant",
    ) -> Tensor:
        """Stretch maps over their clips' own frames and bins, zero elsewhere.

        Bilinear, without aligned corners: the inverse of how images are drawn.

        Arguments
        ---------
        maps : torch.Tensor
            `[batch, rows, cols]`, on any grid over the images; see `align`.
        n_frames : torch.Tensor
            `[batch]`, int64, each clip's own frames.
        shape : sequence of int
            Time and frequency of the result.
        spans : torch.Tensor
            `[batch]`, int64, of `find_spans`, whose default it is.
        cells, fill
            See `align`.

        Returns
        -------
        torch.Tensor
            `[batch, time, freq]`, within the range of the map or zero.

        Example
        -------
        >>> layout, maps = ImageLayout((8, 8)), torch.ones(1, 7, 7)
        >>> layout.carry_back(maps, torch.tensor([3]), (4, 2))[0, :, 0]
        tensor([1., 1., 1., 0.])
        """
        spans = self.find_spans(n_frames) if spans is None else spans
        maps = self.align(maps, spans, cells, fill)
        carried = maps.new_zeros(len(maps), *shape)
        width = shape[1] if self.axis is None else self.axis.n_bands
        for frames, rows in group_by_length(n_frames):
            grid = F.interpolate(
                maps[rows, None], (int(spans[rows][0]), width), mode="bilinear"
            )[:, 0, :frames]
            if self.axis is not None:
                grid = self.axis.to_bins(grid)
            carried[rows, :frames] = grid
        return carried

    def pool(
        self,
        values: Tensor,
        shape: Sequence[int],
        n_frames: Tensor,
        spans: Tensor | None = None,
    ) -> Tensor:
        """Average each clip's own frames and bins over the cells of a grid.

        Arguments
        ---------
        values : torch.Tensor
            `[batch, time, freq]`.
        shape : sequence of int
            Rows and columns of the grid.
        n_frames, spans : torch.Tensor
            As in `carry_back`.

        Returns
        -------
        torch.Tensor
            `[batch, rows, cols]`; what is black on the image counts as zero.

        Example
        -------
        >>> layout, ramp = ImageLayout((8, 8)), torch.arange(4.0)
        >>> layout.pool(ramp.expand(1, 2, 4), (1, 2), torch.tensor([2]))
        tensor([[[0.5000, 2.5000]]])
        """
        spans = self.find_spans(n_frames) if spans is None else spans
        size = self._find_size(spans)
        height, width = self.cover(shape, size)
        pooled = values.new_empty(len(values), *shape)
        for frames, rows in group_by_length(n_frames):
            # first over time: there is less left to bring to bands
            span = round(int(spans[rows][0]) * height / size[0])
            own = _average_rows(values[rows, :frames], span, shape[0])
            if self.axis is not None:
                own = self.axis.to_bands(own)
            reach = round(own.shape[2] * width / size[1])
            own = F.pad(own, (0, reach - own.shape[2]))
            pooled[rows] = F.adaptive_avg_pool2d(own, (shape[0], shape[1]))
        return pooled


def enlarge(grid: Tensor, shape: Sequence[int]) -> Tensor:
    """Bring a grid to that of a finer stage, each cell to where it was read.

    From stage to stage strides double, and sides are rounded up: the last cells
    of a coarse grid may reach beyond the finer one.

    Arguments
    ---------
    grid : torch.Tensor
        `[batch, channels, rows, cols]`.
    shape : sequence of int
        Rows and columns of the finer grid, whose stride is smaller by a power
        of 2.

    Returns
    -------
    torch.Tensor
        `[batch, channels, *shape]`.

    Example
    -------
    >>> grid = torch.tensor([[[[0.0], [4.0]]]])
    >>> enlarge(grid, (3, 1)).flatten()  # the fourth row is not there
    tensor([0., 1., 3.])
    """
    rows, cols = (
        _double(side, finer)
        for side, finer in zip(grid.shape[2:], shape, strict=True)
    )
    if (rows, cols) != grid.shape[2:]:
        grid = F.interpolate(grid, (rows, cols), mode="bilinear")
    return grid[:, :, : shape[0], : shape[1]]


def _double(side: int, finer: int) -> int:
    """Double a side until it is as long as a finer one."""
    while side < finer:
        side *= 2
    return side


def _cover_side(side: int, cells: int, strides: Sequence[int]) -> int:
    """Return how many of the pixels along a side so many cells stand for."""
    for stride in strides:
        if cells == -(-side // stride):
            return cells * stride
    for stride in strides:
        if cells == side // stride:
            return cells * stride
    return side
