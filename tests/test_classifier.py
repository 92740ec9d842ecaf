"""Laws of focalaudio.classifier: one clip, one answer."""

import pytest
import torch
import torch.nn.functional as F
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from torch import nn

from focalaudio.classifier import (
    ClassifierOutput,
    CosineHead,
    SoundClassifier,
)
from focalaudio.encoders import build_encoder
from focalaudio.encoders.conv2d import Conv2dEncoder
from focalaudio.encoders.focalnet import FocalNet
from focalaudio.encoders.vit import ViT
from focalaudio.shares import build_share_decoder

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(params=["focalnet_test", "vit_test"])
def tiny(request, device):
    return SoundClassifier(build_encoder(request.param), 4).eval().to(device)


def assert_rows_equal(batch, row, alone):
    torch.testing.assert_close(batch.logits[row], alone.logits[0], **CLOSE)
    torch.testing.assert_close(
        batch.embeddings[row], alone.embeddings[0], **CLOSE
    )
    for one, other in zip(batch.maps, alone.maps, strict=True):
        torch.testing.assert_close(one[row], other[0], **CLOSE)


@torch.no_grad()
def test_a_batch_is_its_clips_one_by_one(tiny, device):
    log_magnitude = torch.rand(3, 60, 40, device=device)
    batch = tiny(log_magnitude)
    for row in range(3):
        assert_rows_equal(batch, row, tiny(log_magnitude[row : row + 1]))


@torch.no_grad()
def test_padding_and_what_stands_in_it_change_nothing(tiny, device):
    log_magnitude = torch.rand(4, 60, 40, device=device)
    n_frames = torch.tensor([60, 3, 25, 3], device=device)
    batch = tiny(log_magnitude, n_frames)
    for row, frames in enumerate(n_frames.tolist()):
        alone = tiny(log_magnitude[row : row + 1, :frames])
        assert_rows_equal(batch, row, alone)


@torch.no_grad()
def test_shapes_of_the_record(tiny, device):
    output = tiny(torch.rand(2, 60, 40, device=device))
    assert output.logits.shape == output.probs.shape == (2, 4)
    assert output.embeddings.shape == (2, tiny.encoder.n_features)
    assert output.features.shape[:2] == (2, tiny.encoder.n_features)
    assert len(output.maps) == len(tiny.encoder.map_names)
    sums = output.probs.sum(1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    assert torch.equal(output.class_ids, output.probs.argmax(1))


def test_time_is_height_and_frequency_is_width(classifier, device):
    ramp = torch.linspace(0, 1, 100, device=device)
    rising = ramp[None, :, None].expand(1, 100, 30)
    image = classifier.to_image(rising)
    assert (image.diff(dim=2) > 0).all()
    torch.testing.assert_close(image, image[..., :1].expand_as(image), **CLOSE)
    image = classifier.to_image(rising.transpose(1, 2))
    assert (image.diff(dim=3) > 0).all()


@pytest.mark.parametrize("shape", [(431, 513), (87, 513), (3, 513), (64, 64)])
def test_image_is_the_resized_log_magnitude_on_every_channel(shape):
    classifier = SoundClassifier(
        build_encoder("focalnet_test"), 2, image_size=(32, 48)
    )
    log_magnitude = torch.rand(2, *shape)
    image = classifier.to_image(log_magnitude)
    expected = F.interpolate(
        log_magnitude[:, None], (32, 48), mode="bilinear", antialias=True
    )
    assert image.shape == (2, 3, 32, 48)
    for channel in range(3):
        torch.testing.assert_close(image[:, channel], expected[:, 0])


def test_each_clip_fills_the_image_with_its_own_frames(classifier, device):
    log_magnitude = torch.rand(2, 60, 40, device=device)
    image = classifier.to_image(
        log_magnitude, torch.tensor([20, 60], device=device)
    )
    for row, frames in enumerate((20, 60)):
        alone = classifier.to_image(log_magnitude[row : row + 1, :frames])
        torch.testing.assert_close(image[row], alone[0])


@pytest.mark.parametrize("head", ["cosine", "linear"])
def test_every_parameter_gets_a_gradient(head):
    classifier = SoundClassifier(build_encoder("focalnet_test"), 4, head)
    log_magnitude = torch.rand(3, 60, 40, requires_grad=True)
    logits = classifier(log_magnitude, torch.tensor([60, 10, 30])).logits
    F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    for name, parameter in classifier.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert (log_magnitude.grad[1, 10:] == 0).all()
    assert (log_magnitude.grad[1, :10] != 0).any()


@pytest.mark.parametrize("head", ["cosine", "linear"])
def test_low_precision_gives_the_same_answer_roughly(head, device):
    classifier = SoundClassifier(build_encoder("focalnet_test"), 4, head)
    classifier.eval().to(device)
    log_magnitude = torch.rand(2, 60, 40, device=device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        low = classifier(log_magnitude)
    assert low.probs.dtype == torch.float
    torch.testing.assert_close(
        low.probs, classifier(log_magnitude).probs, atol=0.02, rtol=0
    )


def test_cosine_head_is_speechbrains_times_the_scale():
    head = CosineHead(8, 5, scale=15.0)
    theirs = Classifier(8, lin_blocks=1, out_neurons=5)
    theirs.load_state_dict(head.cosine.state_dict())
    embeddings = torch.randn(6, 8)
    for mode in (True, False):
        expected = 15 * theirs.train(mode)(embeddings[:, None])[:, 0]
        torch.testing.assert_close(head.train(mode)(embeddings), expected)


def test_cosine_head_is_cosines_of_the_projected_embedding():
    head = CosineHead(8, 5, scale=7.0).eval()
    embeddings = torch.randn(6, 8)
    norm, linear = head.cosine.blocks
    projected = linear.w(norm.norm(embeddings))
    cosines = F.cosine_similarity(
        projected[:, None], head.cosine.weight[None], dim=-1
    )
    torch.testing.assert_close(head(embeddings), 7 * cosines)
    assert head(100 * embeddings).abs().max() <= 7


@pytest.mark.parametrize(("scale", "sure"), [(15.0, True), (1.0, False)])
def test_only_scaled_cosines_of_fifty_classes_can_be_sure(scale, sure):
    head = CosineHead(8, 50, scale).eval()
    embedding = torch.randn(1, 8)
    norm, linear = head.cosine.blocks
    direction = linear.w(norm.norm(embedding)).detach()
    head.cosine.weight.data[:] = -direction
    head.cosine.weight.data[3] = direction
    probs = head(embedding).softmax(-1)
    assert probs.argmax() == 3
    assert (probs[0, 3] > 0.9) == sure
    assert sure or probs[0, 3] < 0.132


def test_one_clip_alone_passes_the_cosine_head():
    assert CosineHead(8, 5).eval()(torch.randn(1, 8)).shape == (1, 5)


def test_dropout_acts_in_training_only():
    classifier = SoundClassifier(
        build_encoder("focalnet_test"), 4, "linear", dropout=0.9
    )
    log_magnitude = torch.rand(2, 60, 40)
    with torch.no_grad():
        first, second = (classifier(log_magnitude).logits for _ in range(2))
        assert not torch.equal(first, second)
        classifier.eval()
        first, second = (classifier(log_magnitude).logits for _ in range(2))
    assert torch.equal(first, second)


def test_one_channel_is_not_repeated():
    encoder = build_encoder("focalnet_test", in_channels=1)
    image = SoundClassifier(encoder, 2).to_image(torch.rand(2, 60, 40))
    assert image.shape == (2, 1, 64, 64)


def test_linear_head_is_a_linear_map(device):
    classifier = SoundClassifier(build_encoder("focalnet_test"), 4, "linear")
    assert isinstance(classifier.head, nn.Linear)
    output = classifier.eval()(torch.rand(2, 60, 40))
    torch.testing.assert_close(
        output.logits, classifier.head(output.embeddings)
    )


def test_frozen_classifier_never_trains_again(classifier):
    assert classifier.train().training
    assert classifier.freeze() is classifier
    for part in (classifier, nn.ModuleList([classifier])):
        part.train()
        assert not any(m.training for m in classifier.modules())
    assert not any(p.requires_grad for p in classifier.parameters())


def test_unknown_head_is_refused():
    with pytest.raises(ValueError, match=r"head='mlp' must be 'cosine' or"):
        SoundClassifier(build_encoder("focalnet_test"), 4, head="mlp")


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        ("linear", {"head.weight", "head.bias"}),
        (
            "cosine",
            {
                "head.cosine.weight",
                "head.cosine.blocks.1.w.weight",
                "head.cosine.blocks.1.w.bias",
                "head.cosine.blocks.0.norm.running_mean",
            },
        ),
    ],
)
def test_keys_of_saved_weights_stay(head, keys):
    classifier = SoundClassifier(build_encoder("focalnet_test"), 4, head)
    saved = set(classifier.state_dict())
    assert keys <= saved
    assert {key.split(".")[0] for key in saved} == {"encoder", "head"}


@pytest.mark.parametrize("head", ["linear", "cosine"])
@torch.no_grad()
def test_evidence_of_the_cells_averages_to_the_logits(head, device):
    encoder = build_encoder("focalnet_test")
    classifier = SoundClassifier(encoder, 4, head).to(device)
    for _ in range(3):  # give the batch norm statistics of its own
        classifier(torch.rand(4, 60, 40, device=device))
    output = classifier.eval()(torch.rand(3, 60, 40, device=device))
    evidence = classifier.cell_logits(output)
    assert evidence.shape == (3, 4, *output.features.shape[2:])
    torch.testing.assert_close(evidence.mean((2, 3)), output.logits, **CLOSE)


@torch.no_grad()
def test_evidence_stands_where_the_features_are(tiny):
    output = tiny(torch.rand(1, 60, 40, device=next(tiny.parameters()).device))
    features = torch.zeros_like(output.features)
    features[:, :, 2, 1] = output.features[:, :, 2, 1]
    moved = ClassifierOutput(output.logits, output.embeddings, features, ())
    evidence = tiny.cell_logits(moved)
    elsewhere = evidence[0, :, 0, 0]
    changed = (evidence[0] - elsewhere[:, None, None]).abs().amax(0) > 1e-6
    assert changed.nonzero().tolist() == [[2, 1]]


STRIDED = {
    "focalnet": lambda: FocalNet(8, (1, 1, 1), in_channels=1),
    "vit": lambda: ViT(8, 1, 2, in_channels=1, image_size=(52, 24)),
    "conv2d": lambda: Conv2dEncoder(64),
    "timm": lambda: build_encoder("timm:test_convnext", in_channels=1),
}


@pytest.mark.parametrize("name", STRIDED)
@pytest.mark.parametrize("height", [196, 207])
def test_a_cell_is_carried_back_to_where_it_reads_the_most(name, height):
    """Of a height that is no multiple of the stride (PyTorch's gradient)."""
    torch.manual_seed(0)
    encoder = STRIDED[name]().eval()
    classifier = SoundClassifier(encoder, 3, image_size=(height, 64)).eval()
    image = torch.rand(1, 1, height, 64, requires_grad=True)
    features = encoder(image).features
    rows = features.shape[2]
    for row in (rows // 2, rows - 2):
        (reads,) = torch.autograd.grad(
            features[0, :, row].square().sum(), image, retain_graph=True
        )
        reads = reads[0, 0].square().sum(1)
        planted = torch.zeros(1, rows, 1)
        planted[:, row] = 1
        carried = classifier.layout.carry_back(
            planted, torch.tensor([height]), (height, 9)
        )[0, :, 0]
        pixels = torch.arange(height) + 0.5
        # what lies near, without what every cell has from the whole image
        near = (pixels - reads.argmax() - 0.5).abs() < 16
        stands, read = (
            (each * pixels)[near].sum() / each[near].sum()
            for each in (carried, reads)
        )
        assert abs(stands - read) < 5


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_the_mean_over_fine_cells_is_the_logit_of_any_class(head):
    encoder = build_encoder("focalnet_test_pyramid")
    classifier = SoundClassifier(encoder, 5, head).eval()
    output = classifier(torch.rand(3, 80, 513))
    torch.testing.assert_close(
        classifier.cell_logits(output).mean((2, 3)),
        output.logits,
        atol=1e-5,
        rtol=1e-5,
    )


def make_fine(pooling="loudness"):
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    decoder = build_share_decoder(encoder, 4, narrow=4, width=6)
    classifier = SoundClassifier(
        encoder, 4, "linear", pooling=pooling, share_decoder=decoder
    )
    return classifier.eval()


def test_weighted_cells_add_up_to_the_logit():
    classifier = make_fine()
    output = classifier(torch.rand(3, 80, 513) ** 8)
    cells, weights = classifier.cell_logits(output), output.cell_weights
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(3))
    torch.testing.assert_close(
        (cells * weights[:, None]).sum((2, 3)), output.logits
    )
    assert weights.max() > 1.2 * weights.min()


def test_silence_weighs_its_cells_alike():
    output = make_fine()(torch.zeros(1, 80, 513))
    assert output.logits.isfinite().all()
    assert output.cell_weights.max() == output.cell_weights.min()


def test_shares_of_all_classes_add_up_in_every_fine_cell():
    classifier = make_fine("mean")
    output = classifier(torch.rand(2, 80, 513))
    shares = classifier.share_logits(output).softmax(1)
    rows, cols = classifier.image_size
    assert shares.shape == (2, 4, rows // 2, cols // 2)
    torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]))


def test_what_does_not_go_together_is_refused():
    encoder = build_encoder("focalnet_test")
    with pytest.raises(ValueError, match="pooling='max' must be"):
        SoundClassifier(encoder, 3, pooling="max")
    with pytest.raises(ValueError, match="pooling='loudness' needs head='lin"):
        SoundClassifier(encoder, 3, "cosine", pooling="loudness")
    plain = SoundClassifier(encoder, 3).eval()
    with pytest.raises(ValueError, match="no share decoder"):
        plain.share_logits(plain(torch.rand(1, 80, 513)))
