"""Groups of numbers in plain PyTorch: what is computed of each, without a loop over groups.

Two ways to say which numbers form a group have the same methods. *Members* are the numbers that are
in groups, in whatever order a class keeps them; *of groups* is a tensor with one number a group, in
the shape in which the class keeps these.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from lelkern.reference.precision import widened


class Grouping(ABC):
    """Which numbers of a tensor form a group."""

    @abstractmethod
    def members(self, w: Tensor) -> Tensor:
        """Return the members."""

    @abstractmethod
    def put(self, w: Tensor, members: Tensor) -> Tensor:
        """Return w with these members in place of its own."""

    @abstractmethod
    def sum(self, members: Tensor) -> Tensor:
        """Return the sum of each group."""

    @abstractmethod
    def largest(self, members: Tensor) -> Tensor:
        """Return the largest number >= 0 of each group, nan where there is one; 0 of none."""

    @abstractmethod
    def spread(self, of_groups: Tensor) -> Tensor:
        """Return for each member its group's number."""

    @abstractmethod
    def unfold(self, numbers: Tensor) -> Tensor:
        """Return numbers (G,), or one number () for all, as one of groups."""

    @abstractmethod
    def fold(self, of_groups: Tensor) -> Tensor:
        """Return one of groups as (G,)."""


class DenseGroups(Grouping):
    """Groups of w (A, N, B): group a B + b is w[a, :, b]. One of groups is (A, 1, B)."""

    def __init__(self, w: Tensor) -> None:
        self.shape = (w.shape[0], 1, w.shape[2])

    def members(self, w: Tensor) -> Tensor:
        """Return all of w."""
        return w

    def put(self, w: Tensor, members: Tensor) -> Tensor:
        """Return the members."""
        return members

    def sum(self, members: Tensor) -> Tensor:
        """Return the sums over N."""
        return members.sum(1, keepdim=True)

    def largest(self, members: Tensor) -> Tensor:
        """Return the largest numbers over N."""
        if members.shape[1] == 0:
            return members.new_zeros(self.shape)
        return members.amax(1, keepdim=True)

    def spread(self, of_groups: Tensor) -> Tensor:
        """Return the numbers of groups, (A, 1, B), as they are: they broadcast over N."""
        return of_groups

    def unfold(self, numbers: Tensor) -> Tensor:
        """Return (A, 1, B)."""
        return numbers.expand(self.shape[0] * self.shape[2]).reshape(self.shape)

    def fold(self, of_groups: Tensor) -> Tensor:
        """Return (A B,)."""
        return of_groups.expand(self.shape).reshape(-1)


class SparseGroups(Grouping):
    """Groups in CSR form: group g of w (numel,) has indices[ptr[g] : ptr[g + 1]].

    Members are (E,), in the order of the indices, and one of groups is (G,).
    """

    def __init__(self, ptr: Tensor, indices: Tensor) -> None:
        self.indices = indices
        self.count = ptr.shape[0] - 1
        groups = torch.arange(self.count, device=ptr.device)
        self.group = groups.repeat_interleave(ptr.diff(), output_size=indices.shape[0])

    def members(self, w: Tensor) -> Tensor:
        """Return w at the indices."""
        return w[self.indices]

    def put(self, w: Tensor, members: Tensor) -> Tensor:
        """Return w with the members at their indices."""
        return w.index_copy(0, self.indices, members)

    def sum(self, members: Tensor) -> Tensor:
        """Return the sums of the groups, added up in float64 where the device has it."""
        wide = widened(members)
        return wide.new_zeros(self.count).index_add(0, self.group, wide).to(members.dtype)

    def largest(self, members: Tensor) -> Tensor:
        """Return the largest numbers of the groups."""
        zeros = members.new_zeros(self.count)
        return zeros.scatter_reduce(0, self.group, members, "amax")

    def spread(self, of_groups: Tensor) -> Tensor:
        """Return of_groups, repeated."""
        return of_groups[self.group]

    def unfold(self, numbers: Tensor) -> Tensor:
        """Return (G,)."""
        return numbers.expand(self.count)

    def fold(self, of_groups: Tensor) -> Tensor:
        """Return the numbers of groups, which are (G,) already."""
        return of_groups


def grouping(w: Tensor, ptr: Tensor | None, indices: Tensor | None) -> Grouping:
    """Return the groups of w: those in CSR form if there are such, else w is (A, N, B)."""
    if ptr is None or indices is None:
        return DenseGroups(w)
    return SparseGroups(ptr, indices)
