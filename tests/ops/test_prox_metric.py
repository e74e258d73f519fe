"""Proximal operators in a diagonal metric against their definition, whatever the magnitudes."""

import pytest
import torch
from covering import covering
from ema_samples import LAYOUTS, around, tensor
from prox_samples import DTYPES, INF, NAN, as_csr, normals, same_bits
from torch import Tensor

from lelkern import CSRGroups, prox_group_lasso, prox_l1
from lelkern.ops._prox import Lists, elementwise_lists, group_lists
from lelkern.ops._prox_lists import prox_metric_
from lelkern.ops.prox_metric import prox_group_lasso_metric, prox_l1_metric
from lelkern.reference import prox_metric as reference


def optimality(x: Tensor, w: Tensor, metric: Tensor, lam: Tensor) -> Tensor:
    """Return by how much d (w - x) is no subgradient of lam ||x||, for each row, relative to d |w|.

    All in float64: of rows that are zero, by how much ||d w|| passes lam.
    """
    x, w, metric, lam = (y.double() for y in (x, w, metric, lam))
    size = (metric * w).abs()
    norm, longest = x.norm(dim=1, keepdim=True), size.amax(1, keepdim=True)
    alive = (metric * (x - w) + lam * x / norm).abs() / (size + lam)
    dead = ((size / longest).norm(dim=1, keepdim=True) - lam / longest).clamp(min=0)
    return torch.where(norm > 0, alive, dead)


def rows(dtype: torch.dtype, spread: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return w and metric (500, 7), whose magnitudes differ by exp(spread), and lam (500, 1).

    From exp(-8) of what makes a row zero to just above.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal() -> Tensor:
        return torch.randn(500, 7, generator=generator, dtype=torch.float64)

    w, metric = normal() * (spread * normal()).exp(), (spread * normal()).exp()
    kills = (metric * w).norm(dim=1, keepdim=True)
    lam = kills * (0.5 - 8.5 * torch.rand(500, 1, generator=generator, dtype=torch.float64)).exp()
    return w.to(dtype), metric.to(dtype), lam.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("spread", [0.1, 1, 8])
def test_the_result_is_optimal_to_rounding(dtype, spread, device):
    w, metric, lam = (x.to(device) for x in rows(dtype, spread, seed=0))
    x = prox_group_lasso_metric(w, metric, lam.flatten(), dim=1)
    assert x.dtype == dtype
    assert 5 < (x == 0).all(dim=1).sum() < 100  # both cases occur
    # x is one product of w and a ratio, whose r is a root to a rounding or two of each of 7 terms.
    assert optimality(x, w, metric, lam).max() < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_numbers_of_all_orders_of_magnitude_in_a_group(dtype, device):
    # One number alone would have its root at 0, and each of the others only shows where all larger
    # ones are gone: nothing takes Newton's method more steps.
    generator = torch.Generator().manual_seed(3)
    w = (10.0 ** (-1.5 * torch.arange(12, dtype=torch.float64))).repeat(200, 1)
    ratio = 0.5 + torch.rand(200, 12, generator=generator, dtype=torch.float64)
    ratio[:, 0] = 1
    metric = 1 / (w * ratio)
    w, metric, lam = (x.to(device, dtype) for x in (w, metric, torch.ones(200, 1)))
    x = prox_group_lasso_metric(w, metric, lam.flatten(), dim=1)
    assert optimality(x, w, metric, lam).max() < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize(("count", "decades", "ratio"), [(400, 0.5, 0.1), (100, 1.5, 0.01)])
def test_more_orders_of_magnitude_than_there_are_for_a_few_steps(count, decades, ratio, device):
    # Each number only shows where all larger ones are gone, at each of hundreds of decades.
    w = 10.0 ** (-decades * torch.arange(count + 1, dtype=torch.float64))
    distance = torch.full_like(w, ratio)
    distance[0] = 1 - 1e-8  # just so that something is left
    x = prox_group_lasso_metric(w[None].to(device), (distance / w)[None].to(device), 1.0, dim=1)[0]
    tau = w / distance
    low, high = torch.zeros((), dtype=torch.float64), w.norm()
    for _ in range(1100):  # until the bisection ends at neighbouring numbers
        middle = (low + high) / 2
        above = (w / (middle + tau)).norm() > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    assert low > 0
    # The root of a sum that hardly falls has as many digits as are left of its difference from 1.
    torch.testing.assert_close(x.cpu(), w * (low / (low + tau)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_thresholds_that_vanish_in_units_of_a_group(dtype, device):
    # Over a metric of 0 they are infinite all the same, and over the smallest ones large.
    most = 307 if dtype == torch.float64 else 38
    cases = [
        ([10.0**most, 1.0], [1.0, 0.0], 1e-10, [10.0**most, 0.0]),
        ([10.0, 1.0, 0.0], [1.0, 0.0, 0.0], torch.finfo(dtype).tiny, [10.0, 0.0, 0.0]),
        ([10.0**most, 0.0], [1.0, 0.0], 1e-10, [10.0**most, 0.0]),
    ]
    for w, d, lam, want in cases:
        given = (torch.tensor([x], dtype=dtype, device=device) for x in (w, d))
        x = prox_group_lasso_metric(*given, lam, dim=1)
        torch.testing.assert_close(x.cpu(), torch.tensor([want], dtype=dtype), rtol=1e-6, atol=0)


def test_a_vector_that_is_not_full_is_that_of_a_full_one(device):
    # Large numbers of metrics so small that a threshold over them overflows before it is divided.
    w = torch.tensor([[1e38, 1e38, 5e37]], device=device)
    d = torch.tensor([[1e-40, 3e-40, 2e-40]], device=device)
    x = prox_group_lasso_metric(w, d, 5e-3, dim=1)
    exact = prox_group_lasso_metric(w.double(), d.double(), 5e-3, dim=1)
    assert (exact > 0).all()
    # The metric has 16 binary digits there.
    torch.testing.assert_close(x.double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("groups", "sizes"),
    [
        ({"dim": 1}, (4, 6)),
        ({"dim": 0}, (4, 6)),
        ({"dim": (1, 2)}, (3, 2, 4)),
        ({"groups": (2, -1)}, (4, 6)),
        (
            {"groups": CSRGroups(torch.tensor([0, 5, 5, 6]), torch.tensor([7, 1, 2, 3, 9, 8]))},
            (4, 6),
        ),
    ],
    ids=["rows", "columns", "filters", "blocks", "csr"],
)
@pytest.mark.parametrize("weights", [None, "sqrt_size"])
def test_in_a_metric_that_is_constant_it_is_the_prox_itself(groups, sizes, weights):
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(sizes, generator=generator, dtype=torch.float64)
    w[:2], w[..., 0] = 0.1 * w[:2], 0.1 * w[..., 0]  # some groups of each kind
    ours = prox_group_lasso_metric(w, torch.full_like(w, 2.0), 1.6, weights=weights, **groups)
    expected = prox_group_lasso(w, 0.8, weights=weights, **groups)
    assert (expected == 0).any()
    assert not (expected == 0).all()
    torch.testing.assert_close(ours, expected, rtol=1e-14, atol=0)
    l1 = prox_l1_metric(w, torch.full_like(w, 2.0), 1.6)
    torch.testing.assert_close(l1, prox_l1(w, 0.8), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("w", "metric", "lam", "expected"),
    [
        ([3.0, 4.0], [1.0, 1.0], 5.0, [0.0, 0.0]),  # norm == threshold
        ([0.0, 0.0], [1.0, 2.0], 0.0, [0.0, 0.0]),
        ([0.0, 0.0], [1.0, 2.0], 1.0, [0.0, 0.0]),
        ([3.0, 4.0], [0.0, 0.0], 0.0, [3.0, 4.0]),  # nothing moves by nothing
        ([3.0, 4.0], [NAN, 1.0], 0.0, [3.0, 4.0]),
        ([3.0, 4.0], [0.0, 1.0], 1.0, [0.0, 3.0]),  # what nothing holds
        ([3.0, 4.0], [INF, 0.5], INF, [0.0, 0.0]),
        ([3.0, INF], [1.0, 2.0], 1.0, [3.0, INF]),
        ([3.0, INF], [1.0, 2.0], INF, [0.0, 0.0]),
        ([3.0, NAN], [1.0, 2.0], INF, [NAN, NAN]),
        ([3.0, 4.0], [1.0, NAN], 1.0, [NAN, NAN]),
        ([3.0, 4.0], [1.0, -1.0], 1.0, [NAN, NAN]),
        ([INF], [0.0], 1.0, [INF]),  # a group of one is a group
        ([3.0], [INF], INF, [0.0]),
        ([3e38, 3e38], [1.0, 1.0], 1e38, [3e38 - 0.5**0.5 * 1e38] * 2),
        ([3e-44, 4e-44], [1.0, 1.0], 1e-44, [3e-44 * 0.8, 4e-44 * 0.8]),
        ([3e-30, 4e-30], [1e-5, 1e-5], 1e-35, [3e-30 * 0.8, 4e-30 * 0.8]),
        ([3e30, 4e30], [1e5, 1e5], 1e35, [3e30 * 0.8, 4e30 * 0.8]),
    ],
)
def test_limits(w, metric, lam, expected):
    x = prox_group_lasso_metric(torch.tensor([w]), torch.tensor([metric]), lam, dim=1)
    # The last numbers of float32 are 1.4e-45 apart.
    torch.testing.assert_close(x, torch.tensor([expected]), rtol=1e-6, atol=2e-45, equal_nan=True)


@pytest.mark.parametrize(
    ("w", "metric", "lam", "expected"),
    [
        (3.0, 2.0, 4.0, 1.0),
        (-3.0, 2.0, 4.0, -1.0),
        (-3.0, 2.0, 6.0, 0.0),
        (3.0, 0.0, 0.0, 3.0),
        (3.0, 0.0, 1.0, 0.0),
        (INF, 1.0, 1.0, INF),
        (NAN, 1.0, 1.0, NAN),
        (3.0, -1.0, 1.0, NAN),
        (3.0, INF, INF, 0.0),
        (3.0, NAN, INF, NAN),
    ],
)
def test_soft_thresholds_are_divided_by_the_metric(w, metric, lam, expected):
    x = prox_l1_metric(torch.tensor([w]), torch.tensor([metric]), lam)
    torch.testing.assert_close(x, torch.tensor([expected]), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_rounded_once(dtype):
    w, metric, lam = (x[:50] for x in rows(torch.float64, 0.5, seed=2))
    w = w.to(dtype)
    x = prox_group_lasso_metric(w, metric.float(), lam.float().flatten(), dim=1)
    exact = prox_group_lasso_metric(w.double(), metric, lam.flatten(), dim=1)
    assert x.dtype == dtype
    # Half a unit in the last place, and float32's roundings before; the last numbers of float16 are
    # 6e-8 apart.
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(x.double(), exact, rtol=0.51 * eps, atol=3.1e-8)


GROUPINGS = {
    "rows": lambda shape: {"dim": tuple(range(1, len(shape)))},
    "columns": lambda shape: {"dim": 0},
    "sqrt_size": lambda shape: {"dim": 0, "weights": "sqrt_size"},
    "elements": lambda shape: None,
}
# Groups of 0, 1, a vector of each kind and one more or less, and what a sum is cut at.
LENGTHS = (0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 1023, 1025)


def lists_of(w: list[Tensor], grouping: str, lam: list[Tensor], lam1: list[Tensor] | None) -> Lists:
    """Return lists of tensors of alike dimensions, with thresholds for all of each."""
    keys = GROUPINGS[grouping](w[0].shape)
    if keys is None:
        return elementwise_lists(w, lam)
    keys = {"groups": None, "weights": None, **keys}
    return group_lists("w", w, lam=("lam", lam), lam1=lam1, **keys)


@pytest.mark.parametrize(
    ("dtype", "layout", "grouping", "soft"),
    covering(DTYPES, LAYOUTS, tuple(GROUPINGS), (False, True)),
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_lists_are_those_of_the_reference(dtype, layout, grouping, soft, device):
    values = [normals(5, n, seed=n).to(device, dtype) for n in LENGTHS]
    metrics = [normals(5, n, seed=n + 1).exp().to(device, dtype) for n in LENGTHS]
    w = [tensor(x, layout) for x in values]
    surroundings = [around(x) for x in w]
    # Most of what there is stays, and some vanishes.
    lam = [torch.full((), 0.6 * max(n, 1) ** 0.5, device=device) for n in LENGTHS]
    lam1 = [torch.full((), 0.2, device=device)] * len(w) if soft else None
    lists = lists_of(w, grouping, lam, lam1)
    prox_metric_("w", lists, metrics)
    wide = [x.to(torch.float64, copy=True) for x in values]
    exact = lists_of(wide, grouping, lam, lam1)
    given = [layout.apply(metrics[i].double()) for i, layout in zip(*exact[1:3], strict=True)]
    reference.prox_metric_(exact.values, given, *exact.groups)
    assert all(layout.is_view for layout in exact.layouts)  # of what is contiguous
    eps = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    stored = torch.finfo(dtype)
    left = 0
    for x, value, want, surrounding in zip(w, values, wide, surroundings, strict=True):
        # Of w a threshold that is divided is taken away, or all but a ratio whose root is one to a
        # rounding or two of each sum.
        bound = 32 * eps * value.double().abs() + stored.eps / 2 * want.abs()
        bound += stored.tiny * stored.eps
        assert ((x.double() - want).abs() <= bound).all()
        assert torch.equal(around(x), surrounding)
        left += int((want != 0).sum())
    assert 0 < left < sum(x.numel() for x in w)


def test_groups_in_csr_form_leave_what_is_in_none(device):
    w, metric = normals(40).float().to(device), normals(40, seed=1).exp().float().to(device)
    ptr, indices = torch.tensor([0, 0, 1, 9, 30]), torch.randperm(40)[:30]
    groups = CSRGroups(ptr.to(device), indices.to(device))
    lam = torch.tensor([1.0, 1e3, 0.5, 1.0], device=device)
    x = prox_group_lasso_metric(w, metric, lam, groups=groups)
    others = torch.ones(40, dtype=torch.bool).index_fill_(0, indices, False).to(device)
    assert same_bits(x[others], w[others])
    for g in (1, 2, 3):
        own = indices[ptr[g] : ptr[g + 1]].to(device)
        alone = prox_group_lasso_metric(w[own][None], metric[own][None], float(lam[g]), dim=1)
        torch.testing.assert_close(x[own][None], alone, rtol=1e-6, atol=0)
    assert (x[indices[0]] == 0).all()


def test_small_and_large_numbers_of_a_group_keep_their_digits(device):
    # The smallest vanish beside the largest in every sum, but not themselves.
    w = torch.tensor([[1e30, 1e-30, -3e-38, 2.0, 0.0]], device=device)
    metric = torch.tensor([[1e-30, 1.0, 1e-8, INF, INF]], device=device)
    x = prox_group_lasso_metric(w, metric, 0.5, dim=1)
    exact = prox_group_lasso_metric(w.double(), metric.double(), 0.5, dim=1)
    torch.testing.assert_close(x.double(), exact, rtol=1e-6, atol=1e-45)
    assert (x[0, :4] != 0).all()


def test_autograd_sees_that_tensors_change(device):
    w = normals(3, 4).to(device).requires_grad_()
    y = (w * w).sum()
    prox_metric_("w", elementwise_lists([w], 0.1), [torch.ones_like(w)])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_tensors_that_share_memory_are_refused_and_nothing_changes(device):
    w = torch.ones(3, 4, device=device)
    lists = elementwise_lists([w[:2], w[1:]], 0.5)
    with pytest.raises(ValueError, match="memory"):
        prox_metric_("w", lists, [torch.ones(2, 4, device=device)] * 2)
    assert (w == 1).all()


@pytest.mark.once
def test_opcheck(device):
    w = [normals(3, 4).to(device), normals(7).float().to(device)]
    metric = [x.abs() + 0.1 for x in w]
    lam = [torch.tensor(0.5, dtype=torch.float64, device=device), torch.tensor(0.5, device=device)]
    csr = as_csr(normals(1, 7).to(device))
    index = ([csr.group_ptr], [csr.group_indices], [4, 1, 0, 0])
    op = torch.ops.lelkern.prox_metric_.default
    torch.library.opcheck(op, (w, metric, [], lam, *index))
    torch.library.opcheck(op, (w, metric, lam, lam, *index))


@pytest.mark.once
def test_compiled(device):
    def step(w: Tensor, metric: Tensor, lam: float) -> Tensor:
        return prox_group_lasso_metric(w, metric, lam, dim=1) + prox_l1_metric(w, metric, lam)

    torch.compiler.reset()
    w, metric = normals(5, 9).to(device), normals(5, 9, seed=1).exp().to(device)
    compiled = torch.compile(step, fullgraph=True)
    for lam in (0.1, 1.0, 2.0):
        torch.testing.assert_close(compiled(w, metric, lam), step(w, metric, lam))


def test_errors_name_the_argument_and_its_value():
    w = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"metric must have the shape of w, \(2, 3\), got \(3,\)"):
        prox_group_lasso_metric(w, torch.ones(3), 1.0, dim=1)
    with pytest.raises(TypeError, match=r"metric must be float64, float32, .* got torch.int64"):
        prox_l1_metric(w, torch.ones(2, 3, dtype=torch.int64), 1.0)
    with pytest.raises(ValueError, match=r"lam must be .*got -1"):
        prox_group_lasso_metric(w, w, -1.0, dim=1)
    with pytest.raises(ValueError, match=r"lam must be .*got -1"):
        prox_l1_metric(w, w, -1.0)
    with pytest.raises(ValueError, match="exactly one of dim and groups"):
        prox_group_lasso_metric(w, w, 1.0)
    with pytest.raises(ValueError, match="metric must be on the device of w, cpu, got meta"):
        prox_l1_metric(w, w.to("meta"), 1.0)
    with pytest.raises(TypeError, match=r"metric must be dense, got torch\.sparse_coo"):
        prox_l1_metric(w, w.to_sparse(), 1.0)
