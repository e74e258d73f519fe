"""What the front doors that mix images share: checks, and images as rows of an op."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from lelkern.number import number_or_tensor
from lelkern.ops._dtypes import DTYPES
from lelkern.ops._number import tensor_of


class Rows(NamedTuple):
    """Images as rows of numbers, in the order in which they lie in memory.

    Attributes:
        values: (N, D).
        shape: of an image.
        channels_last: whether the numbers of a pixel lie side by side.
    """

    values: Tensor
    shape: tuple[int, ...]
    channels_last: bool

    @property
    def channels(self) -> int:
        """The size of dimension 1 of the images; 1 where there is none."""
        return self.shape[0] if self.shape else 1

    @property
    def inner(self) -> int:
        """How many numbers of one channel lie side by side."""
        return 1 if self.channels_last else math.prod(self.shape[1:])

    def images(self, rows: Tensor) -> Tensor:
        """Return rows (R, D) as images (R, ...) in the memory format of these."""
        if self.channels_last:
            channels, *places = self.shape
            return rows.view(rows.shape[0], *places, channels).movedim(-1, 1)
        return rows.view(rows.shape[0], *self.shape)


def as_rows(x: Tensor, *, channels_last: bool | None = None) -> Rows:
    """Return images (N, ...) as rows: a view of them if the numbers of an image lie side by side.

    ``channels_last``: in which order; by default that in which they are.
    """
    if channels_last is None:
        channels_last = (
            x.dim() > 3
            and not x.is_contiguous()
            and not _is_dense(x)
            and _is_dense(x.movedim(1, -1))
        )
    n, *shape = x.shape
    ordered = x.movedim(1, -1) if channels_last else x
    return Rows(ordered.reshape(n, math.prod(shape)), tuple(shape), channels_last)


def _is_dense(x: Tensor) -> bool:
    """Whether the numbers of each x[i] lie side by side in the order of the dimensions."""
    expected = 1
    for size, stride in zip(reversed(x.shape[1:]), reversed(x.stride()[1:]), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def check_images(name: str, x: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """Raise unless x is a batch that can be mixed; return the dtype of the result."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(x).__name__}")
    if x.dtype not in (*DTYPES, torch.uint8):
        raise TypeError(
            f"{name} must be float64, float32, bfloat16, float16 or uint8, got {x.dtype}"
        )
    if x.dim() == 0:
        raise ValueError(f"{name} must be (N, ...), a batch, got a tensor without dimensions")
    if x.dtype != torch.uint8:
        if dtype not in (None, x.dtype):
            raise TypeError(
                f"dtype must be that of {name}, {x.dtype}, unless it is uint8, got {dtype}"
            )
        return x.dtype
    if dtype not in (None, *DTYPES):
        raise TypeError(f"dtype must be floating point, got {dtype}")
    return dtype or torch.float32


def arithmetic_of(*dtypes: torch.dtype) -> torch.dtype:
    """Return the dtype of the arithmetic with numbers of these dtypes."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def channel_values(
    name: str, value: float | Tensor | None, rows: Rows, dtype: torch.dtype
) -> Tensor | None:
    """Return a scale or offset as the op takes it: (channels,), or (1,) for all of them.

    Raises:
        TypeError: it is neither a number nor a floating-point tensor.
        ValueError: a tensor of another shape.
    """
    if value is None:
        return None
    device = rows.values.device
    value = number_or_tensor(name, value)
    if not isinstance(value, Tensor):
        return tensor_of(value, dtype=dtype, device=device).reshape(1)
    if not value.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {value.dtype}")
    if value.numel() != 1 and value.shape != (rows.channels,):
        raise ValueError(
            f"{name} must be a number or ({rows.channels},), one a channel, "
            f"got {tuple(value.shape)}"
        )
    return value.detach().reshape(-1).to(device, dtype)


def lam_of_rows(lam: float | Tensor, n: int, device: torch.device) -> Tensor:
    """Return lambda (n,), differentiable, in its own dtype.

    A number becomes float64, or float32 on a device without it.

    Raises:
        TypeError: it is neither a number nor a floating-point tensor.
        ValueError: it has another shape, or a number is not in [0, 1].
    """
    lam = number_or_tensor("lam", lam)
    if not isinstance(lam, Tensor):
        if not 0 <= lam <= 1:
            raise ValueError(f"lam must be in [0, 1], got {lam}")
        return tensor_of(lam, dtype=torch.float64, device=device, shape=(n,))
    if lam.dtype not in DTYPES:
        raise TypeError(f"lam must be floating point, got {lam.dtype}")
    if lam.numel() != 1 and lam.shape != (n,):
        raise ValueError(f"lam must be a number or ({n},), one a sample, got {tuple(lam.shape)}")
    return lam.to(device).reshape(-1).expand(n) if lam.numel() == 1 else lam.to(device)


def permutation(
    perm: Tensor | None, n: int, device: torch.device, generator: Generator | None
) -> Tensor:
    """Return the permutation (n,), drawn if there is none.

    Raises:
        TypeError: it is not an int64 tensor.
        ValueError: it has another shape.
    """
    if perm is None:
        where = device if generator is None else generator.device
        return torch.randperm(n, generator=generator, device=where).to(device)
    if not isinstance(perm, Tensor) or perm.dtype != torch.int64:
        raise TypeError(f"perm must be int64, got {getattr(perm, 'dtype', type(perm).__name__)}")
    if perm.shape != (n,):
        raise ValueError(f"perm must be ({n},), one a sample, got {tuple(perm.shape)}")
    return perm.to(device)


class Labels(NamedTuple):
    """Labels as the op takes them.

    Attributes:
        values: (n,) int64 classes, or (n, C) distributions over them.
        num_classes: C.
        dtype: of distributions over the classes.
    """

    values: Tensor
    num_classes: int
    dtype: torch.dtype


def checked_labels(y: Tensor, n: int, num_classes: int | None, device: torch.device) -> Labels:
    """Return labels as the op takes them; the values of classes are not looked at.

    Whole numbers (n,), whose distributions are in float32, become int64; distributions (n, C) are
    left as they are.

    Raises:
        TypeError: y is neither whole numbers nor floating point, or num_classes is no whole number.
        ValueError: y has another shape, or num_classes is missing or contradicts it.
    """
    if not isinstance(y, Tensor):
        raise TypeError(f"y must be a tensor, got {type(y).__name__}")
    if y.device != device:
        raise ValueError(f"y must be on {device}, got {y.device}")
    if y.is_floating_point():
        if y.dtype not in DTYPES:
            raise TypeError(f"y must be float64, float32, bfloat16 or float16, got {y.dtype}")
        if y.dim() != 2 or y.shape[0] != n:
            raise ValueError(f"y must be ({n}, C) distributions, got {tuple(y.shape)}")
        if num_classes not in (None, y.shape[1]):
            raise ValueError(f"num_classes must be {y.shape[1]}, as y has it, got {num_classes}")
        return Labels(y, y.shape[1], y.dtype)
    if y.is_complex() or y.dtype == torch.bool:
        raise TypeError(f"y must be classes or distributions over them, got {y.dtype}")
    if y.shape != (n,):
        raise ValueError(f"y must be ({n},) classes, got {tuple(y.shape)}")
    if num_classes is None:
        raise ValueError("num_classes must be given for y of whole numbers, got None")
    if not hasattr(num_classes, "__index__"):
        raise TypeError(f"num_classes must be a whole number, got {num_classes}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    return Labels(y.to(torch.int64), num_classes, torch.float32)
