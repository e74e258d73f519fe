"""What is compared: a case is one loss of one size, a provider one way of computing it."""

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

FEATURES = 128  # the projections of SimCLR and MoCo
TEMPERATURE = 0.1

FORWARD, BOTH = "forward", "forward+backward"
MODES = (BOTH, FORWARD)
PRECISIONS = ("medium", "high")  # of float32 products, less than "highest"

Loss = Callable[..., Tensor]
"""Takes the leaves and the constants of its case, and returns the mean loss."""


def nothing(size: int) -> float:
    """Return the bytes of what grows no faster than its inputs."""
    return 0


def matrices(count: float) -> Callable[[int], float]:
    """Return the bytes of ``count`` float32 matrices of size x size."""
    return lambda size: count * 4 * size**2


@dataclass(frozen=True)
class Provider:
    """One way of computing a loss.

    Attributes:
        name: as in the CSV file.
        loss: called as the case says; for a peer it imports the peer.
        dtype: ``float32``, ``bfloat16``, ``float32-medium``, ``float32-high``, as in the CSV file.
        peer: distribution and module, of what has to be installed for it.
        needs: bytes beyond the inputs for a size, roughly: enough to see what cannot run.
        compiled: put through ``torch.compile``.
        threads: of the CPU, by default as many as PyTorch chooses.
        devices: types of devices that it is for.
    """

    name: str
    loss: Loss
    dtype: str = "float32"
    peer: tuple[str, str] | None = None
    needs: Callable[[int], float] = nothing
    compiled: bool = False
    threads: int | None = None
    devices: tuple[str, ...] = ("cpu", "cuda")

    def __str__(self) -> str:
        dtype = "" if self.dtype == "float32" else f" {self.dtype}"
        threads = "" if self.threads is None else f" threads={self.threads}"
        return f"{self.name}{dtype}{threads}"

    def why_not(self, size: int, device: torch.device) -> str:
        """Return why it cannot run at this size on this device, or nothing."""
        if device.type not in self.devices:
            return f"{self} is for {' and '.join(self.devices)}"
        if self.peer and importlib.util.find_spec(self.peer[1]) is None:
            return f"{self.peer[0]} is not installed"
        needed, free = self.needs(size), memory_available(device)
        if needed > free:
            return f"{self} needs about {needed / 1e9:.0f} GB here, {free / 1e9:.0f} GB are free"
        return ""

    @property
    def peer_version(self) -> str:
        return importlib.metadata.version(self.peer[0]) if self.peer else ""

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Set what is global in PyTorch as this provider wants it."""
        threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if (asked := self.dtype.removeprefix("float32-")) in PRECISIONS:
            torch.set_float32_matmul_precision(asked)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
            if self.threads is not None:
                torch.set_num_threads(threads)


def memory_available(device: torch.device) -> float:
    """Return the bytes that can be allocated; unlimited where the system does not say."""
    if device.type == "cuda":
        # PyTorch keeps what earlier cases needed, and no other process could have it.
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    path = Path("/proc/meminfo")
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if line.startswith("MemAvailable:"):
            return 1024 * float(line.split()[1])
    return float("inf")


@dataclass(frozen=True, eq=False)
class Case:
    """One loss of one size.

    Attributes:
        op: as in the CSV file.
        size: rows of the loss.
        leaves: float32 inputs that get gradients.
        constants: the other inputs; those of a floating-point type take the provider's dtype.
        plain: the loss in plain PyTorch, which decides in float64 what is right.
        providers: those compared in each mode.
        flops: of each mode, for an algorithm in O(rows x features) memory.
        min_rounds: rounds that have to be however long they take.
        expect: overrides what is right: from the leaves the loss and, if known, the gradients,
            in float64.
    """

    op: str
    size: int
    leaves: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    plain: Loss
    providers: Mapping[str, tuple[Provider, ...]]
    flops: Mapping[str, float]
    min_rounds: int = 5
    expect: Callable[..., tuple[Tensor, ...]] | None = None

    @property
    def features(self) -> int:
        return self.leaves[0].shape[1]

    @property
    def device(self) -> torch.device:
        return self.leaves[0].device

    def on(self, device: torch.device) -> "Case":
        """Return the same case on a device."""
        return replace(
            self,
            leaves=tuple(leaf.to(device) for leaf in self.leaves),
            constants=tuple(constant.to(device) for constant in self.constants),
        )

    @cached_property
    def expected(self) -> tuple[Tensor, ...]:
        if self.expect:
            return self.expect(*self.leaves)
        return self.step(self.plain, BOTH, torch.float64)()

    def step(
        self, loss: Loss, mode: str, dtype: torch.dtype = torch.float32
    ) -> Callable[[], tuple[Tensor, ...]]:
        """Return one call of a loss, which returns its value and, with backward, gradients."""
        leaves = [leaf.detach().to(dtype).requires_grad_() for leaf in self.leaves]
        constants = [c.to(dtype) if c.is_floating_point() else c for c in self.constants]

        def forward() -> tuple[Tensor, ...]:
            with torch.no_grad():
                return (loss(*leaves, *constants),)

        def both() -> tuple[Tensor, ...]:
            value = loss(*leaves, *constants)
            return (value, *torch.autograd.grad(value, leaves))

        return forward if mode == FORWARD else both

    def step_of(self, provider: Provider, mode: str) -> Callable[[], tuple[Tensor, ...]]:
        # Shapes are fixed: the compiler's best case.
        loss = torch.compile(provider.loss, dynamic=False) if provider.compiled else provider.loss
        return self.step(loss, mode, getattr(torch, provider.dtype.partition("-")[0]))

    def verify(self, provider: Provider, got: tuple[Tensor, ...]) -> None:
        """Raise AssertionError unless what a provider returned is right.

        Errors are measured against the norm of the whole tensor. A float32 dot product of unit
        rows errs by about 1e-7, its exponential by 1e-7 / temperature = 1e-6, and sums over rows
        do not make it worse. Rounding embeddings to bfloat16 (2^-9 an entry) moves a similarity by
        2^-9 sqrt(2 / features) = 2e-4, an exponential by 2e-3; rounding the gradient's weights
        and, for bfloat16 embeddings, the gradients as well, adds 2e-3 each.
        """
        tolerance = 1e-5 if provider.dtype == "float32" else 1e-2
        # Forward alone returns fewer tensors than there are expectations.
        names = ("loss", "first gradient", "second gradient")
        for name, value, want in zip(names, got, self.expected, strict=False):
            error = float((value.detach().double() - want).norm() / want.norm())
            assert error <= tolerance, (
                f"{self.op} {self.size}: the {name} of {provider} errs by {error:.1e}"
            )
