"""The gradient of the temperature, above all of rows that are nearly equal.

It is a sum of differences of similarities, which may be far smaller than what the weights of the
similarities, or these themselves, are rounded to.
"""

import math
from collections.abc import Callable

import pytest
import torch
from contrastive_bounds import slope_bound
from contrastive_samples import Sample, info_nce, nt_xent, sup_con
from covering import covering
from torch import Tensor

import lelkern
from lelkern import reference
from lelkern.ops import library_path

# Two tiles of 96 rows and columns, or more.
N, D = 100, 64
KINDS = ["nt_xent", "info_nce", "ids", "symmetric", "queue", "sup_con"]


def draw(kind: str, spread: float | None, dtype: torch.dtype, normalize: bool) -> Sample:
    """Return a loss of rows that differ from one by ``spread``, or None: random ones."""
    generator = torch.Generator().manual_seed(0)

    def rows(count: int) -> Tensor:
        normals = torch.randn(count + 1, D, generator=generator, dtype=torch.float64)
        z = normals[1:] if spread is None else base + spread * normals[1:]
        return z.to(dtype)

    base = torch.randn(D, generator=generator, dtype=torch.float64)
    ids, options = torch.arange(N) // 3, {"normalize": normalize}
    if kind == "sup_con":
        return sup_con(kind, rows(2 * N), torch.arange(2 * N) % 5, **options)
    if kind == "nt_xent":
        return nt_xent(kind, (rows(N), rows(N)), **options)
    if kind == "queue":
        return info_nce(kind, (rows(N), rows(N)), negatives=rows(3 * N), **options)
    if kind == "ids":
        return info_nce(kind, (rows(N), rows(N)), ids=ids, **options)
    return info_nce(kind, (rows(N), rows(N)), symmetric=kind == "symmetric", **options)


def backward_of_reference(sample: Sample, embeddings: list[Tensor], temperature: Tensor) -> Tensor:
    """Return the gradient of the temperature for the mean of the losses."""
    normalize = sample.options["normalize"]
    if sample.op == "sup_con":
        count = len(embeddings[0])
        rest = (sample.codes["labels"], temperature, None, normalize)
        backward: Callable[..., tuple[Tensor, ...]] = reference.sup_con.sup_con_backward
    elif sample.op == "nt_xent":
        count = 2 * N
        rest = (temperature, None, normalize)
        backward = reference.nt_xent.nt_xent_backward
    else:
        symmetric = sample.options.get("symmetric", False)
        count = N * (1 + symmetric)
        embeddings = [*embeddings, *[None] * (3 - len(embeddings))]
        rest = (temperature, sample.codes.get("ids"), None, normalize, symmetric)
        backward = reference.info_nce.info_nce_backward
    wide = torch.float64 if temperature.dtype == torch.float64 else torch.float32
    return backward(torch.full((count,), 1 / count, dtype=wide), *embeddings, *rest)[-1]


def by_kernels(sample: Sample, embeddings: list[Tensor], temperature: Tensor) -> Tensor:
    temperature = temperature.clone().requires_grad_()
    named = dict(zip(sample.embeddings, embeddings, strict=True))
    sample.losses(named, temperature, reduction="mean").backward()
    return temperature.grad.cpu()


@pytest.mark.parametrize(
    ("kind", "spread", "dtype", "value", "normalize"),
    covering(
        KINDS,
        [1e-3, 1e-2, None],
        [torch.bfloat16, torch.float16, torch.float32],
        [0.01, 0.1, 1.0],
        [True, False],
    ),
    ids=str,
)
def test_within_what_rounding_explains(kind, spread, dtype, value, normalize, device) -> None:
    sample = draw(kind, spread, dtype, normalize)
    embeddings = list(sample.embeddings.values())
    tau = torch.tensor(value)
    exact = [z.double() for z in embeddings]
    truth = backward_of_reference(sample, exact, tau.double())
    rows = torch.cat(exact)
    rows = torch.nn.functional.normalize(rows) if normalize else rows
    s = rows @ rows.T
    eps = torch.finfo(torch.float32).eps
    # A dot product of D terms is off by some (8 + sqrt D) eps; on a GPU the tensor cores cut off
    # what each of their steps of 4 features adds.
    off = (8 + math.sqrt(D) + (D / 4 if device == "cuda" else 0)) * eps * s.abs().max().item()
    slope = slope_bound(off, 1 / value, (s.max() - s.min()).item(), eps)
    allowed = slope / value**2 + eps * truth.abs().item()
    there = [z.to(device) for z in embeddings]
    assert abs(by_kernels(sample, there, tau.to(device)) - truth) <= allowed
    assert abs(backward_of_reference(sample, embeddings, tau) - truth) <= allowed


@pytest.mark.skipif(library_path() is None, reason="similarities of equal rows may differ in mm")
@pytest.mark.parametrize("value", [0.01, 0.1])  # sums relative to a peak, and as they are
# But for a queue's, whose positives are computed apart and have roundings of their own.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "queue"])
def test_equal_rows_have_none(kind, value, device) -> None:
    sample = draw(kind, 0, torch.bfloat16, normalize=True)
    embeddings = [z.to(device) for z in sample.embeddings.values()]
    # Similarities are equal in every bit, and off by some (8 + sqrt D) eps from what they are
    # measured from: of sums of these some eps are left.
    eps = torch.finfo(torch.float32).eps
    allowed = 32 * eps * (8 + math.sqrt(D)) * eps / value**2
    assert by_kernels(sample, embeddings, torch.tensor(value, device=device)).abs() <= allowed


def test_temperatures_of_a_batch_have_gradients(device):
    z = torch.randn(3, 2, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    temperatures = torch.tensor([0.1, 0.3, 1.0], dtype=torch.float64, device=device)
    found = []
    for each in (torch.func.vmap, lambda f: lambda *batch: torch.stack(list(map(f, *batch)))):
        tau = temperatures.clone().requires_grad_()
        losses = each(lambda pair, t: lelkern.nt_xent(pair[0], pair[1], temperature=t))
        losses(z.to(device), tau).sum().backward()
        found.append(tau.grad)
    assert torch.equal(*found)
