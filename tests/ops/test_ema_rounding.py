"""Averages of 16 bits: noise, unbiased rounding, and ten thousand updates."""

import math

import pytest
import torch
from ema_samples import LAYOUTS, compiled, normals, tensor

import lelkern
from lelkern.reference import ema as reference
from lelkern.reference.philox import philox4x32

HALVES = [torch.bfloat16, torch.float16]

halves = pytest.mark.parametrize("dtype", HALVES, ids=str)


def rounded(x, dtype, seed, device, t=0):
    """Return float32 numbers rounded stochastically, by an update that copies them."""
    ema = [torch.zeros(0, dtype=dtype, device=device) for _ in range(t)]
    ema.append(torch.zeros(x.shape, dtype=dtype, device=device))
    params = [torch.zeros(0, device=device) for _ in range(t)] + [x.to(device)]
    torch.ops.lelkern.ema_update_(ema, params, 0.0, None, torch.tensor(seed, device=device))
    return ema[-1]


@halves
@pytest.mark.parametrize("share", [0.0, 1 / 1024, 0.25, 0.6875, 1023 / 1024])
@pytest.mark.parametrize("low", [1.0, -3.0, 1e-6, -6e-8, 2.0**-14, 1e-30, 60000.0])
def test_rounding_is_right_on_average(low, share, dtype, device):
    below = torch.tensor(abs(low)).to(dtype)  # the neighbour closer to zero
    above = torch.nextafter(below, torch.tensor(torch.inf, dtype=dtype))
    x = below.double() + share * (above.double() - below.double())
    if x.float().double() != x:
        pytest.skip("no number of float32")
    count = 20000
    got = rounded(math.copysign(float(x), low) * torch.ones(count), dtype, 12345, device).cpu()
    away = got.abs() == above
    assert (away | (got.abs() == below)).all()
    assert (got.signbit() == (low < 0)).all()
    # Six standard deviations of a binomial distribution; 0 and 1 have none.
    assert abs(int(away.sum()) - share * count) <= 6 * math.sqrt(share * (1 - share) * count)


@pytest.mark.skipif(not compiled("cpu"), reason="there is but the reference")
def test_noise_that_just_reaches_a_number_rounds_up_as_in_the_reference():
    """Halfway between tiny float16 numbers one noise in 65,536 decides; here are a million."""
    x = torch.full((1 << 20,), 2.5 * 2.0**-24)
    got, want = rounded(x, torch.float16, 5, "cpu"), torch.zeros_like(x, dtype=torch.float16)
    reference.ema_update_([want], [x], torch.tensor(0.0), torch.tensor(5))
    assert torch.equal(got, want)


@halves
def test_exact_infinite_and_undefined_numbers_stay(dtype, device):
    exact = normals(1000).to(dtype).float()
    exact[:4] = torch.tensor([torch.inf, -torch.inf, 0.0, -0.0])
    got = rounded(exact, dtype, 3, device).float().cpu()
    assert torch.equal(got, exact)
    assert torch.equal(got.signbit(), exact.signbit())
    for payload in (0x7F800001, 0x7FFFFFFF, -1):  # nan whose mark is in what is dropped
        nan = torch.tensor([payload] * 50, dtype=torch.int32).view(torch.float32)
        assert rounded(nan, dtype, 3, device).isnan().all()


@halves
def test_float32_and_float64_are_rounded_to_nearest(dtype, device):
    x, y = normals(50).to(device), normals(50, seed=1).to(device)
    results = []
    for stochastic in (False, True):
        ema = [x.to(d).clone() for d in (torch.float32, torch.float64, dtype)]
        lelkern.ema_update_(ema, [y] * 3, 0.9, stochastic_rounding=stochastic)
        results.append(ema)
    for nearest, stochastic in zip(results[0][:2], results[1][:2], strict=True):
        assert torch.equal(nearest, stochastic)
    assert not torch.equal(results[0][2], results[1][2])


def test_the_noise_is_what_the_docstring_says():
    seed, t = -123456789012345, 77
    for layout in LAYOUTS:
        x = tensor(normals(3, 5, 2, 4).bfloat16(), layout)
        got = reference.noise(x, t, torch.tensor(seed))
        for index in ((0, 0, 0, 0), (1, 4, 0, 3), (2, 4, 1, 3)):
            e = sum(i * stride for i, stride in zip(index, x.stride(), strict=True))
            counter = tuple(torch.tensor(word) for word in (e // 8, 0, t, 0))
            word = philox4x32(counter, torch.tensor(seed))[e % 8 // 2]
            assert int(got[index]) == int(word) >> 16 * (e % 2) & 0xFFFF


@halves
def test_seeds_tensors_and_places_have_noise_of_their_own(dtype, device):
    x = torch.full((64,), 1 + 1 / 4096)  # half way
    if dtype == torch.bfloat16:
        x = torch.full((64,), 1 + 1 / 256)
    results = [rounded(x, dtype, seed, device, t) for seed in (1, 1 + 2**32) for t in (0, 1)]
    results += [results[0].flip(0), results[0].roll(8)]
    for i, a in enumerate(results):
        assert not any(torch.equal(a, b) for b in results[:i])


@halves
def test_a_generator_reproduces_and_goes_on(dtype, device):
    params = [normals(200).to(device)]

    def three_updates(seed):
        generator = torch.Generator(device).manual_seed(seed)
        ema = torch.zeros(200, dtype=dtype, device=device)
        states = []
        for _ in range(3):
            lelkern.ema_update_([ema], params, 0.9, stochastic_rounding=True, generator=generator)
            states.append(ema.clone())
        return torch.stack(states)

    assert torch.equal(three_updates(0), three_updates(0))
    assert not torch.equal(three_updates(0), three_updates(1))
    torch.manual_seed(5)
    ema = [torch.zeros(200, dtype=dtype, device=device) for _ in range(2)]
    for x in ema:
        lelkern.ema_update_([x], params, 0.9, stochastic_rounding=True)
    assert not torch.equal(*ema)  # PyTorch's own generator gives each call a seed of its own


def test_ten_thousand_updates_in_bfloat16(device):
    """With stochastic rounding the average follows the recursion in float64; without, it stalls.

    An update's rounding error has mean 0 and lies in an interval of length q, the distance of
    neighbours, which is 2^-7 from 1 to 2. With momentum d earlier errors fade by d each time, so
    that by Hoeffding the sum of all is sub-Gaussian with standard deviation at most
    q / 2 / sqrt(1 - d^2) = 0.087 for d = 0.999: beyond six of them with probability 3e-8, and the
    mean of n independent elements beyond six divided by sqrt(n) as rarely. The noise's 16 bits add
    at most 2^-16 q / (1 - d) = 1.2e-4 to each.
    """
    if not compiled(device):
        pytest.skip("minutes in plain PyTorch, which gives the same bits")
    decay, count, updates = 0.999, 1000, 10_000
    param = torch.linspace(1.25, 1.7, count, device=device)
    stochastic = torch.full((count,), 1.125, dtype=torch.bfloat16, device=device)
    nearest = stochastic.clone()
    exact = stochastic.double()
    generator = torch.Generator(device).manual_seed(0)
    for _ in range(updates):
        lelkern.ema_update_([nearest], [param], decay)
        lelkern.ema_update_(
            [stochastic], [param], decay, stochastic_rounding=True, generator=generator
        )
        exact.lerp_(param.double(), 1 - decay)
    sigma, bias = 2.0**-8 / math.sqrt(1 - decay**2), 2.0**-23 / (1 - decay)
    error = stochastic.double() - exact
    assert error.abs().max() <= 6 * sigma + bias
    assert error.mean().abs() <= 6 * sigma / math.sqrt(count) + bias
    # (1 - d) times a distance of less than 0.6 is less than q / 2 = 0.0039: nothing ever moves.
    assert (nearest == 1.125).all()
    assert (exact - 1.125).mean() > 0.3
