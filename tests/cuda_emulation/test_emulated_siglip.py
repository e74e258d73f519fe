"""SigLIP's CUDA kernels, run on the CPU, against the float64 reference."""

import csv
import math
from itertools import product
from pathlib import Path

import emulated_siglip as emulated
import emulation
import pytest
import torch
from contrastive_paths import MAIN_PATHS, PATHS, TWO_TERMS
from covering import covering
from emulated_siglip import Case
from torch import Tensor

from lelkern.reference import siglip as reference

pytestmark = pytest.mark.slow

# Around one tile of 64 rows, two, and four; features around the chunks and slabs of the kernels.
SIZES = [1, 63, 65, 128, 193]
FEATURES = [1, 32, 100, 128, 300, 520]


def draw(
    N: int, M: int, D: int, dtype: torch.dtype, *, ids: bool = False, scale=10.0, bias=-10.0
) -> Case:
    generator = torch.Generator().manual_seed(N + M + D)
    query, key = (torch.randn(n, D, generator=generator) for n in (N, M))
    shared = min(N, M)
    key[:shared] += query[:shared]
    codes = [torch.randint(9, (n,), generator=generator) if ids else None for n in (N, M)]
    return Case(query.to(dtype), key.to(dtype), torch.tensor(scale), torch.tensor(bias), *codes)


def upstream(case: Case) -> Tensor:
    dtype = torch.float64 if case.query.dtype == torch.float64 else torch.float32
    return torch.linspace(1, 2, len(case.query), dtype=dtype)


def run(case: Case, path: str, grad: Tensor, **options: int) -> list[Tensor]:
    """Return losses, slopes, and the gradients."""
    terms = PATHS[path][1]
    losses, slopes = emulated.forward(case, terms, **options)
    return [losses, slopes, *emulated.backward(case, terms, grad, slopes, **options)]


def check(case: Case, path: str, found: list[Tensor], grad: Tensor) -> None:
    """Compare with the truth, within what rounding explains."""
    dtype, terms, rounded_to = PATHS[path]
    exact = case._replace(
        **{name: getattr(case, name).to(rounded_to).double() for name in ("query", "key")},
        **{name: getattr(case, name).double() for name in ("scale", "bias")},
    )
    losses, slopes = reference.siglip(*exact)
    grads = reference.siglip_backward(grad.double(), *exact)
    eps = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps

    def unit(z: Tensor) -> Tensor:
        return torch.nn.functional.normalize(z, eps=1e-12) if case.normalize else z

    q, k = unit(exact.query), unit(exact.key)
    s, D = q @ k.T, q.shape[1]
    x = exact.scale * s + exact.bias
    size = q.norm(dim=1, keepdim=True) * k.norm(dim=1)
    # A dot product of D terms is off by some (8 + sqrt D) eps of its rows' sizes, which the scale
    # magnifies, and the logit by that of its parts; exp by as much, and logarithms by a few ulps.
    off = exact.scale * size * ((8 + math.sqrt(D)) * eps + (TWO_TERMS if terms == 2 else 0))
    off = off + 2 * eps * (x.abs() + exact.bias.abs())
    # At most the derivative of each loss, and of each slope, by its logit.
    sigma = torch.maximum(x.sigmoid() * ~_positive(exact), (-x).sigmoid() * _positive(exact))
    many = 8 + math.sqrt(len(k))
    assert ((found[0] - losses).abs() <= (sigma * off).sum(1) + many * eps * losses).all()
    weight = sigma * (off + many * eps)
    by_bias, by_scale = found[1].double()
    assert ((by_bias - slopes[0]).abs() <= weight.sum(1)).all()
    of_similarity = size * (2 * (8 + math.sqrt(D)) * eps + (TWO_TERMS if terms == 2 else 0))
    by_s = weight * size + sigma * of_similarity
    assert ((by_scale - slopes[1]).abs() <= by_s.sum(1)).all()
    # Weights in 16 bits have their own rounding; unit rows are multiplied by them and the scale,
    # and divided by the norm of the row.
    rounding = {0: 0, 1: torch.finfo(rounded_to).eps, 2: TWO_TERMS}[terms]
    g = grad.double().unsqueeze(1)
    info = torch.finfo(dtype)
    # In float16, after one power of two for all, what is below 2^-37 of the largest upstream
    # gradient is lost.
    lost = 2**-36 if rounded_to == torch.float16 and terms == 1 else 0.0
    for got, want, W, rows, others in (
        (found[2], grads[0], g * (weight + sigma * rounding) + lost, exact.query, k),
        (found[3], grads[1], (g * (weight + sigma * rounding) + lost).T, exact.key, q),
    ):
        assert got.isfinite().all()
        norm = rows.norm(dim=1) if case.normalize else torch.ones(len(rows)).double()
        allowed = exact.scale * (W @ others.norm(dim=1)) / norm
        allowed += info.eps / 2 * want.norm(dim=1) + info.tiny * math.sqrt(D)
        assert ((got.double() - want).norm(dim=1) <= allowed).all()
    for got, want, allowed in (
        (found[4], grads[2], (g * by_s).sum()),
        (found[5], grads[3], (g * weight).sum()),
    ):
        info = torch.finfo(got.dtype)
        assert (got.double() - want).abs() <= allowed + info.eps * want.abs()


def _positive(case: Case) -> Tensor:
    if case.ids is None:
        return torch.eye(len(case.query), len(case.key), dtype=torch.bool)
    return case.ids[:, None] == case.key_ids


# What is compiled, for a path with ids and without, meets every size, order and so on.
@pytest.mark.parametrize(
    ("compiled", "N", "M", "D", "numbers", "order"),
    covering(
        list(product(MAIN_PATHS, [True, False])),
        SIZES,
        SIZES,
        FEATURES,
        [(10.0, -10.0), (1.0, 0.5), (100.0, -50.0)],
        emulation.ORDERS,
    ),
    ids=str,
)
def test_agrees_with_float64(compiled, N, M, D, numbers, order) -> None:
    path, ids = compiled
    case = draw(N, M, D, PATHS[path][0], ids=ids, scale=numbers[0], bias=numbers[1])
    grad = upstream(case)
    with emulation.settings(order=order, seed=D):
        found = run(case, path, grad)
    check(case, path, found, grad)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in MAIN_PATHS])
def test_the_other_paths_agree_with_float64(path) -> None:
    for ids in (False, True):
        case = draw(65, 70, 9, PATHS[path][0], ids=ids)
        check(case, path, run(case, path, upstream(case)), upstream(case))


@pytest.mark.parametrize(
    ("path", "ids", "D"),
    [
        ("float32", True, 72),
        ("bfloat16", False, 72),
        ("bfloat16", True, 384),
        ("bfloat16", False, 520),
        ("float32 as two bfloat16", True, 72),
    ],
)
def test_every_order_gives_the_same_bits(path, ids, D) -> None:
    # Two tiles of rows, in shares, and two and more chunks of features, or one slab and two.
    case = draw(65, 66, D, PATHS[path][0], ids=ids)
    grad = upstream(case)
    emulation.in_every_order(lambda: [x.flatten() for x in run(case, path, grad)], seeds=1)


@pytest.mark.parametrize("path", ["float32", "bfloat16"])
def test_every_barrier_is_needed(path) -> None:
    # So many tiles that every buffer is used twice; one chunk of features, or two of 16 bits, where
    # the second product waits for its own copies, or several, where it finds them done.
    sizes = {8: 200, 72: 140, 140: 140} | ({520: 70} if path == "bfloat16" else {})
    cases = [draw(9, M, D, PATHS[path][0]) for D, M in sizes.items()]

    def everything() -> None:
        for case in cases:
            run(case, path, upstream(case), multiprocessors=1)

    barriers = emulation.barriers_of(everything)
    assert len(barriers) > 4
    unnoticed = [b for b in barriers if not emulation.noticed_without(everything, b)]
    assert not unnoticed, unnoticed


def test_shared_memory_is_what_the_table_of_kernels_counts() -> None:
    kernels = emulated.module()
    table = Path(__file__).parents[1] / "cuda_static" / "dynamic_shared.csv"
    with table.open() as file:
        counted = {row["kernels"]: int(row["bytes"]) for row in csv.DictReader(file)}
    for tile, of in {
        "FmaTile<float>": "float",
        "FmaTile<double>": "double",
        "MmaTile<bfloat16>": "half",
        "MmaTile<half>": "half",
        "MmaTile<TwoTerms>": "two_terms",
    }.items():
        backward = getattr(kernels, f"backward_shared_{of}")()
        assert counted[f"siglip_backward<{tile}, *>"] == backward
        forward = counted[f"contrastive_forward<{tile}, *>"]
        assert counted[f"siglip_forward<{tile}, *>"] == forward
    for of, (name, backward) in product(
        ("bfloat16", "half"),
        {"Wide": kernels.backward_shared_wide, "Paired": kernels.backward_shared_paired}.items(),
    ):
        assert counted[f"siglip_backward<{name}MmaTile<{of}>, *>"] == backward()


@pytest.mark.parametrize(
    ("of", "path"),
    [
        (torch.float64, "float32"),
        (torch.float16, "bfloat16"),
        (torch.bfloat16, "float32 as two bfloat16"),
        (torch.float32, "float16"),
    ],
    ids=str,
)
def test_dot_products_gaps_between_rows_and_other_types_of_numbers(of, path) -> None:
    dense = draw(21, 30, 9, PATHS[path][0], scale=0.5, bias=-1.0)

    def with_gaps(z: Tensor) -> Tensor:
        wide = torch.full((len(z), 13), torch.nan, dtype=z.dtype)
        wide[:, 2:11] = z
        return wide[:, 2:11]

    case = dense._replace(
        query=with_gaps(dense.query),
        key=with_gaps(dense.key),
        scale=dense.scale.to(of),
        bias=dense.bias.to(of),
        normalize=False,
    )
    grad = upstream(case)
    check(case, path, run(case, path, grad), grad)


def test_one_gradient_for_all_losses_and_none_for_keys() -> None:
    case = draw(5, 7, 3, torch.float32)
    grad = torch.full((1,), 0.25).expand(5)
    _, slopes = emulated.forward(case, 0)
    got = emulated.backward(case, 0, grad, slopes, key_gradients=False)
    assert got[1] is None
    want = emulated.backward(case, 0, grad.contiguous(), slopes)
    assert all(torch.equal(got[i], want[i]) for i in (0, 2, 3))


def test_nothing_and_nonsense() -> None:
    for N, M in ((0, 0), (0, 5), (4, 0)):
        case = draw(N, M, 3, torch.float32)
        found = run(case, "float32", upstream(case))
        assert all((x == 0).all() for x in found)
    case = draw(6, 9, 3, torch.float32)
    for value in (0.0, -1.0, math.nan, math.inf):
        wrong = case._replace(scale=torch.tensor(value))
        assert emulated.forward(wrong, 0)[0].isnan().all()
    case.query[2, 1] = math.inf
    losses = emulated.forward(case, 0)[0]
    assert losses[2].isnan()
    assert losses.isfinite().sum() == 5


@pytest.mark.parametrize("bias", [-1e30, -200.0, 200.0, 1e30])
def test_no_logit_is_too_large(bias) -> None:
    case = draw(5, 5, 4, torch.float32, scale=1e-3, bias=bias)
    losses, slopes = emulated.forward(case, 0)
    want = torch.full((5,), -bias if bias < 0 else 4 * bias)
    torch.testing.assert_close(losses, want, rtol=1e-4, atol=0)
    torch.testing.assert_close(slopes[0], torch.full((5,), -1.0 if bias < 0 else 4.0))
