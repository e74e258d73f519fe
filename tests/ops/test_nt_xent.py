"""Properties of NT-Xent's values."""

import torch
from contrastive_samples import Sample, loops, pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lelkern

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
    sample = Sample("by hand", "nt_xent", {"z1": z, "z2": z})
    want = torch.tensor(1 + 2 * torch.e**-2.0, dtype=torch.float64).log().expand(4)
    torch.testing.assert_close(loops(sample, sample.embeddings).losses, want)
    torch.testing.assert_close(lelkern.nt_xent(z, z, reduction="none"), want)


def test_defaults() -> None:
    z = pairs(6, 4)
    torch.testing.assert_close(
        lelkern.nt_xent(*z), lelkern.nt_xent(*z, 0.5, reduction="none").mean()
    )
