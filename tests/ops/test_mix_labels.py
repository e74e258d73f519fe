"""The op that mixes labels: the bits and the gradients of rows that are made and then mixed."""

import pytest
import torch
from covering import covering
from mixing_samples import FLOATING, compiled, lambdas, normals, permuted, same_bits
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from lelkern.ops._mix_labels import mix_labels
from lelkern.ops._mix_rows import mix_rows

# N, B and C.
SIZES = [
    (5, 3, 10),
    (0, 4, 3),
    (6, 0, 17),
    (1, 1, 1),
    (4, 2, 33),
    (0, 0, 5),
    (3, 2, 0),
    (40, 9, 900),
]
LAMBDAS = ["ordinary", "infinite and nan"]


def distributions(dtype: torch.dtype, rows: int, num_classes: int, seed: int = 0) -> Tensor:
    """Numbers in [0, 1], with what is no number among them."""
    p = normals(rows, num_classes, seed=seed).softmax(1).to(dtype)
    p.view(-1)[3::17], p.view(-1)[5::19], p.view(-1)[7::23] = torch.nan, torch.inf, -0.0
    return p


def labels_of(dtype: torch.dtype, n: int, num_classes: int) -> Tensor:
    if dtype != torch.int64:
        return distributions(dtype, n, num_classes)
    return torch.randint(num_classes, (n,), generator=torch.Generator().manual_seed(4))


def composed(labels, guesses, lam, perm, order, copies, num_classes, dtype) -> Tensor:
    """One-hot rows, the guesses again for each copy, and all of them mixed."""
    if labels.dtype == torch.int64:
        rows = torch.eye(num_classes, dtype=dtype, device=labels.device)[labels]
    else:
        rows = labels.to(dtype)
    if guesses is not None:
        rows = torch.cat((rows, *[guesses.to(dtype)] * copies))
    return mix_rows(rows, None, lam, perm, order=order)


@pytest.mark.parametrize(
    ("source", "guessed", "dtype", "copies", "sizes", "ordered", "how"),
    covering(
        [torch.int64, *FLOATING],
        [None, *FLOATING],
        FLOATING,
        range(5),
        SIZES,
        [False, True],
        LAMBDAS,
    ),
    ids=str,
)
def test_the_bits_of_rows_that_are_made_and_mixed(
    source, guessed, dtype, copies, sizes, ordered, how, device
):
    N, B, C = sizes
    if source == torch.int64:
        C = max(C, 1)
    labels = labels_of(source, N, C)
    guesses = None if guessed is None else distributions(guessed, B, C, seed=1)
    total = N if guesses is None else N + copies * B
    lam = lambdas(total)
    if how != "ordinary":
        lam[2::5], lam[3::7], lam[4::11], lam[5::13] = torch.inf, torch.nan, -torch.inf, -1.5
    lam = lam.to(torch.float64 if dtype == torch.float64 else torch.float32)
    given = (labels, guesses, lam, permuted(total), permuted(total, 7) if ordered else None)
    given = [None if z is None else z.to(device) for z in given]
    got = torch.ops.lelkern.mix_labels(*given, copies, C, dtype)
    assert got.is_contiguous()
    assert same_bits(got, composed(*given, copies, C, dtype))


def test_labels_and_guesses_that_do_not_lie_side_by_side(device):
    wide = distributions(torch.float32, 8, 9).to(device)
    classes = labels_of(torch.int64, 8, 4).to(device)
    perm, order = permuted(8).to(device), permuted(8, 7).to(device)
    for labels, guesses in (
        (wide[::2, ::2], wide[1::4, 1:6]),
        (wide[:1, :5].expand(4, 5), wide.t()[:4, :2].t().repeat(1, 2)[:, :5]),
        (classes[::2], wide[1::4, ::2]),
    ):
        lam = lambdas(16).float().to(device)[::2]
        given = labels, guesses, lam, perm, order, 2, 5, torch.float32
        want = composed(*(z.contiguous() if isinstance(z, Tensor) else z for z in given))
        assert same_bits(torch.ops.lelkern.mix_labels(*given), want)


def differentiable(device):
    """Labels, guesses and lambda in float64, with gradients; and what else the function takes."""
    leaves = (normals(3, 4).softmax(1), normals(2, 4, seed=1).softmax(1), lambdas(7))
    perm, order = permuted(7).to(device), permuted(7, 5).to(device)

    def mix(labels, guesses, lam, dtype=torch.float64):
        return mix_labels(labels, 4, dtype, lam, perm, guesses=guesses, copies=2, order=order)

    return [z.to(device).requires_grad_() for z in leaves], mix


def test_gradients_twice(device):
    leaves, mix = differentiable(device)
    assert gradcheck(mix, leaves)
    assert gradgradcheck(mix, leaves)
    for k in range(3):  # each alone

        def of_one(x, k=k):
            return mix(*(x if i == k else z.detach() for i, z in enumerate(leaves)))

        assert gradcheck(of_one, leaves[k])


def test_of_classes_only_lambda_has_a_gradient(device):
    labels, perm = torch.tensor([2, 0, 0], device=device), torch.tensor([1, 2, 0], device=device)
    lam = torch.tensor([0.3, 0.6, 1.0], device=device, requires_grad=True)
    mixed = mix_labels(labels, 3, torch.float32, lam, perm)
    weights = torch.tensor([1.0, 10, 100], device=device)
    (of_lam,) = torch.autograd.grad((mixed * weights).sum(), lam)
    assert of_lam.tolist() == [99, 0, -99]


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_a_gradient_that_nobody_asks_for_changes_no_bit(dtype, device):
    labels, guesses = (distributions(dtype, n, 4).to(device) for n in (3, 2))
    lam, (_, mix) = lambdas(7).to(device), differentiable(device)
    want = mix(labels, guesses, lam, dtype)
    leaves = [z.clone().requires_grad_() for z in (labels, guesses, lam)]
    assert same_bits(mix(*leaves, dtype).detach(), want)
    with torch.no_grad():
        got = mix(*leaves, dtype)
    assert not got.requires_grad
    assert same_bits(got, want)


# Tracing sees schemas and fake functions, the same for every implementation behind.
@pytest.mark.once
@pytest.mark.parametrize("source", [torch.int64, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("with_guesses", [False, True])
def test_opcheck(source, with_guesses, device):
    labels = torch.tensor([2, 0, 1, 1]) if source == torch.int64 else normals(4, 3).to(source)
    labels = labels.to(device)
    guesses = normals(2, 3).float().to(device) if with_guesses else None
    rows = 8 if with_guesses else 4
    order = permuted(rows, 7).to(device) if with_guesses else None
    lam = lambdas(rows).float().to(device)
    given = labels, guesses, lam, permuted(rows).to(device), order, 2, 3, torch.float32
    torch.library.opcheck(torch.ops.lelkern.mix_labels.default, given)


@pytest.mark.once
@pytest.mark.parametrize("with_gradients", [False, True])
def test_compile_without_graph_breaks(with_gradients, device):
    leaves, mix = differentiable(device)
    leaves = [z.detach().requires_grad_(with_gradients) for z in leaves]

    def step(*leaves):
        return mix(*leaves).square().sum()

    torch._dynamo.reset()
    found = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        total = function(*leaves)
        found.append([total, *(torch.autograd.grad(total, leaves) if with_gradients else ())])
    torch.testing.assert_close(*found)


@pytest.mark.once
def test_transforms(device):
    leaves, mix = differentiable(device)

    def total(*leaves):
        return mix(*leaves).square().sum()

    want = torch.autograd.grad(total(*leaves), leaves)
    leaves = [z.detach() for z in leaves]
    everything = (0, 1, 2)
    torch.testing.assert_close(torch.func.grad(total, argnums=everything)(*leaves), want)
    torch.testing.assert_close(torch.func.jacfwd(total, argnums=everything)(*leaves), want)
    many = [torch.stack((z, z.flip(0))) for z in leaves]
    expected = torch.stack([mix(*z) for z in zip(*many, strict=True)])
    assert torch.equal(torch.func.vmap(mix)(*many), expected)


@pytest.mark.once
def test_autocast_changes_nothing(device):
    leaves, mix = differentiable(device)
    with torch.no_grad(), torch.autocast(device, torch.bfloat16):
        got = mix(*leaves)
    assert torch.equal(got, mix(*leaves))


@pytest.mark.once
def test_any_number_of_threads_gives_the_same_bits():
    C = 3000  # results of more than 8 MiB, which go past the cache
    labels, guesses = labels_of(torch.int64, 300, C), distributions(torch.float32, 200, C)
    lam, perm, order = lambdas(700).float(), permuted(700), permuted(700, 7)
    given = labels, guesses, lam, perm, order, 2, C, torch.float32
    want, threads = composed(*given), torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        try:
            assert same_bits(torch.ops.lelkern.mix_labels(*given), want)
        finally:
            torch.set_num_threads(threads)


# ----- errors -----


WRONG = {
    "labels": [
        *(torch.tensor([0, 1, c]) for c in (3, -1)),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(1, 3, dtype=torch.int64),
        torch.zeros(3, 3, dtype=torch.int32),
        *(torch.zeros(shape) for shape in ((3,), (3, 2), (2, 3))),
    ],
    "guesses": [torch.zeros(2, 4), torch.zeros(1, 3), torch.zeros(6), torch.zeros(2, 3).long()],
    "lam": [torch.zeros(6), torch.zeros(7, 1), torch.zeros(7, dtype=torch.float64)],
    **{name: [torch.arange(7) + 1, torch.arange(7) - 1, torch.zeros(7, dtype=torch.int64),
              torch.arange(6)] for name in ("perm", "order")},
    "copies": [1, 3, -2],
    "num_classes": [2, 4, -3],
    "dtype": [torch.int64],
}  # fmt: skip


@pytest.mark.skipif(not compiled("mix_labels"), reason="PyTorch itself counts from the end")
@pytest.mark.parametrize(("name", "wrong"), [(k, x) for k, v in WRONG.items() for x in v], ids=str)
def test_the_op_itself_reads_nothing_that_is_not_there(name, wrong):
    given = {
        "labels": torch.tensor([0, 2, 1]),
        "guesses": torch.ones(2, 3),
        "lam": torch.ones(7),
        "perm": permuted(7),
        "order": permuted(7, 3),
        "copies": 2,
        "num_classes": 3,
        "dtype": torch.float32,
    }
    torch.ops.lelkern.mix_labels(*given.values())
    with pytest.raises(RuntimeError):
        torch.ops.lelkern.mix_labels(*{**given, name: wrong}.values())


def test_copies_cannot_be_taken_away():
    labels, guesses = torch.tensor([0, 2, 1]), torch.ones(2, 3)  # R = 3 - 2
    given = labels, guesses, torch.ones(1), torch.tensor([0]), None, -1, 3, torch.float32
    with pytest.raises(RuntimeError):
        torch.ops.lelkern.mix_labels(*given)


@pytest.mark.skipif(not compiled("mix_labels"), reason="PyTorch itself says it in its words")
@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("labels", torch.tensor([0, 3, 1]), r"labels must be classes in \[0, 3\), got 3"),
        ("perm", torch.tensor([0, 2, 2]), "perm must be a permutation of 0 to 2, got 2"),
        ("order", torch.tensor([0, 2, 2]), "order must be a permutation of 0 to 2, got 2"),
    ],
)
def test_what_is_wrong_is_named(name, wrong, message):
    given = {"labels": torch.tensor([0, 2, 1]), "guesses": None, "lam": torch.ones(3)}
    given |= {"perm": torch.tensor([1, 2, 0]), "order": torch.tensor([1, 2, 0]), name: wrong}
    with pytest.raises(RuntimeError, match=message):
        torch.ops.lelkern.mix_labels(*given.values(), 1, 3, torch.float32)
