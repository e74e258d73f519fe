"""Values and gradients of NT-Xent against the formula, in every dtype."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from nt_xent_samples import SAMPLES, Sample, double_loop, expected, pairs, upstream
from torch import Tensor

import lelkern

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def eps(dtype: torch.dtype) -> float:
    """Rounding error of what is computed in: float32 for the half dtypes."""
    return torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps


def loss_and_grads(
    z1: Tensor, z2: Tensor, temperature: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    z1, z2, temperature = (x.detach().requires_grad_() for x in (z1, z2, temperature))
    losses = lelkern.nt_xent(z1, z2, temperature, reduction="none")
    grads = torch.autograd.grad(losses, (z1, z2, temperature), grad.to(losses))
    return losses.detach().cpu().double(), torch.cat(grads[:2]).cpu().double(), grads[2].cpu()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_double_loop(sample: Sample, dtype: torch.dtype, device: str) -> None:
    z1, z2 = sample.inputs(dtype, device)
    want = expected(sample, dtype)
    temperature = torch.tensor(sample.temperature, dtype=torch.float64)
    losses, grads, grad_temperature = loss_and_grads(z1, z2, temperature, upstream(2 * len(z1)))

    # A similarity, a dot product of unit rows, is off by a few units in the last place, and the
    # oracle knows what that changes; the rest (norm, exp, log, sums in blocks) adds a few more.
    ulp = eps(dtype)
    tolerance = ulp * (4 * want.loss_sensitivity + 8 * want.losses)
    # Below the smallest normal number the compiled kernel gives 0.
    tiny = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).tiny
    assert ((losses - want.losses).abs() <= tolerance + 2 * len(z1) * tiny).all()

    tolerance = 4 * ulp * want.grad_sensitivity
    if dtype in (torch.bfloat16, torch.float16):  # the result is rounded to it
        info = torch.finfo(dtype)
        tolerance = tolerance + info.eps / 2 * want.grads.abs() + info.smallest_normal * info.eps
    assert ((grads - want.grads).abs() <= tolerance + 1e6 * tiny).all()

    error = abs(grad_temperature.item() - want.grad_temperature)
    assert error <= 4 * ulp * want.grad_temperature_sensitivity + 1e6 * tiny


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_float64_is_right_to_1e_12(sample: Sample, device: str) -> None:
    losses = lelkern.nt_xent(
        *sample.inputs(torch.float64, device), sample.temperature, reduction="none"
    )
    want = expected(sample, torch.float64).losses
    torch.testing.assert_close(losses.cpu(), want, rtol=1e-12, atol=1e-12)


def plain_pytorch(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    z = F.normalize(torch.cat([z1, z2]))
    similarity = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    positive = torch.arange(len(z), device=z.device).roll(len(z1))
    return F.cross_entropy(similarity, positive, reduction="none")


@pytest.mark.parametrize("temperature", [0.005, 0.07, 0.5])
@pytest.mark.parametrize(("N", "D"), [(64, 32), (200, 128), (50, 4096)])
def test_no_worse_than_plain_pytorch(N: int, D: int, temperature: float, device: str) -> None:
    z = [x.to(device, torch.float32) for x in pairs(N, D, noise=1.5)]

    def run(function, dtype):
        inputs = [x.to(dtype).requires_grad_() for x in z]
        losses = function(*inputs)
        grads = torch.autograd.grad(losses.mean(), inputs)
        return losses.detach().double(), torch.cat(grads).double()

    truth = run(lambda a, b: plain_pytorch(a, b, temperature), torch.float64)
    plain = run(lambda a, b: plain_pytorch(a, b, temperature), torch.float32)
    ours = run(lambda a, b: lelkern.nt_xent(a, b, temperature, reduction="none"), torch.float32)
    for exact, by_plain, by_us in zip(truth, plain, ours, strict=True):
        # Twice plain PyTorch's own error, over all rows, so that luck with one does not decide;
        # the floor is half a unit in the last place, the rounding of the result itself, and the
        # smallest normal number, as plain PyTorch gives 0 for losses below its rounding error.
        info = torch.finfo(torch.float32)
        floor = info.eps / 2 * exact.norm() + info.tiny
        assert (by_us - exact).norm() <= 2 * (by_plain - exact).norm() + floor


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions(reduction: str, device: str) -> None:
    z1, z2 = (z.to(device) for z in pairs(6, 4))
    losses = lelkern.nt_xent(z1, z2, 0.3, reduction="none")
    assert losses.shape == (12,)
    torch.testing.assert_close(
        lelkern.nt_xent(z1, z2, 0.3, reduction=reduction), getattr(losses, reduction)()
    )
    torch.testing.assert_close(lelkern.nt_xent(z1, z2), lelkern.nt_xent(z1, z2, 0.5))


def layouts(z: Tensor) -> dict[str, Tensor]:
    N, D = z.shape
    wide = torch.randn(2 * N, 3 * D, dtype=z.dtype, device=z.device)
    wide[::2, ::3] = z
    return {
        "contiguous": z,
        "transposed": z.T.contiguous().T,
        "sliced": wide[::2, ::3],
        "offset": torch.cat([z[:1], z])[1:],
    }


def test_layouts(device: str) -> None:
    z1, z2 = (z.to(device) for z in pairs(7, 5))
    want = loss_and_grads(z1, z2, torch.tensor(0.2), upstream(14))
    for a, b in itertools.product(layouts(z1).values(), layouts(z2).values()):
        got = loss_and_grads(a, b, torch.tensor(0.2), upstream(14))
        for x, y in zip(got, want, strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize("shape", [(1, 5), (7, 1), (1, 1)])
def test_expanded_rows_and_features(shape: tuple[int, int], device: str) -> None:
    z1 = torch.randn(shape, dtype=torch.float64, device=device).expand(7, 5)
    z2 = pairs(7, 5)[1].to(device)
    got = loss_and_grads(z1, z2, torch.tensor(0.2), upstream(14))
    want = loss_and_grads(z1.contiguous(), z2, torch.tensor(0.2), upstream(14))
    for x, y in zip(got, want, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("temperature", [0.5, 0.005])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_same_bits_for_any_number_of_threads(dtype: torch.dtype, temperature: float) -> None:
    z = [x.to(dtype) for x in pairs(150, 33)]
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            results.append(loss_and_grads(*z, torch.tensor(temperature), upstream(300)))
    finally:
        torch.set_num_threads(before)
    if lelkern.ops.library_path() is None:  # plain PyTorch's matrix product may split its sums
        pytest.skip("promised of the compiled kernel only")
    for result in results[1:]:
        for x, y in zip(result, results[0], strict=True):
            assert torch.equal(x, y)


finite_pairs = st.builds(
    lambda N, D, seed: pairs(N, D, seed=seed),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(0, 99),
)
temperatures = st.floats(0.05, 10)


def losses(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    return lelkern.nt_xent(z1, z2, temperature, reduction="none")


# In float64 with temperatures from 0.05 the properties hold to about 20 * 1e-16 of the inputs to
# exp; 1e-12 leaves room for the order of sums, and atol for losses that are nearly 0.
def close(x: Tensor, y: Tensor) -> None:
    torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-13)


@settings(deadline=None, max_examples=30)
@given(finite_pairs, temperatures, st.randoms(use_true_random=False))
def test_permuting_pairs_permutes_losses(z, temperature, random) -> None:
    N = len(z[0])
    order = torch.tensor(random.sample(range(N), N))
    permuted = losses(z[0][order], z[1][order], temperature)
    close(permuted, losses(*z, temperature)[torch.cat([order, order + N])])


@settings(deadline=None, max_examples=30)
@given(finite_pairs, temperatures, st.integers(0, 99))
def test_lengths_of_rows_do_not_matter(z, temperature, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.randn(2, len(z[0]), 1, generator=generator, dtype=torch.float64).exp()
    close(losses(z[0] * scale[0], z[1] * scale[1], temperature), losses(*z, temperature))


@settings(deadline=None, max_examples=30)
@given(finite_pairs, temperatures)
def test_swapping_the_views_swaps_the_halves(z, temperature) -> None:
    close(losses(z[1], z[0], temperature), losses(*z, temperature).roll(len(z[0])))


@settings(deadline=None, max_examples=30)
@given(finite_pairs, temperatures, st.integers(0, 99))
def test_rotating_all_rows_changes_nothing(z, temperature, seed) -> None:
    D = z[0].shape[1]
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64))[0]
    close(losses(z[0] @ rotation, z[1] @ rotation, temperature), losses(*z, temperature))


def test_the_oracle_on_a_case_done_by_hand() -> None:
    # Four rows, two pairs of equal unit vectors at a right angle: the positive has similarity 1 and
    # two negatives 0, so every loss is log(1 + 2 exp(-1 / temperature)).
    z = torch.eye(2, dtype=torch.float64)
    want = torch.tensor(1 + 2 * torch.e**-2.0, dtype=torch.float64).log().expand(4)
    torch.testing.assert_close(double_loop(z, z, 0.5).losses, want)
