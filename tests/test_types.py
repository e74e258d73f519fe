"""What a type checker knows of what a script uses.

mypy reads this file (`make lint`), and running it says whether the types are true.
"""

from pathlib import Path
from typing import assert_type

import pytest
import torch
from torch import Tensor, nn

import lelkern
from lelkern.ops import ContrastiveStats


def test_types_are_for_others_too() -> None:
    assert (Path(lelkern.__file__).parent / "py.typed").is_file()


def test_losses() -> None:
    z1, z2 = torch.randn(2, 8, 4, requires_grad=True).unbind()
    labels = torch.arange(8) % 2
    loss = lelkern.nt_xent(z1, z2, temperature=0.5)
    assert isinstance(assert_type(loss, Tensor), Tensor)
    both = lelkern.nt_xent(z1, z2, return_stats=True)
    assert len(assert_type(both, tuple[Tensor, ContrastiveStats])) == 2
    assert isinstance(both[1], ContrastiveStats)
    for other in (
        assert_type(lelkern.info_nce(z1, z2, symmetric=True), Tensor),
        assert_type(lelkern.sup_con(z1, labels), Tensor),
        assert_type(lelkern.siglip(z1, z2, logit_scale=10, logit_bias=-10), Tensor),
    ):
        assert isinstance(other, Tensor)
    assert isinstance(
        assert_type(lelkern.nn.NTXentLoss(0.5), lelkern.nn.NTXentLoss), lelkern.nn.NTXentLoss
    )


def test_mixing() -> None:
    x, y = torch.rand(4, 3, 8, 8), torch.arange(4)
    weight = assert_type(lelkern.sample_mixup_lambda(len(x), alpha=0.75), Tensor)
    images, targets = lelkern.mixup(x, y, weight, num_classes=4)
    assert isinstance(assert_type(images, Tensor), Tensor)
    assert isinstance(assert_type(targets, Tensor), Tensor)
    alone = lelkern.mixup(x, None, weight)
    assert assert_type(alone, tuple[Tensor, None])[1] is None
    batch = lelkern.mixmatch(x, y, x[None], torch.randn(1, 4, 4))
    assert isinstance(assert_type(batch, lelkern.MixMatchBatch), lelkern.MixMatchBatch)
    assert isinstance(assert_type(batch.images, Tensor), Tensor)


def test_averages() -> None:
    model = nn.Linear(4, 2)
    ema = assert_type(lelkern.nn.ModelEMA(model, decay=0.9), lelkern.nn.ModelEMA)
    ema.update(model)
    with ema.swap():
        pass
    assert isinstance(assert_type(ema.module, nn.Module), nn.Linear)
    assert isinstance(lelkern.nn.PowerEMA(model, sigma_rel=(0.05, 0.1)), lelkern.nn.PowerEMA)


def test_optimisers() -> None:
    model = nn.Linear(4, 2)
    sgd = lelkern.optim.ProximalSGD(model.parameters(), lr=0.1, prox="l1", lam=0.1)
    assert isinstance(assert_type(sgd, lelkern.optim.ProximalSGD), torch.optim.Optimizer)
    adam = lelkern.optim.ProximalAdam(model.parameters(), lr=0.1, prox="l1", lam=0.1)
    assert isinstance(assert_type(adam, lelkern.optim.ProximalAdam), torch.optim.Optimizer)
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    step = lelkern.optim.ProximalStep(plain, prox="l1", lam=0.1)
    assert isinstance(assert_type(step, lelkern.optim.ProximalStep), lelkern.optim.ProximalStep)

    def loss(v: Tensor) -> Tensor:
        return (v - 1).square().sum()

    found = lelkern.optim.fista(loss, lambda v, t: lelkern.prox_l1(v, 0.1 * t), torch.zeros(3))
    assert isinstance(assert_type(found.x, Tensor), Tensor)
    assert isinstance(assert_type(found.n_iter, int), int)
    assert isinstance(assert_type(found.converged, bool), bool)


def test_a_name_that_is_missing_is_an_error_to_a_type_checker() -> None:
    """An ignored error that is none would be one."""
    with pytest.raises(AttributeError):
        lelkern.nt_xnet  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        lelkern.optim.ProximalSDG  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from lelkern.data import DataSauce  # type: ignore[attr-defined]  # noqa: F401
