"""Projection onto the ball of the l1,inf norm: front doors, schema, shapes and gradients."""

from collections.abc import Iterable

from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp
from lelkern.ops._dtypes import check_floating, computed_in
from lelkern.ops._in_place import replace_
from lelkern.ops._projection import Radius, radius_tensor
from lelkern.reference import project_l1inf as reference


def project_l1inf_ball(x: Tensor, radius: Radius = 1.0) -> Tensor:
    r"""Return the nearest matrix whose rows' largest numbers sum to the radius at most.

    .. math:: \arg\min_y \|y - x\|^2 \quad\text{with}\quad
              \textstyle\sum_g \max_i |y_{gi}| \le r

    (Quattoni et al., "An Efficient Projection for l1,inf Regularization", ICML 2009): rows are cut
    at levels :math:`\mu_g` that sum to the radius, where each row that does not vanish loses the
    same, :math:`\sum_i \max(|x_{gi}| - \mu_g, 0) = \theta`. A matrix in the ball is returned as it
    is.

    Computed in float32, or float64 for float64, and rounded once. A nan makes its matrix nan, as
    does an infinity outside the ball. Differentiable in x and radius, twice; a number at the level
    counts as cut.

    Args:
        x: (..., G, n), matrices of G rows: float64, float32, bfloat16 or float16.
        radius: at least 0: a number, or a tensor with one element or of the shape of x without its
            last two dimensions. A tensor on a GPU is not looked at, nor is one inside
            ``torch.compile`` or ``torch.func.vmap``: there a negative radius gives nan.

    Returns:
        A tensor of the shape and dtype of x.

    Raises:
        TypeError: x is no floating-point tensor, or radius is no number nor such a tensor.
        ValueError: x has fewer than two dimensions; radius is negative, or has another shape.
    """
    check_floating("x", x)
    if x.dim() < 2:
        raise ValueError(f"x must be (..., G, n), got {tuple(x.shape)}")
    of_matrices = radius_tensor(radius, x, tuple(x.shape[:-2]), finite=False)
    matrices = x.reshape(x.shape[:-2].numel(), *x.shape[-2:]).contiguous()
    y: Tensor = _OP((matrices, of_matrices))[0]
    return y.view(x.shape)


def project_l1inf_ball_(x: Tensor | Iterable[Tensor], radius: Radius | list[Radius] = 1.0) -> None:
    """Apply :func:`lelkern.project_l1inf_ball` in place, to one tensor of matrices or to several.

    No gradient is recorded: tensors may be parameters, as for an optimiser.

    Args:
        x: a tensor (..., G, n), or several on one device, of any such shapes, strides and
            floating-point dtypes.
        radius: as for :func:`lelkern.project_l1inf_ball`, for all of them; or a list with one for
            each.

    Raises:
        TypeError: x has something else than dense floating-point tensors, or radius is no number.
        ValueError: one has fewer than two dimensions; radius is negative or has another shape;
            tensors are on several devices, or share memory. Nothing has been changed then.
    """
    replace_("x", x, project_l1inf_ball, ("radius", radius))


def _fake(x: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape[:2], dtype=computed_in(x))


_OP = DifferentiableOp(
    "project_l1inf",
    inputs="Tensor x, Tensor radius",
    differentiable=("x", "radius"),
    outputs="Tensor y, Tensor level",
    saved=("level",),
    reference=reference.project_l1inf,
    reference_backward=reference.project_l1inf_backward,
    fake=_fake,
)
