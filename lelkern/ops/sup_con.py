"""SupCon, supervised contrastive learning: front door, schemas, shapes and gradients."""

from typing import Literal, overload

import torch
from torch import Tensor

from lelkern.ops._contrastive import (
    ContrastiveStats,
    Reduction,
    check_embeddings,
    check_reduction,
    check_views,
    codes,
    of_views,
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
    labels: Tensor | None = ...,
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
    labels: Tensor | None = ...,
    temperature: float | Tensor = ...,
    *,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    return_stats: Literal[True],
) -> tuple[Tensor, ContrastiveStats]: ...
def sup_con(
    z: Tensor,
    labels: Tensor | None = None,
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

    Several views of each image come as (N, V, D), with one label an image, as in the authors' code;
    without labels each image is a class of its own, which is SimCLR with V views.

    What :func:`lelkern.nt_xent` says of dtypes, autocast, zero rows, nan and differentiation holds
    here too.

    Args:
        z: (M, D) embeddings: float64, float32, bfloat16 or float16, with any strides; or
            (N, V, D), V views of each of N images.
        labels: (M,) or (M, 1) whole numbers, the classes :math:`y`, or one an image, (N,). Of
            floating-point ones it has to be known that they are whole: on a GPU or inside
            ``torch.compile`` give ``labels.long()``.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
        reduction: ``"mean"`` over the rows that have positives, ``"sum"``, or ``"none"``.
        normalize: compare by cosine; otherwise by the dot product of the rows as they are.
        ids: (M,) whole numbers, or (N,), one an image. Rows with equal ids are never each other's
            negatives, but they are positives if their classes are equal.
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
    shape = z.shape[:-1] if isinstance(z, Tensor) else ()
    if len(shape) == 2:
        z, labels, ids = _rows_of_views(z, labels, ids)
    check_embeddings({"z": z})
    check_reduction(reduction)
    if labels is None:
        raise ValueError(f"labels must be given for z (M, D), got z {tuple(z.shape)} and None")
    classes = codes("labels", labels, z)
    inputs = (z, classes, temperature_tensor(temperature, z), optional_codes("ids", ids, z))
    losses, stats = _OP(inputs, (normalize,), return_stats)
    if reduction == "none":
        losses = losses.reshape(shape)
        each = ContrastiveStats(*(x.reshape(shape) for x in stats)) if return_stats else None
        return losses if each is None else (losses, each)
    counts = _has_positives(classes)
    loss = reduce(losses, reduction, counts.sum().clamp(min=1))
    return (loss, reduce_stats(stats, reduction, counts)) if return_stats else loss


def _rows_of_views(
    z: Tensor, labels: Tensor | None, ids: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return all views of all images, (N V, D), with the labels and ids of their images."""
    check_views("z", z, 1)
    if labels is None:
        labels = torch.arange(z.shape[0], device=z.device)
    labels = of_views("labels", labels, z)
    ids = None if ids is None else of_views("ids", ids, z)
    return z.flatten(0, 1), labels, ids


def _has_positives(labels: Tensor) -> Tensor:
    """Return a mask of the labels, (M,), that occur more than once."""
    order = labels.sort()
    # Of neighbours in this order, the one before and the one after: a roll of all, whose ends are
    # left out, is the same for every number of rows, as torch.export wants it.
    place = torch.arange(labels.shape[0], device=labels.device)
    as_before = (order.values == order.values.roll(1)) & (place > 0)
    found = as_before | as_before.roll(-1)
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
