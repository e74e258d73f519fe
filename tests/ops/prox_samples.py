"""Samples for the proximal operators, and what their results have to be."""

import math

import torch
from torch import Tensor

from lelkern import CSRGroups

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
NAN, INF = math.nan, math.inf
NORMS = (2.0, INF, 1.5, 3.0, 1.05, 2.01, 1.99, 40.0)


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rows(kind: str, G: int, N: int, seed: int = 0) -> Tensor:
    """G rows of N numbers: (G, N), float64."""
    x = normals(G, N, seed=seed)
    if kind == "heavy":  # over several orders of magnitude
        return x.sign() * (4 * x).exp()
    if kind == "tied":
        return x.sign() * (1 + 2 * x.abs()).round().clamp(max=4)
    if kind == "sparse":
        return x.where(x.abs() > 1, 0)
    if kind == "constant":
        return torch.full_like(x, 0.75)
    return x


def conjugate(q: float) -> float:
    return 1.0 if q == INF else q / (q - 1)


def norms(x: Tensor, q: float) -> Tensor:
    """||x||_q of each row, relative to its largest number so that no power leaves the range."""
    if x.shape[1] == 0:
        return x.new_zeros(x.shape[0])
    if q == INF:
        return x.abs().amax(1)
    largest = x.abs().amax(1, keepdim=True)
    largest = largest.where(largest > 0, 1)
    return (largest * ((x / largest).abs() ** q).sum(1, keepdim=True) ** (1 / q)).squeeze(1)


def off(dtype: torch.dtype, N: int) -> float:
    """How far, relative to the norm, what is computed of N numbers of a dtype may be off.

    A norm is that of a sum in at least eight parts, each of whose additions rounds, and so does
    each of the few steps after it; a root is found to a few roundings.
    """
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    return (24 + N / 8) * torch.finfo(computed).eps


def stored(x: Tensor, dtype: torch.dtype) -> Tensor:
    """How far numbers may be off for being rounded to a dtype."""
    numbers = torch.finfo(dtype)
    return numbers.eps / 2 * x.abs() + numbers.smallest_normal * numbers.eps


def assert_minimises(x: Tensor, v: Tensor, t: Tensor, q: float) -> None:
    """Raise unless x minimises 1/2 ||x - v||^2 + t ||x||_q in each row; float64.

    That is so if (v - x) / t is a subgradient of the norm: in the ball of the dual norm, and
    <v - x, x> = t ||x||_q. Only v, t and x are used.
    """
    rest, eps = v - x, off(torch.float64, v.shape[1])
    size = norms(v, 2.0)
    # An error of eps ||v||_2 in x is one of at most N^(1/2) times that in any norm.
    dual = norms(rest, conjugate(q))
    slack = eps * (v.shape[1] ** 0.5 * size + t) + 1e-300
    assert (dual <= t + slack).all(), (dual - t).max()
    work, want = (rest * x).sum(1), t * norms(x, q)
    assert ((work - want).abs() <= slack * (size + norms(x, q)) + 1e-300).all()


def as_csr(x: Tensor) -> CSRGroups:
    """The rows of a matrix as groups in CSR form, in no order of memory, and in another one."""
    G, N = x.shape
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    indices = torch.arange(G * N).reshape(G, N)[:, order]
    ptr = N * torch.arange(G + 1)
    return CSRGroups(ptr, indices.flatten()).to(x.device)


def leaf(x: Tensor | float, device: str, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.as_tensor(x, dtype=dtype).to(device).requires_grad_()


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether tensors are equal, in the signs of zeros, too, and nan where the other is."""
    equal = (a == b) & (a.signbit() == b.signbit())
    return a.shape == b.shape and bool((equal | (a.isnan() & b.isnan())).all())
