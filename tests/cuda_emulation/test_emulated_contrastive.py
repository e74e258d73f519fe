"""The contrastive CUDA kernels, run on the CPU, against the float64 reference."""

import csv
import math
from collections.abc import Callable
from itertools import cycle, product
from pathlib import Path

import emulated_contrastive as emulated
import emulation
import pytest
import torch
from contrastive_bounds import slope_bound
from contrastive_paths import MAIN_PATHS, PATHS, TWO_TERMS
from covering import covering
from emulated_contrastive import Case
from torch import Tensor

from lelkern.reference import info_nce, nt_xent, sup_con

pytestmark = pytest.mark.slow

# Around one tile of 64 rows, two, and four; features around the chunks and slabs of the kernels.
SIZES = [1, 2, 63, 64, 65, 127, 193]
FEATURES = [1, 7, 32, 100, 128, 256, 300]
TEMPERATURES = [0.005, 0.07, 0.5, 10.0]
OPS = ["nt_xent", "info_nce", "symmetric", "queue", "sup_con"]


def draw(op: str, N: int, D: int, dtype: torch.dtype, seed: int, *, ids: bool = False) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def normals(count: int) -> Tensor:
        return torch.randn(count, D, generator=generator).to(dtype)

    def classes(count: int, among: int) -> Tensor:
        return torch.randint(among, (count,), generator=generator)

    some = classes(N, N // 2 + 1) if ids else None
    rows = normals(N)
    if op == "sup_con":
        return Case([rows], labels=classes(N, N // 4 + 1), ids=some)
    positives = (rows + normals(N)).to(dtype)
    if op == "nt_xent":
        return Case([rows, positives], ids=some)
    if op == "queue":
        others = classes(N + 3, N // 2 + 1) if ids else None
        return Case([rows], normals(N + 3), given=positives, ids=some, negative_ids=others)
    return Case([rows], positives, ids=some, both=op == "symmetric")


def reference_of(case: Case) -> tuple[Callable[..., tuple[Tensor, ...]], list[object]]:
    """Return the module's name of the reference and its arguments but for temperature and grad."""
    if case.labels is not None:
        return sup_con, [*case.rows, case.labels]
    if case.columns is None:
        return nt_xent, case.rows
    if case.given is not None:
        return info_nce, [case.rows[0], case.given, case.columns]
    return info_nce, [case.rows[0], case.columns, None]


def truth(case: Case, temperature: Tensor, grad: Tensor) -> tuple[emulated.Forward, list[Tensor]]:
    """Return what the reference says in float64, gradients in the order of the inputs."""
    module, arguments = reference_of(case)
    name = module.__name__.rpartition(".")[2]
    options: list[object] = [case.ids]
    if module is info_nce:
        options += [case.negative_ids, case.normalize, case.both, case.decoupled]
    elif module is nt_xent:
        options += [case.normalize, case.decoupled]
    else:
        options += [case.normalize]
    losses, log_sum_exp, stats = getattr(module, name)(*arguments, temperature, *options, True)
    grads = getattr(module, f"{name}_backward")(grad, *arguments, temperature, *options)
    none = losses.new_empty(0)  # the reference has no use for slopes
    return emulated.Forward(losses, log_sum_exp, none, stats), list(grads)


def in_order(case: Case, gradients: emulated.Backward) -> list[Tensor]:
    """Return gradients in the order of the reference's."""
    if case.given is not None:
        return [*gradients.rows, gradients.given, gradients.columns, gradients.temperature]
    if case.columns is not None:
        none = gradients.columns[:0]
        return [*gradients.rows, gradients.columns, none, gradients.temperature]
    return [*gradients.rows, gradients.temperature]


def in_double(case: Case, rounded_to: torch.dtype) -> Case:
    """Return the case with what the kernels multiply, in float64."""

    def double(z: Tensor | None) -> Tensor | None:
        return None if z is None else z.to(rounded_to).double()

    return case._replace(
        rows=[double(z) for z in case.rows], columns=double(case.columns), given=double(case.given)
    )


def run(case: Case, temperature: Tensor, terms: int, grad: Tensor, **options: int):
    forward = emulated.forward(case, temperature, terms, **options)
    backward = emulated.backward(case, temperature, terms, grad, forward, **options)
    return forward, backward


def check(
    case: Case, temperature: Tensor, path: str, found: emulated.Forward, gradients, grad: Tensor
) -> None:
    """Compare with the truth, within what rounding explains."""
    dtype, terms, rounded_to = PATHS[path]
    exact = in_double(case, rounded_to)
    want, want_grads = truth(exact, temperature.double(), grad.double())
    eps = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    beta, D = 1 / temperature.item(), case.rows[0].shape[1]
    similarity, chosen = check_losses(case, temperature, path, found, want)
    # One feature has but two similarities: rounding decides between equal ones.
    if D > 1:
        assert (found.stats[0] == want.stats[0])[chosen].all()
    # dH/ds_j = -beta P_j (log P_j + H), at most beta times log of the number of candidates.
    spread = math.log(len(want.losses) + 4) + 1
    bound = 2 * similarity * spread + 16 * eps * spread
    assert ((found.stats[1] - want.stats[1]).abs() <= bound)[chosen].all()

    # Weights are off by what their exponents are off, and in 16 bits by their own rounding; unit
    # rows are multiplied by them and beta, and divided by the norm of the row.
    off = 2 * similarity + 16 * eps + {0: 0, 1: torch.finfo(rounded_to).eps, 2: TWO_TERMS}[terms]
    info = torch.finfo(dtype)
    sizes = sizes_of_weights(exact, beta, want, grad.double())
    for got, wanted, size in zip(
        in_order(case, gradients)[:-1], want_grads[:-1], sizes, strict=True
    ):
        assert got.isfinite().all()
        allowed = beta * off * size + info.eps / 2 * wanted.norm(dim=1) + info.tiny * math.sqrt(D)
        assert ((got.double() - wanted).norm(dim=1) <= allowed).all()
    check_temperature(exact, temperature, path, gradients.temperature, want_grads[-1], grad)


def check_losses(
    case: Case, temperature: Tensor, path: str, found: emulated.Forward, want: emulated.Forward
) -> tuple[float, Tensor]:
    """Compare losses, and return what similarities are off by and which rows have candidates."""
    dtype, terms, _ = PATHS[path]
    eps = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    # A dot product of D terms is off by some (8 + sqrt D) eps, which beta magnifies, twice in a
    # loss; logarithms and sums by a few ulps.
    of_product = (8 + math.sqrt(case.rows[0].shape[1])) * eps
    similarity = (of_product + (TWO_TERMS if terms == 2 else 0)) / temperature.item()
    bound = 2 * similarity + eps * (8 + 8 * want.losses)
    # (Not: of a row without candidates, whose log-sum-exp means nothing.)
    assert ((found.losses - want.losses).abs() <= bound).all()
    chosen = torch.ones_like(want.losses, dtype=torch.bool)
    if case.labels is not None:
        chosen = (case.labels[:, None] == case.labels).sum(1) > 1
    bound = 2 * similarity + eps * (8 + 8 * want.log_sum_exp.abs())
    assert ((found.log_sum_exp - want.log_sum_exp).abs() <= bound)[chosen].all()
    return similarity, chosen


def check_temperature(
    exact: Case, temperature: Tensor, path: str, got: Tensor, wanted: Tensor, grad: Tensor
) -> None:
    """Compare the gradient of the temperature with that of the case in float64."""
    dtype, terms, _ = PATHS[path]
    eps = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    beta, s = 1 / temperature.item(), similarities(exact)
    # As in check.
    off = (8 + math.sqrt(exact.rows[0].shape[1])) * eps + (TWO_TERMS if terms == 2 else 0)
    largest = max(1, s.abs().max().item()) if s.numel() else 1
    spread = (s.max() - s.min()).item() if s.numel() else 0
    slope = slope_bound(off * largest, beta, spread, eps)
    allowed = beta**2 * slope * grad.abs().sum() + torch.finfo(got.dtype).eps * wanted.abs()
    assert (got.double() - wanted).abs() <= allowed


def similarities(case: Case) -> Tensor:
    """Return the similarities of rows with all that they are compared with, in any order."""
    rows = torch.cat(case.rows)
    others = [rows if case.columns is None else case.columns]
    others += [] if case.given is None else [case.given]

    def unit(z: Tensor) -> Tensor:
        return torch.nn.functional.normalize(z, eps=1e-12) if case.normalize else z

    return unit(rows) @ unit(torch.cat(others)).T


def sizes_of_weights(case: Case, beta: float, want: emulated.Forward, grad: Tensor) -> list[Tensor]:
    """Return at least sum_j |G_ij| over the norm of row i, for each matrix of embeddings.

    G_ij consists of g_i P_ij, of g_j P_ji where the other side has losses, and of at most g_i and
    the largest g for positives. P is at most 1 also where ids exclude a candidate.
    """
    rows = torch.cat(case.rows)
    others = rows if case.columns is None else case.columns

    def unit(z: Tensor) -> Tensor:
        return torch.nn.functional.normalize(z, eps=1e-12) if case.normalize else z

    x = beta * unit(rows) @ unit(others).T
    M = len(rows)
    G = grad[:M, None] * (x - want.log_sum_exp[:M, None]).exp().clamp(max=1)
    if case.columns is None:
        G = G + G.T
    elif case.both:
        G = G + grad[M:] * (x - want.log_sum_exp[M:]).exp().clamp(max=1)
    most = 2 * grad.abs().max()
    found = [G.sum(dim=1) + most, most.expand(M), G.sum(dim=0) + most]
    embeddings = [rows, case.given, case.columns]
    sizes = [
        size / (z.norm(dim=1) if case.normalize else 1)
        for size, z in zip(found, embeddings, strict=True)
        if z is not None
    ]
    if len(case.rows) == 2:
        return list(sizes[0].split(len(case.rows[0])))
    return [*sizes, torch.empty(0)] if case.columns is not None and case.given is None else sizes


def upstream(case: Case, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float64 if case.rows[0].dtype == torch.float64 else torch.float32
    return torch.rand(case.losses, generator=generator).to(dtype) / case.losses


def temperature_of(value: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(value, dtype=dtype)


# What is compiled, for an op and a path, meets every size, order and so on.
@pytest.mark.parametrize(
    ("compiled", "N", "D", "value", "order", "ids", "checked"),
    covering(
        list(product(OPS, MAIN_PATHS)),
        SIZES,
        FEATURES,
        TEMPERATURES,
        emulation.ORDERS,
        [True, False],
        [True, False],
    ),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_agrees_with_float64(compiled, N, D, value, order, ids, checked) -> None:
    op, path = compiled
    case = draw(op, N, D, PATHS[path][0], N + D, ids=ids)
    temperature, grad = temperature_of(value), upstream(case, D)
    with emulation.settings(order=order, seed=D, checked=checked):
        found, gradients = run(case, temperature, PATHS[path][1], grad)
    check(case, temperature, path, found, gradients, grad)


# In 16 bits pairs of warps gather more than 256 features: of up to 512 they hold the still rows, of
# more they read these for every tile.
@pytest.mark.parametrize(
    ("op", "path", "N", "D", "value", "order", "ids", "checked"),
    covering(
        OPS,
        ["bfloat16", "float16"],
        [1, 33, 65, 130],
        [256, 257, 384, 512, 513, 1024],
        TEMPERATURES,
        emulation.ORDERS,
        [True, False],
        [True, False],
    ),
)
def test_rows_of_many_features_agree_with_float64(
    op, path, N, D, value, order, ids, checked
) -> None:
    case = draw(op, N, D, PATHS[path][0], N + D, ids=ids)
    temperature, grad = temperature_of(value), upstream(case, D)
    with emulation.settings(order=order, seed=D, checked=checked):
        found, gradients = run(case, temperature, PATHS[path][1], grad, multiprocessors=1)
    check(case, temperature, path, found, gradients, grad)


# Without statistics, and without a gradient of the temperature, fewer sums are kept.
@pytest.mark.parametrize(
    ("compiled", "N", "D", "value", "order", "ids"),
    covering(
        list(product(OPS, MAIN_PATHS)),
        SIZES,
        FEATURES,
        TEMPERATURES,
        emulation.ORDERS,
        [True, False],
    ),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_losses_alone_agree_with_float64(compiled, N, D, value, order, ids) -> None:
    op, path = compiled
    case = draw(op, N, D, PATHS[path][0], N + D, ids=ids)
    temperature, grad = temperature_of(value), upstream(case, D)
    with emulation.settings(order=order, seed=D):
        found = emulated.forward(case, temperature, PATHS[path][1], losses_alone=True)
    want, _ = truth(in_double(case, PATHS[path][2]), temperature.double(), grad.double())
    check_losses(case, temperature, path, found, want)


def keys_of_similarity(cosines: Tensor, dtype: torch.dtype) -> Case:
    """Return queries, all the same, and keys that they have these similarities with."""
    query = torch.tensor([1.0, 0.0, 0.0]).expand(len(cosines), 3).contiguous()
    sines = (1 - cosines**2).sqrt()
    keys = torch.stack([cosines, sines, torch.zeros_like(sines)], dim=1)
    return Case([query.to(dtype)], (3 * keys).to(dtype), given=query.to(dtype))


# The peak of the first tile is far below what follows: 2^15 and 2^288 times as much, or falls.
@pytest.mark.parametrize("value", [0.1, 0.005])
@pytest.mark.parametrize("path", [*MAIN_PATHS, "float64"])
@pytest.mark.parametrize("losses_alone", [True, False])
def test_similarities_that_rise_from_tile_to_tile(path, value, losses_alone) -> None:
    dtype, terms, rounded_to = PATHS[path]
    rising = torch.linspace(0, 1, 320)
    waves = torch.linspace(0, 20, 320).sin().abs()
    temperature = temperature_of(value)
    for cosines in (rising, rising.flip(0), waves):
        case = keys_of_similarity(cosines, dtype)
        found = emulated.forward(
            case, temperature, terms, multiprocessors=1, losses_alone=losses_alone
        )
        exact = in_double(case, rounded_to)
        want, _ = truth(exact, temperature.double(), upstream(case, 0).double())
        check_losses(case, temperature, path, found, want)


# The positive out of the sum is a matter of one number a row.
@pytest.mark.parametrize(
    ("op", "path", "N", "value", "ids"),
    covering(
        ["nt_xent", "symmetric", "queue"],
        ["float64", "float32"],
        [2, 65],
        [0.005, 0.5],
        [True, False],
    ),
)
def test_decoupled_agrees_with_float64(op, path, N, value, ids) -> None:
    case = draw(op, N, 7, PATHS[path][0], N, ids=ids)._replace(decoupled=True)
    temperature, grad = temperature_of(value), upstream(case, N)
    for multiprocessors in (1, 2):  # in float32 with half of the similarities, and all of them
        found, gradients = run(case, temperature, 0, grad, multiprocessors=multiprocessors)
        check(case, temperature, path, found, gradients, grad)


@pytest.mark.parametrize("op", ["nt_xent", "symmetric", "queue"])
def test_decoupled_without_negatives_has_no_gradient(op) -> None:
    case = draw(op, 3, 7, torch.float32, 0)
    numbers = torch.zeros(3, dtype=torch.long)
    if op == "queue":
        case = case._replace(negative_ids=torch.zeros(6, dtype=torch.long))
    case = case._replace(decoupled=True, ids=numbers)
    found, gradients = run(case, temperature_of(0.1), 0, upstream(case, 0))
    assert (found.losses == -math.inf).all()
    assert all((gradient == 0).all() for gradient in in_order(case, gradients))


# A kernel of its own for each path, with labels and without. (The last test's pairs are of all.)
# Two and more chunks of features and, where pairs of warps gather them, one slab and two.
@pytest.mark.parametrize(
    ("op", "path", "D"),
    [
        *(("sup_con", path, 72) for path in PATHS),
        *((op, path, 72) for op, path in zip(cycle(OPS[:-1]), PATHS, strict=False)),
        ("sup_con", "bfloat16", 384),
        ("sup_con", "float16", 520),
        ("nt_xent", "bfloat16", 520),
        ("symmetric", "float16", 384),
    ],
)
def test_every_order_gives_the_same_bits(op, path, D) -> None:
    dtype, terms, _ = PATHS[path]
    # Two and three tiles of rows, in shares.
    case = draw(op, 65, D, dtype, 0, ids=True)
    grad, temperature = upstream(case, 0), temperature_of(0.07)

    def everything() -> list[Tensor]:
        found, gradients = run(case, temperature, terms, grad)
        check(case, temperature, path, found, gradients, grad)
        left = [x for x in found if x is not None]
        return [x.flatten() for x in (*left, *in_order(case, gradients))]

    emulation.in_every_order(everything)


# float16 goes line by line as bfloat16 does.
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.thorough) if path == "float16" else path
        for path in MAIN_PATHS
    ],
)
@pytest.mark.parametrize("op", ["nt_xent", "sup_con"])
def test_every_barrier_is_needed(op, path) -> None:
    dtype, terms, _ = PATHS[path]
    # So many tiles that every buffer is used twice; one chunk of features, or two of 16 bits, where
    # the second product waits for its own copies, or several, where it finds them done.
    sizes = {8: 150, 140: 150} if dtype == torch.float32 else {8: 200, 72: 150, 140: 150, 520: 70}
    cases = [draw(op, M if op == "sup_con" else M // 2, D, dtype, 0) for D, M in sizes.items()]
    if path == "float32":  # with all of the similarities, and with half of them
        cases += [case._replace(normalize=False) for case in cases]
    several = draw(op, 70 if op == "sup_con" else 35, 8, dtype, 0)  # shares of each row

    def everything() -> None:
        for case, multiprocessors in [(several, 2), *((case, 1) for case in cases)]:
            grad, temperature = upstream(case, 0), temperature_of(0.07)
            found, _ = run(case, temperature, terms, grad, multiprocessors=multiprocessors)
            if op == "sup_con":  # and count positives again
                found = found._replace(counts=None)
                emulated.backward(case, temperature, terms, grad, found, multiprocessors=1)

    barriers = emulation.barriers_of(everything)
    assert len(barriers) > 4
    assert any("symmetric" in barrier for barrier in barriers) == (path == "float32")
    unnoticed = [b for b in barriers if not emulation.noticed_without(everything, b)]
    assert not unnoticed, unnoticed


def test_shared_memory_is_what_the_table_of_kernels_counts() -> None:
    kernels = emulated.module()
    table = Path(__file__).parents[1] / "cuda_static" / "dynamic_shared.csv"
    with table.open() as file:
        counted = {
            row["kernels"]: int(row["bytes"])
            for row in csv.DictReader(file)
            if row["kernels"].startswith("contrastive_")
        }
    tiles = {
        "FmaTile<float>": "float",
        "FmaTile<double>": "double",
        "MmaTile<bfloat16>": "half",
        "MmaTile<half>": "half",
        "MmaTile<TwoTerms>": "two_terms",
    }
    wider = {
        f"contrastive_backward<{name}MmaTile<{of}>, *>": getattr(
            kernels, f"backward_shared_{name.lower()}"
        )()
        for name in ("Wide", "Paired")
        for of in ("bfloat16", "half")
    }
    assert (
        counted
        == {
            f"contrastive_{direction}<{tile}, *>": getattr(kernels, f"{direction}_shared_{of}")()
            for direction in ("forward", "backward")
            for tile, of in tiles.items()
        }
        | {"contrastive_symmetric<*>": kernels.symmetric_shared()}
        | wider
    )


# With so many multiprocessors rows that are compared with themselves take the symmetric kernel, if
# there are more than two tiles of them, in float32 and normalised.
SYMMETRIC = {"multiprocessors": 1}


# Three to seven tiles of rows, and less than a slab of features, or three.
@pytest.mark.parametrize(
    ("op", "N", "D"),
    [
        ("nt_xent", 65, 300),
        ("nt_xent", 128, 8),
        ("nt_xent", 200, 8),
        ("sup_con", 130, 100),
        ("sup_con", 192, 8),
    ],
)
def test_half_of_the_similarities_give_the_same_bits_in_every_order(op, N, D) -> None:
    case = draw(op, N, D, torch.float32, N + D, ids=True)
    grad, temperature = upstream(case, N + D), temperature_of(0.07)

    def everything() -> list[Tensor]:
        found, gradients = run(case, temperature, 0, grad, **SYMMETRIC)
        check(case, temperature, "float32", found, gradients, grad)
        return [x.flatten() for x in in_order(case, gradients)]

    emulation.in_every_order(everything, seeds=1)


def test_half_of_the_similarities_are_the_bits_of_all() -> None:
    # In three slabs of features, at temperatures where a last bit of a similarity is a tenth of a
    # weight, and the whole of it.
    case = draw("sup_con", 130, 300, torch.float32, 0)
    grad = upstream(case, 0)
    for value in (1e-6, 1e-8):
        half, full = (
            run(case, temperature_of(value), 0, grad, multiprocessors=count)[1].rows[0]
            for count in (1, 100)
        )
        torch.testing.assert_close(half, full, rtol=0, atol=1e-6 * full.abs().max().item())


def test_sums_in_fixed_point_have_room_for_a_row_that_all_are_similar_to() -> None:
    # The others are less similar to each other: their whole probability is on the first row, whose
    # gradient before normalisation, which that of the temperature shows, is the sum of all.
    z = torch.eye(260)
    z[:, 0] = 1
    case = Case([z[:130], z[130:]])
    temperature = temperature_of(0.005)
    for size in (1e-35, 1.0, 1e30):
        grad = torch.full((260,), size)
        found, gradients = run(case, temperature, 0, grad, **SYMMETRIC)
        check(case, temperature, "float32", found, gradients, grad)


def nearly_equal(op: str, N: int, D: int, dtype: torch.dtype, spread: float) -> Case:
    """Return a loss of rows that all differ from one row by so much."""
    case = draw(op, N, D, torch.float64, N)
    base = torch.randn(D, generator=torch.Generator().manual_seed(N), dtype=torch.float64)

    def near(z: Tensor | None) -> Tensor | None:
        return None if z is None else (base + spread * z).to(dtype)

    return case._replace(
        rows=[near(z) for z in case.rows], columns=near(case.columns), given=near(case.given)
    )


# What the weights of similarities are rounded to is far more than what is left of the gradient of
# the temperature.
@pytest.mark.parametrize(
    ("op", "path", "spread", "value", "normalize"),
    covering(OPS, MAIN_PATHS, [1e-3, 1e-2], [0.01, 0.1, 1.0], [True, False]),
)
def test_temperature_of_nearly_equal_rows(op, path, spread, value, normalize) -> None:
    dtype, terms, rounded_to = PATHS[path]
    case = nearly_equal(op, 70, 16, dtype, spread)._replace(normalize=normalize)
    temperature, grad = temperature_of(value), upstream(case, 0)
    with emulation.settings(checked=False):
        _, gradients = run(case, temperature, terms, grad)
    exact = in_double(case, rounded_to)
    wanted = truth(exact, temperature.double(), grad.double())[1][-1]
    check_temperature(exact, temperature, path, gradients.temperature, wanted, grad)


# But for a queue's, whose positives are computed apart and have roundings of their own.
@pytest.mark.parametrize("path", MAIN_PATHS)
@pytest.mark.parametrize("op", [op for op in OPS if op != "queue"])
def test_temperature_of_equal_rows_has_no_gradient(op, path) -> None:
    dtype, terms, _ = PATHS[path]
    case = nearly_equal(op, 70, 16, dtype, 0)
    with emulation.settings(checked=False):
        _, gradients = run(case, temperature_of(0.1), terms, upstream(case, 0))
    assert gradients.temperature == 0


def test_temperature_has_no_gradient_without_slopes() -> None:
    case = draw("nt_xent", 5, 3, torch.float32, 0)
    temperature, grad = temperature_of(0.5), upstream(case, 0)
    found = emulated.forward(case, temperature, 0)
    without = emulated.backward(case, temperature, 0, grad, found._replace(slope=None))
    assert without.temperature.isnan()
    assert torch.equal(
        without.rows[0], emulated.backward(case, temperature, 0, grad, found).rows[0]
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_sums_in_fixed_point_are_nan_where_they_have_to_be(value) -> None:
    case = draw("nt_xent", 130, 8, torch.float32, 0)
    grad = upstream(case, 0)
    grad[3] = value
    _, gradients = run(case, temperature_of(0.5), 0, grad, **SYMMETRIC)
    assert all(g.isnan().all() for g in gradients.rows)
    assert not gradients.temperature.isfinite()
    case.rows[1][2, 1] = value
    _, gradients = run(case, temperature_of(0.5), 0, upstream(case, 0), **SYMMETRIC)
    assert all(g.isnan().all() for g in (*gradients.rows, gradients.temperature))
    # As a row without a loss, which is no candidate of any other: its weights are 0.
    case = draw("sup_con", 260, 8, torch.float32, 0)
    case = case._replace(ids=torch.zeros(260, dtype=torch.int64))
    case.labels[2] = 260
    case.rows[0][2, 1] = value
    _, gradients = run(case, temperature_of(0.5), 0, upstream(case, 0), **SYMMETRIC)
    assert gradients.rows[0].isnan().all()


# The norms of rows keep their gradients far from the ends of what float32 holds.
@pytest.mark.parametrize(("size", "norm"), [(1e-38, 1e-6), (3e38, 1e6)])
@pytest.mark.parametrize("path", ["float32", "float32 as two bfloat16"])
def test_upstream_gradients_at_the_ends_of_float32(path, size, norm) -> None:
    case = draw("nt_xent", 130, 8, torch.float32, 0)
    case = case._replace(rows=[norm * z for z in case.rows])
    grad = torch.full((260,), size)
    temperature = temperature_of(0.5, torch.float64)
    found, gradients = run(case, temperature, PATHS[path][1], grad, **SYMMETRIC)
    check(case, temperature, path, found, gradients, grad)


@pytest.mark.parametrize("path", MAIN_PATHS)
def test_a_positive_that_equals_a_negative_is_not_the_best_candidate(path) -> None:
    dtype, terms, _ = PATHS[path]
    for D in (2, 3, 4, 16, 64):
        keys = draw("nt_xent", 64, D, dtype, D).rows[0]
        case = Case([keys], keys, given=keys)
        assert (emulated.forward(case, temperature_of(0.5), terms).stats[0] == 0).all()


@pytest.mark.parametrize(
    ("op", "path", "of"),
    covering(OPS, MAIN_PATHS, [torch.float64, torch.float16, torch.bfloat16]),
    ids=str,
)
def test_dot_products_gaps_between_rows_and_other_types_of_temperature(op, path, of) -> None:
    dtype, terms, _ = PATHS[path]
    dense = draw(op, 21, 9, dtype, 3)

    def with_gaps(z: Tensor | None) -> Tensor | None:
        if z is None:
            return None
        wide = torch.full((len(z), 13), torch.nan, dtype=z.dtype)
        wide[:, 2:11] = z / 3
        return wide[:, 2:11]

    case = dense._replace(
        rows=[with_gaps(z) for z in dense.rows],
        columns=with_gaps(dense.columns),
        given=with_gaps(dense.given),
        normalize=False,
    )
    temperature, grad = temperature_of(0.5, of), upstream(case, 4)
    found, gradients = run(case, temperature, terms, grad)
    # The gradient of the temperature is rounded to its type: 2^-9 at most.
    wide = gradients._replace(temperature=gradients.temperature.double())
    want = truth(in_double(case, PATHS[path][2]), temperature.double(), grad.double())[1][-1]
    assert wide.temperature == pytest.approx(want.item(), rel=2**-8, abs=0.02 * grad.sum().item())
    check(case, temperature, path, found, wide._replace(temperature=want), grad)


# More rows than a block of threads counts at a time, and more than it counts for.
def test_positives_are_counted_among_many_rows() -> None:
    case = draw("sup_con", 270, 5, torch.float32, 0)
    case.labels[:] = torch.arange(270) // 135
    case.labels[[0, 17, 255, 256, 269]] = torch.tensor([7, 2, 2, 8, 8])
    grad, temperature = upstream(case, 0), temperature_of(0.2)
    found, gradients = run(case, temperature, 0, grad)
    check(case, temperature, "float32", found, gradients, grad)
    others = (case.labels[:, None] == case.labels).sum(1) - 1
    assert torch.equal(found.counts, others.int())
    again = emulated.backward(case, temperature, 0, grad, found._replace(counts=None))
    assert torch.equal(again.rows[0], gradients.rows[0])


# With a hundred multiprocessors there are more shares than warps that merge them.
@pytest.mark.parametrize(("multiprocessors", "N"), [(1, 200), (3, 200), (100, 530)])
@pytest.mark.parametrize("op", OPS)
def test_any_number_of_shares(op, multiprocessors, N) -> None:
    case = draw(op, N, 8, torch.float32, 5, ids=True)
    grad, temperature = upstream(case, 5), temperature_of(0.1)
    found, gradients = run(case, temperature, 0, grad, multiprocessors=multiprocessors)
    check(case, temperature, "float32", found, gradients, grad)


@pytest.mark.parametrize("op", OPS)
def test_one_gradient_for_all_losses_and_none_for_columns(op) -> None:
    case = draw(op, 5, 3, torch.float32, 6)
    temperature = temperature_of(0.3)
    grad = torch.full((1,), 0.25).expand(case.losses)
    found = emulated.forward(case, temperature, 0)
    gradients = emulated.backward(case, temperature, 0, grad, found, column_gradients=False)
    assert gradients.columns is None
    want = emulated.backward(case, temperature, 0, grad.contiguous(), found)
    for got, wanted in zip(gradients.rows, want.rows, strict=True):
        assert torch.equal(got, wanted)
    assert torch.equal(gradients.temperature, want.temperature)


@pytest.mark.parametrize("op", OPS)
def test_nothing_and_nonsense(op) -> None:
    empty = draw(op, 0, 3, torch.float32, 0)
    grad = torch.zeros(empty.losses)
    _, gradients = run(empty, temperature_of(0.5), 0, grad)
    assert gradients.temperature == 0
    if op == "queue":
        assert (gradients.columns == 0).all()  # no query compares itself with the queue
    case = draw(op, 6, 3, torch.float32, 1)
    for value in (0.0, -1.0, math.nan, math.inf):
        assert emulated.forward(case, temperature_of(value), 0).losses.isnan().all()
    poisoned = draw(op, 6, 3, torch.float32, 1)
    poisoned.rows[0][2, 1] = math.inf
    losses = emulated.forward(poisoned, temperature_of(0.5), 0).losses
    labels = poisoned.labels
    alone = labels is not None and (labels == labels[2]).sum() == 1
    assert losses[2].isnan() or alone


def test_a_zero_row_is_similar_to_nothing() -> None:
    case = draw("nt_xent", 6, 3, torch.float32, 1)
    case.rows[0][2] = 0
    grad = upstream(case, 1)
    for terms in (0, 1, 2):
        found, gradients = run(case, temperature_of(0.5), terms, grad)
        want = truth(in_double(case, torch.float32), torch.tensor(0.5).double(), grad.double())[0]
        assert found.losses[2].item() == pytest.approx(want.losses[2].item(), rel=1e-6)
        assert (gradients.rows[0][2] == 0).all()


def test_a_queue_without_keys_leaves_only_the_positive() -> None:
    case = draw("queue", 6, 3, torch.float32, 1)
    case = case._replace(columns=case.columns[:0])
    found, gradients = run(case, temperature_of(0.5), 0, upstream(case, 1))
    assert (found.losses == 0).all()
    assert (gradients.rows[0] == 0).all()
    assert (gradients.given == 0).all()


def test_hundreds_of_nearly_equal_candidates_and_tiny_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(1, 16, generator=generator)
    rows = base + 1e-3 * torch.randn(130, 16, generator=generator)
    case = Case([rows[:65], rows[65:]])
    grad = upstream(case, 0)
    for value in (0.005, 0.5):
        found, gradients = run(case, temperature_of(value), 0, grad)
        check(case, temperature_of(value), "float32", found, gradients, grad)
    # Orthogonal pairs: each loss is about exp(-1 / 0.05) times the number of negatives.
    z = torch.eye(16)
    case = Case([z, z.clone()])
    grad = upstream(case, 0)
    found, gradients = run(case, temperature_of(0.05), 0, grad)
    want, _ = truth(in_double(case, torch.float32), torch.tensor(0.05).double(), grad.double())
    torch.testing.assert_close(found.losses.double(), want.losses, rtol=1e-5, atol=0)
