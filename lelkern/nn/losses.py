"""The contrastive losses as modules."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from lelkern.number import number_or_tensor
from lelkern.ops import ContrastiveStats, info_nce, nt_xent, siglip, sup_con
from lelkern.ops._contrastive import Reduction, check_reduction
from lelkern.ops._temperature import check_finite, check_positive, check_temperature

Loss = Tensor | tuple[Tensor, ContrastiveStats]


class _ContrastiveLoss(nn.Module):
    """The options and the temperature that the modules of the contrastive family share."""

    def __init__(
        self,
        temperature: float,
        *,
        reduction: Reduction,
        learnable: bool,
        **options: Any,
    ) -> None:
        super().__init__()
        temperature = float(number_or_tensor("temperature", temperature))
        check_temperature(temperature)
        check_reduction(reduction)
        self.reduction: Reduction = reduction
        self.learnable = learnable
        self._options = options
        if learnable:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        else:
            self._temperature = temperature

    @property
    def temperature(self) -> float | Tensor:
        """The temperature in use: a number, or if learnable a tensor with a gradient."""
        return self.log_temperature.exp() if self.learnable else self._temperature

    def _arguments(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "reduction": self.reduction,
            **self._options,
        }

    def extra_repr(self) -> str:
        """Describe the options that are not as they are by default."""
        temperature, learnable = self.temperature, ""
        if isinstance(temperature, Tensor):
            temperature, learnable = temperature.item(), ", learnable=True"
        others = "".join(
            f", {name}={value}"
            for name, value in self._options.items()
            if value is not None and value != (name == "normalize")
        )
        return f"temperature={temperature:.4g}, reduction={self.reduction!r}{learnable}{others}"


class NTXentLoss(_ContrastiveLoss):
    """The contrastive loss of SimCLR, NT-Xent; see :func:`lelkern.nt_xent`.

    Args:
        temperature: a positive number; with ``learnable`` where it starts.
        reduction: ``"mean"`` or ``"sum"`` over the 2N rows, or ``"none"``.
        learnable: make the temperature a parameter. It is kept as ``log_temperature``, so that no
            step of an optimiser can make it negative.
        normalize: compare by cosine, otherwise by dot product.
        decoupled: leave the positive out of the sum, DCL; with ``sigma`` DCLW.
        sigma: of DCLW: the smaller, the more pairs that are apart count.
        margin: subtracted from the similarity of a pair.
        hardness: how much similar negatives count more.
        return_stats: return a pair of the loss and :class:`lelkern.ContrastiveStats`.

    Shape:
        ``z1`` and ``z2`` (N, D), or ``z1`` (N, V, D) alone, ``ids`` (N,); the loss a scalar, or
        for ``"none"`` (2N,) or (N, V).

    Raises:
        ValueError: the temperature is not a positive number, or the reduction is unknown.
    """

    def __init__(
        self,
        temperature: float = 0.5,
        *,
        reduction: Reduction = "mean",
        learnable: bool = False,
        normalize: bool = True,
        decoupled: bool = False,
        sigma: float | None = None,
        margin: float | None = None,
        hardness: float | None = None,
        return_stats: bool = False,
    ) -> None:
        super().__init__(
            temperature,
            reduction=reduction,
            learnable=learnable,
            normalize=normalize,
            decoupled=decoupled,
            sigma=sigma,
            margin=margin,
            hardness=hardness,
            return_stats=return_stats,
        )

    def forward(self, z1: Tensor, z2: Tensor | None = None, *, ids: Tensor | None = None) -> Loss:
        """Return the loss of the pairs ``z1[i], z2[i]``, or of all views ``z1[i]``."""
        return nt_xent(z1, z2, ids=ids, **self._arguments())


class InfoNCELoss(_ContrastiveLoss):
    """The contrastive loss of CPC, MoCo and CLIP, InfoNCE; see :func:`lelkern.info_nce`.

    Args:
        temperature: a positive number; with ``learnable`` where it starts.
        symmetric: average both directions, as CLIP does.
        reduction: ``"mean"`` or ``"sum"`` over the losses, or ``"none"``.
        learnable: make the temperature a parameter, ``log_temperature``.
        normalize: compare by cosine, otherwise by dot product.
        decoupled: leave the positive out of the sum, DCL; with ``sigma`` DCLW.
        sigma: of DCLW: the smaller, the more pairs that are apart count.
        margin: subtracted from the similarity of a pair.
        hardness: how much similar negatives count more.
        return_stats: return a pair of the loss and :class:`lelkern.ContrastiveStats`.

    Shape:
        ``query`` and ``positive`` (N, D), ``negatives`` (K, D), ``ids`` (N,), ``negative_ids``
        (K,); the loss a scalar, or for ``"none"`` (N,), (2N,) if symmetric.

    Raises:
        ValueError: the temperature is not a positive number, or the reduction is unknown.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        symmetric: bool = False,
        reduction: Reduction = "mean",
        learnable: bool = False,
        normalize: bool = True,
        decoupled: bool = False,
        sigma: float | None = None,
        margin: float | None = None,
        hardness: float | None = None,
        return_stats: bool = False,
    ) -> None:
        super().__init__(
            temperature,
            reduction=reduction,
            learnable=learnable,
            symmetric=symmetric,
            normalize=normalize,
            decoupled=decoupled,
            sigma=sigma,
            margin=margin,
            hardness=hardness,
            return_stats=return_stats,
        )

    def forward(
        self,
        query: Tensor,
        positive: Tensor,
        negatives: Tensor | None = None,
        *,
        ids: Tensor | None = None,
        negative_ids: Tensor | None = None,
    ) -> Loss:
        """Return the loss of queries with their positives, ``query[i], positive[i]``."""
        return info_nce(
            query, positive, negatives, ids=ids, negative_ids=negative_ids, **self._arguments()
        )


class SupConLoss(_ContrastiveLoss):
    """The supervised contrastive loss, SupCon; see :func:`lelkern.sup_con`.

    Args:
        temperature: a positive number; with ``learnable`` where it starts.
        reduction: ``"mean"`` over the rows that have positives, ``"sum"``, or ``"none"``.
        learnable: make the temperature a parameter, ``log_temperature``.
        normalize: compare by cosine, otherwise by dot product.
        return_stats: return a pair of the loss and :class:`lelkern.ContrastiveStats`.

    Shape:
        ``z`` (M, D), ``labels`` and ``ids`` (M,), or ``z`` (N, V, D), ``labels`` (N,) or None, and
        ``ids`` (N,); the loss a scalar, or for ``"none"`` (M,) or (N, V).

    Raises:
        ValueError: the temperature is not a positive number, or the reduction is unknown.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        reduction: Reduction = "mean",
        learnable: bool = False,
        normalize: bool = True,
        return_stats: bool = False,
    ) -> None:
        super().__init__(
            temperature,
            reduction=reduction,
            learnable=learnable,
            normalize=normalize,
            return_stats=return_stats,
        )

    def forward(
        self, z: Tensor, labels: Tensor | None = None, *, ids: Tensor | None = None
    ) -> Loss:
        """Return the loss of rows of the classes ``labels``."""
        return sup_con(z, labels, ids=ids, **self._arguments())


class SigLIPLoss(nn.Module):
    """The sigmoid loss of SigLIP; see :func:`lelkern.siglip`.

    Scale and bias are learned from where Zhai et al. 2023, section 3.2, begin: t' = log 10 and
    b = -10, where nearly all pairs, which are negative, have nearly no loss.

    Args:
        logit_scale: t, a positive number; with ``learnable`` where it starts.
        logit_bias: b, likewise.
        reduction: ``"mean"`` or ``"sum"`` over the losses of the queries, or ``"none"``.
        learnable: make parameters of both: ``log_scale``, t' = log t, so that no step of an
            optimiser can make t negative, and ``logit_bias``.
        normalize: compare by cosine, otherwise by dot product.

    Shape:
        ``query`` (N, D), ``key`` (M, D), ``ids`` (N,), ``key_ids`` (M,); the loss a scalar, or for
        ``"none"`` (N,).

    Raises:
        ValueError: the scale is not a positive number, the bias not finite, or the reduction is
            unknown.
    """

    def __init__(
        self,
        logit_scale: float = 10.0,
        logit_bias: float = -10.0,
        *,
        reduction: Reduction = "mean",
        learnable: bool = True,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        scale = float(number_or_tensor("logit_scale", logit_scale))
        check_positive("logit_scale", scale)
        bias = float(number_or_tensor("logit_bias", logit_bias))
        check_finite("logit_bias", bias)
        check_reduction(reduction)
        self.reduction: Reduction = reduction
        self.learnable = learnable
        self.normalize = normalize
        self.logit_bias: float | Tensor
        if learnable:
            self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
            self.logit_bias = nn.Parameter(torch.tensor(bias))
        else:
            self._scale, self.logit_bias = scale, bias

    @property
    def logit_scale(self) -> float | Tensor:
        """The scale in use: a number, or if learnable a tensor with a gradient."""
        return self.log_scale.exp() if self.learnable else self._scale

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        *,
        ids: Tensor | None = None,
        key_ids: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of queries and keys, by default of the positives ``query[i], key[i]``."""
        return siglip(
            query,
            key,
            self.logit_scale,
            self.logit_bias,
            reduction=self.reduction,
            normalize=self.normalize,
            ids=ids,
            key_ids=key_ids,
        )

    def extra_repr(self) -> str:
        """Describe the options, those that are not as they are by default at the end."""
        others = "" if self.normalize else ", normalize=False"
        scale, bias = (torch.as_tensor(x).item() for x in (self.logit_scale, self.logit_bias))
        return (
            f"logit_scale={scale:.4g}, logit_bias={bias:.4g}, "
            f"reduction={self.reduction!r}, learnable={self.learnable}{others}"
        )
