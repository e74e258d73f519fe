"""Encoders f: images (B, 3, H, W) with values in [0, 1] to representations h (B, features)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from torch import Tensor, nn

from lelkern.config import Config


class Encoder(nn.Module):
    """A convolutional network that ends in one vector an image.

    Attributes:
        features: the length of that vector.
    """

    def __init__(self, layers: nn.Module, features: int) -> None:
        super().__init__()
        self.layers = layers
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W), float in [0, 1], to representations h (B, features)."""
        # [-1, 1] rather than data statistics: the same encoder then serves any data set.
        return self.layers(images * 2 - 1)


class ConvEncoderConfig(Config):
    """A small VGG-like family for one CPU: three stages of 3x3 convolutions, BatchNorm and ReLU.

    The first convolution of the first two stages halves the resolution, the global pooling at the
    end takes the maximum: on small drawings it matters that a stroke is there, not how much of the
    image it fills.

    Attributes:
        name: chooses this family of networks.
        width: channels of the first stage; the stages have width, 2 width and 4 width, and the
            representation has 4 width features.
        depth: convolutions a stage.
    """

    name: Literal["conv"] = "conv"
    width: int = Field(default=16, ge=1)
    depth: int = Field(default=2, ge=1)

    def build(self) -> Encoder:
        """Make the encoder with freshly drawn weights (He et al. 2015)."""
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(3):
            for layer in range(self.depth):
                stride = 2 if layer == 0 and stage < 2 else 1
                out = self.width * 2**stage
                layers += [
                    nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
                    nn.BatchNorm2d(out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
        layers += [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
        network = nn.Sequential(*layers)
        for module in network:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        return Encoder(network, channels)


class ResNetEncoderConfig(Config):
    """torchvision's ResNets with the stem for small images.

    The 7x7 stride-2 convolution becomes a 3x3 stride-1 one and the max-pooling goes, as in SimCLR's
    CIFAR-10 experiments (Chen et al. 2020, Appendix B.9).

    Attributes:
        name: of the network in torchvision, which decides its depth.
    """

    name: Literal["resnet18", "resnet34", "resnet50"]

    def build(self) -> Encoder:
        """Make the encoder with freshly drawn weights."""
        # Imported here because torchvision takes a second, which other encoders needn't pay.
        from torchvision import models

        network = models.get_model(self.name, weights=None)
        features = network.fc.in_features
        network.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
        network.fc = nn.Identity()
        return Encoder(network, features)


def _family(value: Any) -> str:
    if isinstance(value, Mapping):
        name = value.get("name", "conv")
    else:
        name = getattr(value, "name", value)
    return "conv" if name == "conv" else "resnet"


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


EncoderConfig = Annotated[
    Annotated[ConvEncoderConfig, Tag("conv")] | Annotated[ResNetEncoderConfig, Tag("resnet")],
    Discriminator(_family),
    BeforeValidator(_by_name),
]
"""An encoder of either family: its name, or a table; one without a name is the small family's."""
