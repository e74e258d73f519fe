"""What the proximal operators share: groups and thresholds as the ops take them, and lists."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lelkern.number import number_or_tensor
from lelkern.ops._dtypes import DTYPES, check_floating, computed_in
from lelkern.ops._groups import (
    CSRGroups,
    Dims,
    Layout,
    check_grouping,
    dense_layout,
    elementwise_layout,
)
from lelkern.ops._known import known_ends
from lelkern.ops._number import in_range, tensor_of

Groups = tuple[int, ...] | CSRGroups
Threshold = float | Tensor
Weights = str | Tensor | None


def check_q(q: object) -> float:
    """Return q as a float.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above 1.
    """
    if not isinstance(q, Real):
        raise TypeError(f"q must be a number, got {type(q).__name__}")
    q = float(q)
    if q == 1:
        raise ValueError("q must be > 1, got 1: of the l1 norm the operator is prox_l1")
    if not q > 1:
        raise ValueError(f"q must be > 1, got {q}")
    return q


def layout_of(name: str, w: Tensor, dim: Dims | None, groups: Groups | None) -> Layout | CSRGroups:
    """Return which groups w has.

    Raises:
        TypeError: dim or groups is of another type.
        ValueError: not exactly one of dim and groups is given, or it does not fit w.
    """
    check_grouping(dim, groups)
    return _fitting(name, w, dim, groups, torch.compiler.is_compiling())


def _fitting(
    name: str, w: Tensor, dim: Dims | None, groups: Groups | None, compiling: bool
) -> Layout | CSRGroups:
    if isinstance(groups, CSRGroups):
        groups.check(name, w)
        return groups
    return dense_layout(name, w, dim, groups, compiling=compiling)


Made = dict[tuple[float, float, torch.dtype, torch.device], Tensor]
"""Tensors of numbers, of which those of a list of tensors share one: on a GPU each is a launch.

Inside ``torch.compile``, which makes one of those alike, there is none."""


def threshold(
    name: str,
    value: Threshold,
    like: Tensor,
    shape: tuple[int, ...],
    what: str = "one a group",
    *,
    times: float = 1.0,
    made: Made | None = None,
) -> Tensor:
    """Return a threshold as an op takes it: without dimensions, or of a shape.

    Args:
        name: what errors call it.
        value: as it is given.
        like: what has the threshold.
        shape: of a tensor that has more than one element.
        what: these elements are.
        times: by what it is multiplied.
        made: where a number's tensor is looked for, and kept, once it has been checked.

    Raises:
        TypeError: it is neither a number nor a floating-point tensor.
        ValueError: it has another shape, or is known to be negative.
    """
    if made is not None and isinstance(value, float | int):
        key = value, times, like.dtype, like.device
        if key not in made:
            made[key] = threshold(name, value, like, shape, what, times=times)
        return made[key]
    value = number_or_tensor(name, value)
    if not isinstance(value, Tensor):
        if value < 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
        dtype = computed_in(like)
        value = in_range(value, dtype)
        value = value if times == 1 else in_range(value * times, dtype)
        return tensor_of(value, dtype=dtype, device=like.device)
    if value.dtype not in DTYPES:
        raise TypeError(f"{name} must be floating point, got {value.dtype}")
    if value.shape != shape and value.numel() != 1:
        raise ValueError(
            f"{name} must have one element, or {what}, {shape}, got {tuple(value.shape)}"
        )
    ends = known_ends(value)
    if ends is not None and ends[0] < 0:
        raise ValueError(f"{name} must be >= 0, got {ends[0]}")
    if value.shape != shape:
        value = value.reshape(())
    value = value.to(like.device, computed_in(like))
    return value if times == 1 else value * times


def group_threshold(
    name: str,
    value: Threshold,
    like: Tensor,
    layout: Layout | CSRGroups,
    weights: Weights,
    made: Made | None = None,
) -> Tensor:
    """Return the threshold of the groups' norms, weights multiplied in: (), or (G,).

    A weight of 0 makes it 0, and one of infinity makes it infinite, whatever the other is.

    Raises:
        TypeError: an argument has another type or dtype.
        ValueError: it has another shape, is known to be negative, or is another string.
    """
    shape = (layout.number,)
    times = 1.0
    if isinstance(weights, str) and isinstance(layout, Layout):
        times = math.sqrt(max(layout.sizes[1], 1))
    given = threshold(name, value, like, shape, times=times, made=made)
    if weights is None:
        return given
    if isinstance(weights, str):
        if weights != "sqrt_size":
            raise ValueError(f'weights must be "sqrt_size" or a tensor, got "{weights}"')
        if isinstance(layout, Layout):
            return given
        return _weighted(given, layout.group_ptr.diff().to(given.dtype).sqrt())
    if not isinstance(weights, Tensor):
        raise TypeError(f'weights must be "sqrt_size" or a tensor, got {type(weights).__name__}')
    if weights.shape != shape:
        raise ValueError(f"weights must be {shape}, one a group, got {tuple(weights.shape)}")
    return _weighted(given, threshold("weights", weights, like, shape))


def _weighted(given: Tensor, weights: Tensor) -> Tensor:
    """Return given * weights, where the weight has the last word if it is 0 or infinite."""
    infinite = weights == math.inf
    zero = (weights == 0) & (given == math.inf)
    product = given.masked_fill(zero, 1) * weights.masked_fill(infinite, 1)
    return product.masked_fill(infinite & (given >= 0), math.inf)


class Lists(NamedTuple):
    """Tensors to be changed in place, as the ops over lists take them.

    Attributes:
        tensors: those that have elements.
        places: where these were in the list.
        layouts: of each.
        values: of each, (A, N, B) or (numel,): a view of it, or a copy to be written back.
        lam1: thresholds of the elements, or nothing.
        lam: thresholds of the groups.
        group_ptr: of those with groups in CSR form.
        group_indices: likewise.
        sizes: N and B of each.
    """

    tensors: list[Tensor]
    places: list[int]
    layouts: list[Layout | CSRGroups]
    values: list[Tensor]
    lam1: list[Tensor]
    lam: list[Tensor]
    group_ptr: list[Tensor]
    group_indices: list[Tensor]
    sizes: list[int]

    @property
    def groups(self) -> tuple[Any, ...]:
        """What the ops take after the tensors, up to the sizes."""
        return self.lam1, self.lam, self.group_ptr, self.group_indices, self.sizes


def tensor_list(name: str, w: Tensor | Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Return one tensor, or several, as a tuple: dense, floating point, on one device.

    Raises:
        TypeError: one is no such tensor.
        ValueError: they are on several devices.
    """
    if isinstance(w, Tensor):
        check_floating(name, w)
        tensors: tuple[Tensor, ...] = (w,)
    elif not isinstance(w, Iterable):
        raise TypeError(f"{name} must be a tensor or several, got {type(w).__name__}")
    else:
        tensors = tuple(w)
        for i, x in enumerate(tensors):
            check_floating(f"{name}[{i}]", x)
    for i, x in enumerate(tensors):
        if x.layout != torch.strided:
            raise TypeError(f"{name}[{i}] must be dense, got {x.layout}")
        if x.device != tensors[0].device:
            raise ValueError(
                f"{name}[{i}] must be on the device of {name}[0], {tensors[0].device}, "
                f"got {x.device}"
            )
    return tensors


def each(name: str, value: Any, count: int) -> Sequence[Any]:
    """Return a value for each of several tensors: one for all, or a list of one for each."""
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} must have {count} elements, one a tensor, got {len(value)}")
    return value


def _called(name: str, value: object, place: int) -> str:
    """Return what errors call the value of one tensor: with its place if it is one of several."""
    return f"{name}[{place}]" if isinstance(value, list | tuple) else name


def group_lists(
    name: str,
    tensors: Sequence[Tensor],
    *,
    lam: tuple[str, Any],
    lam1: Any = None,
    dim: Dims | None,
    groups: Groups | None,
    weights: Any,
) -> Lists:
    """Return tensors with the penalties of their groups, for the ops over lists.

    ``lam``, ``lam1`` and ``weights`` are for all tensors, or lists with one for each; ``lam`` with
    what errors call it.
    """
    lists = Lists([], [], [], [], [], [], [], [], [])
    lam_name, lam = lam
    count = len(tensors)
    lams, weights = each(lam_name, lam, count), each("weights", weights, count)
    lam1s = each("lam1", lam1, count)
    check_grouping(dim, groups)
    compiling = torch.compiler.is_compiling()
    made: Made | None = None if compiling else {}
    for place, w in enumerate(tensors):
        called = name if count == 1 else f"{name}[{place}]"
        layout = _fitting(called, w, dim, groups, compiling)
        own = _called(lam_name, lam, place)
        group_lam = group_threshold(own, lams[place], w, layout, weights[place], made)
        group_lam1 = lam1s[place]
        if group_lam1 is not None:
            own = _called("lam1", lam1, place)
            group_lam1 = threshold(own, group_lam1, w, (layout.number,), made=made)
        _append(lists, place, w, layout, group_lam1, group_lam, compiling)
    return lists


def elementwise_lists(tensors: Sequence[Tensor], lam: Any) -> Lists:
    """Return tensors with a penalty of their elements, for the ops over lists."""
    lists = Lists([], [], [], [], [], [], [], [], [])
    compiling = torch.compiler.is_compiling()
    made: Made | None = None if compiling else {}
    for place, (w, own) in enumerate(zip(tensors, each("lam", lam, len(tensors)), strict=True)):
        given, layout = elementwise_threshold(_called("lam", lam, place), own, w, made)
        of_groups = threshold("lam", 0.0, w, (), made=made)
        _append(lists, place, w, layout, given, of_groups, compiling)
    return lists


def elementwise_threshold(
    name: str, lam: Threshold, w: Tensor, made: Made | None = None
) -> tuple[Tensor, Layout]:
    """Return the threshold of each element, () or flat in the order of memory, and that order."""
    layout = elementwise_layout(w)
    given = threshold(name, lam, w, tuple(w.shape), "one an element", made=made)
    return (layout.apply(given).reshape(-1) if given.dim() else given), layout


def _append(
    lists: Lists,
    place: int,
    w: Tensor,
    layout: Layout | CSRGroups,
    lam1: Tensor | None,
    lam: Tensor,
    compiling: bool,
) -> None:
    if w.numel() == 0:
        return
    lists.tensors.append(w)
    lists.places.append(place)
    lists.layouts.append(layout)
    if isinstance(layout, Layout) and layout.is_view and not compiling:
        lists.values.append(layout.view(w.detach()))
    else:
        lists.values.append(values_of(w, layout))
    lists.lam.append(lam.detach() if lam.requires_grad else lam)
    if lam1 is not None:
        lists.lam1.append(lam1.detach() if lam1.requires_grad else lam1)
    if isinstance(layout, CSRGroups):
        lists.group_ptr.append(layout.group_ptr)
        lists.group_indices.append(layout.group_indices)
        lists.sizes.extend((0, 0))
    else:
        lists.sizes.extend(layout.sizes[1:])


def values_of(w: Tensor, layout: Layout | CSRGroups) -> Tensor:
    """Return w as the ops take it, (A, N, B) or (numel,), contiguous: a view if there is one."""
    if isinstance(layout, CSRGroups):
        return w.detach().reshape(-1).contiguous()
    return layout.apply(w.detach())


def is_view(w: Tensor, layout: Layout | CSRGroups) -> bool:
    """Whether ``values_of`` returns a view of w, for the layout of a tensor with these strides."""
    if isinstance(layout, CSRGroups):
        return w.is_contiguous()
    return layout.is_view


def write_back(w: Tensor, layout: Layout | CSRGroups, values: Tensor) -> None:
    """Copy values into w."""
    with torch.no_grad():
        w.copy_(values.view(w.shape) if isinstance(layout, CSRGroups) else layout.undo(values))
