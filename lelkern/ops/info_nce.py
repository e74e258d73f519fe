"""InfoNCE, the loss of CPC, MoCo and CLIP: front door, schemas, shapes and gradients."""

from typing import Literal, overload

import torch
from torch import Tensor

from lelkern.ops._contrastive import (
    ContrastiveStats,
    Reduction,
    check_embeddings,
    check_reduction,
    optional_codes,
    reduce,
    reduce_stats,
)
from lelkern.ops._contrastive_op import ContrastiveOp
from lelkern.ops._decoupled import count_of_others, similarity_of_pairs, variation, varied
from lelkern.ops._temperature import temperature_tensor
from lelkern.reference import info_nce as reference


@overload
def info_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = ...,
    temperature: float | Tensor = ...,
    *,
    symmetric: bool = ...,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    negative_ids: Tensor | None = ...,
    decoupled: bool = ...,
    sigma: float | Tensor | None = ...,
    margin: float | Tensor | None = ...,
    hardness: float | Tensor | None = ...,
    return_stats: Literal[False] = ...,
) -> Tensor: ...
@overload
def info_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = ...,
    temperature: float | Tensor = ...,
    *,
    symmetric: bool = ...,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    negative_ids: Tensor | None = ...,
    decoupled: bool = ...,
    sigma: float | Tensor | None = ...,
    margin: float | Tensor | None = ...,
    hardness: float | Tensor | None = ...,
    return_stats: Literal[True],
) -> tuple[Tensor, ContrastiveStats]: ...
def info_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = None,
    temperature: float | Tensor = 0.1,
    *,
    symmetric: bool = False,
    reduction: Reduction = "mean",
    normalize: bool = True,
    ids: Tensor | None = None,
    negative_ids: Tensor | None = None,
    decoupled: bool = False,
    sigma: float | Tensor | None = None,
    margin: float | Tensor | None = None,
    hardness: float | Tensor | None = None,
    return_stats: bool = False,
) -> Tensor | tuple[Tensor, ContrastiveStats]:
    r"""Return the InfoNCE loss of N queries, each with its positive among the keys.

    With queries :math:`q_i`, their positives :math:`k_i`, cosine similarity :math:`s` and
    temperature :math:`\tau` the loss of query i is

    .. math::
        \ell_i = -\log \frac{\exp(s(q_i, k_i) / \tau)}{\sum_{k \in C_i} \exp(s(q_i, k) / \tau)},

    where the candidates :math:`C_i` are the positives of all N queries, or with ``negatives`` its
    own positive and the negatives: van den Oord et al., "Representation Learning with Contrastive
    Predictive Coding", 2018, equation 4; with a queue of K negatives equation 1 of He et al.,
    "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020, with its K + 1
    logits. ``symmetric`` adds the N losses of the positives, which look for their queries among all
    queries, by the same similarities (which a GPU computes once more for them); the mean over all
    2N is the loss of CLIP (Radford et al., 2021, Figure 3). The compiled kernel never stores the
    similarities.

    What :func:`lelkern.nt_xent` says of dtypes, autocast, zero rows, nan and differentiation holds
    here too. A query without negatives has the loss 0.

    Args:
        query: (N, D) embeddings: float64, float32, bfloat16 or float16, with any strides.
        positive: (N, D), of the same dtype and on the same device: what each query should find.
        negatives: (K, D), likewise: candidates for every query, as MoCo's queue. By default the
            positives of the other queries are the negatives.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
        symmetric: average both directions; not with ``negatives``, which look for nothing.
        reduction: ``"mean"`` or ``"sum"`` over the losses, or ``"none"``.
        normalize: compare by cosine; otherwise by the dot product of the rows as they are.
        ids: (N,) whole numbers of the pairs. Equal ids are never each other's negatives.
        negative_ids: (K,) whole numbers of the negatives; goes with ``ids`` and ``negatives``.
        decoupled: leave the positive out of the sum; this and what follows as for
            :func:`lelkern.nt_xent`.
        sigma: with ``decoupled`` DCLW: pairs that are apart weigh more; the mean is over all pairs.
        margin: subtract this from the similarity of a query and its positive.
        hardness: let similar negatives count more.
        return_stats: return contrastive accuracy and entropy as well, from the same pass.

    Returns:
        The loss in float32 (float64 for float64 embeddings): a scalar, or for ``"none"`` one loss
        a query, (N,), followed if symmetric by one a positive, (2N,). With ``return_stats`` a pair
        of it and :class:`lelkern.ContrastiveStats`.

    Raises:
        TypeError: an embedding is no floating-point tensor, or dtypes differ, or ids are no whole
            numbers.
        ValueError: shapes or devices do not match, the temperature is not a positive number, the
            reduction is unknown, or arguments are given that do not go together.
    """
    check_embeddings({"query": query, "positive": positive}, same_shape=True)
    if negatives is not None:
        check_embeddings({"query": query, "negatives": negatives})
        if symmetric:
            raise ValueError("symmetric must be False with negatives, which look for nothing")
    if (negative_ids is not None) != (ids is not None and negatives is not None):
        raise ValueError(
            "negative_ids must be given with ids and negatives, and only then; got "
            + ", ".join(
                f"{name} {'None' if given is None else 'given'}"
                for name, given in (
                    ("ids", ids),
                    ("negatives", negatives),
                    ("negative_ids", negative_ids),
                )
            )
        )
    check_reduction(reduction)
    numbers = optional_codes("ids", ids, query)
    others = None if negatives is None else optional_codes("negative_ids", negative_ids, negatives)
    ways = 2 if symmetric else 1

    def run(tau: Tensor, decoupled: bool, stats: bool) -> tuple[Tensor, Tensor]:
        inputs = (query, positive, negatives, tau, numbers, others)
        return _OP(inputs, (normalize, symmetric, decoupled), stats)

    def count() -> Tensor:
        if numbers is not None:
            return count_of_others(numbers, numbers if others is None else others).repeat(ways)
        of_each = len(query) - 1 if negatives is None else len(negatives)
        return torch.full((ways * len(query),), of_each, device=query.device)

    losses, stats = varied(
        variation(query, decoupled, sigma, margin, hardness),
        run,
        temperature_tensor(temperature, query),
        return_stats,
        pairs=lambda: similarity_of_pairs(query, positive, normalize).repeat(ways),
        negatives=count,
    )
    loss = reduce(losses, reduction)
    return (loss, reduce_stats(stats, reduction)) if return_stats else loss


_OP = ContrastiveOp(
    "info_nce",
    "Tensor query, Tensor positive, Tensor? negatives, Tensor temperature, Tensor? ids, "
    "Tensor? negative_ids",
    "bool normalize, bool symmetric, bool decoupled",
    differentiable=("query", "positive", "negatives", "temperature"),
    losses=lambda inputs, options: (2 if options[1] else 1) * inputs[0].shape[0],
    reference=reference.info_nce,
    reference_backward=reference.info_nce_backward,
    keys=2,
)
