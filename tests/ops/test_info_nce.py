"""What InfoNCE promises beyond the formula, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from contrastive_samples import normals, pairs

import lelkern
from lelkern.ops import library_path


def cosine_logits(q, k, temperature):
    return F.normalize(q) @ F.normalize(k).T / temperature


def test_in_batch_is_a_cross_entropy_over_the_keys(device):
    q, k = (z.to(device) for z in pairs(9, 5))
    x = cosine_logits(q, k, 0.2)
    own = torch.arange(9, device=device)
    torch.testing.assert_close(lelkern.info_nce(q, k, temperature=0.2), F.cross_entropy(x, own))


def test_symmetric_is_clip(device):
    q, k = (z.to(device) for z in pairs(9, 5))
    x = cosine_logits(q, k, 0.2)
    own = torch.arange(9, device=device)
    want = (F.cross_entropy(x, own) + F.cross_entropy(x.T, own)) / 2
    got = lelkern.info_nce(q, k, temperature=0.2, symmetric=True)
    torch.testing.assert_close(got, want)
    each = lelkern.info_nce(q, k, temperature=0.2, symmetric=True, reduction="none")
    assert each.shape == (18,)
    torch.testing.assert_close(each[9:], lelkern.info_nce(k, q, temperature=0.2, reduction="none"))


def test_a_queue_gives_the_k_plus_1_logits_of_moco(device):
    q, k = (z.to(device) for z in pairs(9, 5))
    queue = normals(30, 5).to(device)
    own = (F.normalize(q) * F.normalize(k)).sum(1, keepdim=True) / 0.07
    x = torch.cat([own, cosine_logits(q, queue, 0.07)], dim=1)
    want = F.cross_entropy(x, torch.zeros(9, dtype=torch.long, device=device))
    torch.testing.assert_close(lelkern.info_nce(q, k, queue, 0.07), want)


def test_all_pairs_as_negatives_are_the_batch(device):
    q, k = (z.to(device) for z in pairs(9, 5))
    ids = torch.arange(9, device=device)
    got = lelkern.info_nce(q, k, k, ids=ids, negative_ids=ids, reduction="none")
    torch.testing.assert_close(got, lelkern.info_nce(q, k, reduction="none"))


def test_nothing_to_choose_from(device):
    q, k = (z.to(device).requires_grad_() for z in pairs(3, 5))
    empty = torch.empty(0, 5, dtype=torch.float64, device=device)
    loss = lelkern.info_nce(q, k, empty, reduction="none")
    assert loss.tolist() == [0, 0, 0]
    loss.sum().backward()
    assert (q.grad == 0).all()
    queue = normals(4, 5).to(device).requires_grad_()
    nobody = empty.clone().requires_grad_()
    for loss in (
        lelkern.info_nce(nobody, empty, reduction="sum"),
        lelkern.info_nce(nobody, nobody, symmetric=True, reduction="sum"),
        lelkern.info_nce(nobody, empty, queue, reduction="sum"),
    ):
        loss.backward()
    assert (queue.grad == 0).all()
    assert nobody.grad.shape == (0, 5)
    assert lelkern.info_nce(empty, empty, reduction="none").shape == (0,)
    assert lelkern.info_nce(empty, empty, reduction="sum") == 0
    assert lelkern.info_nce(empty, empty, q.detach(), reduction="none").shape == (0,)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_number_in_the_queue_makes_every_loss_nan(value, device):
    q, k = (z.to(device) for z in pairs(3, 5))
    queue = normals(200, 5).to(device)
    queue[150, 2] = value
    assert lelkern.info_nce(q, k, queue, reduction="none").isnan().all()
    k[1, 1] = value
    losses = lelkern.info_nce(q, k, normals(4, 5).to(device), reduction="none")
    assert losses.isnan().tolist() == [False, True, False]


def test_a_row_whose_negatives_are_all_excluded_disturbs_no_other(device):
    q, k = (0.1 * z for z in pairs(4, 4))
    q[0], k[0] = 10, -10  # without normalisation far below what the negatives suggest
    q, k = (z.to(device).requires_grad_() for z in (q, k))
    queue = (0.001 * normals(3, 4)).to(device).requires_grad_()
    ids = {"ids": torch.arange(4), "negative_ids": torch.zeros(3, dtype=torch.long)}
    ids = {name: x.to(device) for name, x in ids.items()}
    loss = lelkern.info_nce(q, k, queue, 0.07, normalize=False, **ids)
    grads = torch.autograd.grad(loss, (q, k, queue))
    assert all(grad.isfinite().all() for grad in grads)
    assert (grads[0][0] == 0).all()
    assert (grads[2] != 0).any()


@pytest.mark.parametrize("D", [3, 37, 128, 200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_collapsed_representation_scores_0(D, dtype):
    z = torch.randn(1, D, generator=torch.Generator().manual_seed(D)).to(dtype)
    for negatives in (z.expand(70, D), None):
        z50 = z.expand(50, D)
        if library_path() is None and negatives is not None:
            continue  # plain PyTorch's two products are rounded differently
        assert lelkern.info_nce(z50, z50, negatives, return_stats=True)[1].accuracy == 0


@pytest.mark.once
def test_what_does_not_fit_is_refused():
    q, k = pairs(3, 5)
    queue = normals(4, 5)
    ids = torch.arange(3)
    for message, call in {
        r"positive must have the shape of query, \(3, 5\), got \(2, 5\)": lambda: (q, k[:2]),
        "negatives must have as many features as query, 5, got 4": lambda: (q, k, queue[:, :4]),
        r"negatives must be \(N, D\), got \(5,\)": lambda: (q, k, queue[0]),
    }.items():
        with pytest.raises(ValueError, match=message):
            lelkern.info_nce(*call())
    with pytest.raises(TypeError, match="negatives must have the dtype of query"):
        lelkern.info_nce(q, k, queue.float())
    with pytest.raises(ValueError, match="symmetric must be False with negatives"):
        lelkern.info_nce(q, k, queue, symmetric=True)
    with pytest.raises(ValueError, match="negative_ids must be given with ids and negatives"):
        lelkern.info_nce(q, k, queue, ids=ids)
    with pytest.raises(ValueError, match="negative_ids must be given with ids and negatives"):
        lelkern.info_nce(q, k, ids=ids, negative_ids=ids)
    with pytest.raises(ValueError, match=r"negative_ids must be \(4,\), one a row, got \(3,\)"):
        lelkern.info_nce(q, k, queue, ids=ids, negative_ids=ids)
    with pytest.raises(ValueError, match=r"ids must be \(3,\), one a row, got \(4,\)"):
        lelkern.info_nce(q, k, ids=torch.arange(4))
    with pytest.raises(TypeError, match=r"ids must be whole numbers, got torch.float32"):
        lelkern.info_nce(q, k, ids=torch.ones(3) / 2)
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        lelkern.info_nce(q, k, temperature=0)
    with pytest.raises(ValueError, match="reduction must be"):
        lelkern.info_nce(q, k, reduction="max")


def test_ids_may_be_of_any_whole_dtype_and_layout(device):
    q, k = (z.to(device) for z in pairs(6, 5))
    ids = torch.tensor([1, 1, 0, 0, 1, 0], device=device)
    want = lelkern.info_nce(q, k, ids=ids)
    assert want != lelkern.info_nce(q, k)
    for other in (
        ids.bool(),
        ids.to(torch.uint8),
        ids.int(),
        ids.float(),
        ids.repeat_interleave(2)[::2],
    ):
        assert torch.equal(lelkern.info_nce(q, k, ids=other), want)
