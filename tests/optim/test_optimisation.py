from itertools import pairwise

import pytest
import torch
from torch import nn

from lelkern.optim import Optimisation, OptimizerConfig, warmup_cosine


def test_warmup_rises_evenly_to_the_peak_and_cosine_falls_to_zero():
    factors = [warmup_cosine(step, 100, 10) for step in range(101)]
    assert factors[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0, abs=1e-15)
    assert all(a > b for a, b in pairwise(factors[10:]))


def test_no_warmup_and_nothing_but_warmup():
    assert warmup_cosine(0, 10, 0) == 1
    assert [warmup_cosine(step, 4, 4) for step in range(4)] == [0.2, 0.4, 0.6, 0.8]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_spares_biases_and_normalisations(name):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    optimizer, _ = OptimizerConfig(name=name, lr=0.1, weight_decay=0.5, warmup=0.0).build(
        [model], 10
    )
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"0.weight"}


def test_the_schedule_reaches_the_optimizer():
    model = nn.Linear(2, 2)
    optimizer, schedule = OptimizerConfig(lr=0.1, warmup=0.5).build([model], 4)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.05])


def test_a_constant_rate_stays_where_the_warm_up_leaves_it():
    config = OptimizerConfig(lr=0.1, warmup=0.25, schedule="constant")
    optimizer, schedule = config.build([nn.Linear(2, 2)], 8)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.1 / 3, 0.2 / 3, *[0.1] * 6])


def test_a_step_follows_the_gradient_by_the_scheduled_rate_and_reports_the_loss():
    model, reports = nn.Linear(1, 1, bias=False), []
    config = OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.0, warmup=0.5)
    optimisation = Optimisation(config, [model], 4, lambda *report: reports.append(report))
    weight, velocity, losses = model.weight.item(), 0.0, []
    for rate in (0.1 / 3, 0.2 / 3, 0.1, 0.05):
        loss = model(torch.ones(1, 1)).square().sum()
        losses.append(loss.item())
        optimisation.step(loss)
        gradient = 2 * weight  # of this step alone: nothing is left of those before
        velocity = 0.9 * velocity + gradient
        weight -= rate * (gradient + 0.9 * velocity)  # Nesterov
        assert model.weight.item() == pytest.approx(weight, rel=1e-5)
    assert reports == [(i + 1, loss) for i, loss in enumerate(losses)]


def test_frozen_parameters_stay_out_of_it():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model[0].requires_grad_(False)
    before = [p.detach().clone() for p in model.parameters()]
    Optimisation(OptimizerConfig(warmup=0.0), [model], 1).step(model(torch.ones(1, 1)).sum())
    same = [torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
    assert same == [True, True, False, False]
