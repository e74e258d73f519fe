"""A convolution and its BatchNorm with their parameters in one matrix, a row a filter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FilterBank(nn.Module):
    r"""A convolution followed by BatchNorm, a filter of which has all its parameters in one row.

    .. math:: y_j = \gamma_j \frac{w_j * x - \mu_j}{\sqrt{\sigma_j^2 + \epsilon}} + \beta_j

    BatchNorm divides the norm of :math:`w_j` out again: a small :math:`w_j` does no less than a
    large one, and :math:`w_j = 0` still leaves :math:`\beta_j`. So the group that a filter can be
    removed with is :math:`(w_j, \gamma_j, \beta_j)`. Where a row is zero, :math:`y_j = 0` whatever
    the running statistics are, and after a ReLU no gradient brings it back.

    Args:
        conv: in one group, without bias, and zero-padded.
        norm: affine, with running statistics and a momentum.

    Attributes:
        rows: (O, I kh kw + 2): of each of O filters the weights, gamma and beta.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.momentum is not None
        parts = [conv.weight.flatten(1), norm.weight[:, None], norm.bias[:, None]]
        self.rows = nn.Parameter(torch.cat(parts, dim=1).detach())
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)
        self._shape = conv.weight.shape[1:]  # (I, kh, kw)
        self._stride, self._padding = conv.stride, conv.padding
        self._eps, self._momentum = norm.eps, norm.momentum

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I, H, W) to (N, O, H', W')."""
        weight = self.rows[:, :-2].unflatten(1, self._shape)
        gamma, beta = self.rows[:, -2], self.rows[:, -1]
        return F.batch_norm(
            F.conv2d(x, weight, stride=self._stride, padding=self._padding),
            self.running_mean,
            self.running_var,
            gamma,
            beta,
            self.training,
            self._momentum,
            self._eps,
        )

    def alive(self) -> Tensor:
        """Return which filters are not zero, (O,) bool."""
        return (self.rows != 0).any(dim=1)

    def layers(self, filters: Tensor, inputs: Tensor | None) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        """Return a convolution and a BatchNorm that compute some of the filters.

        Args:
            filters: which of the O filters, (O,) bool.
            inputs: which of the I channels of the input there are, (I,) bool, the others being
                zero; None for all.
        """
        rows = self.rows.detach()[filters]
        weight = rows[:, :-2].unflatten(1, self._shape)
        if inputs is not None:
            weight = weight[:, inputs]
        out, channels, height, width = weight.shape
        # On no device, so that no weights are drawn, which would move the global generator.
        conv = nn.Conv2d(channels, out, (height, width), bias=False, device="meta")
        conv.stride, conv.padding = self._stride, self._padding
        conv.weight = nn.Parameter(weight.clone())
        norm = nn.BatchNorm2d(out, self._eps, self._momentum).to(rows.device)
        norm.weight, norm.bias = (nn.Parameter(rows[:, i].clone()) for i in (-2, -1))
        norm.running_mean = self.running_mean[filters]
        norm.running_var = self.running_var[filters]
        return conv, norm
