import pytest
import torch
from nt_xent_samples import pairs

import lelkern
from lelkern.nn import NTXentLoss


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
