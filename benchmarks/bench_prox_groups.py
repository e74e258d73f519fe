"""The group lasso of groups in CSR form: lelkern against compositions, peers and the bytes.

    pytest benchmarks/bench_prox_groups.py --benchmark-group-by=group --csv

The providers of a group are measured in turn, in place, but for SPAMS. Compositions have what they
need of the groups beforehand, as lelkern has its ``CSRGroups``, and SPAMS a label for each number.
"""

import importlib
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

import lelkern
import prox_compositions as composed
import timing
from mixing import provider
from prox_cases import IN_PLACE, SPAMS, Call, Case, Way, bytes_ways, each, each_, report

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

NUMBERS = 1 << 22
SIZE = 64
"""Numbers of a group, or on average."""


def numbers() -> list[Tensor]:
    return [torch.randn(NUMBERS, generator=torch.Generator().manual_seed(0))]


def groups(kind: str) -> lelkern.CSRGroups:
    """Return groups of all numbers.

    ``neighbours``: of one size, side by side; ``uneven``: side by side, half of them of 2 numbers
    and others of up to 252; ``scattered``: of one size, with numbers from anywhere.
    """
    count = NUMBERS // SIZE
    sizes = torch.full((count,), SIZE)
    if kind == "uneven":
        sizes = torch.tensor([2, 2, 2, 2, 4, 28, 220, 252]).repeat(count // 8)
    order = torch.arange(NUMBERS)
    if kind == "scattered":
        order = torch.randperm(NUMBERS, generator=torch.Generator().manual_seed(1))
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    return lelkern.CSRGroups(ptr, order)


def csr_case(kind: str) -> Case:
    own = groups(kind)
    sizes = own.group_ptr.diff()
    owner = torch.empty(NUMBERS, dtype=torch.int64)
    owner[own.group_indices] = torch.repeat_interleave(sizes)
    lam = 0.5 * SIZE**0.5
    of_device: dict[torch.device, tuple[Tensor, lelkern.CSRGroups]] = {}

    def on(device: torch.device) -> tuple[Tensor, lelkern.CSRGroups]:
        if device not in of_device:
            of_device[device] = owner.to(device), own.to(device)
        return of_device[device]

    def ours(w: Tensor) -> None:
        lelkern.prox_group_lasso_(w, lam, groups=on(w.device)[1])

    def scatter(w: Tensor) -> None:
        composed.csr_by_scattering_(w, lam, on(w.device)[0], len(sizes))

    def segments(w: Tensor) -> None:
        listed = on(w.device)[1]
        composed.csr_by_segments_(w, lam, listed.group_ptr, listed.group_indices)

    compiled = torch.compile(composed.csr_by_scattering_)

    def right(w: Tensor) -> Tensor:
        square = torch.zeros(len(sizes), dtype=w.dtype).index_add_(0, owner, w * w)
        norm = square.sqrt()
        return w * torch.where(norm > lam, 1 - lam / norm, 0)[owner]

    ways = (
        Way(provider("lelkern"), each_(ours)),
        Way(provider("pytorch"), each_(scatter)),
        Way(provider("pytorch-segments"), each_(segments)),
        Way(
            provider("pytorch-compiled", compiled=True),
            each_(lambda w: compiled(w, lam, on(w.device)[0], len(sizes))),
        ),
        Way(SPAMS, spams(lam, owner), prepare=lambda given: [w.view(-1, 1) for w in given],
            undo=lambda found: [x.flatten() for x in found]),
        *bytes_ways(IN_PLACE),
    )  # fmt: skip
    return Case(f"prox csr {kind}", IN_PLACE, numbers, right, ways)


def spams(lam: float, owner: Tensor) -> Call:
    """Return SPAMS's prox of groups that are given by a label from 1 for each number."""
    labels = np.asfortranarray(owner.numpy().astype(np.int32) + 1)

    def prox(w: Tensor) -> Tensor:
        module = importlib.import_module("spams")
        column = np.asfortranarray(w.numpy())
        threads = torch.get_num_threads()
        x = module.proximalFlat(
            column, lambda1=lam, regul="group-lasso-l2", groups=labels, numThreads=-1
        )
        torch.set_num_threads(threads)  # it leaves OpenMP as many as there are columns
        return torch.from_numpy(x)

    return each(prox)


CASES: Mapping[str, Callable[[], Case]] = {
    "neighbours": lambda: csr_case("neighbours"),
    "uneven": lambda: csr_case("uneven"),
    "scattered": lambda: csr_case("scattered"),
}
PROVIDERS = dict.fromkeys(CASES, "lelkern pytorch pytorch-segments pytorch-compiled spams bytes")


@pytest.mark.parametrize(
    ("name", "who"), [(name, who) for name in CASES for who in PROVIDERS[name].split()]
)
def test_time(report_time: Callable[..., None], device: torch.device, name: str, who: str) -> None:
    report(report_time, device, CASES[name], who)
