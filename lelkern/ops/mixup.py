"""MixUp: samples mixed with one another, and their labels likewise."""

from typing import overload

import torch
from torch import Generator, Tensor

from lelkern.ops._mix_labels import mix_labels
from lelkern.ops._mix_rows import mix_rows
from lelkern.ops._mixing import (
    arithmetic_of,
    as_rows,
    channel_values,
    check_images,
    checked_labels,
    lam_of_rows,
    permutation,
)
from lelkern.ops._mixing_values import check_values


@overload
def mixup(
    x: Tensor,
    y: Tensor,
    lam: float | Tensor,
    perm: Tensor | None = ...,
    *,
    num_classes: int | None = ...,
    scale: float | Tensor | None = ...,
    offset: float | Tensor | None = ...,
    dtype: torch.dtype | None = ...,
    generator: Generator | None = ...,
) -> tuple[Tensor, Tensor]: ...
@overload
def mixup(
    x: Tensor,
    y: None,
    lam: float | Tensor,
    perm: Tensor | None = ...,
    *,
    num_classes: int | None = ...,
    scale: float | Tensor | None = ...,
    offset: float | Tensor | None = ...,
    dtype: torch.dtype | None = ...,
    generator: Generator | None = ...,
) -> tuple[Tensor, None]: ...
def mixup(
    x: Tensor,
    y: Tensor | None,
    lam: float | Tensor,
    perm: Tensor | None = None,
    *,
    num_classes: int | None = None,
    scale: float | Tensor | None = None,
    offset: float | Tensor | None = None,
    dtype: torch.dtype | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor | None]:
    r"""Return samples and their labels, each mixed with those of its partner.

    .. math::
        x'_i = \lambda_i x_i + (1 - \lambda_i)\,x_{\pi(i)}, \qquad
        y'_i = \lambda_i y_i + (1 - \lambda_i)\,y_{\pi(i)}

    with the permutation :math:`\pi`: Zhang et al., "mixup: Beyond Empirical Risk Minimization",
    ICLR 2018. **Lambda multiplies the sample that keeps its place**; with
    :func:`lelkern.sample_mixup_lambda` it is at least 1/2 by default. Between the layers of a
    network it is Manifold Mixup (Verma et al., ICML 2019): x, y and lam may have gradients, twice.

    Computed in float32, or in float64 if x or the result is, with a rounding after each product and
    each sum and one to the dtype of the result: the same bits on every device. So lam = 1 returns
    finite samples as they are. uint8 images become floating point on the way, which saves a pass
    over them. The memory format of x is kept, and a batch that was expanded is read where it lies.

    Args:
        x: (N, ...) float64, float32, bfloat16, float16 or uint8.
        y: (N,) whole numbers, the classes; (N, C) floating point, distributions over classes; or
            None.
        lam: lambda, in [0, 1]: a number, or a tensor with one element or of shape (N,). A tensor on
            a GPU is not looked at, nor is one inside ``torch.compile``; the same holds of the
            values of y and perm.
        perm: (N,) int64, the permutation :math:`\pi`; by default a random one. One on a GPU with
            an index that is none gives nan, or an error of PyTorch; so does a class that is none.
        num_classes: C, needed for classes.
        scale: x is multiplied by it on the way: a number, or (channels,) for dimension 1 of x,
            as 1/255. It gets no gradient.
        offset: likewise, added after that.
        dtype: of the result for uint8, by default float32.
        generator: of the permutation; one of the CPU gives the same on every device.

    Returns:
        x' in the shape of x, and in its dtype unless that is uint8; and y' (N, C), in the dtype of
        y or for classes in float32, or None.

    Raises:
        TypeError: an argument has a dtype that is not among the above.
        ValueError: an argument has another shape, or a value that is not among the above.
    """
    dtype = check_images("x", x, dtype)
    rows = as_rows(x)
    weights = lam_of_rows(lam, x.shape[0], x.device)
    labels = None if y is None else checked_labels(y, x.shape[0], num_classes, x.device)
    computed = arithmetic_of(x.dtype, dtype)
    scale = channel_values("scale", scale, rows, computed)
    offset = channel_values("offset", offset, rows, computed)
    partners = permutation(perm, x.shape[0], x.device, generator)
    check_values(lam=lam, perm=perm, labels=labels)
    # Labels before images: where small results are allocated after large ones, the C library gives
    # memory back to the system with every call, which then clears it again.
    targets = None if labels is None else mix_labels(*labels, weights, partners)
    mixed = mix_rows(
        rows.values,
        None,
        weights.to(computed),
        partners,
        scale=scale,
        offset=offset,
        inner=rows.inner,
        dtype=dtype,
    )
    return rows.images(mixed), targets
