"""The parameters and buffers of a module, and which of them belong together in two modules."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from torch import Tensor, nn

Buffers = Literal["copy", "average", "skip"]

_WRAPPED = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What wrappers call the module inside: data parallelism, compilation, FSDP, checkpoints."""


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the model inside ``torch.compile``, DataParallel or DistributedDataParallel."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif (inner := module._modules.get("_orig_mod")) is not None:
            module = inner
        else:
            return module


class Selection(NamedTuple):
    """How the tensors of a model get into its average.

    Attributes:
        buffers: what happens to buffers.
        exclude: names, or patterns of them, of what is copied instead of averaged.
    """

    buffers: Buffers
    exclude: tuple[str, ...]

    def tensors(self, module: nn.Module) -> list[Tensor]:
        """Return the parameters and buffers that take part; those with several names several times.

        It runs in every update: the names take longer.
        """
        found: list[Tensor] = []
        with_buffers = self.buffers != "skip"

        def visit(module: nn.Module) -> None:
            found.extend(x for x in module._parameters.values() if x is not None)
            if with_buffers:
                found.extend(x for x in module._buffers.values() if x is not None)
            for child in module._modules.values():
                if child is not None:
                    visit(child)

        visit(module)
        return found

    def named(self, module: nn.Module) -> "list[Named]":
        """Return the same with names, in the same order, without the names of wrappers."""
        return list(self._visit(module, ""))

    def _visit(self, module: nn.Module, prefix: str) -> "Iterator[Named]":
        groups: list[tuple[bool, Mapping[str, Tensor | None]]] = [(False, module._parameters)]
        if self.buffers != "skip":
            groups.append((True, module._buffers))
        for is_buffer, group in groups:
            for name, x in group.items():
                if x is not None:
                    yield Named(prefix + name, x, is_buffer)
        transparent = _is_wrapper(module)
        for name, child in module._modules.items():
            if child is not None:
                yield from self._visit(child, prefix if transparent else f"{prefix}{name}.")

    def places(self, model: nn.Module, average: nn.Module) -> tuple[list[int], list[int]]:
        """Return the places of the tensors that are averaged, and that are copied, each once.

        Raises:
            ValueError: the two modules differ in names, shapes, or in which tensors are one.
        """
        self.check_alike(model, average)
        theirs, ours = self.named(model), self.named(average)
        excluded = {id(y.tensor) for y in ours if self._excludes(y.name)}
        averaged: list[int] = []
        copied: list[int] = []
        partners: dict[int, Tensor] = {}
        for i, (x, y) in enumerate(zip(theirs, ours, strict=True)):
            if id(y.tensor) in partners:
                if partners[id(y.tensor)] is not x.tensor:
                    raise ValueError(f"{x.name} of the model shares no tensor, its average does")
                continue
            partners[id(y.tensor)] = x.tensor
            is_averaged = not x.is_buffer or self.buffers == "average"
            is_averaged &= y.tensor.is_floating_point() and id(y.tensor) not in excluded
            (averaged if is_averaged else copied).append(i)
        return averaged, copied

    def check_exclude(self, module: nn.Module) -> None:
        """Raise ValueError unless each pattern of ``exclude`` fits a name."""
        names = [x.name for x in self.named(module)]
        for pattern in self.exclude:
            if not any(_fits(name, pattern) for name in names):
                raise ValueError(
                    f"exclude must name parameters or buffers of the model, got {pattern!r}"
                )

    def _excludes(self, name: str) -> bool:
        return any(_fits(name, pattern) for pattern in self.exclude)

    def check_alike(self, model: nn.Module, average: nn.Module) -> None:
        """Raise ValueError unless a model has the names and shapes of its average."""
        theirs, ours = self.named(model), self.named(average)
        names, known = [x.name for x in theirs], [x.name for x in ours]
        if names != known:
            new = [name for name in names if name not in known]
            missing = [name for name in known if name not in names]
            raise ValueError(
                "model must have the parameters and buffers of its average; "
                f"new: {new}, missing: {missing}"
            )
        for x, y in zip(theirs, ours, strict=True):
            if x.tensor.shape != y.tensor.shape:
                raise ValueError(
                    f"{x.name} of the model must have the shape of its average, "
                    f"{tuple(y.tensor.shape)}, got {tuple(x.tensor.shape)}"
                )

    def check_devices(self, model: nn.Module, average: nn.Module) -> None:
        """Raise ValueError unless each tensor of a model is on the device of its average."""
        for x, y in zip(self.named(model), self.named(average), strict=True):
            if x.tensor.device != y.tensor.device:
                raise ValueError(
                    f"{x.name} of the model must be on the device of its average, "
                    f"{y.tensor.device}, got {x.tensor.device}: move the average there with "
                    f".to({str(x.tensor.device)!r}), or make it with device= to keep it apart"
                )


class Named(NamedTuple):
    """A parameter or buffer under one of its names."""

    name: str
    tensor: Tensor
    is_buffer: bool


class Pairs(NamedTuple):
    """Tensors of the average with those of the model, in the same order."""

    averaged: tuple[list[Tensor], list[Tensor]]
    copied: tuple[list[Tensor], list[Tensor]]


class Pairing:
    """Which tensors of a model and its average belong together, found once.

    It holds no tensors, which would keep a model alive.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._identities: list[list[int]] = []
        self._averaged: list[int] = []
        self._copied: list[int] = []

    def __call__(self, model: nn.Module, average: nn.Module) -> Pairs:
        """Return the tensors that belong together, comparing names if the model has other ones.

        Raises:
            ValueError: the two modules differ in names, or did so in shapes when names were
                compared.
        """
        theirs, ours = self.selection.tensors(model), self.selection.tensors(average)
        identities = [list(map(id, theirs)), list(map(id, ours))]
        if self._identities != identities:
            self._averaged, self._copied = self.selection.places(model, average)
            self._identities = identities
        return Pairs(_chosen(ours, theirs, self._averaged), _chosen(ours, theirs, self._copied))


def _chosen(
    ours: Sequence[Tensor], theirs: Sequence[Tensor], places: Sequence[int]
) -> tuple[list[Tensor], list[Tensor]]:
    return [ours[i] for i in places], [theirs[i] for i in places]


def _is_wrapper(module: nn.Module) -> bool:
    """Whether a module has nothing but another one, under a wrapper's name for it."""
    if len(module._modules) != 1 or module._parameters or module._buffers:
        return False
    return next(iter(module._modules)) in _WRAPPED


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")
