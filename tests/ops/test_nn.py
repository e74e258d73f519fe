import pytest
import torch
from contrastive_samples import normals, pairs

import lelkern
from lelkern.nn import InfoNCELoss, NTXentLoss, SupConLoss


def test_the_module_is_the_function():
    z = pairs(5, 4)
    for reduction in ("none", "mean", "sum"):
        got = NTXentLoss(0.2, reduction=reduction)(*z)
        assert torch.equal(got, lelkern.nt_xent(*z, 0.2, reduction=reduction))


def test_a_learnable_temperature_is_a_parameter_that_stays_positive():
    z = pairs(5, 4)
    loss = NTXentLoss(0.2, learnable=True).double()
    torch.testing.assert_close(loss(*z), lelkern.nt_xent(*z, 0.2), rtol=1e-6, atol=0)
    assert list(loss.state_dict()) == ["log_temperature"]
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    for _ in range(20):
        optimizer.zero_grad()
        loss(*z).backward()
        optimizer.step()
    assert loss.temperature > 0
    assert loss.temperature != 0.2


def test_a_fixed_temperature_is_no_parameter():
    assert not list(NTXentLoss(0.2).parameters())


def test_repr():
    assert repr(NTXentLoss()) == "NTXentLoss(temperature=0.5, reduction='mean')"
    assert repr(NTXentLoss(0.07, reduction="sum", learnable=True)) == (
        "NTXentLoss(temperature=0.07, reduction='sum', learnable=True)"
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_the_temperature_is_checked_when_the_module_is_made(temperature):
    with pytest.raises(ValueError, match="temperature must be"):
        NTXentLoss(temperature)


@pytest.mark.parametrize("learnable", [False, True])
def test_the_modules_of_the_family_are_their_functions(learnable):
    q, k = pairs(5, 4)
    queue, labels = normals(6, 4), torch.arange(5) // 2
    for module, inputs, want in (
        (NTXentLoss, (q, k), lelkern.nt_xent(q, k, 0.2, normalize=False)),
        (InfoNCELoss, (q, k), lelkern.info_nce(q, k, None, 0.2, normalize=False)),
        (InfoNCELoss, (q, k, queue), lelkern.info_nce(q, k, queue, 0.2, normalize=False)),
        (SupConLoss, (q, labels), lelkern.sup_con(q, labels, 0.2, normalize=False)),
    ):
        loss = module(0.2, normalize=False, learnable=learnable, return_stats=True).double()
        got, stats = loss(*inputs)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-7)  # float32's log temperature
        assert 0 <= stats.accuracy <= 1
        assert len(list(loss.parameters())) == learnable


def test_modules_pass_ids_on():
    q, k = pairs(5, 4)
    queue, ids = normals(6, 4), torch.arange(5) // 2
    queue_ids = torch.arange(6)
    assert NTXentLoss()(q, k, ids=ids) == lelkern.nt_xent(q, k, ids=ids)
    assert InfoNCELoss(symmetric=True)(q, k, ids=ids) == lelkern.info_nce(
        q, k, ids=ids, symmetric=True
    )
    assert InfoNCELoss()(q, k, queue, ids=ids, negative_ids=queue_ids) == lelkern.info_nce(
        q, k, queue, ids=ids, negative_ids=queue_ids
    )
    labels = torch.tensor([0, 0, 1, 1, 0])
    assert SupConLoss()(q, labels, ids=ids) == lelkern.sup_con(q, labels, ids=ids)


def test_repr_says_what_is_not_the_default():
    assert repr(InfoNCELoss(symmetric=True)) == (
        "InfoNCELoss(temperature=0.1, reduction='mean', symmetric=True)"
    )
    assert repr(SupConLoss(normalize=False, return_stats=True)) == (
        "SupConLoss(temperature=0.1, reduction='mean', normalize=False, return_stats=True)"
    )


def test_an_unknown_reduction_is_refused_when_the_module_is_made():
    with pytest.raises(ValueError, match="reduction must be"):
        SupConLoss(reduction="max")
