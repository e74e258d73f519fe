"""CutMix: a box of another image pasted into each, and labels mixed by its area."""

from typing import overload

import torch
from torch import Generator, Tensor

from lelkern.ops._differentiable_op import DifferentiableOp
from lelkern.ops._mix_labels import mix_labels
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
from lelkern.reference import cutmix as reference
from lelkern.reference.precision import widened


@overload
def cutmix(
    x: Tensor,
    y: Tensor,
    boxes: Tensor,
    perm: Tensor | None = ...,
    *,
    num_classes: int | None = ...,
    scale: float | Tensor | None = ...,
    offset: float | Tensor | None = ...,
    dtype: torch.dtype | None = ...,
    generator: Generator | None = ...,
) -> tuple[Tensor, Tensor]: ...
@overload
def cutmix(
    x: Tensor,
    y: None,
    boxes: Tensor,
    perm: Tensor | None = ...,
    *,
    num_classes: int | None = ...,
    scale: float | Tensor | None = ...,
    offset: float | Tensor | None = ...,
    dtype: torch.dtype | None = ...,
    generator: Generator | None = ...,
) -> tuple[Tensor, None]: ...
def cutmix(
    x: Tensor,
    y: Tensor | None,
    boxes: Tensor,
    perm: Tensor | None = None,
    *,
    num_classes: int | None = None,
    scale: float | Tensor | None = None,
    offset: float | Tensor | None = None,
    dtype: torch.dtype | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor | None]:
    r"""Return images with a box of another image pasted into each, and their labels mixed.

    .. math::
        x'_i = M_i \odot x_i + (1 - M_i) \odot x_{\pi(i)}, \qquad
        y'_i = \lambda_i y_i + (1 - \lambda_i)\,y_{\pi(i)}

    with masks M that are 0 inside of boxes and 1 outside, a permutation :math:`\pi`, and lambda the
    share of the image that stays: Yun et al., "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features", ICCV 2019, equation 1. Lambda is that of the box as it
    is, after whatever was cut off at the border.

    Pixels are chosen and not multiplied, so that nan stays where it is. Differentiable in floating
    x and y, twice. What :func:`lelkern.mixup` says of uint8, dtypes, memory formats, and values on
    a GPU holds here too.

    Args:
        x: (N, channels, H, W) float64, float32, bfloat16, float16 or uint8.
        y: (N,) whole numbers, the classes; (N, C) floating point, distributions over classes; or
            None.
        boxes: (4,), or (N, 4), int64: top, left, height and width, within the image, as
            :func:`lelkern.sample_cutmix_boxes` draws them. Height or width may be 0.
        perm: (N,) int64, the permutation :math:`\pi`; by default a random one.
        num_classes: C, needed for classes.
        scale: x is multiplied by it on the way: a number, or (channels,). It gets no gradient.
        offset: likewise, added after that.
        dtype: of the result for uint8, by default float32.
        generator: of the permutation.

    Returns:
        x' in the shape of x, and in its dtype unless that is uint8; and y' (N, C), in the dtype of
        y or for classes in float32, or None.

    Raises:
        TypeError: an argument has a dtype that is not among the above.
        ValueError: an argument has another shape, or a value that is not among the above.
    """
    dtype = check_images("x", x, dtype)
    if x.dim() != 4:
        raise ValueError(f"x must be (N, channels, H, W), got {tuple(x.shape)}")
    n, _, height, width = x.shape
    rows = as_rows(x)
    of_rows = _boxes_of_rows(boxes, n, x.device)
    labels = None if y is None else checked_labels(y, n, num_classes, x.device)
    computed = arithmetic_of(x.dtype, dtype)
    scale = channel_values("scale", scale, rows, computed)
    offset = channel_values("offset", offset, rows, computed)
    partners = permutation(perm, n, x.device, generator)
    check_values(perm=perm, labels=labels, boxes=boxes, height=height, width=width)
    inner = rows.channels if rows.channels_last else 1
    # Labels before images, as in mixup.
    targets = None
    if labels is not None:
        area = widened(of_rows[:, 2] * of_rows[:, 3])
        targets = mix_labels(*labels, 1 - area / max(height * width, 1), partners)
    cut = _OP((rows.values, of_rows, partners, scale, offset), (height, width, inner, dtype))
    return rows.images(cut), targets


def sample_cutmix_boxes(
    n: int,
    height: int,
    width: int,
    lam: float | Tensor,
    *,
    generator: Generator | None = None,
) -> Tensor:
    r"""Return boxes for CutMix: (n, 4) int64, top, left, height and width.

    .. math::
        r_x \sim U(0, W), \quad r_w = W \sqrt{1 - \lambda}, \quad
        r_y \sim U(0, H), \quad r_h = H \sqrt{1 - \lambda}

    with centre (r_x, r_y), clipped at the borders: Yun et al. 2019, equation 2. Centres are pixels
    and sides are rounded to whole ones, so that before clipping the area is a share of
    1 - lambda of the image but for the rounding.

    Args:
        n: number of boxes.
        height: H of the images.
        width: W of the images.
        lam: lambda, in [0, 1]: a number, or a tensor with one element or of shape (n,), on whose
            device the boxes are.
        generator: of the centres; one of the CPU gives the same on every device.

    Raises:
        TypeError: lam is no number, nor a floating-point tensor.
        ValueError: lam has another shape or is known not to be in [0, 1]; a size is not positive,
            or n is negative.
    """
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    for name, size in (("height", height), ("width", width)):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    device = lam.device if isinstance(lam, Tensor) else torch.device("cpu")
    weights = lam_of_rows(lam, n, device).detach()
    check_values(lam=lam)
    side = (1 - widened(weights)).sqrt()
    where = device if generator is None else generator.device
    sizes = (height, width)
    whole = torch.stack([size * side for size in sizes]).round().to(torch.int64)
    centre = torch.stack(
        [torch.randint(size, (n,), generator=generator, device=where) for size in sizes]
    ).to(device)
    begin = centre - whole // 2  # (2, n), as whole and centre
    end = (begin + whole).unbind()
    begin = begin.clamp(min=0)
    clipped = [last.clamp(max=size) for last, size in zip(end, sizes, strict=True)]
    return torch.stack((*begin, *(torch.stack(clipped) - begin)), dim=1)


def _boxes_of_rows(boxes: Tensor, n: int, device: torch.device) -> Tensor:
    """Return boxes as the op takes them: (n, 4), contiguous, on the device of the images."""
    if not isinstance(boxes, Tensor) or boxes.dtype != torch.int64:
        raise TypeError(f"boxes must be int64, got {getattr(boxes, 'dtype', type(boxes).__name__)}")
    if boxes.shape not in ((4,), (n, 4)):
        raise ValueError(f"boxes must be (4,) or ({n}, 4), got {tuple(boxes.shape)}")
    return boxes.to(device).expand(n, 4).contiguous()


def _fake(x: Tensor, *others: object) -> Tensor:
    dtype = others[-1]
    assert isinstance(dtype, torch.dtype)
    return x.new_empty(x.shape, dtype=dtype)


_OP = DifferentiableOp(
    "cut_rows",
    inputs="Tensor x, Tensor boxes, Tensor perm, Tensor? scale, Tensor? offset",
    differentiable=("x",),
    options="SymInt height, SymInt width, SymInt inner, ScalarType dtype",
    outputs="Tensor cut",
    reference=reference.cut_rows,
    reference_backward=reference.cut_rows_backward,
    fake=_fake,
)
