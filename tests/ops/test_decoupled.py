"""DCL, DCLW, margins and hard negatives against their formulas, and what they refuse."""

import math

import pytest
import torch
import torch.nn.functional as F
from contrastive_samples import classes, normals, pairs
from covering import covering
from torch import Tensor
from torch._dynamo.testing import CompileCounter

import lelkern
from lelkern.nn import InfoNCELoss, NTXentLoss

OPTIONS = {
    "DCL": {"decoupled": True},
    "DCLW": {"decoupled": True, "sigma": 0.5},
    "margin": {"margin": 0.2},
    "hardness": {"hardness": 0.7},
    "hard and decoupled": {"decoupled": True, "hardness": 2.0},
    "hard DCLW": {"decoupled": True, "hardness": 2.0, "sigma": 0.3},
    "hard with a margin": {"hardness": 0.5, "margin": -0.1},
}
KINDS = ["nt_xent", "nt_xent ids", "info_nce", "symmetric ids", "queue", "queue ids"]
N = 9


def inputs(kind: str) -> tuple[list[Tensor], dict]:
    """Embeddings and what else is given."""
    given: dict = {"symmetric": True} if "symmetric" in kind else {}
    if "ids" in kind:
        given["ids"] = classes(N, 5)
    z = list(pairs(N, 6))
    if "queue" in kind:
        z.append(normals(14, 6))
        if "ids" in kind:
            given["negative_ids"] = classes(14, 6, 1)
    return z, given


def losses(kind: str, z: list[Tensor], temperature: float | Tensor, **options) -> Tensor:
    op = lelkern.nt_xent if "nt_xent" in kind else lelkern.info_nce
    codes = {k: v.to(z[0].device) if isinstance(v, Tensor) else v for k, v in options.items()}
    return op(*z, temperature=temperature, **{"reduction": "none", **codes})


def rows_of(kind: str, z: list[Tensor], given: dict) -> list[tuple[Tensor, Tensor]]:
    """For each row the similarity to its positive, and those to its negatives."""
    unit = [F.normalize(x) for x in z]
    ids = given.get("ids", torch.arange(N))
    if "nt_xent" in kind:
        both, numbers = torch.cat(unit), ids.repeat(2)
        s = both @ both.T
        partner = torch.arange(2 * N).roll(N)
        return [
            # Without ids two rows of one pair are the only ones of their number.
            (s[i, partner[i]], s[i, numbers != numbers[i]])
            for i in range(2 * N)
        ]
    if "queue" in kind:
        others = given.get("negative_ids", torch.full((14,), -1))
        s = unit[0] @ unit[2].T
        own = (unit[0] * unit[1]).sum(1)
        return [(own[i], s[i, others != ids[i]]) for i in range(N)]
    s = unit[0] @ unit[1].T
    ways = [s, s.T] if given.get("symmetric") else [s]
    return [(way[i, i], way[i, ids != ids[i]]) for way in ways for i in range(N)]


def formula(
    kind: str,
    z: list[Tensor],
    given: dict,
    tau: Tensor,
    *,
    decoupled: bool = False,
    sigma: float | None = None,
    margin: float = 0.0,
    hardness: float = 0.0,
) -> Tensor:
    """The papers' formulas, row by row."""
    rows = rows_of(kind, z, given)
    exponentials = (
        None if sigma is None else torch.stack([(s / sigma).exp() for s, _ in rows]).detach()
    )
    found = []
    for i, (s, others) in enumerate(rows):
        if len(others) == 0:
            found.append(0 * s)
            continue
        weights = (hardness * others / tau).exp()
        total = (weights / weights.mean() * (others / tau).exp()).sum()
        own = (s - margin) / tau
        w = 1 if exponentials is None else 2 - exponentials[i] / exponentials.mean()
        found.append((total + (0 if decoupled else own.exp())).log() - w * own)
    return torch.stack(found)


@pytest.mark.parametrize(
    ("options", "kind", "temperature"), covering(list(OPTIONS), KINDS, [0.07, 0.5])
)
def test_the_formulas_and_their_gradients(options, kind, temperature, device) -> None:
    z, given = inputs(kind)
    z = [x.requires_grad_() for x in z]
    tau = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    want = formula(kind, z, given, tau, **OPTIONS[options])
    weights = 1 + torch.arange(len(want)) / len(want)
    want_grads = torch.autograd.grad((weights * want).sum(), (*z, tau))
    there = [x.detach().to(device).requires_grad_() for x in (*z, tau)]
    got = losses(kind, there[:-1], there[-1], **given, **OPTIONS[options])
    grads = torch.autograd.grad((weights.to(device) * got).sum(), there)
    # Exponents of up to 3 / 0.07 cost about 50 units in the last place, and sums some more.
    torch.testing.assert_close(got.cpu(), want.detach(), rtol=1e-12, atol=1e-12)
    for x, y in zip(grads, want_grads, strict=True):
        torch.testing.assert_close(x.cpu(), y, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("options", OPTIONS)
def test_in_less_than_float64(options, dtype, device) -> None:
    z = [x.to(dtype) for x in pairs(N, 6)]
    want = formula("nt_xent", [x.double() for x in z], {}, torch.tensor(0.1), **OPTIONS[options])
    got = losses("nt_xent", [x.to(device) for x in z], 0.1, **OPTIONS[options])
    assert got.dtype == torch.float32
    # Similarities are off by a few units in the last place of float32, times at most 3 / 0.1.
    torch.testing.assert_close(got.cpu().double(), want, rtol=1e-5, atol=30 * 4 * 1.2e-7)


def test_nothing_is_lost_where_the_positive_is_far_above_all_negatives(device) -> None:
    # With the positive in the sum these losses are exp(-200).
    z = torch.eye(4, dtype=torch.float32, device=device).requires_grad_()
    loss = lelkern.nt_xent(z, z, 0.005, decoupled=True, reduction="none")
    torch.testing.assert_close(loss.detach().cpu(), torch.full((8,), math.log(6) - 200))
    # Nor does the gradient vanish: each row spreads 1 / tau over the three other axes, and gets as
    # much from their rows.
    (grad,) = torch.autograd.grad(loss.sum(), z)
    want = (1 - torch.eye(4)) * (2 * 2 / 3 / 0.005)
    torch.testing.assert_close(grad.cpu(), want)


@pytest.mark.parametrize("options", OPTIONS)
def test_rows_without_negatives_lose_nothing(options, device) -> None:
    z = [x.to(device).requires_grad_() for x in pairs(3, 5)]
    for given in ({"ids": torch.zeros(3, dtype=torch.long)}, {}):
        some = z if given else [x[:1] for x in z]
        loss = losses("nt_xent", some, 0.1, **given, **OPTIONS[options])
        grads = torch.autograd.grad(loss.sum(), z)
        assert (loss == 0).all()
        assert all((grad == 0).all() for grad in grads)
    nobody = z[0][:0]
    assert losses("nt_xent", [nobody, nobody], 0.1, **OPTIONS[options]).shape == (0,)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_bad_number_is_not_hidden(options, device) -> None:
    z = [x.to(device) for x in pairs(N, 6)]
    z[1][3, 2] = math.nan
    assert losses("nt_xent", z, 0.1, **OPTIONS[options]).isnan().all()
    # A positive that no other row looks at.
    if "sigma" not in OPTIONS[options]:  # whose weights are shares of all pairs
        alone = losses("nt_xent", [x[3:4] for x in z], 0.1, **OPTIONS[options])
        assert alone.isnan().all()
    got = losses("queue", [*z, normals(5, 6).to(device)], 0.1, **OPTIONS[options])
    assert got.isnan().tolist() == [i == 3 or "sigma" in OPTIONS[options] for i in range(N)]


def test_a_bad_negative_is_not_hidden_from_the_gradient_of_the_positive(device) -> None:
    query, positive = (x.to(device).requires_grad_() for x in pairs(N, 6))
    queue = normals(5, 6).to(device)
    queue[2, 1] = math.nan
    loss = lelkern.info_nce(query, positive, queue, 0.1, decoupled=True)
    for grad in torch.autograd.grad(loss, (query, positive)):
        assert grad.isnan().all()


def test_none_of_an_option_is_the_plain_loss(device) -> None:
    z = [x.to(device) for x in pairs(N, 6)]
    plain = lelkern.nt_xent(*z, 0.1)
    for options in ({"hardness": None, "margin": None}, {"decoupled": False}):
        assert torch.equal(lelkern.nt_xent(*z, 0.1, **options), plain)
    for zero in (0, 1e-9, torch.tensor(0.0), torch.tensor(0.0, device=device)):
        torch.testing.assert_close(lelkern.nt_xent(*z, 0.1, hardness=zero), plain)
    torch.testing.assert_close(lelkern.nt_xent(*z, 0.1, margin=0), plain)


def test_numbers_may_be_tensors_with_gradients(device) -> None:
    z = [x.to(device) for x in pairs(N, 6)]
    half = torch.tensor(0.1, dtype=torch.bfloat16)
    as_number = lelkern.nt_xent(*z, 0.1, hardness=half.item(), margin=half.item())
    torch.testing.assert_close(lelkern.nt_xent(*z, 0.1, hardness=half, margin=half), as_number)
    margin, hardness, sigma = (
        torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.2, 0.7, 0.5)
    )

    def loss(margin, hardness) -> Tensor:
        return lelkern.nt_xent(*z, 0.3, margin=margin, hardness=hardness)

    assert torch.autograd.gradcheck(loss, (margin, hardness))
    loss = lelkern.nt_xent(*z, 0.3, decoupled=True, sigma=sigma, hardness=hardness)
    assert torch.autograd.grad(loss, sigma, allow_unused=True) == (None,)


@pytest.mark.parametrize("options", OPTIONS)
def test_statistics_are_those_of_the_plain_loss(options, device) -> None:
    z = [x.to(device) for x in pairs(N, 6)]
    _, want = lelkern.info_nce(*z, symmetric=True, return_stats=True)
    loss, stats = lelkern.info_nce(*z, symmetric=True, return_stats=True, **OPTIONS[options])
    assert loss == lelkern.info_nce(*z, symmetric=True, **OPTIONS[options])
    assert stats == want


@pytest.mark.once
@pytest.mark.parametrize("options", ["DCLW", "hard with a margin"])
def test_a_batch_of_them_by_vmap(options) -> None:
    z = torch.randn(3, 2, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(both: Tensor) -> Tensor:
        return lelkern.nt_xent(both[0], both[1], 0.2, **OPTIONS[options])

    torch.testing.assert_close(torch.func.vmap(loss)(z), torch.stack([loss(both) for both in z]))


@pytest.mark.once
def test_no_number_goes_stale_under_compile() -> None:
    z = pairs(7, 5)
    torch._dynamo.reset()
    count = CompileCounter()

    @torch.compile(backend=count, fullgraph=True, dynamic=None)
    def both(margin: float, hardness: float, sigma: float) -> Tensor:
        hard = lelkern.nt_xent(*z, 0.2, margin=margin, hardness=hardness)
        return hard + lelkern.nt_xent(*z, 0.2, decoupled=True, sigma=sigma)

    for k in range(6):
        numbers = (0.05 * k, 0.3 * k, 0.2 + 0.2 * k)
        hard = lelkern.nt_xent(*z, 0.2, margin=numbers[0], hardness=numbers[1])
        want = hard + lelkern.nt_xent(*z, 0.2, decoupled=True, sigma=numbers[2])
        torch.testing.assert_close(both(*numbers), want)
    assert count.frame_count <= 2


def test_as_modules() -> None:
    z = pairs(N, 6)
    for options in OPTIONS.values():
        assert NTXentLoss(0.2, **options)(*z) == lelkern.nt_xent(*z, 0.2, **options)
        assert InfoNCELoss(0.2, **options)(*z) == lelkern.info_nce(*z, temperature=0.2, **options)
    assert "decoupled=True, sigma=0.5)" in repr(NTXentLoss(decoupled=True, sigma=0.5))
    assert "margin" not in repr(NTXentLoss())


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.5}, "sigma must be None unless decoupled is True, got 0.5"),
        ({"decoupled": True, "margin": 0.1}, "margin must be None where decoupled is True, .*0.1"),
        ({"decoupled": True, "sigma": 0.0}, "sigma must be > 0, got 0.0"),
        ({"margin": math.inf}, "margin must be finite, got inf"),
        ({"hardness": -1}, "hardness must be >= 0, got -1"),
        ({"hardness": math.nan}, "hardness must be >= 0, got nan"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message) -> None:
    z = pairs(3, 4)
    with pytest.raises(ValueError, match=message):
        lelkern.nt_xent(*z, **options)
    with pytest.raises(ValueError, match=message):
        lelkern.info_nce(*z, **options)


@pytest.mark.parametrize("options", OPTIONS)
def test_more_views_have_none_of_it(options) -> None:
    views = torch.stack(pairs(3, 4), dim=1)
    with pytest.raises(ValueError, match="go with z1 and z2, got z1 alone"):
        lelkern.nt_xent(views, **OPTIONS[options])
