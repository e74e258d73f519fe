"""What the front doors of the contrastive family share: checks, options, reductions."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lelkern.ops._dtypes import check_floating
from lelkern.ops._known import known_number

Reduction = Literal["none", "mean", "sum"]


class ContrastiveStats(NamedTuple):
    """The contrastive accuracy and entropy of rows, without gradient.

    Scalars, means over the rows, or with ``reduction="none"`` one value a row.

    Attributes:
        accuracy: share of rows whose best candidate is a positive, in [0, 1]. A positive that
            merely equals the best negative, but for rounding, does not count, so that a collapsed
            representation scores 0.
        entropy: of the softmax over the candidates, in nats.
    """

    accuracy: Tensor
    entropy: Tensor


def check_reduction(reduction: str) -> None:
    """Raise ValueError for a reduction that is unknown."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def check_embeddings(embeddings: dict[str, Tensor], *, same_shape: bool = False) -> None:
    """Raise unless all are matrices of the first one's features, dtype and device."""
    first, like = next(iter(embeddings.items()))
    for name, z in embeddings.items():
        check_floating(name, z)
        if z.dim() != 2:
            raise ValueError(f"{name} must be (N, D), got {tuple(z.shape)}")
        if same_shape and z.shape != like.shape:
            raise ValueError(
                f"{name} must have the shape of {first}, {tuple(like.shape)}, got {tuple(z.shape)}"
            )
        if z.shape[1] != like.shape[1]:
            raise ValueError(
                f"{name} must have as many features as {first}, {like.shape[1]}, got {z.shape[1]}"
            )
        if z.device != like.device:
            raise ValueError(
                f"{name} must be on the device of {first}, {like.device}, got {z.device}"
            )
        # Autocast makes one dtype of any two but float64, which it leaves alone.
        cast = torch.is_autocast_enabled(z.device.type) and torch.float64 not in (
            z.dtype,
            like.dtype,
        )
        if z.dtype != like.dtype and not cast:
            raise TypeError(f"{name} must have the dtype of {first}, {like.dtype}, got {z.dtype}")


def check_views(name: str, z: Tensor, least: int) -> None:
    """Raise unless z is (N, V, D), V views of each of N images, and V at least ``least``."""
    check_floating(name, z)
    if z.dim() != 3 or z.shape[1] < least:
        raise ValueError(
            f"{name} must be (N, V, D) with at least {least} views, got {tuple(z.shape)}"
        )


def of_views(name: str, values: Tensor, z: Tensor) -> Tensor:
    """Return for each row of z, (N, V, D), the number of its image, of values (N,): (N V,)."""
    return codes(name, values, z).repeat_interleave(z.shape[1])


def optional_codes(name: str, values: Tensor | None, rows: Tensor) -> Tensor | None:
    """Return the :func:`codes` of values, or None for None."""
    return None if values is None else codes(name, values, rows)


def codes(name: str, values: Tensor, rows: Tensor) -> Tensor:
    """Return one whole number for each row as the kernels take them: int64, contiguous.

    Floating-point numbers that are whole will do where they can be looked at, and (N, 1) for (N,).
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(values).__name__}")
    if values.is_complex():
        raise TypeError(f"{name} must be whole numbers, got {values.dtype}")
    count = rows.shape[0]
    if values.shape not in ((count,), (count, 1)):
        raise ValueError(f"{name} must be ({count},), one a row, got {tuple(values.shape)}")
    if values.device != rows.device:
        raise ValueError(f"{name} must be on {rows.device}, got {values.device}")
    if values.is_floating_point():
        _check_whole(name, values)
    return values.reshape(-1).to(torch.int64).contiguous()


def _check_whole(name: str, values: Tensor) -> None:
    """Raise TypeError unless floating-point values are known to be whole numbers."""
    x = values.detach()
    whole = known_number(((x.trunc() == x) & x.isfinite()).all())
    if whole is None:
        raise TypeError(
            f"{name} must be whole numbers, got {values.dtype}, which nobody can look at here: "
            f"give {name}.long()"
        )
    if not whole:
        raise TypeError(
            f"{name} must be whole numbers, got {values.dtype} with other ones: equal values are "
            "one class"
        )


def bfloat16_terms(z: Tensor) -> int:
    """Return the number of bfloat16 terms for each factor of a product; 0 for the factor itself.

    As a user asks for with ``torch.set_float32_matmul_precision``: "high" is two, "medium" one.
    """
    if z.dtype == torch.float32 or torch.is_autocast_enabled(z.device.type):
        return {"high": 2, "medium": 1}.get(_float32_precision(), 0)
    return int(z.dtype == torch.bfloat16)


def _float32_precision() -> str:
    return torch.get_float32_matmul_precision()


# As torch.compiler.assume_constant_result does, without its import of a second. Where the precision
# changes PyTorch compiles again.
_float32_precision._dynamo_marked_constant = True  # type: ignore[attr-defined]


def reduce(losses: Tensor, reduction: Reduction, count: Tensor | None = None) -> Tensor:
    """Return the losses, their sum, or their mean over ``count`` rows, by default all."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.mean() if count is None else losses.sum() / count


def reduce_stats(
    stats: Tensor, reduction: Reduction, counts: Tensor | None = None
) -> ContrastiveStats:
    """Return statistics (2, losses) by name, averaged unless losses are not reduced either.

    ``counts``: which losses count, (losses,) boolean, by default all.
    """
    if reduction == "none":
        return ContrastiveStats(*stats)
    if counts is None:
        return ContrastiveStats(*stats.mean(dim=1))
    return ContrastiveStats(*((stats * counts).sum(dim=1) / counts.sum().clamp(min=1)))
