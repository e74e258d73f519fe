"""NT-Xent, the contrastive loss of SimCLR: front door, schemas, shapes and gradients."""

from functools import partial
from typing import Literal, overload

import torch
from torch import Tensor

from lelkern.ops._contrastive import (
    ContrastiveStats,
    Reduction,
    check_embeddings,
    check_reduction,
    check_views,
    optional_codes,
    reduce,
    reduce_stats,
)
from lelkern.ops._contrastive_op import ContrastiveOp
from lelkern.ops._decoupled import count_of_others, similarity_of_pairs, variation, varied
from lelkern.ops._temperature import temperature_tensor
from lelkern.ops.sup_con import sup_con
from lelkern.reference import nt_xent as reference


@overload
def nt_xent(
    z1: Tensor,
    z2: Tensor | None = ...,
    temperature: float | Tensor = ...,
    *,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    decoupled: bool = ...,
    sigma: float | Tensor | None = ...,
    margin: float | Tensor | None = ...,
    hardness: float | Tensor | None = ...,
    return_stats: Literal[False] = ...,
) -> Tensor: ...
@overload
def nt_xent(
    z1: Tensor,
    z2: Tensor | None = ...,
    temperature: float | Tensor = ...,
    *,
    reduction: Reduction = ...,
    normalize: bool = ...,
    ids: Tensor | None = ...,
    decoupled: bool = ...,
    sigma: float | Tensor | None = ...,
    margin: float | Tensor | None = ...,
    hardness: float | Tensor | None = ...,
    return_stats: Literal[True],
) -> tuple[Tensor, ContrastiveStats]: ...
def nt_xent(
    z1: Tensor,
    z2: Tensor | None = None,
    temperature: float | Tensor = 0.5,
    *,
    reduction: Reduction = "mean",
    normalize: bool = True,
    ids: Tensor | None = None,
    decoupled: bool = False,
    sigma: float | Tensor | None = None,
    margin: float | Tensor | None = None,
    hardness: float | Tensor | None = None,
    return_stats: bool = False,
) -> Tensor | tuple[Tensor, ContrastiveStats]:
    r"""Return the normalised-temperature cross entropy of N pairs of embeddings.

    With the 2N rows :math:`z = [z_1; z_2]`, their cosine similarities :math:`s_{ik}`, temperature
    :math:`\tau` and the other row of each pair :math:`p(i) = i \pm N`, the loss of row i is

    .. math::
        \ell_i = -\log \frac{\exp(s_{i,p(i)} / \tau)}{\sum_{k \ne i} \exp(s_{ik} / \tau)},

    a choice among 2N - 1 candidates: equation 1 of Chen et al., "A Simple Framework for
    Contrastive Learning of Visual Representations", ICML 2020; the mean over all rows is the loss
    of its Algorithm 1. The compiled kernel never stores the 2N x 2N similarities.

    V views of each image come as ``z1`` (N, V, D) alone, without ``z2``. Then the positives of a
    view are the other V - 1 views of its image, and its loss is the mean over them, among all
    VN - 1 candidates: :func:`lelkern.sup_con` with each image a class of its own (Khosla et al.,
    "Supervised Contrastive Learning", NeurIPS 2020, equation 2). Of two views it is the same loss.

    Half dtypes give a float32 loss: rounding a loss near log(2N) to eight bits would hide whether
    training moves it. float16 is computed in float32. bfloat16 is multiplied as it is and summed
    in float32 where the CPU has such an instruction (then the gradient's weights are rounded to
    bfloat16), and so is float32 under ``torch.set_float32_matmul_precision("medium")``, as if the
    embeddings had been rounded to bfloat16. Under ``"high"`` a GPU multiplies each float32 number
    as the sum of two in bfloat16, which moves similarities by less than 2^-15. Under autocast the
    embeddings count as float32, as for PyTorch's own losses, in products as well, and a float32
    loss comes back; gradients have the dtype of the embeddings. Behind the ``with`` block 16-bit
    embeddings are multiplied as they are, which on a GPU is much faster.

    A row with a norm below 1e-12 has similarity 0 to every row, and gradient 0. A nan or an
    infinity in a row makes every loss nan that it is a candidate of. One pair alone has no
    negatives: its losses are 0, decoupled as well. No pairs give no losses: a sum of 0 and a mean
    of nan. ``torch.func.grad`` and its kin, and forward-mode differentiation, run the reference,
    and only outside ``torch.compile``.

    Args:
        z1: (N, D) embeddings of the first views: float64, float32, bfloat16 or float16, with any
            strides; or (N, V, D) of all views.
        z2: (N, D) embeddings of the second views, of the same dtype and on the same device; None
            with all views in ``z1``.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
            A tensor on a GPU is not looked at, nor is one inside ``torch.compile`` or
            ``torch.func.vmap``: there an invalid temperature makes every loss nan.
        reduction: ``"mean"`` or ``"sum"`` over the 2N rows, or ``"none"``.
        normalize: compare by cosine; otherwise by the dot product of the rows as they are, where
            norms whose products reach 1e18 make the losses nan.
        ids: (N,) whole numbers. Pairs with equal ids are never each other's negatives: copies of
            one image in a batch, or images known to show the same.
        decoupled: leave the positive out of the sum: DCL (Yeh et al., "Decoupled Contrastive
            Learning", ECCV 2022). Losses may then be negative. This and the options that follow go
            with two views, ``z1`` and ``z2``.
        sigma: with ``decoupled`` that paper's DCLW, there with 0.5: the similarity
            :math:`s_i = s_{i,p(i)}` of a pair weighs
            :math:`2 - \exp(s_i / \sigma) / \operatorname{mean}_j \exp(s_j / \sigma)` before the
            sum, so that pairs that are apart count more. Weights are constants to the gradient.
        margin: m, subtracted from the similarity of the pair wherever it stands, as CosFace does
            with that of the right class (Wang et al., CVPR 2018). Not with ``decoupled``, where it
            would add the same to every loss.
        hardness: b >= 0, by which similar negatives count more: negative k of row i weighs
            :math:`\exp(b s_{ik} / \tau)`, divided by the mean of that over the row's negatives
            (Robinson et al., "Contrastive Learning with Hard Negative Samples", ICLR 2021, with
            :math:`\tau^+ = 0`). It takes two passes, and with statistics three. Of 16-bit
            embeddings the gradients of both passes are rounded, which adds up to 1 + 2b roundings.
            It and ``sigma`` and ``margin`` are numbers, or tensors with one element, of which
            ``margin`` and a positive ``hardness`` get a gradient.
        return_stats: return contrastive accuracy and entropy as well, from the same pass; they are
            always those of the plain loss.

    Returns:
        The loss in float32 (float64 for float64 embeddings): a scalar, or for ``"none"`` one loss
        a row, (2N,), those of ``z1`` first. With ``return_stats`` a pair of it and
        :class:`lelkern.ContrastiveStats`.

    Raises:
        TypeError: an embedding is no floating-point tensor, or the two differ in dtype, or ids are
            no whole numbers.
        ValueError: shapes or devices do not match, the temperature is not a positive number, the
            reduction is unknown, or options are given that do not go together.
    """
    if z2 is None:
        check_views("z1", z1, 2)
        if decoupled or any(given is not None for given in (sigma, margin, hardness)):
            raise ValueError(
                "decoupled, sigma, margin and hardness go with z1 and z2, got z1 alone"
            )
        return _of_views(z1, temperature, reduction, normalize, ids, return_stats)
    check_embeddings({"z1": z1, "z2": z2}, same_shape=True)
    check_reduction(reduction)
    numbers = optional_codes("ids", ids, z1)

    def negatives() -> Tensor:
        if numbers is None:
            return torch.full((2 * len(z1),), 2 * len(z1) - 2, device=z1.device)
        return 2 * count_of_others(numbers, numbers).repeat(2)

    def run(tau: Tensor, decoupled: bool, stats: bool) -> tuple[Tensor, Tensor]:
        return _OP((z1, z2, tau, numbers), (normalize, decoupled), stats)

    losses, stats = varied(
        variation(z1, decoupled, sigma, margin, hardness),
        run,
        temperature_tensor(temperature, z1),
        return_stats,
        pairs=lambda: similarity_of_pairs(z1, z2, normalize).repeat(2),
        negatives=negatives,
    )
    loss = reduce(losses, reduction)
    return (loss, reduce_stats(stats, reduction)) if return_stats else loss


def _of_views(
    z: Tensor,
    temperature: float | Tensor,
    reduction: Reduction,
    normalize: bool,
    ids: Tensor | None,
    return_stats: bool,
) -> Tensor | tuple[Tensor, ContrastiveStats]:
    """Return the loss of V views of each image, (N, V, D), whose classes are the images."""
    loss = partial(sup_con, z, None, temperature, reduction=reduction, normalize=normalize, ids=ids)
    return loss(return_stats=True) if return_stats else loss()


_OP = ContrastiveOp(
    "nt_xent",
    "Tensor z1, Tensor z2, Tensor temperature, Tensor? ids",
    "bool normalize, bool decoupled",
    differentiable=("z1", "z2", "temperature"),
    losses=lambda inputs, options: 2 * inputs[0].shape[0],
    reference=reference.nt_xent,
    reference_backward=reference.nt_xent_backward,
)
