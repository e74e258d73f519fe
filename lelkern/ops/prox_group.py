"""The proximal operators of groups: front doors, schema, shapes and gradients."""

from collections.abc import Iterable

from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp
from lelkern.ops._dtypes import check_floating, computed_in
from lelkern.ops._groups import CSRGroups, Dims
from lelkern.ops._prox import (
    Groups,
    Threshold,
    Weights,
    check_q,
    group_lists,
    group_threshold,
    layout_of,
    tensor_list,
    threshold,
)
from lelkern.ops._prox_lists import prox_lists_
from lelkern.reference import prox_group as reference


def prox_group_lasso(
    w: Tensor,
    lam: Threshold,
    *,
    dim: Dims | None = None,
    groups: Groups | None = None,
    weights: Weights = None,
    q: float = 2.0,
) -> Tensor:
    r"""Return the proximal operator of the group lasso: groups shrink, or vanish, as a whole.

    .. math:: \arg\min_x \tfrac12 \|x - w\|^2 + \sum_g \lambda_g a_g \|x_g\|_q

    with weights a (Yuan & Lin, "Model Selection and Estimation in Regression with Grouped
    Variables", JRSS B 2006; for joint sparsity over tasks Obozinski, Taskar & Jordan, "Joint
    Covariate Selection and Joint Subspace Selection for Multiple Classification Problems",
    Statistics and Computing 2010; q = inf Quattoni et al., ICML 2009). With t = lambda_g a_g a
    group vanishes where :math:`\|w_g\|_{q'} \le t`, 1/q + 1/q' = 1 (Moreau), and otherwise

    - q = 2: :math:`x = (1 - t / \|w\|_2) w`;
    - q = inf: :math:`x = \operatorname{sign}(w) \min(|w|, \theta)` with
      :math:`\sum_i \max(|w_i| - \theta, 0) = t`;
    - other q: :math:`|x_i| = c y_i` with :math:`c y_i + t y_i^{q-1} = |w_i|` and
      :math:`\|y\|_q = 1`, by Newton's method.

    Computed in float32, or float64 for float64, and rounded once; norms neither overflow nor
    underflow. A threshold of 0 returns the group bit for bit, and one of infinity 0; a nan in a
    group or its threshold makes all of it nan, and a group with an infinite element stays what it
    is (the limit). Differentiable in w, lam and weights, twice: where the norm is the threshold the
    gradient is that of the side where the group is 0. ``torch.func.grad`` and its kin, and
    forward-mode differentiation, run the reference.

    Args:
        w: of any strides: float64, float32, bfloat16 or float16.
        lam: the whole threshold, at least 0: a number, or a tensor with one element or one a group,
            (G,). A tensor on a GPU is not looked at, nor is one inside ``torch.compile`` or
            ``torch.func.vmap``: there a negative threshold gives nan.
        dim: the dimensions that the norm is taken over, as in ``torch.linalg.vector_norm``: of a
            weight (features, tasks) 1 makes each row a group, of a convolution's (out, in, height,
            width) (1, 2, 3) each filter. Groups are in the order of the other dimensions.
        groups: instead, the shape of a block, one size a dimension, -1 for all of it, as (64, -1)
            for the heads of an attention's weight; groups are blocks, in row-major order. Or any
            groups, as :class:`lelkern.CSRGroups`; what is in none of them is not penalised.
        weights: "sqrt_size", the square root of the number of elements; or a tensor (G,), at least
            0: of 0 is not penalised, and of infinity always 0. By default 1.
        q: of the norm, above 1; ``math.inf`` for the largest element. It decides how the result is
            found, and ``torch.compile`` compiles once more for every q.

    Returns:
        A tensor of the shape and dtype of w, in its memory format if dim leaves it in order.

    Raises:
        TypeError: an argument has a type or dtype that is not among the above.
        ValueError: lam or weights is negative, or has another shape; not exactly one of dim and
            groups is given, or it does not fit w; q is not above 1.
    """
    return _prox(w, None, lam, dim, groups, weights, q)


def prox_sparse_group_lasso(
    w: Tensor,
    lam1: Threshold,
    lam2: Threshold,
    *,
    dim: Dims | None = None,
    groups: Groups | None = None,
    weights: Weights = None,
    q: float = 2.0,
) -> Tensor:
    r"""Return the proximal operator of the sparse group lasso: sparse groups, and sparse in them.

    .. math:: \arg\min_x \tfrac12 \|x - w\|^2
              + \sum_g \left( \lambda_{1g} \|x_g\|_1 + \lambda_{2g} a_g \|x_g\|_q \right)

    which is the soft threshold of lam1, and of that :func:`lelkern.prox_group_lasso`: for q = 2
    Simon et al., "A Sparse-Group Lasso", JCGS 2013; and for every q, as the minimiser of the second
    has the signs, and the zeros, of what it is taken of. In the other order it is something else.

    All that :func:`lelkern.prox_group_lasso` says holds here too.

    Args:
        w: of any strides: float64, float32, bfloat16 or float16.
        lam1: the threshold of elements, at least 0: a number, or a tensor with one element or one a
            group, (G,). What is in no group is not penalised.
        lam2: the threshold of groups, likewise.
        dim: the dimensions that the norm is taken over.
        groups: instead, the shape of a block, or :class:`lelkern.CSRGroups`.
        weights: "sqrt_size" or a tensor (G,), of lam2.
        q: of the norm, above 1.

    Returns:
        A tensor of the shape and dtype of w.

    Raises:
        TypeError: an argument has a type or dtype that is not among the above.
        ValueError: lam1, lam2 or weights is negative, or has another shape; not exactly one of dim
            and groups is given, or it does not fit w; q is not above 1.
    """
    return _prox(w, lam1, lam2, dim, groups, weights, q, "lam2")


def prox_group_lasso_(
    w: Tensor | Iterable[Tensor],
    lam: Threshold | list[Threshold],
    *,
    dim: Dims | None = None,
    groups: Groups | None = None,
    weights: Weights | list[Weights] = None,
    q: float = 2.0,
) -> None:
    """Apply :func:`lelkern.prox_group_lasso` in place, to one tensor or to several at once.

    No gradient is recorded: tensors may be parameters, as for an optimiser.

    Args:
        w: a tensor, or several on one device, of any shapes, strides and floating-point dtypes.
        lam: as for :func:`lelkern.prox_group_lasso`, for all of them; or a list with one for each.
        dim: for all of them.
        groups: for all of them.
        weights: likewise for all of them, or a list with one for each.
        q: for all of them.

    Raises:
        TypeError: an argument has a type or dtype that is not among the above.
        ValueError: what :func:`lelkern.prox_group_lasso` refuses; or tensors are on several
            devices, or share memory. Nothing has been changed then.
    """
    tensors, q = tensor_list("w", w), check_q(q)
    lists = group_lists("w", tensors, lam=("lam", lam), dim=dim, groups=groups, weights=weights)
    prox_lists_("w", lists, q)


def prox_sparse_group_lasso_(
    w: Tensor | Iterable[Tensor],
    lam1: Threshold | list[Threshold],
    lam2: Threshold | list[Threshold],
    *,
    dim: Dims | None = None,
    groups: Groups | None = None,
    weights: Weights | list[Weights] = None,
    q: float = 2.0,
) -> None:
    """Apply :func:`lelkern.prox_sparse_group_lasso` in place, to one tensor or to several at once.

    No gradient is recorded: tensors may be parameters, as for an optimiser.

    Args:
        w: a tensor, or several on one device, of any shapes, strides and floating-point dtypes.
        lam1: as for :func:`lelkern.prox_sparse_group_lasso`, for all of them; or a list with one
            for each.
        lam2: likewise.
        dim: for all of them.
        groups: for all of them.
        weights: likewise for all of them, or a list with one for each.
        q: for all of them.

    Raises:
        TypeError: an argument has a type or dtype that is not among the above.
        ValueError: what :func:`lelkern.prox_sparse_group_lasso` refuses; or tensors are on several
            devices, or share memory. Nothing has been changed then.
    """
    tensors, q = tensor_list("w", w), check_q(q)
    lists = group_lists(
        "w", tensors, lam=("lam2", lam2), lam1=lam1, dim=dim, groups=groups, weights=weights
    )
    prox_lists_("w", lists, q)


def _prox(
    w: Tensor,
    lam1: Threshold | None,
    lam: Threshold,
    dim: Dims | None,
    groups: Groups | None,
    weights: Weights,
    q: float,
    name: str = "lam",
) -> Tensor:
    check_floating("w", w)
    q = check_q(q)
    layout = layout_of("w", w, dim, groups)
    group_lam = group_threshold(name, lam, w, layout, weights)
    group_lam1 = None if lam1 is None else threshold("lam1", lam1, w, (layout.number,))
    if isinstance(layout, CSRGroups):
        inputs = (w.reshape(-1).contiguous(), group_lam1, group_lam)
        x = _OP((*inputs, layout.group_ptr, layout.group_indices), (q,))[0]
        return x.view(w.shape)
    x = _OP((layout.apply(w), group_lam1, group_lam, None, None), (q,))[0]
    return layout.undo(x)


def _fake(
    w: Tensor,
    lam1: Tensor | None,
    lam: Tensor,
    group_ptr: Tensor | None,
    group_indices: Tensor | None,
    q: float,
) -> tuple[Tensor, Tensor]:
    count = w.shape[0] * w.shape[2] if group_ptr is None else group_ptr.shape[0] - 1
    return w.new_empty(w.shape), w.new_empty((count,), dtype=computed_in(w))


_OP = DifferentiableOp(
    "prox_group",
    inputs=("Tensor w, Tensor? lam1, Tensor lam, Tensor? group_ptr, Tensor? group_indices"),
    differentiable=("w", "lam1", "lam"),
    options="float q",
    outputs="Tensor x, Tensor root",
    saved=("root",),
    reference=reference.prox_group,
    reference_backward=reference.prox_group_backward,
    fake=_fake,
)
