"""What temporal ensembling remembers of every image."""

import torch
from torch import Tensor


class PredictionAverages:
    r"""Moving averages of what was predicted for each image, without the bias of their start.

    Laine & Aila 2017, Algorithm 2: Z <- alpha Z + (1 - alpha) z after each prediction z of an
    image, from Z = 0, and the target is Z / (1 - alpha^t). Here t is the number of predictions *of
    this image*, which differs from image to image where an epoch leaves some out; and what is kept
    is the target itself, which stays exactly z if all predictions are z:

    .. math:: \tilde z \leftarrow \tilde z + \frac{1 - \alpha}{1 - \alpha^t} (z - \tilde z)

    Args:
        images: how many there are, M.
        classes: C.
        alpha: in [0, 1): how much of the average stays.
        device: where they are kept.
    """

    def __init__(self, images: int, classes: int, alpha: float, device: torch.device | str) -> None:
        self._alpha = alpha
        self._targets = torch.zeros(images, classes, device=device)
        self._counts = torch.zeros(images, dtype=torch.int64, device=device)

    def targets(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the averages of some images, (B, C), and which have one, (B, 1) bool."""
        return self._targets[index], self._counts[index, None] > 0

    def update(self, index: Tensor, predictions: Tensor) -> None:
        """Take in new predictions.

        Args:
            index: images (B,) int64, all different.
            predictions: softmaxes (B, C), without gradient.
        """
        self._counts[index] += 1
        t = self._counts[index, None].double()
        weight = ((1 - self._alpha) / (1 - self._alpha**t)).float()
        self._targets[index] = torch.lerp(self._targets[index], predictions, weight)
