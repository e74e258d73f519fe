"""Rounding errors of the contrastive family: at most twice those of plain PyTorch.

Plain PyTorch is what one writes without a package, in the same dtype. The truth is the same in
float64 of the inputs as they are after rounding, but for losses below 1e-16, which a difference of
logarithms loses in any dtype.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from contrastive_samples import Sample
from covering import covering
from torch import Tensor

from lelkern.ops import library_path

pytestmark = pytest.mark.skipif(
    library_path() is None, reason="the reference is plain PyTorch itself"
)

OPS = ["nt_xent", "info_nce", "symmetric", "queue", "sup_con"]
INPUTS = ["random", "clustered", "orthogonal", "axes", "adversarial"]
TEMPERATURES = [0.001, 0.01, 0.07, 1.0, 100.0]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]

# Few rows have few rounding errors, with which luck decides: sizes in groups, each of some batches.
SIZES = [[1, *[2, 3, 4, 5, 7, 9] * 2], [11, 13, 16, 17, 19, 23, 29, 31], [37, 47, 48, 61]]
SIZES += [[96, 97, 101, 113]]  # from one tile of 96 rows on
FEW_SIZES = [[1, 2, 3, 5, 7], [31], [97]]


def rows(inputs: str, M: int, D: int, spread: float, generator: torch.Generator) -> Tensor:
    """Return M rows; what a query and its positive have in common, the caller adds."""

    def normals(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if inputs == "random":
        return normals(M, D)
    if inputs == "clustered":  # all nearly equal
        return normals(1, D) + spread * normals(M, D)
    if inputs == "adversarial":  # the first is opposite to all others
        z = normals(1, D) * (1 + 0.1 * normals(M, D))
        z[0] *= -1
        return z
    # Of different lengths; where there are more rows than dimensions, orthogonal or parallel.
    z = torch.eye(D, dtype=torch.float64)[torch.arange(M) % D]
    z = z * (1 + 6 * torch.rand(M, 1, generator=generator, dtype=torch.float64))
    return z if inputs == "axes" else z @ torch.linalg.qr(normals(D, D))[0]


def labels(M: int) -> Tensor:
    """Three classes, and a row that has no other of its class."""
    y = torch.arange(M) // 2 % 3
    y[-1] = 3
    return y


def draw(op: str, inputs: str, N: int, dtype: torch.dtype, seed: int, D: int = 16) -> Sample:
    generator = torch.Generator().manual_seed(1000 * N + seed)
    # Clustered by as little as the dtype can tell apart.
    spread = max(1e-3, 4 * torch.finfo(dtype).eps)
    parts = {"sup_con": [N], "queue": [N, N, N + 3]}.get(op, [N, N])
    z = rows(inputs, sum(parts), D, spread, generator)
    if inputs == "random" and op != "sup_con":
        z[N : 2 * N] = z[:N] + 1.5 * z[N : 2 * N]
    embeddings = z.to(dtype).split(parts)
    if op == "sup_con":
        return Sample(inputs, op, {"z": embeddings[0]}, {"labels": labels(N)})
    if op == "nt_xent":
        return Sample(inputs, op, dict(zip(("z1", "z2"), embeddings, strict=True)))
    names = ("query", "positive", "negatives")[: len(embeddings)]
    options = {"symmetric": True} if op == "symmetric" else {}
    return Sample(inputs, "info_nce", dict(zip(names, embeddings, strict=True)), {}, options)


def logits(
    sample: Sample, embeddings: dict[str, Tensor], temperature: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return similarities / temperature, and the column that each row should choose."""
    z = [F.normalize(part) for part in embeddings.values()]
    N = len(z[0])
    if sample.op == "nt_xent":
        both = torch.cat(z)
        x = (both @ both.T / temperature).fill_diagonal_(-math.inf)
        return [(x, torch.arange(2 * N).roll(N))]
    if len(z) == 3:  # MoCo's queue
        l_pos, l_neg = (z[0] * z[1]).sum(dim=1, keepdim=True), z[0] @ z[2].T
        return [(torch.cat([l_pos, l_neg], dim=1) / temperature, torch.zeros(N, dtype=torch.long))]
    x = z[0] @ z[1].T / temperature
    ways = [(x, torch.arange(N)), (x.T, torch.arange(N))]
    return ways if sample.options.get("symmetric") else ways[:1]


def plain(sample: Sample, embeddings: dict[str, Tensor], temperature: Tensor) -> Tensor:
    if sample.op == "sup_con":
        z, y = F.normalize(embeddings["z"]), sample.codes["labels"]
        x = (z @ z.T / temperature).fill_diagonal_(-math.inf)
        positive = (y[:, None] == y).fill_diagonal_(False)
        log_P = x.log_softmax(dim=1).masked_fill(~positive, 0)
        return -log_P.sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    ways = logits(sample, embeddings, temperature)
    return torch.cat([F.cross_entropy(x, target, reduction="none") for x, target in ways])


def exact(sample: Sample, embeddings: dict[str, Tensor], temperature: Tensor) -> Tensor:
    if sample.op == "sup_con":  # of which no one's float32 keeps a loss below 1e-8
        return plain(sample, embeddings, temperature)
    losses = []
    for x, target in logits(sample, embeddings, temperature):
        target = target.unsqueeze(1)
        others = x.scatter(1, target, -1e30).logsumexp(dim=1)  # a number also where none are left
        losses.append(-F.logsigmoid(x.gather(1, target).squeeze(1) - others))
    return torch.cat(losses)


def ours(sample: Sample, embeddings: dict[str, Tensor], temperature: Tensor) -> Tensor:
    return sample.losses(embeddings, temperature)


class Result(NamedTuple):
    losses: Tensor
    grads: Tensor  # of the mean loss
    grad_temperature: Tensor


class Comparison(NamedTuple):
    truth: Result
    plain: Result
    ours: Result


def run(
    loss: Callable[..., Tensor],
    sample: Sample,
    embeddings: dict[str, Tensor],
    temperature: Tensor,
) -> Result:
    embeddings = {name: z.detach().requires_grad_() for name, z in embeddings.items()}
    temperature = temperature.detach().requires_grad_()
    losses = loss(sample, embeddings, temperature)
    counted = losses
    if sample.op == "sup_con":  # the mean is over rows that have positives
        y = sample.codes["labels"]
        counted = losses[y.bincount()[y] > 1]
    mean = counted.sum() / max(len(counted), 1)
    *grads, of_temperature = torch.autograd.grad(mean, (*embeddings.values(), temperature))
    return Result(
        losses.detach().double(),
        torch.cat([grad.flatten() for grad in grads]).double(),
        of_temperature.double().view(1),
    )


def compare(
    op: str,
    inputs: str,
    N: int,
    temperature: float,
    dtype: torch.dtype,
    seed: int,
    D: int = 16,
) -> Comparison:
    sample = draw(op, inputs, N, dtype, seed, D)
    generator = torch.Generator().manual_seed(seed)
    # Up to a tenth more, so that the rounding of one 1 / temperature does not decide for all. In
    # float32, which leaves half dtypes as they are, as a temperature has no dimensions.
    tau = temperature * (1 + torch.rand((), generator=generator) / 10)
    doubles = {name: z.double() for name, z in sample.embeddings.items()}
    return Comparison(
        run(exact, sample, doubles, tau.double()),
        run(plain, sample, sample.embeddings, tau),
        run(ours, sample, sample.embeddings, tau),
    )


def worse(name: str, found: list[Comparison], dtype: torch.dtype) -> str | None:
    """Say by how much the results called name, rounded to dtype, are worse than they may be.

    An error is a norm over all rows of a batch, and summed over batches: in squares, at a low
    temperature the one batch with the nearest tie would decide alone, and with it luck.
    """
    info = torch.finfo(dtype)
    sums = torch.zeros(3, dtype=torch.float64)
    for truth, by_plain, by_us in (
        (getattr(result, name) for result in comparison) for comparison in found
    ):
        if not by_us.isfinite().all():
            return f"{name}: not finite"
        if not by_plain.isfinite().all():
            continue  # what float16 cannot hold: an infinite error, of which we have less
        # Half a unit in the last place is the rounding of the result itself, which no one avoids;
        # the smallest normal number, as plain PyTorch rightly gives 0 for what is smaller.
        floor = info.eps / 2 * truth.norm() + info.tiny
        sums += torch.stack([(by_us - truth).norm(), (by_plain - truth).norm(), floor])
    us, plain_pytorch, floor = sums.tolist()
    if us <= 2 * plain_pytorch + floor:
        return None
    ratio = us / plain_pytorch if plain_pytorch else math.inf
    return f"{name}: {us:.3g}, {ratio:.2f} times {plain_pytorch:.3g}, where {floor:.3g} is free"


def failures(groups: dict[object, list[Comparison]], dtype: torch.dtype) -> list[str]:
    found = []
    for key, group in groups.items():
        # The losses of half dtypes are in float32.
        said = (worse("losses", group, torch.float32), worse("grads", group, dtype))
        found += [f"{key} {failure}" for failure in said if failure]
    return found


@pytest.mark.parametrize(
    ("op", "inputs", "temperature", "dtype"),
    covering(OPS, INPUTS, TEMPERATURES, DTYPES, strength=3),
    ids=str,
)
def test_at_most_twice_the_error_of_plain_pytorch(op, inputs, temperature, dtype) -> None:
    # In half dtypes plain PyTorch's errors are far larger than luck, but for near ties at low
    # temperatures: the other rows have no gradient, and those few decide. Take more of them.
    sizes = SIZES if dtype == torch.float32 else FEW_SIZES
    times = 4 if inputs == "random" and temperature <= 0.01 else 1
    groups = {
        tuple(group): [
            compare(op, inputs, N, temperature, dtype, k) for k, N in enumerate(group * times)
        ]
        for group in sizes
    }
    found = failures(groups, dtype)
    # One number a batch: over all batches. It is in the dtype of the temperature.
    every = [comparison for group in groups.values() for comparison in group]
    found += filter(None, [worse("grad_temperature", every, torch.float32)])
    assert not found, "\n".join(found)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "temperature", "dtype"),
    covering(OPS, [0.01, 0.07, 100.0], [torch.float32, torch.bfloat16]),
    ids=str,
)
def test_at_most_twice_the_error_of_plain_pytorch_for_many_rows(op, temperature, dtype) -> None:
    # Not axes: of their three similarities one rounding decides, and small sizes have shown it.
    chosen = ["random", "orthogonal", "adversarial"] if dtype == torch.float32 else ["random"]
    groups = {inputs: [compare(op, inputs, 1009, temperature, dtype, 0, 64)] for inputs in chosen}
    # All similarities nearly equal have nearly the same rounding: of some temperatures.
    groups["clustered"] = [
        compare(op, "clustered", 1009, temperature, dtype, k, 64) for k in range(4)
    ]
    found = failures(groups, dtype)
    # All inputs together: one batch has but one gradient of the temperature.
    every = [comparison for group in groups.values() for comparison in group]
    found += filter(None, [worse("grad_temperature", every, torch.float32)])
    assert not found, "\n".join(found)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "N", "inputs", "temperature"),
    [
        ("nt_xent", 1499, "random", 0.001),  # of which each has two rows
        ("nt_xent", 1500, "clustered", 1.0),
        ("info_nce", 2999, "orthogonal", 100.0),
        ("symmetric", 2999, "random", 0.07),
        ("queue", 2999, "adversarial", 0.07),
        ("sup_con", 2999, "random", 0.07),
    ],
)
def test_at_most_twice_the_error_of_plain_pytorch_for_thousands_of_rows(
    op, N, inputs, temperature
) -> None:
    comparison = compare(op, inputs, N, temperature, torch.float32, 0, 64)
    # One batch has one gradient of the temperature, whose error is luck: not here.
    assert worse("losses", [comparison], torch.float32) is None
    assert worse("grads", [comparison], torch.float32) is None


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("op", OPS)
def test_float64_is_right_to_what_its_similarities_are(op, inputs, temperature) -> None:
    eps = torch.finfo(torch.float64).eps
    for N in (1, 2, 7, 31, 97):
        sample = draw(op, inputs, N, torch.float64, 0)
        tau = torch.tensor(temperature, dtype=torch.float64)
        truth = run(exact, sample, sample.embeddings, tau)
        by_us = run(ours, sample, sample.embeddings, tau)
        # Both, the truth in the same dtype too, have similarities that are off by some 4 eps, which
        # beta = 1 / temperature magnifies, twice in a loss; and logs and sums with a few ulps.
        beta = 1 / temperature
        bound = eps * (2 * 8 * beta + 8 * truth.losses + 8)
        assert ((by_us.losses - truth.losses).abs() <= bound).all()
        # The weights of the similarities, P less 1 for the positive, sum up to at most 2 a loss in
        # size, and are off by 8 eps + 2 * 8 eps beta of that. A unit row is multiplied by them and
        # beta, and divided by its norm; each similarity serves two rows.
        off = 2 * beta * eps * (8 + 16 * beta)
        norms = torch.cat([z.norm(dim=1) for z in sample.embeddings.values()])
        assert (by_us.grads - truth.grads).norm() <= 2 * off / norms.min()
        assert (by_us.grad_temperature - truth.grad_temperature).abs() <= off * beta
