"""SigLIP's sigmoid loss of pairs: front door, schemas, shapes and gradients."""

from functools import partial
from typing import Any

from torch import Tensor

from lelkern.ops._contrastive import (
    Reduction,
    bfloat16_terms,
    check_embeddings,
    check_reduction,
    codes,
    reduce,
)
from lelkern.ops._contrastive_op import rectangle, worth_keeping
from lelkern.ops._differentiable_op import DifferentiableOp, Skippable
from lelkern.ops._dtypes import computed_in
from lelkern.ops._temperature import check_finite, check_positive, number_tensor
from lelkern.reference import siglip as reference


def siglip(
    query: Tensor,
    key: Tensor,
    logit_scale: float | Tensor = 10.0,
    logit_bias: float | Tensor = -10.0,
    *,
    reduction: Reduction = "mean",
    normalize: bool = True,
    ids: Tensor | None = None,
    key_ids: Tensor | None = None,
) -> Tensor:
    r"""Return the sigmoid loss of SigLIP, in which every pair of a query and a key is a decision.

    With cosine similarities :math:`s_{ij}` of queries and keys, scale :math:`t` and bias :math:`b`
    the logit of a pair is :math:`x_{ij} = t s_{ij} + b`, and the loss of query i is

    .. math::
        \ell_i = \sum_j \log(1 + \exp(-z_{ij} x_{ij})),

    where :math:`z_{ij}` is 1 for positive pairs and -1 for all others. The mean over the N queries
    is the loss of Zhai et al., "Sigmoid Loss for Language Image Pre-training", ICCV 2023,
    equation 1 and Algorithm 1: the sum over all pairs, divided by N, not by their number. Pairs
    do not compete, so that there is no softmax, and neither side's losses need all of the other:
    the losses of shares of the keys add up to that of all. The compiled kernels never store the
    similarities, and save for backward what each query adds to the gradients of t and b.

    :math:`t` is what similarities are multiplied by, 1 / temperature. Algorithm 1 and OpenCLIP
    learn its logarithm: give ``log_scale.exp()``, as :class:`lelkern.nn.SigLIPLoss` does.

    What :func:`lelkern.nt_xent` says of dtypes, autocast, zero rows and differentiation holds here
    too; there are no statistics, for no candidate is chosen. A nan in a row makes every loss nan
    that it is in. No keys give losses of 0.

    Args:
        query: (N, D) embeddings: float64, float32, bfloat16 or float16, with any strides.
        key: (M, D), of the same dtype and on the same device.
        logit_scale: t, a positive number, or a tensor with one element, which then gets a
            gradient. A tensor on a GPU is not looked at, nor is one inside ``torch.compile`` or
            ``torch.func.vmap``: there one that is not positive makes every loss nan.
        logit_bias: b, a number, or a tensor with one element, which then gets a gradient.
        reduction: ``"mean"`` or ``"sum"`` over the losses of the queries, or ``"none"``.
        normalize: compare by cosine; otherwise by the dot product of the rows as they are.
        ids: (N,) whole numbers of the queries. A query and a key of equal id are a positive pair,
            however many there are of them. By default query i and key i are, and keys beyond the
            N-th are negatives of all.
        key_ids: (M,) whole numbers of the keys; by default those of the queries, if N = M.

    Returns:
        The loss in float32 (float64 for float64 embeddings): a scalar, or for ``"none"`` (N,).

    Raises:
        TypeError: an embedding is no floating-point tensor, or dtypes differ, or ids are no whole
            numbers.
        ValueError: shapes or devices do not match, the scale is not a positive number or the bias
            not finite, the reduction is unknown, or arguments are given that do not go together.
    """
    check_embeddings({"query": query, "key": key})
    N, M = query.shape[0], key.shape[0]
    if ids is None:
        if key_ids is not None:
            raise ValueError("key_ids must be given with ids, got ids None")
        if M < N:
            raise ValueError(
                f"key must have a row for each of the {N} queries, or ids say which pairs are "
                f"positive; got {M} rows"
            )
    elif key_ids is None:
        if M != N:
            raise ValueError(
                f"key_ids must be given with ids where {M} keys are not as many as {N} queries"
            )
        key_ids = ids
    check_reduction(reduction)
    inputs = (
        query,
        key,
        number_tensor(
            "logit_scale", logit_scale, query, check=partial(check_positive, "logit_scale")
        ),
        number_tensor("logit_bias", logit_bias, query, check=partial(check_finite, "logit_bias")),
        None if ids is None else codes("ids", ids, query),
        None if key_ids is None else codes("key_ids", key_ids, key),
    )
    kept = worth_keeping(rectangle(query, key), inputs[:4])
    losses, _, _ = _OP(inputs, (normalize, bfloat16_terms(query)), (kept,))
    return reduce(losses, reduction)


def _forward_reference(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *given, _, kept = arguments
    loss, slopes = reference.siglip(*given)
    return loss, slopes, loss.new_empty(kept)


def _backward_reference(*arguments: Any) -> tuple[Tensor, ...]:
    *given, _ = arguments
    return reference.siglip_backward(*given)


def _fake(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    query, kept = arguments[0], arguments[-1]
    N, dtype = query.shape[0], computed_in(query)
    return (
        query.new_empty(N, dtype=dtype),
        query.new_empty((2, N), dtype=dtype),
        query.new_empty(kept, dtype=dtype),
    )


# slopes: the derivatives of each loss by bias and scale. tiles: those of pairs by their logits.
_OP = DifferentiableOp(
    "siglip",
    inputs="Tensor query, Tensor key, Tensor logit_scale, Tensor logit_bias, Tensor? ids, "
    "Tensor? key_ids",
    differentiable=("query", "key", "logit_scale", "logit_bias"),
    options="bool normalize, int bf16_terms",
    hints="SymInt kept",
    outputs="Tensor loss, Tensor slopes, Tensor tiles",
    saved=("slopes", "tiles"),
    reference=_forward_reference,
    reference_backward=_backward_reference,
    fake=_fake,
    float32_under_autocast=True,
    skippable=Skippable("keys_need_grad", lambda inputs: 1),
)
