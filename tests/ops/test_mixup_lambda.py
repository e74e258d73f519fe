import math

import numpy as np
import pytest
import torch
from mixing_samples import FLOATING
from scipy import stats

import lelkern
from lelkern.reference import mixup_lambda as reference

ALPHAS = [0.1, 0.2, 0.75, 1.0, 2.0, 10.0]
DRAWS = 40_000


def seeded(seed: int, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def draws(alpha, n=DRAWS, seed=0, **options):
    options = {"fold": False, "dtype": torch.float64, **options}
    return lelkern.sample_mixup_lambda(n, alpha, generator=seeded(seed), **options)


@pytest.mark.once
@pytest.mark.parametrize("alpha", ALPHAS)
def test_draws_are_of_the_beta_distribution(alpha, device):
    lam = draws(alpha, device=device).cpu().numpy()
    # Near 0 doubles tell all draws apart, near 1 they do not: by symmetry the lower half will do.
    lower = lam[lam < 0.5]
    # Each of these p-values is below 1e-6 once in a million seeds; the seed is fixed.
    assert stats.binomtest(len(lower), len(lam)).pvalue > 1e-6
    assert stats.kstest(lower, lambda x: 2 * stats.beta.cdf(x, alpha, alpha)).pvalue > 1e-6
    exact = stats.beta(alpha, alpha)
    for k in range(1, 5):  # raw moments are means of independent draws
        error = math.sqrt((exact.moment(2 * k) - exact.moment(k) ** 2) / len(lam))
        assert abs((lam**k).mean() - exact.moment(k)) < 5 * error


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_fold_is_the_larger_of_lambda_and_its_rest(alpha, device):
    lam, folded = (draws(alpha, 5000, fold=fold, device=device).cpu() for fold in (False, True))
    assert (folded >= 0.5).all()
    # 1 - lam and 1 / (1 + exp(-|x|)) are rounded a few times each, at a size of at most 1.
    torch.testing.assert_close(folded, torch.maximum(lam, 1 - lam), rtol=0, atol=2**-51)
    sample = stats.kstest(
        folded[folded < 1 - 1e-9].numpy(),
        # Conditioned on what was kept, since beyond the numbers are too coarse.
        lambda x: (
            (2 * stats.beta.cdf(x, alpha, alpha) - 1)
            / (2 * stats.beta.cdf(1 - 1e-9, alpha, alpha) - 1)
        ),
    )
    assert sample.pvalue > 1e-6


@pytest.mark.once
def test_the_mean_of_folded_draws(device):
    lam = draws(0.75, 200_000, fold=True, device=device)
    integral = stats.beta(0.75, 0.75).expect(lambda x: max(x, 1 - x))
    assert abs(lam.mean().item() - integral) < 5 * lam.std().item() / math.sqrt(len(lam))


@pytest.mark.once
def test_draws_are_independent_of_one_another():
    lam = draws(1.0)  # uniform
    for lag in (1, 2, 24):
        correlation = np.corrcoef(lam[:-lag], lam[lag:])[0, 1]
        assert abs(correlation) < 5 / math.sqrt(DRAWS)


def test_a_seed_gives_the_same_numbers():
    lam = draws(0.4, 100, fold=True)
    assert torch.equal(lam, draws(0.4, 100, fold=True))
    assert not torch.equal(lam, draws(0.4, 100, seed=1, fold=True))
    assert torch.equal(lam[:7], draws(0.4, 7, fold=True))  # a draw depends on its place alone
    torch.manual_seed(0)
    first = lelkern.sample_mixup_lambda(5, 0.4)
    assert not torch.equal(first, lelkern.sample_mixup_lambda(5, 0.4))
    torch.manual_seed(0)
    assert torch.equal(first, lelkern.sample_mixup_lambda(5, 0.4))


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("fold", [True, False])
def test_every_device_has_the_numbers_of_the_reference(dtype, fold, device):
    seed = torch.tensor(2**62 + 12345)
    for alpha in (1e-300, 1e-3, 0.1, 0.75, 0.999, 1.0, 3.0, 1e3, 1e9, 1e300, math.inf):
        number = torch.tensor(alpha, dtype=torch.float64)
        want = reference.mixup_lambda(seed, number, 300, fold, dtype)
        got = torch.ops.lelkern.mixup_lambda(
            seed.to(device), number.to(device), 300, fold, dtype
        ).cpu()
        assert got.dtype == dtype
        assert ((got >= 0.5 if fold else got >= 0) & (got <= 1)).all()
        # logits are off by a few units in the last place of numbers up to |log u| < 23, over alpha.
        # That moves 300 numbers over a place where float32 is rounded the other way with a
        # probability of less than 300 * 2^-20.
        if dtype == torch.float64:
            torch.testing.assert_close(got, want, rtol=1e-12 / min(alpha, 1), atol=1e-14)
        else:
            assert torch.equal(got, want)


def test_extremes_of_alpha(device):
    assert (draws(math.inf, 9, device=device) == 0.5).all()
    assert (draws(1e300, 9, device=device) == 0.5).all()
    tiny = draws(1e-300, 4000, device=device)
    assert ((tiny == 0) | (tiny == 1)).all()
    assert stats.binomtest(int((tiny == 1).sum()), 4000).pvalue > 1e-6
    assert (draws(5e-324, 9, fold=True, device=device) == 1).all()
    # Of large alphas the distribution is normal: variance 1 / (4 (2 alpha + 1)).
    lam = draws(1e12, device=device).cpu()
    assert stats.kstest(((lam - 0.5) * math.sqrt(8e12 + 4)).numpy(), "norm").pvalue > 1e-6


def test_acceptance_is_the_formula_where_it_does_not_cancel():
    d = torch.tensor([2 / 3, 1.0, 30.0], dtype=torch.float64).reshape(3, 1)
    for t in (torch.linspace(-0.0624, 0.0624, 50), torch.linspace(-0.9, 4, 50)):
        t = t.double()
        x = 3 * d.sqrt() * t
        v = (1 + t) ** 3
        # Each of the terms is rounded; the largest are of a size of d v or d log v.
        formula = x**2 / 2 + d - d * v + d * v.log()
        bound = 8 * 2**-52 * d * (1 + v + v.log().abs()) + 2**-32 * formula.abs()
        assert ((reference._log_acceptance(x, t, d) - formula).abs() <= bound).all()


@pytest.mark.parametrize("n", [0, 1, 70_000])
def test_any_number_of_draws(n, device):
    lam = lelkern.sample_mixup_lambda(n, 0.75, device=device)
    assert lam.shape == (n,)
    assert lam.device.type == device
    assert lam.dtype == torch.float32


def test_a_draw_does_not_depend_on_how_many_there_are(device):
    lam = draws(0.75, 100, device=device)
    for n in (1, 2, 3, 5, 8, 13, 65):
        assert torch.equal(draws(0.75, n, device=device), lam[:n])


def test_blocks_of_the_reference_join(monkeypatch):
    monkeypatch.setattr(reference, "_BLOCK", 16)
    seed, alpha, n = torch.tensor(5), torch.tensor(0.5), 35
    whole = reference.mixup_lambda(seed, alpha, n, True, torch.float64)
    assert len(whole) == n
    assert len(whole.unique()) == n
    numbers = torch.arange(n)[-5:]
    logits = reference._logits(seed, alpha.double(), numbers)
    torch.testing.assert_close(whole[-5:], logits.abs().sigmoid())


def test_alpha_may_be_a_tensor(device):
    lam = draws(0.5, 20)
    for dtype in FLOATING:
        for alpha in (torch.tensor(0.5, dtype=dtype), torch.tensor([[0.5]], dtype=dtype)):
            assert torch.equal(lam, draws(alpha, 20))
            assert torch.equal(lam.float(), draws(alpha.to(device), 20, dtype=torch.float32))


def test_an_alpha_that_nobody_could_check_gives_nan(device):
    seed = torch.tensor(1, device=device)
    for alpha in (0.0, -1.0, math.nan):
        number = torch.tensor(alpha, dtype=torch.float64, device=device)
        assert torch.ops.lelkern.mixup_lambda(seed, number, 5, True, torch.float32).isnan().all()


def test_threads_change_nothing():
    threads = torch.get_num_threads()
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        try:
            results.append(draws(0.75, 20_000))
        finally:
            torch.set_num_threads(threads)
    assert torch.equal(*results)


@pytest.mark.once
def test_autocast_changes_nothing(device):
    results = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast(device, torch.bfloat16, enabled=enabled):
            results.append(lelkern.sample_mixup_lambda(50, 0.4, device=device))
    assert torch.equal(*results)


@pytest.mark.once
def test_opcheck_and_compile(device):
    seed, alpha = torch.tensor(1, device=device), torch.tensor(0.5, device=device).double()
    op = torch.ops.lelkern.mixup_lambda.default
    said = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(op, (seed, alpha, 5, True, torch.bfloat16), test_utils=said)
    each = torch.func.vmap(lambda seed: op(seed, alpha, 5, True, torch.float32))
    seeds = torch.arange(3, device=device)
    assert torch.equal(each(seeds)[2], op(seeds[2], alpha, 5, True, torch.float32))

    torch._dynamo.reset()
    compiled = torch.compile(
        lambda alpha: lelkern.sample_mixup_lambda(5, alpha, device=device),
        fullgraph=True, backend="aot_eager",
    )  # fmt: skip
    for value in (0.1, 100.0):
        torch.manual_seed(3)
        want = lelkern.sample_mixup_lambda(5, value, device=device)
        torch.manual_seed(3)
        assert torch.equal(compiled(value), want)


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "changes", "message"),
    [
        (ValueError, {"n": -1}, "n must be at least 0, got -1"),
        (ValueError, {"alpha": 0}, "alpha must be > 0, got 0"),
        (ValueError, {"alpha": -0.5}, "alpha must be > 0, got -0.5"),
        (ValueError, {"alpha": math.nan}, "alpha must be > 0, got nan"),
        (ValueError, {"alpha": torch.tensor(-2.0)}, "alpha must be > 0, got -2.0"),
        (ValueError, {"alpha": torch.ones(2)}, r"alpha must have one element, got \(2,\)"),
        (TypeError, {"alpha": torch.tensor(1)}, "alpha must be floating point, got torch.int64"),
        (TypeError, {"alpha": "1"}, "alpha must be a number or a tensor, got str"),
        (TypeError, {"dtype": torch.int64}, "dtype must be float64, float32, .*, got torch.int64"),
    ],
)
def test_wrong_arguments_are_named(error, changes, message):
    with pytest.raises(error, match=message):
        lelkern.sample_mixup_lambda(**{"n": 3, "alpha": 0.5, **changes})
