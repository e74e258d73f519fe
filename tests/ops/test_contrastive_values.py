"""Values, gradients and statistics of the contrastive family against the formulas."""

import importlib
import itertools

import pytest
import torch
import torch.nn.functional as F
from contrastive_samples import SAMPLES, Sample, choices, expected, pairs, upstream
from covering import covering
from torch import Tensor

import lelkern
from lelkern.ops import library_path

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]

PLAIN = [s for s in SAMPLES if s.name in ("N97", "symmetric N97", "K1700 N4", "M97", "ids")]


def eps(dtype: torch.dtype) -> float:
    """Rounding error of what is computed in: float32 for the half dtypes."""
    return torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps


def losses_and_grads(
    sample: Sample, embeddings: dict[str, Tensor], temperature: Tensor, **more
) -> tuple[Tensor, Tensor, Tensor]:
    embeddings = {name: z.detach().requires_grad_() for name, z in embeddings.items()}
    temperature = temperature.detach().requires_grad_()
    losses = sample.losses(embeddings, temperature, **more)
    grads = torch.autograd.grad(
        losses, (*embeddings.values(), temperature), upstream(len(losses)).to(losses)
    )
    return losses.detach().cpu().double(), torch.cat(grads[:-1]).cpu().double(), grads[-1].cpu()


def slack_of_several_positives(sample: Sample) -> float:
    """In units in the last place, what a loss with several positives is off where it is least.

    It is a log of a sum of exponentials of up to 1 / temperature, less a mean as large, and none of
    both may be told apart from the other's rounding; so for the P of the positives.
    """
    several = any(len(choice.positives) > 1 for choice in choices(sample))
    return 8 * (1 + 1 / sample.temperature) if several else 0


def check(sample: Sample, dtype: torch.dtype, embeddings: dict[str, Tensor]) -> None:
    want = expected(sample, dtype)
    temperature = torch.tensor(sample.temperature, dtype=torch.float64)
    losses, grads, grad_temperature = losses_and_grads(sample, embeddings, temperature)

    # A similarity, a dot product of unit rows, is off by a few units in the last place, and the
    # oracle knows what that changes; the rest (norm, exp, log, sums in blocks) adds a few more.
    ulp = eps(dtype)
    of_similarity = 4.0
    on_gpu = any(z.is_cuda for z in embeddings.values())
    if on_gpu and dtype in (torch.bfloat16, torch.float16):
        # Tensor cores cut off, instead of rounding, what they add, 16 products at a time.
        of_similarity += next(iter(embeddings.values())).shape[1] / 16
    tolerance = ulp * (of_similarity * want.loss_sensitivity + 8 * want.losses.abs())
    # Below the smallest normal number the compiled kernel may give 0.
    tiny = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).tiny
    more = ulp * slack_of_several_positives(sample)
    tolerance = tolerance + more
    assert ((losses - want.losses).abs() <= tolerance + 2 * len(grads) * tiny).all()

    # P of a row is 1 in all, upstream gradients are at most 2, and G looks from both sides.
    z = torch.cat([z.detach().cpu().double() for z in embeddings.values()])
    norm = z.norm(dim=1, keepdim=True)
    size = 1 / norm if sample.options.get("normalize", True) else norm.max()
    tolerance = ulp * of_similarity * want.grad_sensitivity
    if more:
        tolerance = tolerance + more * 4 * len(z) * size / sample.temperature
    slack = 1e6 * tiny
    if dtype in (torch.bfloat16, torch.float16):  # the result is rounded to it
        info = torch.finfo(dtype)
        tolerance = tolerance + info.eps / 2 * want.grads.abs()
        slack += info.smallest_normal * info.eps
    # What rows are multiplied by may be rounded, too: on a GPU also to float16, after one power of
    # two for all, where what is below 2^-37 of the largest upstream gradient, of up to 2, is lost.
    float16_weights = on_gpu and dtype == torch.float16
    half_ulp = torch.finfo(dtype).eps / 2 if dtype == torch.bfloat16 or float16_weights else 0.0
    lost = 2**-36 * len(z) / sample.temperature if float16_weights else 0.0
    tolerance = tolerance + half_ulp * want.grad_weight
    if lost:
        tolerance = tolerance + lost * size
    assert ((grads - want.grads).abs() <= tolerance + slack).all()

    error = abs(grad_temperature.item() - want.grad_temperature)
    tolerance = ulp * of_similarity * want.grad_temperature_sensitivity
    tolerance += more * 2 * len(losses) / sample.temperature**2 * max(1, norm.max().item()) ** 2
    tolerance += half_ulp * want.grad_temperature_weight
    tolerance += lost * len(losses) / sample.temperature * max(1, norm.max().item()) ** 2
    assert error <= tolerance + 1e6 * tiny


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_loops(sample: Sample, dtype: torch.dtype, device: str) -> None:
    check(sample, dtype, sample.inputs(dtype, device))


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_float64_is_right_to_1e_12(sample: Sample, device: str) -> None:
    losses = sample.losses(sample.inputs(torch.float64, device), sample.temperature)
    want = expected(sample, torch.float64).losses
    # Dot products of rows of size 1e1 at 1 / temperature = 20 have 1e3 ulps more.
    torch.testing.assert_close(losses.cpu(), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_statistics(sample: Sample, dtype: torch.dtype, device: str) -> None:
    embeddings = sample.inputs(dtype, device)
    losses, stats = sample.losses(embeddings, sample.temperature, return_stats=True)
    want = expected(sample, dtype)
    assert torch.equal(losses, sample.losses(embeddings, sample.temperature))
    assert losses.shape == stats.accuracy.shape == stats.entropy.shape
    ulp = eps(dtype)
    # Whether the best is a positive is a matter of rounding where both are equal but for that.
    if "clustered" not in sample.name and "nearly" not in sample.name:
        assert torch.equal(stats.accuracy.cpu().double(), want.correct)
    # H = -sum P log P, where log P is off by the error of the similarities, as losses are.
    sensitivity = 1 + 4 / sample.temperature * (1 if sample.options.get("normalize", True) else 99)
    error = (stats.entropy.cpu().double() - want.entropy).abs()
    assert (error <= 16 * ulp * sensitivity).all()


@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_statistics_are_averaged_with_the_losses(sample: Sample, device: str) -> None:
    embeddings = sample.inputs(torch.float64, device)
    each = sample.losses(embeddings, 0.3, return_stats=True)[1]
    for reduction in ("mean", "sum"):
        mean = sample.losses(embeddings, 0.3, reduction=reduction, return_stats=True)[1]
        torch.testing.assert_close(mean.accuracy, each.accuracy.mean())
        torch.testing.assert_close(mean.entropy, each.entropy.mean())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_reductions(sample: Sample, reduction: str, device: str) -> None:
    embeddings = sample.inputs(torch.float64, device)
    each = sample.losses(embeddings, 0.3)
    torch.testing.assert_close(
        sample.losses(embeddings, 0.3, reduction=reduction), getattr(each, reduction)()
    )


def test_gradients_of_bfloat16_are_not_shortened() -> None:
    """Rounding to nearest moves a gradient either way; cutting off makes it shorter.

    A number of 8 digits that are cut off is too small by ln 2 / 2^8 = 0.0027 of itself on average,
    whatever its size; what is rounded to nearest, 257 weights for each of 64 entries of 514
    gradients, averages out to 1e-5 or so. The bound lies between.
    """
    z1, z2 = (torch.randn(257, 64, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    grads = []
    for dtype in (torch.bfloat16, torch.float64):
        pair = [z.bfloat16().to(dtype).requires_grad_() for z in (z1, z2)]
        grads.append(torch.cat(torch.autograd.grad(lelkern.nt_xent(*pair, temperature=0.5), pair)))
    got, want = grads[0].double(), grads[1]
    length = (got * want).sum() / want.square().sum()
    assert abs(length - 1) < 2e-4


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


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_layouts(sample: Sample, dtype: torch.dtype, device: str) -> None:
    if library_path() is None and dtype != torch.float64:
        pytest.skip("the order of plain PyTorch's sums depends on the strides")
    temperature = torch.tensor(0.2, dtype=torch.float64)
    embeddings = sample.inputs(dtype, device)
    want = losses_and_grads(sample, embeddings, temperature)
    others = [layouts(z).values() for z in embeddings.values()]
    for strided in itertools.islice(itertools.product(*others), 16):
        got = losses_and_grads(sample, dict(zip(embeddings, strided, strict=True)), temperature)
        if library_path() is None:  # plain PyTorch's product may depend on the strides
            torch.testing.assert_close(got, want)
            continue
        for x, y in zip(got, want, strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize("shape", [(1, 5), (7, 1), (1, 1)])
def test_expanded_rows_and_features(shape: tuple[int, int], device: str) -> None:
    z1 = torch.randn(shape, dtype=torch.float64, device=device).expand(7, 5)
    z2 = pairs(7, 5)[1].to(device)
    temperature = torch.tensor(0.2, dtype=torch.float64)
    sample = SAMPLES[0]
    got = losses_and_grads(sample, {"z1": z1, "z2": z2}, temperature)
    want = losses_and_grads(sample, {"z1": z1.contiguous(), "z2": z2}, temperature)
    for x, y in zip(got, want, strict=True):
        assert torch.equal(x, y)


@pytest.fixture
def threads():
    """Set the number of threads, and set it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def large(op: str, N: int) -> Sample:
    """Rows for several tiles, tasks of several tiles, and a queue with replicas of the rows."""
    z = pairs(N, 33)
    if op == "nt_xent":
        return Sample("large", op, dict(zip(("z1", "z2"), z, strict=True)))
    if op == "sup_con":
        return Sample("large", op, {"z": z[0]}, {"labels": torch.arange(N) % 7})
    embeddings = dict(zip(("query", "positive"), z, strict=True))
    if op == "queue":
        rows = {name: rows[:150] for name, rows in embeddings.items()}
        return Sample("large", "info_nce", {**rows, "negatives": z[0][150:]})
    return Sample("large", "info_nce", embeddings, options={"symmetric": True})


@pytest.mark.once
@pytest.mark.skipif(library_path() is None, reason="plain PyTorch's products may split their sums")
@pytest.mark.parametrize(
    ("op", "dtype", "temperature"),
    covering(
        ["nt_xent", "info_nce", "queue", "sup_con"],
        [torch.float64, torch.float32, torch.bfloat16],
        [0.5, 0.005],
    ),
    ids=str,
)
def test_the_same_bits_for_any_number_of_threads(op, dtype, temperature, threads) -> None:
    sample = large(op, 1030)  # beyond 1024 rows tiles are larger
    embeddings = sample.inputs(dtype)
    results = []
    for count in (1, *(2, 5) * 8):  # of threads in each other's way some are seen at once, not all
        threads(count)
        results.append(losses_and_grads(sample, embeddings, torch.tensor(temperature)))
    for result in results[1:]:
        for x, y in zip(result, results[0], strict=True):
            assert torch.equal(x, y)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "N", "temperature"),
    [
        ("nt_xent", 1000, 0.01),
        ("info_nce", 1500, 0.01),
        ("queue", 6400, 0.5),
        ("sup_con", 2000, 0.5),
        ("sup_con", 2000, 0.01),
    ],
)
def test_many_tiles_are_the_reference(op: str, N: int, temperature: float) -> None:
    sample = large(op, N)
    embeddings = sample.inputs(torch.float64)
    got = losses_and_grads(sample, embeddings, torch.tensor(temperature, dtype=torch.float64))
    reference = importlib.import_module(f"lelkern.reference.{sample.op}")
    grad = upstream(len(got[0]))
    tau = torch.tensor(temperature, dtype=torch.float64)
    keywords = {**sample.codes, **sample.options, "temperature": tau}
    if sample.op == "info_nce":
        keywords.setdefault("negatives", None)
        keywords["negatives"] = embeddings.pop("negatives", None)
    losses = getattr(reference, sample.op)(**embeddings, **keywords)[0]
    grads = getattr(reference, f"{sample.op}_backward")(grad, **embeddings, **keywords)
    torch.testing.assert_close(got[0], losses, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got[1], torch.cat(grads[:-1]), rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(got[2], grads[-1], rtol=1e-8, atol=1e-12)


@pytest.mark.slow
@pytest.mark.skipif(library_path() is None, reason="the reference has no tiles, and takes long")
def test_tasks_of_several_tiles_are_plain_pytorch() -> None:
    # From 64 blocks on a task is a square of tiles. All 12,400 rows would take a minute; what a
    # tile leaves out is missing in each of its rows, and so in some that are spread over all.
    z = torch.cat(pairs(6200, 5))
    tau = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    rows = torch.arange(0, len(z), 97)
    results = []
    for plain in (False, True):
        leaf = z.clone().requires_grad_()
        if plain:
            unit = F.normalize(leaf)
            x = (unit[rows] @ unit.T / tau).scatter(1, rows.unsqueeze(1), -torch.inf)
            losses = F.cross_entropy(x, (rows + 6200) % len(z), reduction="none")
        else:
            losses = lelkern.nt_xent(*leaf.chunk(2), tau, reduction="none")[rows]
        grads = torch.autograd.grad(losses, (leaf, tau), upstream(len(rows)))
        results.append((losses.detach(), *grads))
    (got, *grads), (want, *expected) = results
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(grads, expected, rtol=1e-8, atol=1e-12)


def losses_under(precision: str, sample: Sample, device: str = "cpu") -> torch.Tensor:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        return sample.losses(sample.inputs(torch.float32, device), 0.1)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_float32_under_high_precision_may_be_the_sum_of_two_bfloat16(sample, device) -> None:
    got, exact = (losses_under(how, sample, device) for how in ("high", "highest"))
    # A loss has two similarities, each off by 2^-15, and 1 / temperature is 10. A CPU ignores it.
    error = 2 * 2**-15 * 10 if device == "cuda" else 0
    torch.testing.assert_close(got, exact, rtol=0, atol=error)


@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_float32_under_medium_precision_is_float32_or_rounds_to_bfloat16(sample: Sample) -> None:
    got = losses_under("medium", sample)
    exact = sample.losses(sample.inputs(torch.float32), 0.1)
    rounded = sample.losses(
        {name: z.bfloat16().float() for name, z in sample.inputs(torch.float32).items()}, 0.1
    )
    # To the rounding of float32, with similarities of 1 at 1 / temperature = 10.
    close = [torch.allclose(got, want, rtol=1e-5, atol=1e-5) for want in (exact, rounded)]
    assert any(close)


def test_what_needs_no_gradient_gets_none(device: str) -> None:
    q, k = (z.to(device).requires_grad_() for z in pairs(7, 5))
    n = torch.randn(9, 5, dtype=torch.float64, device=device)
    want = torch.autograd.grad(lelkern.info_nce(q, k, n), (q, k))
    loss = lelkern.info_nce(q, k, n.requires_grad_())
    *got, of_queue = torch.autograd.grad(loss, (q, k, n))
    torch.testing.assert_close(tuple(got), want)
    assert of_queue.abs().sum() > 0
    alone = torch.autograd.grad(lelkern.info_nce(q, k.detach(), n.detach()), q)[0]
    torch.testing.assert_close(alone, want[0])
    (of_keys,) = torch.autograd.grad(lelkern.info_nce(q.detach(), k), k)
    both = torch.autograd.grad(lelkern.info_nce(q, k), (q, k))
    torch.testing.assert_close(of_keys, both[1])
    (of_queries,) = torch.autograd.grad(lelkern.info_nce(q, k.detach()), q)
    torch.testing.assert_close(of_queries, both[0])
