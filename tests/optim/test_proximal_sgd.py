"""ProximalSGD beside torch.optim.SGD, and what optimisers of PyTorch have to bear."""

import copy
import math
from typing import Any

import pytest
import torch
from covering import covering
from torch import Tensor, nn
from torch.nn import Parameter

from lelkern import CSRGroups, prox_group_lasso, prox_l1
from lelkern.optim import ProximalSGD

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def parameters(dtype: torch.dtype = torch.float64) -> list[Parameter]:
    """Return a matrix, filters whose channels come last in memory, a vector, a number, nothing."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    filters = normal(4, 3, 2, 2).to(memory_format=torch.channels_last)
    found = [normal(6, 5), normal(5, 6).T, filters, normal(7), normal(), normal(0, 3)]
    return [Parameter(x) for x in found]


def gradients(of: list[Parameter], step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1 + step)
    return [torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype) for p in of]


def steps(optimizer: torch.optim.Optimizer, of: list[Parameter], count: int = 4) -> None:
    for step in range(count):
        for p, gradient in zip(of, gradients(of, step), strict=True):
            p.grad = gradient
        optimizer.step()


@pytest.mark.parametrize(
    ("dtype", "momentum", "weight_decay", "maximize"),
    covering(
        DTYPES,
        (
            {},
            {"momentum": 0.9},
            {"momentum": 0.9, "dampening": 0.5},
            {"momentum": 0.9, "nesterov": True},
        ),
        (0.0, 0.1),
        (False, True),
    ),
)
def test_without_a_penalty_it_is_sgd(dtype, momentum, weight_decay, maximize):
    settings = {"lr": 0.1, "weight_decay": weight_decay, "maximize": maximize, **momentum}
    ours, theirs = parameters(dtype), parameters(dtype)
    steps(ProximalSGD(ours, **settings), ours)
    steps(torch.optim.SGD(theirs, **settings), theirs)
    # PyTorch rounds 16 bits after each of four operations a step, and momentum adds up the last
    # four steps; a few roundings of numbers of about 1.
    eps = 16 * torch.finfo(dtype).eps
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == dtype
        assert a.stride() == b.stride()
        torch.testing.assert_close(a, b, rtol=eps, atol=eps)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.5},
        {"momentum": 0.5, "nesterov": True},
        {"momentum": 0.5, "dampening": 0.2},
    ],
)
@pytest.mark.parametrize(
    ("penalty", "prox"),
    [
        ({"prox": "l1"}, lambda w, t: prox_l1(w, t)),
        ({"prox": "group_lasso", "dim": -1}, lambda w, t: prox_group_lasso(w, t, dim=-1)),
        (
            {"prox": "group_lasso", "dim": 0, "weights": "sqrt_size", "q": math.inf},
            lambda w, t: prox_group_lasso(w, t, dim=0, weights="sqrt_size", q=math.inf),
        ),
    ],
    ids=["l1", "rows", "columns"],
)
def test_a_step_is_sgd_and_the_prox_of_the_effective_step(settings, penalty, prox):
    effective = {(0.0, False): 1.0, (0.5, False): 2.0, (0.5, True): 2.0}[
        settings.get("momentum", 0.0), settings.get("nesterov", False)
    ] * (1 - settings.get("dampening", 0.0))
    ours, theirs = parameters()[:4], parameters()[:4]
    optimizer = ProximalSGD(ours, lr=0.1, lam=0.4, **settings, **penalty)
    reference = torch.optim.SGD(theirs, lr=0.1, **settings)
    for step in range(3):
        for p, q, gradient in zip(ours, theirs, gradients(ours, step), strict=True):
            p.grad, q.grad = gradient, gradient.clone()
        optimizer.step()
        reference.step()
        with torch.no_grad():
            for p in theirs:
                p.copy_(prox(p, 0.1 * effective * 0.4))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-14)


def test_groups_have_penalties_of_their_own():
    w, filters, bias, free = (Parameter(torch.ones(4, 2) * 0.01) for _ in range(4))
    groups = CSRGroups(torch.tensor([0, 2]), torch.tensor([0, 7]))
    optimizer = ProximalSGD(
        [
            {"params": [w]},
            {"params": [filters], "groups": (2, -1), "lam": 0.0},
            {"params": [bias], "groups": groups, "weights": None},
            {"params": [free], "prox": None},
        ],
        lr=0.5,
        lam=0.1,
        prox="group_lasso",
        dim=1,
        weights="sqrt_size",
    )
    for p in (w, filters, bias, free):
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert (w == 0).all()
    assert (filters == 0.01).all()
    assert (bias == 0).flatten().nonzero().flatten().tolist() == [0, 7]
    assert (free == 0.01).all()
    assert [group["dim"] for group in optimizer.param_groups] == [1, None, None, None]


def test_groups_added_later_take_the_settings_and_begin_their_momentum():
    first, second = parameters()[:2]
    optimizer = ProximalSGD([first], lr=0.1, momentum=0.9, prox="group_lasso", dim=1, lam=0.1)
    steps(optimizer, [first], 2)
    optimizer.add_param_group({"params": [second], "lam": 0.2})
    assert optimizer.param_groups[1]["dim"] == 1
    before = second.detach().clone()
    steps(optimizer, [first, second], 1)
    gradient = gradients([first, second], 0)[1]
    expected = prox_group_lasso(before - 0.1 * gradient, 0.1 * 10 * 0.2, dim=1)
    torch.testing.assert_close(second.detach(), expected, rtol=1e-13, atol=1e-14)


def test_a_parameter_without_a_gradient_stays_and_begins_its_momentum_later():
    early, late = parameters()[0], parameters()[0]
    optimizer = ProximalSGD([early, late], lr=0.1, momentum=0.9, prox="l1", lam=0.1)
    before = late.detach().clone()
    early.grad = torch.ones_like(early)
    optimizer.step()
    assert torch.equal(late, before)
    late.grad = torch.ones_like(late)
    optimizer.step()
    moved = prox_l1(before - 0.1, 0.1 * 10 * 0.1)
    torch.testing.assert_close(late.detach(), moved, rtol=1e-13, atol=1e-14)


def test_state_goes_on_where_it_was():
    ours, copied = parameters()[:3], parameters()[:3]
    settings: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "prox": "group_lasso", "lam": 0.3}
    optimizer = ProximalSGD(
        [{"params": ours[:2], "dim": 0}, {"params": ours[2:], "dim": (1, 2, 3)}], **settings
    )
    steps(optimizer, ours, 2)
    other = ProximalSGD(
        [{"params": copied[:2], "dim": 1}, {"params": copied[2:], "dim": 0}], **settings
    )
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    with torch.no_grad():
        for a, b in zip(copied, ours, strict=True):
            a.copy_(b)
    steps(optimizer, ours, 2)
    steps(other, copied, 2)
    for a, b in zip(copied, ours, strict=True):
        assert torch.equal(a, b)


def test_a_state_of_sgd_leaves_the_penalties_as_they_are():
    w = parameters()[:1]
    theirs = torch.optim.SGD(w, lr=0.2, momentum=0.9)
    steps(theirs, w, 1)
    optimizer = ProximalSGD([{"params": w, "lam": 0.7}], prox="group_lasso", dim=1, momentum=0.5)
    optimizer.load_state_dict(theirs.state_dict())
    group = optimizer.param_groups[0]
    assert (group["prox"], group["lam"], group["dim"]) == ("group_lasso", 0.7, 1)
    assert (group["lr"], group["momentum"]) == (0.2, 0.9)
    assert torch.equal(
        optimizer.state[w[0]]["momentum_buffer"], theirs.state[w[0]]["momentum_buffer"]
    )


def test_states_with_groups_are_saved_and_loaded(tmp_path):
    w = parameters()[:1]
    groups = CSRGroups(torch.tensor([0, 2, 3]), torch.tensor([0, 7, 8]))
    weights = torch.tensor([1.0, 2.0])
    optimizer = ProximalSGD(w, prox="group_lasso", groups=groups, weights=weights, lam=0.1)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    optimizer.load_state_dict(loaded)
    found = optimizer.param_groups[0]["groups"]
    assert torch.equal(found.group_indices, groups.group_indices)
    steps(optimizer, w, 1)
    with pytest.raises(ValueError, match="group_indices must be below 3"):
        ProximalSGD([Parameter(torch.ones(3))], prox="group_lasso", groups=found)


def test_copies_step_alike():
    w = parameters()[:2]
    optimizer = ProximalSGD(w, lr=0.1, momentum=0.9, prox="group_lasso", dim=1, lam=0.3)
    steps(optimizer, w, 2)
    other, copied = copy.deepcopy((optimizer, w))
    steps(optimizer, w, 2)
    steps(other, copied, 2)
    for a, b in zip(copied, w, strict=True):
        assert torch.equal(a, b)
    other.add_param_group({"params": parameters()[:1]})
    assert other.param_groups[1]["dim"] == 1


def test_a_closure_is_called_with_gradients_and_its_loss_returned():
    w = Parameter(torch.tensor([2.0, 0.1]))
    optimizer = ProximalSGD([w], lr=0.25, prox="l1", lam=1.0)

    def closure():
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(4.01)
    assert w.tolist() == [0.75, 0.0]  # 2 - 0.25 * 4 - 0.25; 0.1 - 0.05 < 0.25
    optimizer.zero_grad()
    assert w.grad is None


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_warm_up_from_a_learning_rate_of_0(momentum):
    w = Parameter(torch.zeros(3, 2))  # where shrinkage by max(1 - t / n, 0) is 0 / 0
    optimizer = ProximalSGD([w], lr=0.1, momentum=momentum, prox="group_lasso", dim=1, lam=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step / 2))
    rates = []
    for _ in range(12):  # momentum takes a while to outweigh the penalty
        rates.append(optimizer.param_groups[0]["lr"])
        w.grad = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.3, 0.0]])
        before = w.detach().clone()
        optimizer.step()
        schedule.step()
        if rates[-1] == 0:
            assert torch.equal(w, before)
        assert w.isfinite().all()
    assert rates[:4] == pytest.approx([0.0, 0.05, 0.1, 0.1])
    assert w[0, 0] < 0
    assert (w[1:] == 0).all()  # gradients shorter than lambda


def test_learning_rates_and_factors_may_be_tensors():
    ours, theirs = parameters()[:1], parameters()[:1]
    lam = torch.tensor(0.3, dtype=torch.float64)
    a = ProximalSGD(ours, lr=torch.tensor(0.125), prox="group_lasso", dim=1, lam=lam)
    b = ProximalSGD(theirs, lr=0.125, prox="group_lasso", dim=1, lam=0.3)
    steps(a, ours, 1)
    steps(b, theirs, 1)
    lam.fill_(0.6)  # in place, as a schedule would
    b.param_groups[0]["lam"] = 0.6
    steps(a, ours, 1)
    steps(b, theirs, 1)
    assert torch.equal(ours[0], theirs[0])


def test_sparse_gradients_are_gradients():
    # The penalty moves all rows, also those that a batch does not look up.
    weights = [nn.Embedding(5, 3, sparse=sparse) for sparse in (True, False)]
    weights[1].load_state_dict(weights[0].state_dict())
    for embedding in weights:
        optimizer = ProximalSGD(
            embedding.parameters(), lr=0.1, momentum=0.9, prox="group_lasso", dim=1, lam=0.2
        )
        for _ in range(2):
            optimizer.zero_grad()
            embedding(torch.tensor([1, 1, 3])).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(weights[0].weight, weights[1].weight, rtol=0, atol=0)


def test_steps_that_a_grad_scaler_skips_leave_everything_alone():
    w = Parameter(torch.tensor([1.0, 2.0]))
    optimizer = ProximalSGD([w], lr=0.1, momentum=0.9, prox="l1", lam=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for gradient, expected in ((math.inf, [1.0, 2.0]), (1.0, [0.8, 1.8])):
        optimizer.zero_grad()
        scaler.scale((w * gradient).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        torch.testing.assert_close(w.detach(), torch.tensor(expected))


def test_changes_are_seen_by_autograd():
    w = Parameter(torch.ones(2, 2))
    optimizer = ProximalSGD([w], prox="l1", lam=0.1)
    loss = w.square().sum()
    w.grad = torch.ones(2, 2)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"lr": -0.1}, ValueError, r"lr must be >= 0 and finite, got -0\.1"),
        ({"lr": torch.ones(2)}, ValueError, r"lr must have one element, got \(2,\)"),
        ({"momentum": 1.0}, ValueError, r"momentum must be in \[0, 1\), got 1\.0"),
        (
            {"momentum": 0.5, "dampening": 1.5},
            ValueError,
            r"dampening must be in \[0, 1\), got 1\.5",
        ),
        ({"weight_decay": -1.0}, ValueError, r"weight_decay must be >= 0 and finite, got -1\.0"),
        ({"nesterov": True}, ValueError, r"nesterov must go with momentum.* momentum = 0\.0"),
        ({"prox": "lasso"}, ValueError, "prox must be None or one of 'l1', .*, got 'lasso'"),
        ({"prox": "l1", "lam": -1.0}, ValueError, r"lam must be >= 0 and finite, got -1\.0"),
        ({"prox": "l1", "lam": "x"}, TypeError, "lam must be a number or a tensor, got str"),
        ({"prox": "l1", "dim": 1}, ValueError, "dim must go with prox = 'group_lasso' or .* got 1"),
        (
            {"prox": "group_lasso", "dim": 1, "lam1": 0.1},
            ValueError,
            "lam1 must go with prox = 'sp",
        ),
        ({"prox": "group_lasso"}, ValueError, "exactly one of dim and groups"),
        ({"prox": "group_lasso", "dim": 2}, ValueError, r"dim must be .* params\[1\].* got 2"),
        ({"prox": "group_lasso", "dim": 0, "q": 1}, ValueError, "q must be > 1, got 1"),
        ({"prox": "group_lasso", "dim": 0, "weights": "size"}, ValueError, 'weights .* got "size"'),
        (
            {"prox": "group_lasso", "dim": 0, "weights": torch.ones(9)},
            ValueError,
            r"weights must be \(4,\), one a group, got \(9,\)",
        ),
    ],
)
def test_errors_name_the_group_the_argument_and_its_value(settings, error, message):
    params = [Parameter(torch.ones(3, 4, 5)), Parameter(torch.ones(3, 4))]
    if isinstance(settings.get("weights"), Tensor):
        params = params[1:]
    with pytest.raises(error, match=message):
        ProximalSGD(params, **settings)
    optimizer = ProximalSGD([Parameter(torch.ones(2))], lr=0.1)
    with pytest.raises(error, match=f"group 1: .*{message}"):
        optimizer.add_param_group({"params": params, **settings})
    assert len(optimizer.param_groups) == 1


def test_parameters_must_be_dense_and_floating_point():
    with pytest.raises(TypeError, match=r"group 0: params\[0\] must be float64.*complex64"):
        ProximalSGD([Parameter(torch.ones(2, dtype=torch.complex64))], prox="l1")


def test_settings_that_went_wrong_are_seen_before_anything_moves():
    w = Parameter(torch.ones(2))
    optimizer = ProximalSGD([w], lr=0.1, prox="l1", lam=0.1)
    optimizer.param_groups[0]["lam"] = math.nan
    w.grad = torch.ones(2)
    with pytest.raises(ValueError, match="group 0: lam must be >= 0 and finite, got nan"):
        optimizer.step()
    assert w.tolist() == [1.0, 1.0]
