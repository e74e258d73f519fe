"""The soft threshold: front doors, schema, shapes and gradients."""

from collections.abc import Iterable

from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp
from lelkern.ops._dtypes import check_floating
from lelkern.ops._prox import Threshold, elementwise_lists, elementwise_threshold, tensor_list
from lelkern.ops._prox_lists import prox_lists_
from lelkern.reference import prox_l1 as reference


def prox_l1(w: Tensor, lam: Threshold) -> Tensor:
    r"""Return the soft threshold, the proximal operator of the l1 norm.

    .. math:: \operatorname{sign}(w) \max(|w| - \lambda, 0)
              = \arg\min_x \tfrac12 \|x - w\|^2 + \lambda \|x\|_1

    (Donoho, "De-noising by Soft-Thresholding", IEEE Transactions on Information Theory 1995).

    Computed in float32, or float64 for float64, and rounded once. With a threshold of 0 w is
    returned bit for bit; an infinite one leaves nothing, and a nan of either gives nan. Gradients
    of w and lam are 0 where :math:`|w| \le \lambda`, but that a threshold of 0 is the identity.

    Args:
        w: of any shape and strides: float64, float32, bfloat16 or float16.
        lam: the whole threshold, at least 0: a number, or a tensor with one element or of the shape
            of w, which then gets a gradient. A tensor on a GPU is not looked at, nor is one inside
            ``torch.compile`` or ``torch.func.vmap``: there a negative threshold gives nan.

    Returns:
        A tensor of the shape, dtype and memory format of w.

    Raises:
        TypeError: w is no floating-point tensor, or lam is no number nor such a tensor.
        ValueError: lam is negative, or has another shape.
    """
    check_floating("w", w)
    given, layout = elementwise_threshold("lam", lam, w)
    x: Tensor = _OP((layout.apply(w).reshape(-1), given))
    return layout.undo(x)


def prox_l1_(w: Tensor | Iterable[Tensor], lam: Threshold | list[Threshold]) -> None:
    """Apply :func:`lelkern.prox_l1` in place, to one tensor or to several at once.

    No gradient is recorded: tensors may be parameters, as for an optimiser.

    Args:
        w: a tensor, or several on one device, of any shapes, strides and floating-point dtypes.
        lam: as for :func:`lelkern.prox_l1`, for all of them; or a list with one for each.

    Raises:
        TypeError: w has something else than dense floating-point tensors, or lam is no number.
        ValueError: lam is negative or has another shape; tensors are on several devices, or share
            memory. Nothing has been changed then.
    """
    prox_lists_("w", elementwise_lists(tensor_list("w", w), lam), 2.0)


_OP = DifferentiableOp(
    "prox_l1",
    inputs="Tensor w, Tensor lam",
    differentiable=("w", "lam"),
    outputs="Tensor x",
    reference=reference.prox_l1,
    reference_backward=reference.prox_l1_backward,
    fake=lambda w, lam: w.new_empty(w.shape),
)
