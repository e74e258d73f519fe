"""The network that deep recipes train: an encoder and linear heads."""

from torch import Tensor, nn

from lelkern.models import EncoderConfig
from lelkern.runtime import RuntimeConfig


class Classifier(nn.Module):
    """An encoder followed by a linear layer, or the linear layers of several tasks side by side.

    Weights are drawn from PyTorch's global generator, those of the encoder first.

    Args:
        encoder: the network below.
        outputs: number of the logits, of all tasks together.
        runtime: the precision of the encoder.
    """

    def __init__(self, encoder: EncoderConfig, outputs: int, runtime: RuntimeConfig) -> None:
        super().__init__()
        self.encoder = encoder.build()
        self.linear = nn.Linear(self.encoder.features, outputs)
        self._runtime = runtime

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W), float in [0, 1], to logits (N, outputs)."""
        with self._runtime.autocast(images.device.type):
            h = self.encoder(images)
        return self.linear(h.to(self.linear.weight.dtype))
