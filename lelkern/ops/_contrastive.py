"""What the front doors of the contrastive family share: checks, options, reductions."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lelkern.ops._number import number_or_tensor, tensor_of

Reduction = Literal["none", "mean", "sum"]

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


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
        if not isinstance(z, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(z).__name__}")
        if z.dtype not in DTYPES:
            raise TypeError(f"{name} must be float64, float32, bfloat16 or float16, got {z.dtype}")
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


def optional_codes(name: str, values: Tensor | None, rows: Tensor) -> Tensor | None:
    """Return what :func:`codes` does, or None for None."""
    return None if values is None else codes(name, values, rows)


def codes(name: str, values: Tensor, rows: Tensor) -> Tensor:
    """Return one whole number for each row as the kernels take them: int64, contiguous."""
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(values).__name__}")
    if values.is_floating_point() or values.is_complex():
        raise TypeError(f"{name} must be whole numbers, got {values.dtype}")
    if values.shape != rows.shape[:1]:
        raise ValueError(f"{name} must be ({rows.shape[0]},), one a row, got {tuple(values.shape)}")
    if values.device != rows.device:
        raise ValueError(f"{name} must be on {rows.device}, got {values.device}")
    return values.to(torch.int64).contiguous()


def temperature_tensor(temperature: float | Tensor, z: Tensor) -> Tensor:
    """Return the temperature as a tensor without dimensions on the device of ``z``, checked.

    A tensor whose value is on a GPU, or unknown inside ``torch.compile`` or vmap, is not.
    """
    temperature = number_or_tensor("temperature", temperature)
    if not isinstance(temperature, Tensor):
        check_temperature(temperature)
        return tensor_of(temperature, dtype=computed_in(z), device=z.device)
    if temperature.numel() != 1:
        raise ValueError(f"temperature must have one element, got {tuple(temperature.shape)}")
    if temperature.dtype not in DTYPES:
        raise TypeError(f"temperature must be floating point, got {temperature.dtype}")
    if temperature.device.type == "cpu" and not torch.compiler.is_compiling():
        try:
            value = temperature.item()
        except RuntimeError:
            pass  # under vmap it has many values
        else:
            check_temperature(value)
    return temperature.reshape(()).to(z.device)


def check_temperature(value: float) -> None:
    """Raise ValueError for a temperature that is not a positive number."""
    if not value > 0:
        raise ValueError(f"temperature must be > 0, got {value}")
    if value == math.inf:
        raise ValueError(f"temperature must be finite, got {value}")


def computed_in(z: Tensor) -> torch.dtype:
    """Return the dtype of sums and losses."""
    return torch.float64 if z.dtype == torch.float64 else torch.float32


def bfloat16_terms(z: Tensor) -> int:
    """Return how many bfloat16 terms stand for a number in products; 0 for the number itself.

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
