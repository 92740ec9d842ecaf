import io

import numpy as np
import pytest
import torch
from PIL import Image

from focalaudio.pictures import encode_heat, encode_levels, encode_mask


def pixels(content):
    """RGBA as `[time, freq, 4]`."""
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    return np.array(image)[::-1].swapaxes(0, 1)


@pytest.mark.parametrize("shape", [(1, 513), (40, 513), (1000, 3)])
def test_a_binary_mask_survives_the_picture(shape):
    mask = torch.rand(shape) > 0.7
    alpha = pixels(encode_mask(mask))[..., 3]
    assert (alpha == 255 * mask.numpy()).all()


def test_a_soft_mask_survives_to_a_step_of_8_bits():
    mask = torch.rand(30, 513)
    alpha = pixels(encode_mask(mask))[..., 3] / 255
    assert abs(alpha - mask.numpy()).max() <= 0.5 / 255 + 1e-6


def test_louder_is_brighter_and_the_gray_is_of_its_level():
    decibels = torch.linspace(-79, 0, 64)
    magnitude = 10 ** (decibels / 20)
    grays = pixels(encode_levels(magnitude.log1p()[:, None]))[:, 0, 0]
    assert (np.diff(grays.astype(int)) >= 0).all()
    wanted = 255 * (1 + decibels / 80)
    assert abs(grays - wanted.numpy()).max() <= 255 / 63


def test_silence_is_dark_and_nan_free():
    assert (pixels(encode_levels(torch.zeros(9, 9)))[..., :3] == 0).all()


def test_long_clips_keep_their_loudest_cells():
    log_magnitude = torch.zeros(5000, 513)
    log_magnitude[2500, 256] = 1.0
    shades = pixels(encode_levels(log_magnitude))[..., 0]
    assert shades.shape == (640, 288)
    assert shades.max() == 255


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_saliency_is_drawn_as_nothing(value):
    assert (pixels(encode_heat(torch.full((40, 40), value)))[..., 3] == 0).all()


def test_heat_grows_with_saliency_whatever_its_scale():
    saliency = torch.linspace(0, 1, 50)[:, None].expand(50, 20)
    one, other = (pixels(encode_heat(k * saliency)) for k in (1, 1000))
    assert (one == other).all()
    assert (np.diff(one[:, 0, 3].astype(int)) >= 0).all()


def test_a_few_bright_cells_are_seen():
    saliency = torch.zeros(100, 100)
    saliency[3, 5] = 1.0
    alpha = pixels(encode_heat(saliency))[..., 3]
    assert alpha[3, 5] == alpha.max() > 0
