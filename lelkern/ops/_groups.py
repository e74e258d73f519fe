"""Groups of the numbers of a tensor: which there are, and how they lie in its memory."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Dims = int | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class CSRGroups:
    """Any groups of the numbers of a tensor, in the form of compressed sparse rows.

    Group g has the numbers ``group_indices[group_ptr[g]:group_ptr[g + 1]]`` of ``w.flatten()``.
    Groups must not overlap; they may be empty, and a number may be in none. All is checked once,
    here, which waits for a GPU.

    Attributes:
        group_ptr: (G + 1,) int64, where each group begins, from 0 to E.
        group_indices: (E,) int64, on the same device.

    Raises:
        TypeError: a tensor is not int64.
        ValueError: group_ptr does not rise from 0 to E, or group_indices has a negative index, or
            one twice.
    """

    group_ptr: Tensor
    group_indices: Tensor

    def __post_init__(self) -> None:
        for name, x in (("group_ptr", self.group_ptr), ("group_indices", self.group_indices)):
            if not isinstance(x, Tensor) or x.dtype != torch.int64:
                kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
                raise TypeError(f"{name} must be an int64 tensor, got {kind}")
            if x.dim() != 1:
                raise ValueError(f"{name} must have one dimension, got {tuple(x.shape)}")
        ptr, indices = self.group_ptr, self.group_indices
        if ptr.device != indices.device:
            raise ValueError(
                f"group_ptr and group_indices must be on one device, "
                f"got {ptr.device} and {indices.device}"
            )
        count = indices.shape[0]
        if ptr.shape[0] == 0 or ptr[0] != 0 or ptr[-1] != count or (ptr.diff() < 0).any():
            raise ValueError(
                f"group_ptr must rise from 0 to {count}, the length of group_indices, "
                f"got {_shortened(ptr)}"
            )
        ordered = indices.sort().values
        if count and ordered[0] < 0:
            raise ValueError(f"group_indices must be at least 0, got {int(ordered[0])}")
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if twice.numel():
            raise ValueError(
                f"groups must not overlap, got index {int(twice[0])} in group_indices twice"
            )
        object.__setattr__(self, "group_ptr", ptr.contiguous())
        object.__setattr__(self, "group_indices", indices.contiguous())
        object.__setattr__(self, "_end", int(ordered[-1]) + 1 if count else 0)

    @property
    def number(self) -> int:
        """How many groups there are."""
        return self.group_ptr.shape[0] - 1

    def to(self, device: torch.device | str) -> "CSRGroups":
        """Return the groups on a device."""
        return CSRGroups(self.group_ptr.to(device), self.group_indices.to(device))

    def check(self, name: str, w: Tensor) -> None:
        """Raise ValueError unless all indices are of w, which the error calls ``name``."""
        end: int = self._end  # type: ignore[attr-defined]
        if end > w.numel():
            raise ValueError(
                f"group_indices must be below {w.numel()}, the number of elements of {name}, "
                f"got {end - 1}"
            )
        if w.device != self.group_ptr.device:
            raise ValueError(
                f"groups must be on the device of {name}, {w.device}, got {self.group_ptr.device}"
            )


def _shortened(x: Tensor) -> str:
    numbers = [str(number) for number in x[:8].tolist()]
    return f"[{', '.join(numbers)}{', ...' if x.shape[0] > 8 else ''}]"


class Layout(NamedTuple):
    """How the groups of a tensor w become groups of (A, N, B): a B + b is that of [a, :, b].

    Attributes:
        shape: of w.
        split: w's dimensions, those that are blocked as how many blocks there are and a block.
        order: of the dimensions of ``split``, in which they are A, N and B.
        sizes: A, N and B.
        is_view: whether w lies in memory in this order.
    """

    shape: tuple[int, ...]
    split: tuple[int, ...]
    order: tuple[int, ...]
    sizes: tuple[int, int, int]
    is_view: bool

    @property
    def number(self) -> int:
        """How many groups there are."""
        return self.sizes[0] * self.sizes[2]

    def apply(self, w: Tensor) -> Tensor:
        """Return w as (A, N, B), contiguous: a view of it if there is one."""
        return w.reshape(self.split).permute(self.order).reshape(self.sizes).contiguous()

    def view(self, w: Tensor) -> Tensor:
        """Return the view of w that ``apply`` gives if ``is_view``, in one step instead of four.

        Not inside ``torch.compile``, which would have strides for numbers that it knows.
        """
        _, n, b = self.sizes
        return w.as_strided(self.sizes, (n * b, b, 1))

    def undo(self, x: Tensor) -> Tensor:
        """Return (A, N, B) as a tensor of the shape of w."""
        permuted = x.reshape([self.split[i] for i in self.order])
        places = sorted(range(len(self.order)), key=lambda i: self.order[i])
        return permuted.permute(places).reshape(self.shape)


def check_grouping(dim: object, groups: object) -> None:
    """Look at what groups are given by, before any tensor is.

    Raises:
        TypeError: dim is not an int or a tuple of ints, groups neither that nor CSRGroups.
        ValueError: not exactly one of them is given.
    """
    if (dim is None) == (groups is None):
        raise ValueError(
            f"exactly one of dim and groups must be given, got dim = {dim}, groups = {groups}"
        )
    if dim is not None and not (isinstance(dim, int) or _is_ints(dim)):
        raise TypeError(f"dim must be an int or a tuple of ints, got {dim!r}")
    if groups is not None and not (isinstance(groups, CSRGroups) or _is_ints(groups)):
        raise TypeError(f"groups must be CSRGroups or a tuple of ints, got {groups!r}")


def dense_layout(
    name: str, w: Tensor, dim: Dims | None, block: tuple[int, ...] | None, *, compiling: bool
) -> Layout:
    """Return the layout of groups along dimensions, or of blocks, which have been checked.

    Raises:
        ValueError: dim has something that is no dimension of w, or twice one that is; block does
            not divide w.
    """
    found = _dense_layout if compiling else _remembered_layout
    return found(name, tuple(w.shape), w.stride(), dim, block)


def _is_ints(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, int) for n in value)


def _dense_layout(
    name: str,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dim: Dims | None,
    block: tuple[int, ...] | None,
) -> Layout:
    if block is None:
        inside = _dimensions(name, shape, dim)
        split, steps = shape, strides
    else:
        counts, sizes = _blocks(name, shape, block)
        split = tuple(n for pair in zip(counts, sizes, strict=True) for n in pair)
        steps = tuple(s for n, step in zip(sizes, strides, strict=True) for s in (n * step, step))
        inside = tuple(range(1, len(split), 2))
    order, (a, n, b) = _order(split, steps, inside)
    return Layout(shape, split, order, (a, n, b), _is_dense(split, steps, order))


_remembered_layout = functools.lru_cache(maxsize=1024)(_dense_layout)


def elementwise_layout(w: Tensor) -> Layout:
    """Return the layout in which every number of w is a group, in the order of memory."""
    shape, steps = tuple(w.shape), w.stride()
    order = _by_step(steps)
    return Layout(shape, shape, order, (1, 1, w.numel()), _is_dense(shape, steps, order))


def _by_step(steps: tuple[int, ...]) -> tuple[int, ...]:
    """Return the dimensions in the order of memory, the innermost last."""
    order: list[int] = []
    for i in range(len(steps)):
        place = len(order)
        while place and steps[order[place - 1]] < steps[i]:  # torch.compile sorts no symbols
            place -= 1
        order.insert(place, i)
    return tuple(order)


def _order(
    split: tuple[int, ...], steps: tuple[int, ...], inside: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Return the dimensions in an order in which those of groups are side by side, and A, N, B.

    That of memory if it is one and leaves the order of groups as it is, so that nothing is copied.
    """
    dims = range(len(split))
    outside = tuple(i for i in dims if i not in inside)
    in_memory = _by_step(steps)
    long = [i for i in in_memory if split[i] != 1]
    groups = [i for i in long if i in outside]
    first = next((k for k, i in enumerate(long) if i in inside), 0)
    within = [i for i in long if i in inside]
    if groups == sorted(groups) and long[first : first + len(within)] == within:
        short = [i for i in dims if split[i] == 1]
        before, after = long[:first], long[first + len(within) :]
        order = (*short, *before, *within, *after)
        return order, (_product(split, before), _product(split, within), _product(split, after))
    within = [i for i in in_memory if i in inside]
    return (*outside, *within), (_product(split, outside), _product(split, within), 1)


def _product(split: tuple[int, ...], dims: Sequence[int]) -> int:
    return math.prod([split[i] for i in dims])


def _is_dense(sizes: tuple[int, ...], steps: tuple[int, ...], order: tuple[int, ...]) -> bool:
    """Whether numbers lie side by side in this order of the dimensions."""
    expected = 1
    for i in reversed(order):
        if sizes[i] != 1 and steps[i] != expected:
            return False
        expected *= sizes[i]
    return True


def _dimensions(name: str, shape: tuple[int, ...], dim: Dims | None) -> tuple[int, ...]:
    dims = (dim,) if isinstance(dim, int) else dim or ()
    n = len(shape)
    for d in dims:
        if not -n <= d < n:
            raise ValueError(
                f"dim must be from {-n} to {n - 1} for {name} of shape {shape}, got {d}"
                if n
                else f"{name} must have a dimension for dim = {dim!r}, got shape ()"
            )
    places = tuple(d % n for d in dims)
    if not dims or len(set(places)) < len(places):
        raise ValueError(f"dim must name dimensions, each once, got {dim!r}")
    return places


def _blocks(
    name: str, shape: tuple[int, ...], block: tuple[int, ...]
) -> tuple[list[int], list[int]]:
    """Return the number of blocks along each dimension, and their lengths."""
    if len(block) != len(shape) or any(
        b != -1 and (b < 1 or n % b) for n, b in zip(shape, block, strict=True)
    ):
        raise ValueError(f"groups must be a block that divides {name}, {shape}, got {block}")
    counts = [1 if b == -1 else n // b for n, b in zip(shape, block, strict=True)]
    sizes = [n if b == -1 else b for n, b in zip(shape, block, strict=True)]
    return counts, sizes
