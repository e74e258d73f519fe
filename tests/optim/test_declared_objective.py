"""Every optimiser minimises the objective that its keys declare, and not one close to it.

Where it has come to rest on a convex problem, 0 is in the gradient plus the subdifferential of the
penalty, but for what its last steps say. A step is

    x+ = argmin_x 1/2 sum_i s_i (x_i - v_i)^2 + size lam Omega(x),  v = x - size m / s

with a mean m of the last gradients, whose weights are at most (1 - mu) mu^j, in memory mu. So
s (x - x+) / size - m is a subgradient of lam Omega at x+, and the distance of 0 from gradient plus
subdifferential at x+ is at most ||s (x - x+)|| / size + ||m - gradient(x+)||. If none of the last n
steps was longer than delta, the gradient j steps ago differs by at most L (j + 1) delta, and

    residual <= delta (max s / size + L / (1 - mu)) + 2 mu^n G

with the Lipschitz constant L, and the longest gradient G. RMSprop's momentum remembers gradients
that were divided by the s of their step: what has changed of it since, relative to s, is measured
over the last n steps, and adds as much of the gradient.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from multi_task_lasso import LAM, kkt_residual, problem
from sklearn.linear_model import MultiTaskLasso
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from lelkern import prox_group_lasso, prox_l1, prox_nuclear, prox_sparse_group_lasso
from lelkern.optim import ProximalAdam, ProximalSGD, ProximalStep

DELTA = 1e-9
LAST = 100
PENALTY: dict[str, Any] = {"prox": "group_lasso", "dim": 1, "lam": LAM}
PROBLEM = problem()


class Case(NamedTuple):
    """An optimiser with its settings, and what its documentation says of its step.

    Attributes:
        optimizer: the class.
        settings: arguments.
        scale: s, from the settings and the state of the parameter.
        factor: by how much momentum lengthens a step.
        memory: mu.
        remembers_scaled: whether gradients are divided by s before they are remembered.
    """

    optimizer: type[Optimizer]
    settings: dict[str, Any]
    scale: Callable[[dict[str, Any], dict[str, Any]], Tensor]
    factor: float = 1.0
    memory: float = 0.0
    remembers_scaled: bool = False


def one(settings: dict[str, Any], state: dict[str, Any]) -> Tensor:
    return torch.ones((), dtype=torch.float64)


def adam(settings: dict[str, Any], state: dict[str, Any]) -> Tensor:
    squares = state["max_exp_avg_sq" if settings.get("amsgrad") else "exp_avg_sq"]
    return (squares / (1 - settings["betas"][1] ** float(state["step"]))).sqrt() + 1e-8


def rmsprop(settings: dict[str, Any], state: dict[str, Any]) -> Tensor:
    squares = state["square_avg"]
    if settings.get("centered"):
        squares = squares - state["grad_avg"].square()
    return squares.sqrt() + settings.get("eps", 1e-8)


def adagrad(settings: dict[str, Any], state: dict[str, Any]) -> Tensor:
    decay = 1 + (float(state["step"]) - 1) * settings.get("lr_decay", 0.0)
    return decay * (state["sum"].sqrt() + 1e-10)


BETAS = (0.8, 0.9)
SGDS = {
    "plain": Case(SGD, {"lr": 0.05}, one),
    "momentum": Case(SGD, {"lr": 0.03, "momentum": 0.8}, one, 5, 0.8),
    "nesterov": Case(SGD, {"lr": 0.03, "momentum": 0.8, "nesterov": True}, one, 5, 0.8),
    "dampening": Case(SGD, {"lr": 0.05, "momentum": 0.8, "dampening": 0.5}, one, 2.5, 0.8),
    "decay": Case(SGD, {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.5}, one, 5, 0.8),
}
ADAMS = {
    "adam": Case(Adam, {"lr": 0.03, "betas": BETAS}, adam, 1, 0.8),
    "amsgrad": Case(Adam, {"lr": 0.3, "betas": BETAS, "amsgrad": True}, adam, 1, 0.8),
    "l2": Case(Adam, {"lr": 0.03, "betas": BETAS, "weight_decay": 0.5}, adam, 1, 0.8),
    "adamw": Case(AdamW, {"lr": 0.03, "betas": BETAS, "weight_decay": 0.1}, adam, 1, 0.8),
}
OTHERS = {
    "rmsprop": Case(RMSprop, {"lr": 0.01, "alpha": 0.9, "momentum": 0.5}, rmsprop, 2, 0.5, True),
    # At rest gradients do not vary, and eps is all of s.
    "rmsprop-centered": Case(
        RMSprop, {"lr": 0.01, "alpha": 0.9, "centered": True, "eps": 0.1}, rmsprop
    ),
    "adagrad": Case(Adagrad, {"lr": 1.0}, adagrad),
    "adagrad-decay": Case(Adagrad, {"lr": 1.0, "lr_decay": 1e-3}, adagrad),
}
ALL = {**SGDS, **ADAMS, **OTHERS}


def start() -> Parameter:
    generator = torch.Generator().manual_seed(1)
    return Parameter(torch.randn(12, 3, generator=generator, dtype=torch.float64))


class Rest(NamedTuple):
    """The end of a run.

    Attributes:
        scale: s, in the end.
        longest: the longest gradient that there was.
        change: the largest change of s in the last steps, relative to it.
    """

    scale: Tensor
    longest: float
    change: float


def run(case: Case, optimizer: Optimizer, w: Parameter, steps: int = 3000) -> Rest:
    """Step until the last steps are short."""
    short, longest, scales = 0, 0.0, []
    for _ in range(steps):
        before = w.detach().clone()
        w.grad = PROBLEM.gradient(before)
        longest = max(longest, float(w.grad.norm()))
        optimizer.step()
        short = short + 1 if float((w.detach() - before).norm()) <= DELTA else 0
        if case.remembers_scaled:
            scales.append(case.scale(case.settings, optimizer.state[w]))
        if short == LAST:
            scale = case.scale(case.settings, optimizer.state[w])
            change = max((float((s / scale - 1).abs().max()) for s in scales[-LAST:]), default=0.0)
            return Rest(scale, longest, change)
    raise AssertionError(f"has not come to rest in {steps} steps")


def gradient_of(case: Case, w: Tensor, scale: Tensor) -> Tensor:
    """Return the gradient of the smooth part of the objective, weight decay included."""
    decay = case.settings.get("weight_decay", 0.0)
    return PROBLEM.gradient(w) + decay * (scale if case.optimizer is AdamW else 1) * w


def bound(case: Case, w: Tensor, rest: Rest) -> float:
    """Return what the residual can be after steps of at most DELTA."""
    most = float(rest.scale.max())
    decay = case.settings.get("weight_decay", 0.0)
    lipschitz = PROBLEM.lipschitz + decay * (most if case.optimizer is AdamW else 1)
    # A step computed in float64 is one from where the last bits of x were others.
    rounding = 8 * torch.finfo(w.dtype).eps * float(w.norm())
    size = case.settings["lr"] * case.factor
    steps = (DELTA + rounding) * (most / size + lipschitz / (1 - case.memory))
    scaled = rest.change * float(PROBLEM.gradient(w).norm())
    return steps + scaled + 2 * case.memory**LAST * rest.longest


def build(case: Case, w: Parameter, kind: str, penalty: dict[str, Any]) -> Optimizer:
    """Return an optimiser with a penalty: one that has it built in, or one that is followed."""
    if kind == "step":
        optimizer = case.optimizer([w], **case.settings)
        ProximalStep(optimizer, **penalty)
        return optimizer
    return (ProximalSGD if case.optimizer is SGD else ProximalAdam)([w], **case.settings, **penalty)


@pytest.fixture(scope="module")
def solution() -> Tensor:
    """The solution of scikit-learn, whose loss is divided by the number of rows."""
    n = len(PROBLEM.x)
    model = MultiTaskLasso(alpha=LAM / n, fit_intercept=False, tol=1e-12, max_iter=100_000)
    model.fit(PROBLEM.x.numpy(), PROBLEM.y.numpy())
    return torch.from_numpy(model.coef_.T.copy())


def test_both_cases_of_optimality_occur(solution):
    alive = (solution != 0).any(dim=1)
    assert 2 <= alive.sum() <= 8
    # scikit-learn stops at a duality gap below 1e-12 of ||Y||^2; f is strongly convex.
    assert kkt_residual(solution, PROBLEM.gradient(solution)) < 1e-3


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "step") for name in ALL), *((name, "built in") for name in (*SGDS, "adam"))],
)
def test_the_declared_objective_is_minimised(name, kind, solution):
    case = ALL[name]
    w = start()
    optimizer = build(case, w, kind, PENALTY)
    rest = run(case, optimizer, w)
    x = w.detach()
    limit = bound(case, x, rest)
    assert limit < 1e-5  # of lambda = 3, and of what a wrong threshold leaves, more than 1
    assert kkt_residual(x, gradient_of(case, x, rest.scale)) <= limit
    assert (x == 0).all(dim=1).any()
    if "weight_decay" not in case.settings:
        torch.testing.assert_close(x, solution, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["momentum", "nesterov", "dampening", "adam", "rmsprop", "adagrad"]
)
def test_the_usual_threshold_minimises_something_else(name):
    case = ALL[name]
    w = start()
    optimizer = case.optimizer([w], **case.settings)
    for _ in range(300):
        w.grad = PROBLEM.gradient(w.detach())
        optimizer.step()
        with torch.no_grad():
            w.copy_(prox_group_lasso(w, case.settings["lr"] * LAM, dim=1))
    scale = case.scale(case.settings, optimizer.state[w])
    assert kkt_residual(w.detach(), gradient_of(case, w.detach(), scale)) > 0.3


@pytest.mark.parametrize(
    ("name", "kind", "penalty", "prox"),
    [
        (
            "momentum",
            "built in",
            {"prox": "l1", "lam": 1.0},
            lambda v: prox_l1(v, 1.0),
        ),
        ("adam", "built in", {"prox": "l1", "lam": 1.0}, lambda v: prox_l1(v, 1.0)),
        (
            "nesterov",
            "built in",
            {"prox": "sparse_group_lasso", "lam": 1.5, "lam1": 0.5, "dim": 1},
            lambda v: prox_sparse_group_lasso(v, 0.5, 1.5, dim=1),
        ),
        (
            "adam",
            "step",
            {"prox": "sparse_group_lasso", "lam": 1.5, "lam1": 0.5, "dim": 1},
            lambda v: prox_sparse_group_lasso(v, 0.5, 1.5, dim=1),
        ),
        (
            "dampening",
            "step",
            {"prox": "group_lasso", "lam": 2.0, "groups": (2, -1), "weights": "sqrt_size"},
            lambda v: prox_group_lasso(v, 2.0, groups=(2, -1), weights="sqrt_size"),
        ),
        (
            "decay",
            "built in",
            {"prox": "group_lasso", "lam": 3.0, "dim": 1, "q": float("inf")},
            lambda v: prox_group_lasso(v, 3.0, dim=1, q=float("inf")),
        ),
        (
            "momentum",
            "step",
            {"prox": "group_lasso", "lam": 3.0, "dim": 0, "q": float("inf")},
            lambda v: prox_group_lasso(v, 3.0, dim=0, q=float("inf")),
        ),
        (
            "momentum",
            "built in",
            {"prox": "nuclear", "lam": 9.0},
            lambda v: prox_nuclear(v, 9.0),
        ),
        (
            "adam",
            "built in",
            {"prox": "group_lasso", "lam": 2.0, "groups": (2, -1), "weights": "sqrt_size"},
            lambda v: prox_group_lasso(v, 2.0, groups=(2, -1), weights="sqrt_size"),
        ),
    ],
    ids=lambda value: (
        value
        if isinstance(value, str)
        else value.get("prox", "")
        if isinstance(value, dict)
        else ""
    ),
)
def test_every_penalty_is_minimised(name, kind, penalty, prox):
    case = ALL[name]
    w = start()
    optimizer = build(case, w, kind, penalty)
    rest = run(case, optimizer, w)
    x = w.detach()
    # How far a proximal gradient step of length 1 moves x is at most the distance of 0 from the
    # subdifferential of the objective.
    moved = prox(x - gradient_of(case, x, rest.scale)) - x
    assert moved.norm() <= bound(case, x, rest) < 1e-5
