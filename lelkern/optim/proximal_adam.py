"""Adam and AdamW with a proximal step in their own metric."""

from typing import Any

from torch import Tensor
from torch.optim import Adam
from torch.optim.optimizer import ParamsT

from lelkern.ops._groups import CSRGroups
from lelkern.optim._penalty import Number, penalty_settings
from lelkern.optim.proximal_step import Metric, ProximalStep


class ProximalAdam(Adam):
    r"""Adam, which minimises a loss f and a sparsity penalty, with exact zeros.

    After each step of :class:`torch.optim.Adam`, which makes v of the parameters x,

    .. math::

        x \leftarrow \operatorname{argmin}_x \tfrac12 \sum_i s_i (x_i - v_i)^2
            + \eta\,\lambda\,\Omega(x), \qquad s = \sqrt{\hat v} + \epsilon

    with the learning rate eta and Adam's second moment (corrected for its bias, or the maximum of
    AMSGrad). That is the prox in the metric in which Adam steps, so that x rests where 0 is in the
    gradient of f plus the subdifferential of lambda Omega: at the minimum of f + lambda Omega. For
    a group of ``"group_lasso"`` it takes the root of one equation. A Euclidean prox with threshold
    eta lambda would leave nearly nothing of the penalty; :class:`ProximalStep` says what
    ``"euclidean"`` does, and what ``weight_decay`` and AdamW's decoupled one minimise.

    Source: Melchior et al., "Proximal Adam: Robust Adaptive Update Scheme for Constrained
    Optimization", 2019, equation 9, solved exactly instead of by iterations over the elements.

    Args:
        params: parameters, or groups of them with keys of their own for what follows.
        lr: learning rate >= 0.
        betas: decay of the averages of the gradient and its square.
        eps: added to s.
        weight_decay: L2 penalty, or AdamW's.
        amsgrad: use the largest second moment so far.
        decoupled_weight_decay: AdamW in place of Adam.
        prox: the penalty; see :class:`ProximalStep` for it and for what follows.
        lam: lambda, of the group norms in the sparse group lasso.
        lam1: the factor of the l1 norm in the sparse group lasso.
        dim: the dimensions that the norm of a group is taken over; or
        groups: the shape of a block, or :class:`lelkern.CSRGroups`.
        weights: of the groups.
        q: the norm of a group; 2 in Adam's metric.
        metric: ``"optimizer"``, or ``"euclidean"``, a heuristic that minimises something else.
        **options: ``foreach``, ``maximize``, ``capturable`` and ``fused`` as Adam takes them.

    Raises:
        TypeError: a factor is not floating point, or a parameter with a penalty is not, is not
            dense, or is a DTensor or another tensor that wraps others.
        ValueError: an argument is out of its range, or arguments do not go together.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = False,
        prox: str | None = None,
        lam: Number = 0.0,
        lam1: Number = 0.0,
        dim: int | tuple[int, ...] | None = None,
        groups: tuple[int, ...] | CSRGroups | None = None,
        weights: str | Tensor | None = None,
        q: float = 2.0,
        metric: Metric = "optimizer",
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            decoupled_weight_decay=decoupled_weight_decay,
            **options,
        )
        settings = penalty_settings(prox, lam, lam1, dim, groups, weights, q)
        self._settings = {**settings, "metric": metric}
        self._proximal_step = ProximalStep(self, **self._settings)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if "_proximal_step" not in self.__dict__:  # a copy, or unpickled: without hooks
            self._proximal_step = ProximalStep(self, **self._settings)
