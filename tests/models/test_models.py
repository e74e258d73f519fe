import pytest
import torch
from torch import nn

from lelkern.config import ConfigError
from lelkern.methods.contrastive.simclr import SimCLRConfig
from lelkern.models import ConvEncoderConfig, HeadConfig, ProjectionHead, ResNetEncoderConfig


@pytest.mark.parametrize("width", [1, 16])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("size", [8, 24, 32])
def test_conv_encoder_gives_four_widths_and_three_stages(width, depth, size):
    encoder = ConvEncoderConfig(width=width, depth=depth).build()
    h = encoder(torch.rand(2, 3, size, size))
    assert h.shape == (2, 4 * width) == (2, encoder.features)
    assert sum(isinstance(m, nn.Conv2d) for m in encoder.modules()) == 3 * depth


def test_width_and_depth_add_parameters():
    def count(**knobs):
        return sum(p.numel() for p in ConvEncoderConfig(**knobs).build().parameters())

    # 3x3 kernels without biases, and two numbers a channel of BatchNorm.
    assert count(width=2, depth=1) == 9 * (3 * 2 + 2 * 4 + 4 * 8) + 2 * (2 + 4 + 8)
    assert count(width=4) > 3 * count(width=2)
    assert count(depth=3) > count(depth=2)


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        ("conv", ConvEncoderConfig()),
        ("resnet18", ResNetEncoderConfig(name="resnet18")),
        ({"width": 4}, ConvEncoderConfig(width=4)),
        ({"name": "resnet34"}, ResNetEncoderConfig(name="resnet34")),
    ],
    ids=str,
)
def test_an_encoder_is_a_name_or_a_table(encoder, expected):
    assert SimCLRConfig.parse({"encoder": encoder}, "test").encoder == expected


@pytest.mark.parametrize("encoder", ["resnet19", 3, {"name": "resnet19"}])
def test_unknown_encoders(encoder):
    with pytest.raises(ConfigError, match="test: encoder"):
        SimCLRConfig.parse({"encoder": encoder}, "test")


@pytest.mark.parametrize(("name", "features"), [("resnet18", 512), ("resnet50", 2048)])
def test_resnets_keep_the_resolution_of_small_images(name, features):
    encoder = ResNetEncoderConfig(name=name).build()
    assert encoder.features == features
    network = encoder.layers
    x = torch.rand(2, 3, 16, 16)
    assert network.maxpool(network.relu(network.bn1(network.conv1(x)))).shape == (2, 64, 16, 16)
    assert encoder(x).shape == (2, features)


@pytest.mark.parametrize(
    ("config", "shapes"),
    [
        (HeadConfig(kind="none"), []),
        (HeadConfig(kind="linear", out=5), [(5, 7)]),
        (HeadConfig(width=6, out=5), [(6, 7), (6,), (5, 6)]),
        (HeadConfig(width=6, out=5, depth=2), [(6, 7), (6,), (6, 6), (6,), (5, 6)]),
    ],
    ids=["none", "linear", "nonlinear", "deep"],
)
def test_heads(config, shapes):
    head = ProjectionHead(config, 7)
    assert [tuple(p.shape) for p in head.parameters()] == shapes
    h = torch.randn(3, 7)
    z = head(h)
    if config.kind == "none":
        assert torch.equal(z, h)
    else:
        assert z.shape == (3, 5)
    linear = torch.allclose(head(2 * h), 2 * z, atol=1e-5)
    assert linear == (config.kind != "nonlinear")
