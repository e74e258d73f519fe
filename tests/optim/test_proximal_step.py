"""What follows the steps of other optimisers: which it knows, and what else may happen to them."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from lelkern import prox_group_lasso, prox_l1
from lelkern.optim import ProximalAdam, ProximalSGD, ProximalStep

GROUPED: dict[str, Any] = {"prox": "group_lasso", "dim": 1, "lam": 0.2}


def parameter(seed: int = 0, dtype: torch.dtype = torch.float64) -> Parameter:
    generator = torch.Generator().manual_seed(seed)
    return Parameter(torch.randn(5, 3, generator=generator, dtype=torch.float64).to(dtype))


def steps(optimizer: Optimizer, w: Parameter, count: int = 3) -> None:
    for step in range(count):
        w.grad = parameter(1 + step).detach().to(w.dtype)
        optimizer.step()


@pytest.mark.parametrize("metric", ["optimizer", "euclidean"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.5},
        {"momentum": 0.5, "nesterov": True},
        {"momentum": 0.5, "dampening": 0.2},
    ],
)
def test_after_sgd_it_is_proximal_sgd(settings, metric):
    ours, theirs = parameter(), parameter()
    followed = SGD([ours], lr=0.1, **settings)
    ProximalStep(followed, **GROUPED, metric=metric)
    steps(followed, ours)
    steps(ProximalSGD([theirs], lr=0.1, **settings, **GROUPED), theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-14)


def test_a_large_model_is_that_of_its_parameters_alone():
    # More numbers than the metrics that are in memory at once.
    shapes = [(300, 500), (7, 3), (300, 500), (2, 2), (300, 500)]
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in shapes]
    slopes = [torch.randn(shape, generator=generator) for shape in shapes]

    def moved(places: range) -> list[Tensor]:
        weights = [Parameter(start[i].clone()) for i in places]
        optimizer = ProximalAdam(weights, lr=0.1, **GROUPED)
        for _ in range(2):
            for w, i in zip(weights, places, strict=True):
                w.grad = slopes[i] * w.detach()
            optimizer.step()
        return [w.detach() for w in weights]

    alone = [moved(range(i, i + 1))[0] for i in range(len(shapes))]
    assert all(map(torch.equal, moved(range(len(shapes))), alone))


@pytest.mark.parametrize(
    "options", [{"foreach": True}, {"foreach": False}, {"fused": True}, {"amsgrad": True}]
)
@pytest.mark.parametrize("decoupled", [True, False])
def test_proximal_adam_is_adam_followed(options, decoupled):
    ours, theirs = parameter(dtype=torch.float32), parameter(dtype=torch.float32)
    kind = AdamW if decoupled else Adam
    followed = kind([theirs], lr=0.1, weight_decay=0.1, **options)
    ProximalStep(followed, **GROUPED)
    optimizer = ProximalAdam(
        [ours], lr=0.1, weight_decay=0.1, decoupled_weight_decay=decoupled, **options, **GROUPED
    )
    steps(optimizer, ours)
    steps(followed, theirs)
    assert torch.equal(ours, theirs)
    assert optimizer.state[ours].keys() == followed.state[theirs].keys()


def test_the_first_step_of_adam():
    # m_hat = g and v_hat = g^2, so that s = |g| + eps, and v = w - lr sign(g): with l1 that is
    # followed by a threshold of lr lam / |g|.
    w = Parameter(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    optimizer = ProximalAdam([w], lr=0.1, prox="l1", lam=2.0)
    w.grad = torch.tensor([0.5, -4.0, 0.2], dtype=torch.float64)
    optimizer.step()
    expected = torch.tensor([0.9 - 0.4, 1.1 - 0.05, -1.1 + 1.0], dtype=torch.float64)
    torch.testing.assert_close(w.detach(), expected, rtol=1e-6, atol=0)  # eps = 1e-8 of 0.2


def test_the_euclidean_heuristic_is_the_prox_with_the_learning_rate():
    ours, theirs = parameter(), parameter()
    optimizer = ProximalAdam([ours], lr=0.1, metric="euclidean", **GROUPED)
    reference = Adam([theirs], lr=0.1)
    for step in range(3):
        steps_of = parameter(1 + step).detach()
        ours.grad, theirs.grad = steps_of, steps_of.clone()
        optimizer.step()
        reference.step()
        with torch.no_grad():
            theirs.copy_(prox_group_lasso(theirs, 0.1 * 0.2, dim=1))
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-14)


def test_optimisers_that_are_not_known_are_refused_unless_the_heuristic_is_asked_for():
    w, v = parameter(), parameter()
    unknown = torch.optim.NAdam([w], lr=0.1)
    with pytest.raises(ValueError, match=r"NAdam is no optimiser whose .*metric = 'euclidean'"):
        ProximalStep(unknown, **GROUPED)
    ProximalStep(unknown, metric="euclidean", **GROUPED)
    reference = torch.optim.NAdam([v], lr=0.1)
    steps(unknown, w, 1)
    steps(reference, v, 1)
    torch.testing.assert_close(w.detach(), prox_group_lasso(v.detach(), 0.02, dim=1))


def test_a_subclass_that_steps_in_its_own_way_is_not_known():
    class Faster(SGD):
        @torch.no_grad()
        def step(self, closure=None):
            super().step(closure)
            super().step(closure)

    class Named(SGD):
        pass

    ProximalStep(Named([parameter()], lr=0.1), **GROUPED)
    with pytest.raises(ValueError, match="Faster is no optimiser whose steps are known"):
        ProximalStep(Faster([parameter()], lr=0.1), **GROUPED)


def test_what_has_no_prox_in_the_metric_is_refused():
    for penalty, message in (
        ({"prox": "nuclear", "lam": 0.1}, "prox = 'nuclear'"),
        ({**GROUPED, "q": math.inf}, "q = inf"),
    ):
        optimizer = Adam([parameter()], lr=0.1)
        with pytest.raises(ValueError, match=f"group 0: Adam has a metric .* {message}"):
            ProximalStep(optimizer, **penalty)
        ProximalStep(optimizer, metric="euclidean", **penalty)
        steps(optimizer, optimizer.param_groups[0]["params"][0], 1)


@pytest.mark.parametrize(
    ("optimizer", "settings", "message"),
    [
        (SGD, {"differentiable": True}, "SGD must not be differentiable"),
        (RMSprop, {"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1\.0"),
        (torch.optim.LBFGS, {}, "LBFGS is no optimiser whose steps are known"),
    ],
)
def test_what_cannot_be_followed_is_refused(optimizer, settings, message):
    with pytest.raises(ValueError, match=message):
        ProximalStep(optimizer([parameter()], lr=0.1, **settings), **GROUPED)


def test_the_metric_must_be_one():
    with pytest.raises(ValueError, match=r"metric must be 'optimizer' or 'euclidean', got 'adam'"):
        ProximalStep(SGD([parameter()], lr=0.1), metric="adam", **GROUPED)


def test_groups_may_come_later_and_what_is_wrong_with_them_is_seen_before_a_step():
    first, second = parameter(0), parameter(1)
    optimizer = SGD([first], lr=0.1)
    ProximalStep(optimizer, **GROUPED)
    optimizer.add_param_group({"params": [second], "lam": 1e6})
    second.grad = torch.zeros_like(second)
    optimizer.step()
    assert (second == 0).all()
    assert optimizer.param_groups[1]["dim"] == 1
    optimizer.add_param_group({"params": [parameter(2)], "dim": 5})
    first.grad = torch.ones_like(first)
    before = first.detach().clone()
    with pytest.raises(ValueError, match=r"group 2: dim must be from -2 to 1 .* got 5"):
        optimizer.step()
    assert torch.equal(first, before)


@pytest.mark.parametrize(
    "changed", [{"dim": 5}, {"lam": torch.ones(7)}, {"weights": torch.ones(7)}]
)
def test_keys_that_no_longer_fit_are_seen_before_a_step(changed):
    first, second = parameter(0), parameter(1)
    optimizer = SGD([{"params": [first]}, {"params": [second]}], lr=0.1)
    ProximalStep(optimizer, **GROUPED)
    first.grad, second.grad = torch.ones_like(first), torch.ones_like(second)
    optimizer.step()
    optimizer.param_groups[1].update(changed)
    before = first.detach().clone()
    with pytest.raises(ValueError, match=f"^group 1: {next(iter(changed))} must "):
        optimizer.step()
    assert torch.equal(first, before)


def test_a_penalty_that_is_turned_on_later_is_checked_then():
    vector = torch.nn.Parameter(torch.ones(3))
    vector.grad = torch.ones(3)
    optimizer = SGD([{"params": [vector], "prox": None}], lr=0.1)
    ProximalStep(optimizer, prox="nuclear", lam=0.1)
    optimizer.step()
    optimizer.param_groups[0]["prox"] = "nuclear"
    before = vector.detach().clone()
    with pytest.raises(ValueError, match=r"group 0: params\[0\] must have two dimensions"):
        optimizer.step()
    assert torch.equal(vector, before)


def test_a_group_may_lie_on_several_devices():
    here, elsewhere = parameter(0), torch.nn.Parameter(parameter(1).to("meta"))
    optimizer = SGD([here, elsewhere], lr=0.1)
    ProximalStep(optimizer, **GROUPED | {"lam": 1e6})
    for w in (here, elsewhere):
        w.grad = torch.zeros_like(w)
    optimizer.step()
    assert (here == 0).all()


def test_groups_without_a_penalty_are_left_to_the_optimiser():
    w, free = parameter(0), parameter(1)
    expected = parameter(1)
    optimizer = Adam([{"params": [w]}, {"params": [free], "prox": None}], lr=0.1)
    ProximalStep(optimizer, **GROUPED)
    reference = Adam([expected], lr=0.1)
    w.grad = torch.zeros_like(w)
    steps(optimizer, free)
    steps(reference, expected)
    assert torch.equal(free, expected)


@pytest.mark.parametrize("optimizer", [SGD, Adam, RMSprop, Adagrad])
def test_parameters_without_gradients_and_learning_rates_of_0_leave_everything_alone(optimizer):
    w, frozen = parameter(0), parameter(1)
    frozen.requires_grad_(False)
    with torch.no_grad():
        w[0] = 0  # where shrinkage by max(1 - t / n, 0) is 0 / 0
    before = w.detach().clone(), frozen.clone()
    followed = optimizer([w, frozen], lr=0.1)
    ProximalStep(followed, **GROUPED)
    followed.step()
    followed.param_groups[0]["lr"] = 0.0
    w.grad = torch.zeros_like(w)
    followed.step()
    w.grad = torch.ones_like(w)
    followed.step()
    assert torch.equal(w, before[0])
    assert torch.equal(frozen, before[1])


def test_learning_rates_may_change_and_be_tensors():
    ours, theirs = parameter(), parameter()
    rate = torch.tensor(0.1, dtype=torch.float64)
    a = ProximalAdam([ours], lr=rate, foreach=False, **GROUPED)
    b = ProximalAdam([theirs], lr=0.1, foreach=False, **GROUPED)
    schedule = torch.optim.lr_scheduler.ExponentialLR(b, 0.5)
    for _ in range(3):
        steps(a, ours, 1)
        steps(b, theirs, 1)
        schedule.step()
        rate.mul_(0.5)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_a_state_without_penalties_leaves_them_as_they_are():
    w = parameter()
    plain = Adam([w], lr=0.2)
    steps(plain, w, 1)
    followed = Adam([{"params": [w], "lam": 0.7}], lr=0.1)
    ProximalStep(followed, **GROUPED)
    followed.load_state_dict(plain.state_dict())
    group = followed.param_groups[0]
    assert (group["prox"], group["lam"], group["dim"], group["lr"]) == ("group_lasso", 0.7, 1, 0.2)


@pytest.mark.parametrize("built_in", [True, False])
def test_state_goes_on_where_it_was(built_in):
    def build(w: Parameter) -> Optimizer:
        if built_in:
            return ProximalAdam([w], lr=0.1, **GROUPED)
        optimizer = Adam([w], lr=0.1)
        ProximalStep(optimizer, **GROUPED)
        return optimizer

    w, other = parameter(0), parameter(1)
    optimizer, second = build(w), build(other)
    steps(optimizer, w, 2)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    with torch.no_grad():
        other.copy_(w)
    steps(optimizer, w, 2)
    steps(second, other, 2)
    assert torch.equal(w, other)


def test_copies_of_proximal_adam_step_alike():
    w = parameter()
    optimizer = ProximalAdam([w], lr=0.1, **GROUPED)
    steps(optimizer, w, 1)
    other, copied = copy.deepcopy((optimizer, w))
    steps(optimizer, w, 2)
    steps(other, copied, 2)
    assert torch.equal(w, copied)


def test_parameters_are_looked_at_even_where_groups_have_all_keys():
    optimizer = SGD([parameter()], lr=0.1)
    ProximalStep(optimizer, prox="nuclear", lam=0.1)
    of_a_vector = optimizer.param_groups[0] | {"params": [Parameter(torch.ones(3))]}
    with pytest.raises(ValueError, match=r"params\[0\] must have two dimensions, got \(3,\)"):
        ProximalStep(SGD([of_a_vector], lr=0.1))


def test_it_can_be_removed():
    ours, theirs = parameter(), parameter()
    optimizer, reference = Adam([ours], lr=0.1), Adam([theirs], lr=0.1)
    ProximalStep(optimizer, **GROUPED).remove()
    steps(optimizer, ours)
    steps(reference, theirs)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("options", [{}, {"fused": True}])
def test_steps_that_a_grad_scaler_skips_leave_everything_alone(options):
    # A fused optimiser is called all the same, and skips the step by itself.
    w = Parameter(torch.tensor([1.0, 2.0]))
    optimizer = ProximalAdam([w], lr=0.1, prox="l1", lam=0.1, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for gradient, expected in ((math.inf, [1.0, 2.0]), (1.0, [0.89, 1.89])):
        optimizer.zero_grad()
        scaler.scale((w * gradient).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        torch.testing.assert_close(w.detach(), torch.tensor(expected))
    assert optimizer.state[w]["step"] == 1


def test_a_closure_comes_before_the_step():
    w = Parameter(torch.tensor([2.0, 0.1]))
    optimizer = SGD([w], lr=0.25)
    ProximalStep(optimizer, prox="l1", lam=1.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(4.01)
    assert w.tolist() == [0.75, 0.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_sixteen_bits(dtype, optimizer):
    ours, exact = parameter(dtype=dtype), parameter(dtype=dtype)
    exact = Parameter(exact.detach().double())
    followed, reference = optimizer([ours], lr=0.1), optimizer([exact], lr=0.1)
    ProximalStep(followed, **GROUPED)
    ProximalStep(reference, **GROUPED)
    steps(followed, ours)
    steps(reference, exact)
    assert ours.dtype == dtype
    # PyTorch rounds its own states and steps to 16 bits, several times in each of three steps.
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=16 * torch.finfo(dtype).eps)
    assert torch.equal(ours == 0, exact == 0)


def test_adagrad_steps_of_parameters_that_came_later_are_their_own():
    early, late = (Parameter(torch.full((2,), 3.0, dtype=torch.float64)) for _ in range(2))
    optimizer = Adagrad([early, late], lr=1.0, lr_decay=1.0)
    ProximalStep(optimizer, prox="l1", lam=0.5, metric="euclidean")
    early.grad = torch.ones_like(early)
    optimizer.step()
    late.grad = torch.ones_like(late)
    optimizer.step()
    torch.testing.assert_close(late.detach(), prox_l1(torch.full_like(late, 2.0), 0.5).detach())
    expected = 1.5 - 0.5 / math.sqrt(2) - 0.25
    torch.testing.assert_close(early.detach(), torch.full_like(early, expected))
