"""SupCon, supervised contrastive learning: front door, schemas, shapes and gradients."""

from typing import Literal, overload

import torch
from torch import Tensor

from lelkern.ops._contrastive import (
    ContrastiveStats,
    Reduction,
    check_embeddings,
    check_reduction,
    codes,
    optional_codes,
    reduce,
    reduce_stats,
)
from lelkern.ops._contrastive_op import ContrastiveOp
from lelkern.ops._temperature import temperature_tensor
from lelkern.reference import sup_con as reference


@overload
def sup_con(
    z: Tensor,
    labels: Tensor,
    temperature: float | Tensor = ...,
    *,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    return_stats: Literal[False] = ...,
) -> Tensor: ...
@overload
def sup_con(
    z: Tensor,
    labels: Tensor,
    temperature: float | Tensor = ...,
    *,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    return_stats: Literal[True],
) -> tuple[Tensor, ContrastiveStats]: ...
def sup_con(
    z: Tensor,
    labels: Tensor,
    temperature: float | Tensor = 0.1,
    *,
    reduction: Reduction = "mean",
    normalize: bool = True,
    ids: Tensor | None = None,
    return_stats: bool = False,
) -> Tensor | tuple[Tensor, ContrastiveStats]:
    r"""Return the supervised contrastive loss of M rows, given their classes.

    With cosine similarities :math:`s_{ik}`, temperature :math:`\tau` and the positives of row i,
    :math:`P(i) = \{p \ne i : y_p = y_i\}`, the loss of row i is

    .. math::
        \ell_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)}
            \log \frac{\exp(s_{ip} / \tau)}{\sum_{k \ne i} \exp(s_{ik} / \tau)}:

    L_out, equation 2 of Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020. A row
    without positives is left out: its loss is 0, it does not count in the mean, and it gets no
    gradient from it, only as a negative of others. The mean over no rows is 0. The compiled kernel
    never stores the M x M similarities.

    What :func:`lelkern.nt_xent` says of dtypes, autocast, zero rows, nan and differentiation holds
    here too.

    Args:
        z: (M, D) embeddings: float64, float32, bfloat16 or float16, with any strides. All views of
            all images, where there are several.
        labels: (M,) whole numbers, the classes :math:`y`.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
        reduction: ``"mean"`` over the rows that have positives, ``"sum"``, or ``"none"``.
        normalize: compare by cosine; otherwise by the dot product of the rows as they are.
        ids: (M,) whole numbers. Rows with equal ids are never each other's negatives, but they are
            positives if their classes are equal.
        return_stats: return contrastive accuracy and entropy as well, from the same pass. Accuracy
            is the share of rows whose best candidate is of their class.

    Returns:
        The loss in float32 (float64 for float64 embeddings): a scalar, or for ``"none"`` one loss
        a row, (M,). With ``return_stats`` a pair of it and :class:`lelkern.ContrastiveStats`, of
        the rows that have positives.

    Raises:
        TypeError: z is no floating-point tensor, or labels or ids are no whole numbers.
        ValueError: shapes or devices do not match, the temperature is not a positive number, or
            the reduction is unknown.
    """
    check_embeddings({"z": z})
    check_reduction(reduction)
    classes = codes("labels", labels, z)
    inputs = (z, classes, temperature_tensor(temperature, z), optional_codes("ids", ids, z))
    losses, stats = _OP(inputs, (normalize,), return_stats)
    if reduction == "none":
        return (losses, ContrastiveStats(*stats)) if return_stats else losses
    counts = _has_positives(classes)
    loss = reduce(losses, reduction, counts.sum().clamp(min=1))
    return (loss, reduce_stats(stats, reduction, counts)) if return_stats else loss


def _has_positives(labels: Tensor) -> Tensor:
    """Return a mask of the labels, (M,), that occur more than once."""
    order = labels.sort()
    repeats = order.values[1:] == order.values[:-1]
    found = torch.zeros_like(labels, dtype=torch.bool)
    found[1:] = repeats
    found[:-1] |= repeats
    return torch.zeros_like(found).scatter(0, order.indices, found)


_OP = ContrastiveOp(
    "sup_con",
    "Tensor z, Tensor labels, Tensor temperature, Tensor? ids",
    "bool normalize",
    differentiable=("z", "temperature"),
    losses=lambda inputs, options: inputs[0].shape[0],
    reference=reference.sup_con,
    reference_backward=reference.sup_con_backward,
)
