"""What benchmarks of mixing share: images that show by themselves how they were mixed."""

import ctypes
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import timing
from cases import Provider
from stopwatch import Stopwatch

CLASSES = 10
MODE = "mix"
SHAPE = (3, 32, 32)

Mix = Callable[[], tuple[Tensor, Tensor | None]]
"""Returns mixed images and, unless they are in a form of their own, targets."""


def provider(name: str, dtype: str = "float32", peer: tuple[str, str] | None = None,
             compiled: bool = False, devices: tuple[str, ...] = ("cpu", "cuda"),
             ) -> Provider:  # fmt: skip
    return Provider(
        name, lambda *_: torch.empty(0), dtype=dtype, peer=peer, compiled=compiled, devices=devices
    )


BYTES = (provider("bytes"), provider("bytes-new"), provider("bytes-new-2MiB"))
"""What the bytes alone take: each image read once and written once."""


def bytes_of(parts: tuple[Tensor, ...]) -> dict[str, Mix]:
    """Return copies of images (N, ...), one part after the other.

    ``bytes`` copies into memory that is there, which an op that returns a tensor has not;
    ``bytes-new`` into a new tensor; ``bytes-new-2MiB`` into one that asks Linux for large pages, as
    compiled kernels do: the floor of an op that returns a tensor. They differ by what pages cost.
    """
    there = torch.cat(parts)

    def copied(to: Tensor) -> Tensor:
        return torch.cat(parts, out=to)

    return {
        "bytes": lambda: (copied(there), None),
        "bytes-new": lambda: (copied(torch.empty_like(there)), None),
        "bytes-new-2MiB": lambda: (copied(in_huge_pages(torch.empty_like(there))), None),
    }


def in_huge_pages(new: Tensor) -> Tensor:
    """Ask Linux for pages of 2 MiB where a new tensor on a CPU has none yet, and return it."""
    if new.device.type == "cpu" and hasattr(mmap, "MADV_HUGEPAGE"):
        first = -(-new.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        size = new.data_ptr() + new.nbytes - first
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(size), mmap.MADV_HUGEPAGE)
    return new


def images(count: int, device: torch.device) -> Tensor:
    """Return images that begin with a pixel of 1 each in a place of its own."""
    features = 3 * 32 * 32
    if count > features:
        raise ValueError(f"count must be at most {features}, got {count}")
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand((count, features), generator=generator)
    rows[:, :count] = torch.eye(count)
    return rows.reshape(count, *SHAPE).to(device)


def verify(name: str, mixed: Tensor, targets: Tensor | None, rows: Tensor, labels: Tensor) -> None:
    """Raise AssertionError unless every row is the mean of its own and one other, and its target.

    A mean of two numbers in float32 errs by a few units in the last place of the larger one, and
    so do weights; labels that are guessed by a few more.
    """
    count, eps = len(rows), torch.finfo(torch.float32).eps
    rows, labels = rows.reshape(count, -1).double(), labels.double()
    mixed = mixed.reshape(count, -1).double()
    weights = mixed[:, :count]
    kept = weights.diagonal()
    assert (weights >= 0).all(), f"{name}: a negative weight"
    assert ((weights > 0).sum(1) <= 2).all(), f"{name}: more than two images"
    assert ((weights.sum(1) - 1).abs() <= 4 * eps).all(), f"{name}: weights do not sum to 1"
    assert (kept > 0).all(), f"{name}: an image is lost"
    assert not kept.eq(1).all(), f"{name}: nothing is mixed"
    error = (mixed - weights @ rows).abs()
    assert (error <= 8 * eps).all(), f"{name}: images err by {error.max():.3g}"
    if targets is not None:
        error = (targets.double() - weights @ labels).abs()
        assert (error <= 64 * eps).all(), f"{name}: targets err by {error.max():.3g}"


def verify_cut(
    name: str, mixed: Tensor, targets: Tensor | None, rows: Tensor, labels: Tensor
) -> None:
    """Raise AssertionError unless images, each of one number, are pasted by area into one other."""
    assert targets is not None
    own, change = rows[:, 0, 0, 0], mixed != rows
    assert change.any(), f"{name}: nothing is pasted"
    assert (change == change[:, :1]).all(), f"{name}: channels differ"
    for i in range(len(rows)):
        others = mixed[i][change[i]].unique()
        assert len(others) <= 1, f"{name}: more than two images"
        share = change[i, 0].double().mean()
        other = labels[own == others[0]][0] if len(others) else labels[i]
        want = (1 - share) * labels[i] + share * other
        # Two products and a sum of numbers of at most 1.
        assert ((targets[i].double() - want).abs() <= 4 * 2**-24).all(), f"{name}: targets err"


@dataclass(frozen=True, eq=False)
class Case:
    """A batch that is mixed.

    Attributes:
        op: as in the CSV file.
        size: images.
        build: from a device to what each provider does, by name, and to the bytes alone; and to the
            rows and labels that are mixed.
        providers: those that are compared.
        features: of an image.
        verify: raises unless images and targets are right.
    """

    op: str
    size: int
    build: Callable[[int, torch.device], tuple[Mapping[str, Mix], Tensor, Tensor]]
    providers: tuple[Provider, ...]
    features: int = 3 * 32 * 32
    verify: Callable[[str, Tensor, Tensor | None, Tensor, Tensor], None] = verify

    def time(self, device: torch.device) -> timing.Outcomes:
        """Verify, then time, all on the same images."""
        mixes, rows, labels = self.build(self.size, device)
        samplers: dict[str, timing.Sampler] = {}
        outcomes: timing.Outcomes = {}
        for one in self.providers:
            if one.why_not(0, device):
                continue
            mix = mixes[one.name]
            try:
                if not one.name.startswith("bytes"):
                    self.verify(f"{self.op}: {one}", *mix(), rows, labels)
            except timing.FAILURES as error:
                outcomes[str(one)] = error.with_traceback(None)
            else:
                samplers[str(one)] = Stopwatch(mix, device)
        return outcomes | timing.in_turn(samplers, min_rounds=5)
