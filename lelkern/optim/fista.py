"""The accelerated proximal gradient method for composite convex problems."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Smooth = Callable[[Tensor], Tensor | tuple[Tensor, Tensor]]
"""f: from x to f(x), or to f(x) and its gradient."""
Prox = Callable[[Tensor, float], Tensor]
"""From v and a step s to argmin_x 1/2 ||x - v||^2 + s g(x)."""


class FistaResult(NamedTuple):
    """What :func:`fista` found.

    Attributes:
        x: the solution, of the shape and dtype of ``x0``.
        n_iter: number of iterations, each with one proximal step.
        gap: the duality gap at x, as the caller computes it; without it the relative fixed-point
            residual.
        converged: whether the gap is at most the tolerance.
    """

    x: Tensor
    n_iter: int
    gap: float
    converged: bool


@torch.no_grad()
def fista(
    smooth: Smooth,
    prox: Prox,
    x0: Tensor,
    *,
    lipschitz: float | None = None,
    gap: Callable[[Tensor], float | Tensor] | None = None,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    check_every: int = 10,
    restart: bool = True,
) -> FistaResult:
    r"""Return the minimiser of f(x) + g(x) for a smooth convex f and a convex g with a known prox.

    With a step s = 1 / L, from y_1 = x_0 and t_1 = 1:

    .. math::

        x_k = \operatorname{prox}_{s g}(y_k - s \nabla f(y_k)), \quad
        t_{k+1} = \tfrac{1 + \sqrt{1 + 4 t_k^2}}{2}, \quad
        y_{k+1} = x_k + \tfrac{t_k - 1}{t_{k+1}} (x_k - x_{k-1})

    Source: Beck & Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
    Problems", SIAM Journal on Imaging Sciences 2009, section 4. With ``restart`` the momentum
    starts anew where it points uphill, <y_k - x_k, x_k - x_{k-1}> > 0 (O'Donoghue & Candès,
    "Adaptive Restart for Accelerated Gradient Schemes", Foundations of Computational Mathematics
    2015, section 3.2), which makes convergence linear on strongly convex problems.

    **Step.** Without ``lipschitz`` L starts at the curvature of f along its gradient at x_0, and
    doubles until f(x_k) <= f(y_k) + <grad f(y_k), x_k - y_k> + L/2 ||x_k - y_k||^2 up to the
    rounding of f (section 4 of Beck & Teboulle), so that it ends below twice the Lipschitz constant
    of the gradient.

    **Stopping.** It stops at a duality gap of at most ``tol``, in the units of f, if ``gap`` is
    given: an upper bound of f(x) + g(x) - min. Otherwise at a relative fixed-point residual
    ||x_k - y_k|| <= tol max(||x_k||, s ||grad f(y_k)||): then x_k moves by no more under another
    proximal gradient step, but how far it is from the minimum depends on the problem, so give the
    gap where you know it.

    Args:
        smooth: f, from x to f(x) without dimensions, which PyTorch differentiates; or to a pair of
            f(x) and its gradient of the shape of x.
        prox: from v, of the shape of x, and the step s > 0 to prox of s g, such as
            ``lambda v, s: lelkern.prox_group_lasso(v, s * lam, dim=1)``.
        x0: where to start, of any shape; float64 for gaps below about 1e-5 of f.
        lipschitz: L > 0, at least the Lipschitz constant of the gradient of f.
        gap: from x to the duality gap there, a number or a tensor with one element.
        tol: >= 0.
        max_iter: most iterations, >= 1.
        check_every: how many iterations pass from one look at the gap to the next, >= 1; the
            residual, which costs nothing, is looked at in each.
        restart: restart the momentum adaptively.

    Returns:
        The solution, the number of iterations, the gap and whether it is small enough. Gradients
        are not recorded.

    Raises:
        TypeError: x0 is not a floating-point tensor.
        ValueError: an argument is out of its range, smooth returns no number or a gradient of
            another shape, or f is not finite: at x0, or everywhere near some x, or since lipschitz
            is too small.
    """
    if not isinstance(x0, Tensor) or not x0.is_floating_point():
        raise TypeError(f"x0 must be a floating-point tensor, got {_kind(x0)}")
    if lipschitz is not None and not (lipschitz > 0 and math.isfinite(lipschitz)):
        raise ValueError(f"lipschitz must be > 0, got {lipschitz}")
    if not tol >= 0:
        raise ValueError(f"tol must be >= 0, got {tol}")
    for name, count in (("max_iter", max_iter), ("check_every", check_every)):
        if count < 1:
            raise ValueError(f"{name} must be >= 1, got {count}")

    x = y = x0.detach().clone()
    value, gradient = _value_and_gradient(smooth, y)
    constant = lipschitz or _curvature(smooth, y, gradient)
    t = 1.0
    found = math.inf
    for k in range(1, max_iter + 1):
        if k > 1:
            value, gradient = _value_and_gradient(smooth, y)
        if not math.isfinite(value):
            hint = "" if lipschitz is None or k == 1 else f"; is lipschitz = {lipschitz} too small?"
            raise ValueError(f"smooth must be finite, got {value} in iteration {k}{hint}")
        new, most = prox(y - gradient / constant, 1 / constant), constant * 2.0**40
        while lipschitz is None and not _is_below(smooth, value, gradient, new - y, new, constant):
            constant *= 2
            if constant > most:  # steps would end up as short as the last bits of x
                raise ValueError(
                    f"smooth must be smooth and finite, but lies above its quadratic models with "
                    f"curvatures up to {most:.1e} in iteration {k}"
                )
            new = prox(y - gradient / constant, 1 / constant)
        if gap is None:
            found = _relative(new - y, new, gradient / constant)
        elif k % check_every == 0 or k == max_iter:
            found = float(gap(new))
        if found <= tol:
            return FistaResult(new, k, found, True)
        if restart and float(torch.sum((y - new) * (new - x))) > 0:
            t = 1.0
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        y = new + (t - 1) / following * (new - x)
        x, t = new, following
    return FistaResult(x, max_iter, found, False)


def _value_and_gradient(smooth: Smooth, x: Tensor) -> tuple[float, Tensor]:
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        result = smooth(point)
        if isinstance(result, Tensor):
            if result.numel() != 1:
                raise ValueError(f"smooth must return a number, got shape {tuple(result.shape)}")
            (gradient,) = torch.autograd.grad(result.sum(), point)
            return float(result.detach()), gradient
    value, gradient = result
    if gradient.shape != x.shape:
        raise ValueError(
            f"smooth must return a gradient of the shape of x, {tuple(x.shape)}, "
            f"got {tuple(gradient.shape)}"
        )
    return float(value), gradient.detach()


def _curvature(smooth: Smooth, x: Tensor, gradient: Tensor) -> float:
    """Return the curvature of f along its gradient at x, which is at most the Lipschitz constant.

    1 where the gradient is 0, or f is linear there.
    """
    size = float(gradient.norm())
    if not (size > 0 and math.isfinite(size)):
        return 1.0
    length = math.sqrt(torch.finfo(x.dtype).eps) * max(1.0, float(x.norm()))
    _, other = _value_and_gradient(smooth, x - gradient * (length / size))
    found = float((gradient - other).norm()) / length
    return found if found > 0 and math.isfinite(found) else 1.0


def _is_below(
    smooth: Smooth, value: float, gradient: Tensor, move: Tensor, new: Tensor, constant: float
) -> bool:
    """Whether f at the new point lies below its quadratic model, up to the rounding of f."""
    result = smooth(new)
    reached = float(result if isinstance(result, Tensor) else result[0])
    model = value + float(torch.sum(gradient * move)) + constant / 2 * float(move.square().sum())
    # Sums of f's terms are right to a few units in the last place, and near the solution what is
    # compared differs by less.
    rounding = 10 * torch.finfo(new.dtype).eps * max(abs(value), abs(reached))
    return not math.isnan(reached) and reached <= model + rounding


def _relative(move: Tensor, new: Tensor, step: Tensor) -> float:
    """Return the length of a move relative to the point that it leads to, or to the step."""
    length, size = float(move.norm()), max(float(new.norm()), float(step.norm()))
    return length / size if size > 0 else length


def _kind(x: object) -> str:
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
