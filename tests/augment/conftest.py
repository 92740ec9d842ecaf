"""Clips that every kind of augmentation is tried on."""

import pytest
import torch


@pytest.fixture
def batch(device):
    """Six clips of uneven length, two classes each seen in targets."""
    n_samples = torch.tensor([40, 1, 20, 33, 40, 7], device=device)
    wavs = torch.randn(6, 40, device=device)
    wavs *= torch.arange(40, device=device) < n_samples[:, None]
    targets = torch.eye(6, device=device)
    return wavs, n_samples / 40, targets
