"""The network that semi-supervised recipes train."""

from contextlib import nullcontext

from torch import Tensor, nn

from lelkern.models import EncoderConfig
from lelkern.runtime import RuntimeConfig


class Classifier(nn.Module):
    """An encoder followed by a linear layer that gives a logit for every class.

    Weights are drawn from PyTorch's global generator, those of the encoder first.
    """

    def __init__(
        self, encoder: EncoderConfig, dropout: float, classes: int, runtime: RuntimeConfig
    ) -> None:
        super().__init__()
        self.encoder = encoder.build()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(self.encoder.features, classes)
        self.runtime = runtime

    def forward(self, images: Tensor, *, full_precision: bool = False) -> Tensor:
        """Map images (N, 3, H, W), float in [0, 1], to logits (N, C), float32.

        With ``full_precision`` the encoder computes in float32, whatever the run's precision.
        """
        with nullcontext() if full_precision else self.runtime.autocast(images.device.type):
            h = self.encoder(images)
        return self.linear(self.dropout(h.float()))
