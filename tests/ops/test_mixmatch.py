import numpy as np
import pytest
import torch
from covering import covering
from mixing_samples import (
    FLOATING,
    LAYOUTS,
    bytes_of,
    images,
    lambdas,
    normals,
    permuted,
    same_bits,
)
from torch.autograd import gradcheck

import lelkern
from lelkern.reference import mixmatch as reference

F = np.float32


def algorithm_1(X, P, U, Z, T, lam, shuffle):
    """Algorithm 1 of Berthelot et al. 2019, line by line.

    X: labelled images, augmented (line 3), and P their labels; U[k][b]: unlabelled images,
    augmented (line 5); Z[k][b] their logits; lam: of the mixes in their order; shuffle: the order
    of W. Returns [(x, p) in X'], [(u, q) in U'], [q].
    """
    K, B = len(U), len(U[0])
    q = []
    for b in range(B):  # lines 2 to 9
        mean = sum(softmax(Z[k][b]) for k in range(K)) / F(K)  # line 7
        q.append(sharpen(mean, T))  # line 8
    X_hat = [(X[b], P[b]) for b in range(len(X))]  # line 10
    U_hat = [(U[k][b], q[b]) for k in range(K) for b in range(B)]  # line 11
    union = X_hat + U_hat
    W = [union[i] for i in shuffle]  # line 12
    X_prime = [mix(X_hat[i], W[i], lam[i]) for i in range(len(X_hat))]  # line 13
    U_prime = [
        mix(U_hat[i], W[i + len(X_hat)], lam[i + len(X_hat)]) for i in range(len(U_hat))
    ]  # line 14
    return X_prime, U_prime, q


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def sharpen(p, T):  # equation 7
    power = p ** F(1 / T)
    return power / power.sum()


def mix(first, second, lam):  # equations 10 and 11
    return tuple(lam * a + (F(1) - lam) * b for a, b in zip(first, second, strict=True))


def batch(N, K, B, C=4, size=(3, 5, 4), seed=0):
    x, u = images(torch.float32, N, *size, seed=seed), images(torch.float32, K, B, *size, seed=1)
    y = torch.randint(C, (N,), generator=torch.Generator().manual_seed(seed))
    return x, y, u, normals(K, B, C, seed=2).float()


@pytest.mark.parametrize("K", [1, 2, 3, 4])
@pytest.mark.parametrize(("N", "B"), [(5, 5), (7, 3), (2, 6), (0, 4), (3, 0)])
@pytest.mark.parametrize("T", [0.5, 1.0])
def test_algorithm_1_line_by_line(N, K, B, T, device):
    x, y, u, logits = batch(N, K, B)
    total = N + K * B
    lam, perm = lambdas(total).float(), permuted(total)
    lam = torch.maximum(lam, 1 - lam)  # equation 9
    got = lelkern.mixmatch(
        *(z.to(device) for z in (x, y, u, logits)),
        temperature=T,
        lam=lam.to(device),
        perm=perm.to(device),
    )
    labels = np.eye(4, dtype=F)[y.numpy()]
    X, U, q = algorithm_1(
        list(x.numpy()), labels, u.numpy(), logits.numpy(), T, lam.numpy(), perm.tolist()
    )
    assert got.images.shape == (total, 3, 5, 4)
    assert got.labelled.tolist() == [True] * N + [False] * (K * B)
    for i, (image, target) in enumerate(X + U):
        assert np.array_equal(got.images[i].cpu().numpy(), image)  # bit for bit
        # Both errs in q: the exponential, the mean, the power, and the sums of 4 classes, a few
        # units in the last place each, and the power by 1 / T of its argument's.
        np.testing.assert_allclose(got.targets[i].cpu(), target, rtol=0, atol=(16 + 8 / T) * 2**-24)
    for i in range(B):
        np.testing.assert_allclose(got.guesses[i].cpu(), q[i], rtol=0, atol=(16 + 8 / T) * 2**-24)
    # Given the guesses, targets too are those of the algorithm bit for bit.
    for i, j in enumerate(perm.tolist()):
        rows = torch.cat((torch.from_numpy(labels), *[got.guesses.cpu()] * K)).numpy()
        assert np.array_equal(got.targets[i].cpu(), lam.numpy()[i] * rows[i] +
                              (F(1) - lam.numpy()[i]) * rows[j])  # fmt: skip


TYPES = [(dtype, dtype) for dtype in FLOATING] + [(torch.uint8, dtype) for dtype in FLOATING]


@pytest.mark.parametrize(
    ("types", "layout", "layout_u"), covering(TYPES, LAYOUTS[:4], LAYOUTS[:4]), ids=str
)
def test_images_of_every_kind(types, layout, layout_u, device):
    x, u = images(types[0], 4, 3, 5, 4), images(types[0], 2, 3, 3, 5, 4, seed=1)
    laid_out = layout_u.of(u.flatten(0, 1).to(device)).unflatten(0, (2, 3))
    lam, perm = lambdas(10), permuted(10)
    options = {"scale": torch.tensor([0.5, 1.0, 2.0]) / 255, "offset": -0.3, "dtype": types[1]}
    got = lelkern.mixmatch(
        layout.of(x.to(device)), torch.zeros(4, dtype=torch.int64, device=device), laid_out,
        normals(2, 3, 4).to(device), lam=lam.to(device), perm=perm.to(device), **options,
    )  # fmt: skip
    want, _ = lelkern.mixup(torch.cat((x, *u)), None, lam, perm, **options)
    assert same_bits(got.images.cpu(), want)
    form = torch.channels_last if layout.name == "channels_last" else torch.contiguous_format
    assert got.images.is_contiguous(memory_format=form)


@pytest.mark.parametrize("interleave", [False, True])
def test_the_composition_in_plain_pytorch(interleave, device):
    x, y, u, logits = (z.to(device) for z in batch(6, 3, 5))
    generator = torch.Generator().manual_seed(4)
    got = lelkern.mixmatch(
        x, y, u, logits, temperature=0.3, alpha=0.6, interleave=interleave, generator=generator
    )
    generator.manual_seed(4)
    perm = torch.randperm(21, generator=generator)
    lam = lelkern.sample_mixup_lambda(21, 0.6, generator=generator)
    guesses = lelkern.guess_labels(logits, 0.3)
    assert torch.equal(got.guesses, guesses)
    labels = torch.nn.functional.one_hot(y, 4).float()
    want = reference.mixmatch(x, labels, u, guesses, lam.to(device), perm.to(device))
    rows = got.labelled.nonzero().flatten(), (~got.labelled).nonzero().flatten()
    for result, expected in zip(got[:2], want, strict=True):
        assert torch.equal(torch.cat([result[r] for r in rows]), expected)


@pytest.mark.parametrize(("N", "K", "B"), [(4, 2, 4), (3, 1, 7), (6, 4, 1), (5, 3, 4), (0, 1, 3)])
def test_interleaved_batches_are_alike(N, K, B, device):
    x, y, u, logits = (z.to(device) for z in batch(N, K, B))
    labelled = lelkern.mixmatch(x, y, u, logits, interleave=True).labelled
    total = N + K * B
    assert labelled.sum() == N
    for first in range(total - N + 1):  # any N rows in a row
        share = labelled[first : first + N].sum().item()
        assert abs(share - N * N / total) < 1


def test_one_lambda_for_all_rows_if_that_is_asked_for(device):
    x, u = torch.zeros(3, 1, device=device), torch.ones(2, 4, 1, device=device)
    y, logits = (
        torch.zeros(3, dtype=torch.int64, device=device),
        torch.zeros(2, 4, 2, device=device),
    )
    perm = torch.arange(11, device=device).roll(4)
    for per_sample in (True, False):
        got = lelkern.mixmatch(x, y, u, logits, perm=perm, per_sample=per_sample).images
        mixed = torch.maximum(got, 1 - got)[(got > 0) & (got < 1)]
        # 0 of x with 1 of u gives 1 - lam, the other way round lam: six and more of them.
        assert len(mixed) > 5
        assert (len(mixed.unique()) == 1) == (not per_sample)


def test_alpha_towards_zero_is_no_mixing(device):
    x, y, u, logits = (z.to(device) for z in batch(4, 2, 3))
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        got = lelkern.mixmatch(x, y, u, logits, alpha=1e-9, generator=generator)
        assert torch.equal(got.images, torch.cat((x, *u)))
        labels = torch.eye(4, device=device)[y]
        assert torch.equal(got.targets, torch.cat((labels, *[got.guesses] * 2)))


def test_permuting_the_classes_permutes_the_targets(device):
    x, y, u, logits = (z.to(device) for z in batch(5, 2, 4))
    y = normals(5, 4, seed=9).softmax(1).float().to(device)
    lam, perm = lambdas(13).to(device), permuted(13).to(device)
    classes = torch.tensor([2, 3, 1, 0], device=device)
    first, second = (
        lelkern.mixmatch(x, p, u, z, lam=lam, perm=perm)
        for p, z in ((y, logits), (y[:, classes], logits[:, :, classes]))
    )
    assert torch.equal(first.images, second.images)
    # The same numbers, but for the order in which a row's are added up.
    torch.testing.assert_close(first.targets[:, classes], second.targets, rtol=2**-20, atol=0)


def test_the_order_of_classes_shows_in_no_bit_of_what_is_mixed(device):
    x, y, u, logits = (z.to(device) for z in batch(5, 2, 4))
    one_hot = torch.eye(4, device=device)[y]
    # Guesses of powers of two, whose sum no order changes.
    logits = torch.tensor([0.0, 1, 1, 2], device=device).mul(np.log(2)).expand(2, 4, 4)
    lam, perm = lambdas(13).to(device), permuted(13).to(device)
    classes = torch.tensor([2, 3, 1, 0], device=device)
    first, second = (
        lelkern.mixmatch(x, p, u, z, temperature=1.0, lam=lam, perm=perm).targets
        for p, z in ((one_hot, logits), (one_hot[:, classes], logits[:, :, classes]))
    )
    guessed = torch.arange(13, device=device) < 5
    only_labels = guessed & guessed[perm]
    assert only_labels.any()
    assert torch.equal(first[only_labels][:, classes], second[only_labels])


def test_targets_are_distributions(device):
    x, y, u, logits = (z.to(device) for z in batch(20, 3, 30, C=7))
    targets = lelkern.mixmatch(x, y, u, 5 * logits, temperature=0.1).targets
    # Two weights that sum to 1 and 7 terms, rounded at a size of at most 1.
    torch.testing.assert_close(targets.sum(1), torch.ones(110, device=device), rtol=0, atol=2**-20)


def test_one_class(device):
    x, y, u, logits = (z.to(device) for z in batch(3, 2, 2, C=1))
    targets = lelkern.mixmatch(x, y, u, logits, num_classes=1).targets
    torch.testing.assert_close(targets, torch.ones(7, 1, device=device), rtol=0, atol=2**-22)


def test_nan_images_and_logits_stay_where_they_are_mixed(device):
    x, y, u, logits = (z.to(device) for z in batch(3, 1, 3))
    x[0, 0, 0, 0], logits[0, 1] = torch.nan, torch.nan
    perm = torch.tensor([1, 2, 0, 4, 5, 3], device=device)
    got = lelkern.mixmatch(x, y, u, logits, lam=0.7, perm=perm)
    assert got.images[:, 0, 0, 0].isnan().tolist() == [True, False, True, False, False, False]
    assert got.images.isnan().sum() == 2
    assert got.targets.isnan().any(1).tolist() == [False, False, False, True, True, False]


def test_gradients_reach_images_labels_and_lambda_but_not_the_guesses(device):
    x, _, u, logits = (z.to(device).requires_grad_(z.is_floating_point()) for z in batch(3, 2, 2))
    y = normals(3, 4).softmax(1).float().to(device).requires_grad_()
    lam = lambdas(7).to(device).requires_grad_()
    for interleave in (False, True):
        got = lelkern.mixmatch(x, y, u, logits, lam=lam, perm=permuted(7).to(device),
                               interleave=interleave)  # fmt: skip
        assert not got.guesses.requires_grad
        total = got.images.square().sum() + got.targets.square().sum()
        grads = torch.autograd.grad(total, (x, y, u, lam, logits), allow_unused=True)
        assert grads[-1] is None
        want = reference.mixmatch(x, y, u, got.guesses, lam, permuted(7).to(device))
        want = torch.autograd.grad(sum(z.square().sum() for z in want), (x, y, u, lam))
        # Sums of up to 120 squares in another order.
        for g, w in zip(grads[:-1], want, strict=True):
            torch.testing.assert_close(g, w, rtol=2**-16, atol=2**-16 * w.abs().max().item())


@pytest.mark.parametrize("interleave", [False, True])
def test_gradcheck(interleave, device):
    perm, logits = permuted(7).to(device), normals(2, 2, 4, seed=2).to(device)

    def mix(x, y, u, lam):
        got = lelkern.mixmatch(x, y, u, logits, lam=lam, perm=perm, interleave=interleave)
        return got.images, got.targets

    given = normals(3, 2, 3), normals(3, 4, seed=1).softmax(1), normals(2, 2, 2, 3, seed=3)
    # Within [0, 1] also where a difference is taken.
    lam = 0.25 + lambdas(7).double() / 2
    assert gradcheck(mix, [z.to(device).requires_grad_() for z in (*given, lam)])


def test_infinite_logits_are_certain_guesses(device):
    x, y, u, logits = (z.to(device) for z in batch(2, 2, 3))
    logits[:, 0, 1] = torch.inf  # both augmentations are certain
    logits[1, 1, :] = -torch.inf  # and one of these has no class that could be
    got = lelkern.mixmatch(x, y, u, logits, perm=torch.arange(8, device=device))
    assert got.guesses[0].tolist() == [0, 1, 0, 0]
    assert got.guesses[1].isnan().all()
    assert got.guesses[2].isfinite().all()
    torch.testing.assert_close(got.targets[2], got.guesses[0], rtol=0, atol=2**-22)
    assert got.images.isfinite().all()


def test_images_that_were_expanded_are_read_where_they_lie(device):
    x, y, u, logits = (z.to(device) for z in batch(4, 2, 3))
    options = {"lam": lambdas(10).to(device), "perm": permuted(10).to(device)}
    one, other = x[:1].expand_as(x), u[:1].expand_as(u)
    got = lelkern.mixmatch(one, y, other, logits, **options)
    want = lelkern.mixmatch(one.clone(), y, other.clone(), logits, **options)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_nothing_at_all(device):
    x, y, u, logits = (z.to(device) for z in batch(0, 2, 0))
    got = lelkern.mixmatch(x, y, u, logits)
    shapes = [tuple(z.shape) for z in got]
    assert shapes == [(0, 3, 5, 4), (0, 4), (0,), (0, 4)]


def test_bytes_and_wider_labels(device):
    x, u = bytes_of(3, 2, 4).to(device), bytes_of(2, 2, 2, 4, seed=1).to(device)
    y, logits = normals(3, 4).softmax(1).to(device), normals(2, 2, 4).to(device)
    got = lelkern.mixmatch(x, y, u, logits.bfloat16(), scale=1 / 255)
    assert [z.dtype for z in got] == [torch.float32, torch.float64, torch.bool, torch.float32]
    assert got.images.amax() <= 1
    got = lelkern.mixmatch(x, y.bfloat16(), u, logits, dtype=torch.float16)
    assert [z.dtype for z in got] == [torch.float16, torch.float64, torch.bool, torch.float64]


@pytest.mark.once
def test_compile_without_graph_breaks(device):
    x, y, u, logits = (z.to(device) for z in batch(3, 2, 2))
    lam, perm = lambdas(7).to(device), permuted(7).to(device)

    def step(x, u, temperature):
        return lelkern.mixmatch(
            2 * x, y, u, logits, temperature=temperature, lam=lam, perm=perm, interleave=True
        )

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for got, want in zip(compiled(x, u, 0.5), step(x, u, 0.5), strict=True):
        torch.testing.assert_close(got, want)
    drawn = torch.compile(lelkern.mixmatch, fullgraph=True, backend="aot_eager")(x, y, u, logits)
    assert drawn.images.shape == (7, 3, 5, 4)


@pytest.mark.once
def test_autocast_changes_nothing(device):
    x, y, u, logits = (z.to(device) for z in batch(3, 2, 2))
    options = {"lam": lambdas(7).to(device), "perm": permuted(7).to(device)}
    want = lelkern.mixmatch(x, y, u, logits, **options)
    with torch.autocast(device, torch.bfloat16):
        got = lelkern.mixmatch(x, y, u, logits, **options)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.once
def test_vmap(device):
    x, y, u, logits = (z.to(device) for z in batch(3, 2, 2))
    lam, perm = lambdas(7).to(device), permuted(7).to(device)

    def mix(x, z):
        return tuple(lelkern.mixmatch(x, y, u, z, lam=lam, perm=perm))

    many = torch.stack((x, -x)), torch.stack((logits, -logits))
    got = torch.func.vmap(mix, out_dims=(0, 0, None, 0))(*many)
    for i, sign in enumerate((1, -1)):
        want = mix(sign * x, sign * logits)
        assert all(torch.equal(got[k][i], want[k]) for k in (0, 1, 3))


X, Y, U, Z = batch(3, 2, 2)
WRONG = [
    (TypeError, {"u": None}, "u must be a tensor, got NoneType"),
    (TypeError, {"u": U.double()}, "u must have the dtype of x, torch.float32, got torch.float64"),
    (ValueError, {"u": U[0]}, r"u must be \(K, B, 3, 5, 4\), images as in x, got \(2, 3, 5, 4\)"),
    (ValueError, {"u": U[..., 1:]}, r"u must be \(K, B, 3, 5, 4\), images as in x"),
    (ValueError, {"u": U[:0], "logits_u": Z[:0]}, "u must have at least one augmentation"),
    (ValueError, {"u": U.to("meta")}, "u must be on the device of x, cpu, got meta"),
    (TypeError, {"logits_u": Z.long()}, "logits_u must be float64, float32, .*got torch.int64"),
    (ValueError, {"logits_u": Z[0]}, r"logits_u must be \(K, B, C\) = \(2, 2, C\), got \(2, 4\)"),
    (ValueError, {"logits_u": Z[:1]}, r"logits_u must be \(K, B, C\) = \(2, 2, C\), got"),
    (ValueError, {"num_classes": 5}, "num_classes must be 4, as logits_u has it, got 5"),
    (ValueError, {"y": Y + 3}, r"y must be classes in \[0, 4\), got"),
    (ValueError, {"temperature": 0.0}, "temperature must be > 0, got 0.0"),
    (ValueError, {"alpha": -1.0}, "alpha must be > 0, got -1.0"),
    (ValueError, {"lam": torch.ones(6)}, r"lam must be a number or \(7,\)"),
    (ValueError, {"perm": torch.arange(6)}, r"perm must be \(7,\)"),
    (ValueError, {"scale": torch.ones(4)}, r"scale must be a number or \(3,\)"),
]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("error", "changes", "message"), WRONG)
def test_wrong_arguments_are_named(error, changes, message):
    with pytest.raises(error, match=message):
        lelkern.mixmatch(**{"x": X, "y": Y, "u": U, "logits_u": Z, **changes})
