"""An encoder whose embedding is no mean over its features: ECAPA."""

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import EncoderOutput
from focalaudio.errors import ModelError
from focalaudio.interpreters import LMACInterpreter, ThresholdInterpreter
from focalaudio.interpreters.lmac import build_decoder
from focalaudio.interpreters.threshold import working_methods
from focalaudio.models import Explanation, SoundModel

SMALL = {
    "channels": [8] * 5,
    "kernel_sizes": [3] * 5,
    "dilations": [1] * 5,
    "attention_channels": 8,
    "se_channels": 8,
    "res2net_scale": 2,
}


class Ecapa(nn.Module):
    """SpeechBrain's ECAPA, for images of time and frequency."""

    in_channels, image_size, map_names = 1, (40, 20), ("frames",)

    def __init__(self):
        super().__init__()
        self.network = ECAPA_TDNN(20, lin_neurons=6, **SMALL)
        self.n_embedding = 6
        self.n_features = 8

    def forward(self, image):
        seen = []
        handle = self.network.mfa.register_forward_hook(
            lambda module, given, made: seen.append(made)
        )
        embeddings = self.network(image[:, 0]).squeeze(1)
        handle.remove()
        frames = seen[0][..., None]  # [batch, channels, time, 1]
        return EncoderOutput(frames, embeddings, (frames.norm(dim=1),))


@pytest.fixture
def ecapa():
    return SoundClassifier(Ecapa(), 3, "linear").eval()


@pytest.mark.parametrize("maps", ["class_evidence", "class_probability"])
def test_maps_of_a_class_say_what_is_missing(ecapa, spectrogram, maps):
    message = "one of frames, loudness.*no mean over its features"
    with pytest.raises(ValueError, match=message) as error:
        ThresholdInterpreter(ecapa, spectrogram, maps=[maps])
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="no mean over its features"):
        SoundModel(ecapa, spectrogram, None, [*"abc"], Explanation(maps=[maps]))


def test_gradcam_says_what_works(ecapa, spectrogram):
    message = "no mean over its features.*What works: by_design, saliency"
    with pytest.raises(ValueError, match=message):
        ThresholdInterpreter(ecapa, spectrogram, method="gradcam")


def test_what_is_said_to_work_works(ecapa, spectrogram):
    wavs = torch.randn(1, 3000)
    quick = {"rise": {"n_masks": 4}, "integrated_gradients": {"n_steps": 2}}
    for method in set(working_methods(ecapa)) - {"smoothgrad", "gradient_shap"}:
        interpreter = ThresholdInterpreter(
            ecapa, spectrogram, method, options=quick.get(method)
        )
        assert interpreter(wavs).mask.any(), method
    decoder = build_decoder(ecapa, width=8, n_doublings=1)
    lmac = LMACInterpreter(ecapa, spectrogram, decoder).eval()
    assert lmac(wavs).mask.shape == lmac(wavs).log_magnitude.shape


def test_cells_and_loudness_are_refused(ecapa):
    with pytest.raises(ValueError, match="cell_logits: the embedding of"):
        ecapa.cell_logits(ecapa(torch.rand(1, 20, 513)))
    with pytest.raises(ValueError, match="pooling='loudness': the embedding"):
        SoundClassifier(Ecapa(), 3, "linear", pooling="loudness")
