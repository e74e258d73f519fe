"""Labels guessed from several augmentations: front door, schema, shapes and gradients."""

import torch
from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp, Skippable
from lelkern.ops._dtypes import check_floating, computed_in
from lelkern.ops._temperature import temperature_tensor
from lelkern.reference import guess_labels as reference


def guess_labels(
    logits: Tensor, temperature: float | Tensor = 0.5, *, gradient: bool = False
) -> Tensor:
    r"""Return the sharpened mean of what a model says of K augmentations of each image.

    With the logits :math:`z_k` of augmentation k the guess is

    .. math::
        q_i = \bar p_i^{1 / T} / \textstyle\sum_j \bar p_j^{1 / T}, \qquad
        \bar p = \tfrac{1}{K} \textstyle\sum_k \mathrm{softmax}(z_k),

    lines 7 and 8 of Algorithm 1 of Berthelot et al., "MixMatch: A Holistic Approach to
    Semi-Supervised Learning", NeurIPS 2019, with their sharpening, equation 7. As MixMatch does not
    propagate gradients through guesses (Section 3), there is none unless it is asked for. The
    compiled kernels read each logit once from memory and store nothing but the guesses.

    A logit of minus infinity has probability 0, one of infinity takes all of its augmentation, and
    several share it equally. A nan makes the guess for its image nan, and so do logits of one
    augmentation that are all minus infinity. ``torch.func.grad`` and its kin, and forward-mode
    differentiation, run the reference, and only outside ``torch.compile``.

    Args:
        logits: (K, B, C) of K >= 1 augmentations of B images, with any strides: float64, float32,
            bfloat16 or float16. Logits (B, K, C) are given as ``logits.transpose(0, 1)``.
        temperature: a positive number, or a tensor with one element. 1 leaves the mean as it is,
            lower ones move probability to the classes that have most. A tensor on a GPU is not
            looked at, nor is one inside ``torch.compile`` or ``torch.func.vmap``: there an invalid
            temperature makes everything nan.
        gradient: whether the guess has a gradient, for logits and a temperature that is a tensor,
            twice differentiable.

    Returns:
        (B, C) in float32 (float64 for float64 logits), each row a distribution.

    Raises:
        TypeError: logits is no floating-point tensor, or the temperature is no number.
        ValueError: logits is not (K, B, C) with at least one augmentation and one class, or the
            temperature is not a positive number.
    """
    check_floating("logits", logits)
    if logits.dim() != 3:
        raise ValueError(f"logits must be (K, B, C), got {tuple(logits.shape)}")
    if logits.shape[0] == 0 or logits.shape[2] == 0:
        raise ValueError(
            "logits must have at least one augmentation and one class, (K, B, C), got "
            f"{tuple(logits.shape)}"
        )
    # In float64 every number that is one stays one.
    T = temperature_tensor(temperature, logits, dtype=torch.float64)
    compute = _OP if gradient else _OP.without_gradient
    guesses: Tensor = compute((logits.contiguous(), T))
    return guesses


_OP = DifferentiableOp(
    "guess_labels",
    inputs="Tensor logits, Tensor temperature",
    differentiable=("logits", "temperature"),
    outputs="Tensor guesses",
    reference=reference.guess_labels,
    reference_backward=reference.guess_labels_backward,
    fake=lambda logits, temperature: logits.new_empty(logits.shape[1:], dtype=computed_in(logits)),
    float32_under_autocast=True,
    skippable=Skippable("temperature_needs_grad", lambda inputs: 1),
)
