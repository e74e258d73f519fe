"""Projections onto the simplex and the l1 ball: front doors, schema, shapes and gradients."""

from collections.abc import Iterable
from functools import partial

from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp
from lelkern.ops._dtypes import check_floating, computed_in
from lelkern.ops._in_place import replace_
from lelkern.ops._projection import Radius, radius_tensor
from lelkern.reference import project_simplex as reference


def project_simplex(x: Tensor, radius: Radius = 1.0, dim: int = -1) -> Tensor:
    r"""Return the nearest point of the simplex: numbers >= 0 that sum to the radius.

    .. math:: y = \max(x - \theta, 0), \qquad \textstyle\sum_i y_i = r

    along a dimension (Duchi et al., "Efficient Projections onto the l1-Ball for Learning in High
    Dimensions", ICML 2008; sparsemax for r = 1, Martins & Astudillo, ICML 2016).

    Computed in float32, or float64 for float64, and rounded once, from how far numbers are below
    the largest, so that a radius that is small beside them loses nothing; numbers and radii may be
    the largest or the smallest of their dtype. A nan makes its row nan, as does -inf in all places;
    numbers of infinity share the radius. Differentiable in x and radius, twice, where an element at
    the threshold counts as one that is 0.

    Args:
        x: of any shape and strides: float64, float32, bfloat16 or float16.
        radius: at least 0 and finite in what is computed in: a number, or a tensor with one element
            or of the shape of x without ``dim``. A tensor on a GPU is not looked at, nor is one
            inside ``torch.compile`` or ``torch.func.vmap``: there another radius gives nan.
        dim: the dimension that is summed over.

    Returns:
        A tensor of the shape and dtype of x.

    Raises:
        TypeError: x is no floating-point tensor, or radius is no number nor such a tensor.
        ValueError: dim is none of x's dimensions, or has no elements; radius is negative or
            infinite, or has another shape.
    """
    return _projected(x, radius, dim, l1=False)


def project_l1_ball(x: Tensor, radius: Radius = 1.0, dim: int = -1) -> Tensor:
    r"""Return the nearest point whose absolute numbers sum to the radius at most.

    .. math:: y = \operatorname{sign}(x) \max(|x| - \theta, 0), \qquad
              \textstyle\sum_i |y_i| = r

    along a dimension, or x where its sum is not larger (Duchi et al., ICML 2008). What
    :func:`lelkern.project_simplex` says holds here too; the radius may be infinite.

    Args:
        x: of any shape and strides: float64, float32, bfloat16 or float16.
        radius: at least 0: a number, or a tensor with one element or of the shape of x without
            ``dim``.
        dim: the dimension that is summed over.

    Returns:
        A tensor of the shape and dtype of x.

    Raises:
        TypeError: x is no floating-point tensor, or radius is no number nor such a tensor.
        ValueError: dim is none of x's dimensions; radius is negative, or has another shape.
    """
    return _projected(x, radius, dim, l1=True)


def project_simplex_(
    x: Tensor | Iterable[Tensor], radius: Radius | list[Radius] = 1.0, dim: int = -1
) -> None:
    """Apply :func:`lelkern.project_simplex` in place, to one tensor or to several.

    No gradient is recorded: tensors may be parameters, as for an optimiser.

    Args:
        x: a tensor, or several on one device, of any shapes, strides and floating-point dtypes.
        radius: as for :func:`lelkern.project_simplex`, for all of them; or a list with one for
            each.
        dim: the dimension that is summed over, in each of them.

    Raises:
        TypeError: x has something else than dense floating-point tensors, or radius is no number.
        ValueError: dim or radius does not fit a tensor; tensors are on several devices, or share
            memory. Nothing has been changed then.
    """
    replace_("x", x, partial(project_simplex, dim=dim), ("radius", radius))


def project_l1_ball_(
    x: Tensor | Iterable[Tensor], radius: Radius | list[Radius] = 1.0, dim: int = -1
) -> None:
    """Apply :func:`lelkern.project_l1_ball` in place, to one tensor or to several.

    Arguments and errors are those of :func:`lelkern.project_simplex_`, with the radii of
    :func:`lelkern.project_l1_ball`.
    """
    replace_("x", x, partial(project_l1_ball, dim=dim), ("radius", radius))


def _projected(x: Tensor, radius: Radius, dim: int, *, l1: bool) -> Tensor:
    check_floating("x", x)
    if not -x.dim() <= dim < x.dim():
        raise ValueError(
            f"dim must be from {-x.dim()} to {x.dim() - 1}, got {dim}"
            if x.dim()
            else "x must have a dimension, got shape ()"
        )
    moved = x.movedim(dim, -1)
    of_rows = radius_tensor(radius, x, tuple(moved.shape[:-1]), finite=not l1)
    if not l1 and x.shape[dim] == 0:
        raise ValueError(f"x must have at least one element along dim, got shape {tuple(x.shape)}")
    rows = moved.reshape(moved.shape[:-1].numel(), x.shape[dim]).contiguous()
    y: Tensor = _OP((rows, of_rows), (l1,))[0]
    return y.view(moved.shape).movedim(-1, dim)


def _fake(x: Tensor, radius: Tensor, l1: bool) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty((x.shape[0],), dtype=computed_in(x))


_OP = DifferentiableOp(
    "project_simplex",
    inputs="Tensor x, Tensor radius",
    differentiable=("x", "radius"),
    options="bool l1",
    outputs="Tensor y, Tensor theta",
    saved=("y", "theta"),
    reference=reference.project_simplex,
    reference_backward=reference.project_simplex_backward,
    fake=_fake,
)
