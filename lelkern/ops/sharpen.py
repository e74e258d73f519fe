"""Sharpening of distributions over classes: front doors, schema, shapes and gradients."""

import torch
from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp, Skippable
from lelkern.ops._dtypes import check_floating
from lelkern.ops._temperature import temperature_tensor
from lelkern.reference import sharpen as reference


def sharpen(p: Tensor, temperature: float | Tensor, dim: int = -1) -> Tensor:
    r"""Return probabilities raised to the power of 1 / temperature, and normalised.

    .. math:: q_i = p_i^{1 / T} / \textstyle\sum_j p_j^{1 / T},

    equation 7 of Berthelot et al., "MixMatch: A Holistic Approach to Semi-Supervised Learning",
    NeurIPS 2019. A temperature of 1 changes nothing but the sum; lower ones move probability to
    the classes that have most, until all of it is on the largest, ties shared equally; higher ones
    make all that have any alike. It is computed in logarithms of :math:`p_i / \max_j p_j`, so that
    every temperature from the smallest to the largest number is safe in every dtype.

    What is 0 stays 0; a nan, a negative number or an infinity makes its distribution nan, and so do
    zeros only. 16-bit numbers are computed in float32, and rounded once; under autocast they are
    returned in float32, as ``torch.softmax`` does. The gradient at a probability of 0 is the limit
    of those near it: 0 for T < 1 and infinite for T > 1 (:func:`lelkern.sharpen_logits` has no such
    edge). ``torch.func.grad`` and its kin, and forward-mode differentiation, run the reference, and
    only outside ``torch.compile``; they, and second derivatives, take a 0 for a constant.

    Args:
        p: probabilities, or any weights >= 0, of any shape and strides: float64, float32, bfloat16
            or float16.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
            A tensor on a GPU is not looked at, nor is one inside ``torch.compile`` or
            ``torch.func.vmap``: there an invalid temperature makes everything nan.
        dim: the dimension of the classes.

    Returns:
        A tensor of the shape and dtype of ``p``, contiguous.

    Raises:
        TypeError: p is no floating-point tensor, or the temperature is no number.
        ValueError: p has no classes, dim is none of its dimensions, or the temperature is not a
            positive number.
    """
    return _sharpened("p", p, temperature, dim, logits=False)


def sharpen_logits(logits: Tensor, temperature: float | Tensor, dim: int = -1) -> Tensor:
    r"""Return the sharpened probabilities of logits, their softmax at a temperature.

    .. math:: q_i = \exp(z_i / T) / \textstyle\sum_j \exp(z_j / T),

    what :func:`lelkern.sharpen` makes of the softmax of the logits z, without its underflow:
    computed from :math:`(z_i - \max_j z_j) / T`, which any temperature leaves safe. A logit of
    minus infinity has probability 0, one of infinity takes all, and several share it equally; a nan
    makes its distribution nan, and so do logits that are all minus infinity. What
    :func:`lelkern.sharpen` says of dtypes, autocast and differentiation holds here too, but that
    all gradients are finite.

    Args:
        logits: of any shape and strides: float64, float32, bfloat16 or float16.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
        dim: the dimension of the classes.

    Returns:
        A tensor of the shape and dtype of ``logits``, contiguous.

    Raises:
        TypeError: logits is no floating-point tensor, or the temperature is no number.
        ValueError: logits has no classes, dim is none of its dimensions, or the temperature is not
            a positive number.
    """
    return _sharpened("logits", logits, temperature, dim, logits=True)


def _sharpened(
    name: str, x: Tensor, temperature: float | Tensor, dim: int, *, logits: bool
) -> Tensor:
    check_floating(name, x)
    if x.dim() == 0:
        raise ValueError(f"{name} must have a dimension of classes, got shape ()")
    if not -x.dim() <= dim < x.dim():
        raise ValueError(f"dim must be from {-x.dim()} to {x.dim() - 1}, got {dim}")
    if x.shape[dim] == 0:
        raise ValueError(f"{name} must have at least one class, got shape {tuple(x.shape)}")
    # In float64 every number that is one stays one.
    T = temperature_tensor(temperature, x, dtype=torch.float64)
    sharpened: Tensor = _OP((x.contiguous(), T), (dim % x.dim(), logits))
    return sharpened


_OP = DifferentiableOp(
    "sharpen",
    inputs="Tensor x, Tensor temperature",
    differentiable=("x", "temperature"),
    options="int dim, bool logits",
    reference=reference.sharpen,
    reference_backward=reference.sharpen_backward,
    fake=lambda x, temperature, dim, logits: x.new_empty(x.shape),
    float32_under_autocast=True,
    skippable=Skippable("temperature_needs_grad", lambda inputs: 1),
)
