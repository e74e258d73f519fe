"""The network that contrastive recipes train."""

from torch import Tensor, nn

from lelkern.methods.contrastive._config import ContrastiveConfig
from lelkern.methods.method import Blueprint
from lelkern.models import ProjectionHead
from lelkern.runtime import RuntimeConfig


class Projector(nn.Module):
    """An encoder f followed by a projection head g: z = g(f(x)).

    Weights are drawn from PyTorch's global generator, those of f first.
    """

    def __init__(self, config: ContrastiveConfig, runtime: RuntimeConfig) -> None:
        super().__init__()
        self.encoder = config.encoder.build()
        self.head = ProjectionHead(config.head, self.encoder.features)
        self.runtime = runtime

    def forward(self, images: Tensor) -> Tensor:
        """Project images (N, 3, H, W), float in [0, 1], to z (N, out), float32."""
        with self.runtime.autocast(images.device.type):
            h = self.encoder(images)
        # The head is cheap, and a temperature of 0.01 magnifies bfloat16's rounding a hundredfold.
        return self.head(h.float())


def build(config: ContrastiveConfig, blueprint: Blueprint) -> Projector:
    """Make a network of the form of one that a contrastive recipe trained, or of its average."""
    return Projector(config, blueprint.runtime)
