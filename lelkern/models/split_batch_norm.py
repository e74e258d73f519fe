"""BatchNorm over parts of a batch, so that one device computes what several would."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SplitBatchNorm(_BatchNorm):
    r"""BatchNorm that takes the statistics of each of S equal parts of a batch by itself.

    In training part s of a batch, the s-th of S runs of N / S consecutive samples, becomes

    .. math:: y = \gamma \frac{x - \mu_s}{\sqrt{\sigma_s^2 + \epsilon}} + \beta

    with its own mean and variance, as on S devices. Running statistics follow the mean over the
    parts, which is what the S devices hold on average: with :math:`\hat\sigma^2` the unbiased
    variance,

    .. math:: r_\mu \leftarrow (1 - a) r_\mu + \frac{a}{S} \sum_s \mu_s, \qquad
              r_{\sigma^2} \leftarrow (1 - a) r_{\sigma^2} + \frac{a}{S} \sum_s \hat\sigma_s^2

    In evaluation it is BatchNorm, and so is its ``state_dict``. Source: He et al., "Momentum
    Contrast for Unsupervised Visual Representation Learning", CVPR 2020, Section 3.3, with real
    devices.

    Args:
        num_features: channels C.
        splits: S, at least 1.
        eps: epsilon.
        momentum: a; None for the mean over all batches so far.
        affine: learn gamma and beta.
        track_running_stats: keep running statistics; without, evaluation is as training.

    Shape:
        (N, C, ...) to the same; where batch statistics are used N is a multiple of S.

    Raises:
        ValueError: ``splits`` is below 1, or a batch has no S equal parts.
    """

    def __init__(
        self,
        num_features: int,
        splits: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        if splits < 1:
            raise ValueError(f"splits must be at least 1, got {splits}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self.splits = splits

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, ...)."""
        self._check_input_dim(input)
        if not self.training and self.track_running_stats:
            return super().forward(input)
        if len(input) == 0 or len(input) % self.splits:
            raise ValueError(f"input must have {self.splits} equal parts, got {len(input)} samples")
        parts = input.chunk(self.splits)
        if self.running_mean is None or self.running_var is None:
            return torch.cat([self._normalise(part, None, None) for part in parts])
        means = [torch.zeros_like(self.running_mean) for _ in parts]
        variances = [torch.zeros_like(self.running_var) for _ in parts]
        output = [self._normalise(*part) for part in zip(parts, means, variances, strict=True)]
        weight = self._count_batch()
        with torch.no_grad():
            self.running_mean.lerp_(torch.stack(means).mean(dim=0), weight)
            self.running_var.lerp_(torch.stack(variances).mean(dim=0), weight)
        return torch.cat(output)

    def _normalise(self, part: Tensor, mean: Tensor | None, variance: Tensor | None) -> Tensor:
        """Normalise by the part's own statistics, and leave them in ``mean`` and ``variance``."""
        return F.batch_norm(
            part, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )

    def _count_batch(self) -> float:
        """Count a batch and return its weight a in the running statistics."""
        assert self.num_batches_tracked is not None  # it is there if running statistics are
        self.num_batches_tracked.add_(1)
        return 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"input must be (N, C, ...), got {tuple(input.shape)}")

    def extra_repr(self) -> str:
        """Describe the splits as well."""
        return f"{super().extra_repr()}, splits={self.splits}"  # type: ignore[no-untyped-call]


def split_batch_norms(module: nn.Module, splits: int) -> None:
    """Make every BatchNorm inside a module a :class:`SplitBatchNorm`, in place.

    Parameters and buffers stay the same tensors.

    Args:
        module: what is looked through; it is no BatchNorm itself.
        splits: equal parts of a batch.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _split(child, splits))
        else:
            split_batch_norms(child, splits)


def _split(norm: _BatchNorm, splits: int) -> SplitBatchNorm:
    split = SplitBatchNorm(
        norm.num_features, splits, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    split.weight, split.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        setattr(split, name, buffer)
    return split.train(norm.training)
