"""The proximal operator of the nuclear norm in plain PyTorch, with gradients by differences.

The derivative of a singular value decomposition is infinite where singular values are equal, that
of what is made of it here is not. With f(s) = max(s - t, 0) it is, in the basis of the singular
vectors, a product with the divided differences (f_i - f_j) / (s_i - s_j) of the symmetric part and
(f_i + f_j) / (s_i + s_j) of the other one (Lewis & Sendov, "Nonsmooth Analysis of Singular Values,
Part II", Set-Valued Analysis 2005), and these are known without loss for any singular values: f is
linear on both sides of t.

The second derivative is that of a function of the symmetric matrix [[0, W], [W', 0]], whose
eigenvalues are s and -s: products with second divided differences (Daleckii & Krein 1965). All
derivatives are those of the side where a singular value of t is 0, and t = 0 is the identity.

A matrix whose largest number is near an end of the range is divided by a power of 2, so that
neither singular values, which may be sqrt(m n) times as large, nor sums of squares overflow or lose
digits. What of the largest matrices is then below the smallest normal number loses digits itself:
in float32 what is less than 2^-166 times the largest number, in float64 2^-1481 times.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def prox_nuclear(w: Tensor, t: Tensor) -> Tensor:
    """Return U max(S - t, 0) V' of w = U S V' (..., m, n), float32 or float64 and finite.

    ``t``: (), or one a matrix (...), at least 0.
    """
    # torch.compile takes no function with a rule for forward mode.
    function = _ProxNuclear if torch.compiler.is_compiling() else _ProxNuclearWithJvp
    x: Tensor = function.apply(w, t)[0]
    return x


class _ProxNuclear(torch.autograd.Function):
    """Returns x, and of w and t divided by the scale: U, S, V', t and the scale."""

    generate_vmap_rule = True

    @staticmethod
    def forward(w: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        scale = _scale(w.abs().amax((-2, -1)))
        u, s, vh = torch.linalg.svd(w / _matrix(scale), full_matrices=False)
        relative = _relative(t, scale)
        x = (u * (s - _column(relative)).clamp(min=0).unsqueeze(-2)) @ vh * _matrix(scale)
        return torch.where(_matrix(t) == 0, w, x), u, s, vh, relative, scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, *output[1:])
        ctx.save_for_forward(*inputs, *output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, Tensor | None]:
        if grad is None:
            return None, None
        function = _Backward if torch.compiler.is_compiling() else _BackwardWithJvp
        return function.apply(grad, *ctx.saved_tensors)


class _ProxNuclearWithJvp(_ProxNuclear):
    @staticmethod
    def jvp(ctx: Any, of_w: Tensor | None, of_t: Tensor | None) -> tuple[Tensor | None, ...]:
        w, _, u, s, vh, t, _ = ctx.saved_tensors
        moved = torch.zeros_like(w)
        if of_w is not None:
            moved = _derivative(of_w, t, u, s, vh)
        if of_t is not None:
            moved = moved - _matrix(of_t) * _direction(t, u, s, vh)
        return moved, None, None, None, None, None


class _Backward(torch.autograd.Function):
    """The gradients of w and t, given that of x."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        grad: Tensor,
        w: Tensor,
        given: Tensor,
        u: Tensor,
        s: Tensor,
        vh: Tensor,
        t: Tensor,
        scale: Tensor,
    ) -> tuple[Tensor, Tensor]:
        grad_t = -(grad * _direction(t, u, s, vh)).sum((-2, -1))
        return _derivative(grad, t, u, s, vh), _like(given, grad_t)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_grad_w: Tensor, of_grad_t: Tensor) -> tuple[Tensor | None, ...]:
        grad, w, given, u, s, vh, t, scale = ctx.saved_tensors
        weight = _matrix(of_grad_t)
        first = _derivative(of_grad_w, t, u, s, vh) - weight * _direction(t, u, s, vh)
        second, along = _second_derivative(w, t, scale, grad, of_grad_w)
        of_t = _like(given, -(of_grad_w * along).sum((-2, -1)) / scale)
        of_w = (second - weight * along) / _matrix(scale)
        return first, of_w, of_t, None, None, None, None, None


class _BackwardWithJvp(_Backward):
    @staticmethod
    def jvp(
        ctx: Any, of_grad: Tensor | None, of_w: Tensor | None, of_t: Tensor | None, *_: Any
    ) -> tuple[Tensor, Tensor]:
        grad, w, given, u, s, vh, t, scale = ctx.saved_tensors
        zeros = torch.zeros_like(w)
        of_grad, of_w = (zeros if x is None else x for x in (of_grad, of_w))
        second, along = _second_derivative(w, t, scale, grad, of_w)
        of_t = torch.zeros_like(given) if of_t is None else of_t
        curved = (second - _matrix(of_t) * along) / _matrix(scale)
        of_grad_w = _derivative(of_grad, t, u, s, vh) + curved
        of_grad_t = -(of_grad * _direction(t, u, s, vh)).sum((-2, -1))
        of_grad_t = of_grad_t - (of_w * along).sum((-2, -1)) / scale
        return of_grad_w, _like(given, of_grad_t)


def _scale(largest: Tensor) -> Tensor:
    """Return what to divide matrices by, a power of 2, given their largest numbers.

    It is 1 for all but those near the ends of the range, and takes these no further than needed: to
    where the square of what is eps times as large is a normal number, and as far from the other
    end, with room for sums of 2^46 squares in float32 and 2^104 in float64. LAPACK's bounds, too.
    """
    numbers = torch.finfo(largest.dtype)
    least = math.sqrt(numbers.smallest_normal) / numbers.eps
    power = _power_of_2(largest)
    return (power * least).clamp(min=1) * (power / least).clamp(max=1)


def _relative(t: Tensor, scale: Tensor) -> Tensor:
    """Return thresholds divided by the scale: 0, the identity, only where they are 0."""
    numbers = torch.finfo(t.dtype)
    return (t / scale).clamp(min=numbers.smallest_normal * numbers.eps).where(t > 0, 0)


def _power_of_2(x: Tensor) -> Tensor:
    """Return the largest power of 2 that is not above x; 1 of 0."""
    return (x / (2 * torch.frexp(x).mantissa)).where(x > 0, 1)


def _like(given: Tensor, of_matrices: Tensor) -> Tensor:
    """Return the gradient of a threshold for all matrices, or of one for each."""
    return of_matrices if given.dim() else of_matrices.sum()


def _column(t: Tensor) -> Tensor:
    """Return one number a matrix as what goes with a vector a matrix."""
    return t.unsqueeze(-1)


def _matrix(t: Tensor) -> Tensor:
    """Return one number a matrix as what goes with a matrix."""
    return t.unsqueeze(-1).unsqueeze(-1)


def _alive(s: Tensor, t: Tensor) -> Tensor:
    """Where f has the slope 1."""
    return (s > _column(t)) | (_column(t) == 0)


def _direction(t: Tensor, u: Tensor, s: Tensor, vh: Tensor) -> Tensor:
    """Return U V' of the singular values above t, minus the derivative of x with respect to it."""
    return (u * (s > _column(t)).to(u.dtype).unsqueeze(-2)) @ vh


def _derivative(e: Tensor, t: Tensor, u: Tensor, s: Tensor, vh: Tensor) -> Tensor:
    """Return the derivative of x with respect to w, in the direction e; it is symmetric."""
    alive = _alive(s, t)
    f = (s - _column(t)).clamp(min=0)
    core = u.mT @ e @ vh.mT
    differences = _divided(s, f, alive)
    both = alive.unsqueeze(-1) & alive.unsqueeze(-2)
    total = s.unsqueeze(-1) + s.unsqueeze(-2)
    zero = total == 0
    sums = (f.unsqueeze(-1) + f.unsqueeze(-2)) / total.masked_fill(zero, 1)
    sums = sums.masked_fill(zero & both, 1)
    ratio = (f / s.masked_fill(s == 0, 1)).masked_fill((s == 0) & alive, 1)
    inner = differences * (core + core.mT) / 2 + sums * (core - core.mT) / 2
    left = (e @ vh.mT - u @ core) * ratio.unsqueeze(-2)
    right = ratio.unsqueeze(-1) * (u.mT @ e - core @ vh)
    return (u @ inner + left) @ vh + u @ right


def _divided(x: Tensor, f: Tensor, alive: Tensor) -> Tensor:
    """Return (f_i - f_j) / (x_i - x_j), where equal numbers have the slope."""
    same = alive.unsqueeze(-1) == alive.unsqueeze(-2)
    distance = x.unsqueeze(-1) - x.unsqueeze(-2)
    quotient = (f.unsqueeze(-1) - f.unsqueeze(-2)) / distance.masked_fill(same, 1)
    return torch.where(same, alive.to(f.dtype).unsqueeze(-1), quotient)


def _second_derivative(
    w: Tensor, t: Tensor, scale: Tensor, a: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the second derivative of x in the directions a and b, and in a and -t.

    ``t``: divided by the scale; the result is still to be. In between, where what is divided by the
    scale of subnormal numbers is infinite, it may be multiplied by 0.
    """
    m, n = w.shape[-2:]
    values, basis = torch.linalg.eigh(_dilated(w / _matrix(scale)))
    threshold = _column(t)
    sign = values.sign()
    g = sign * (values.abs() - threshold).clamp(min=0)
    side = torch.where(values.abs() > threshold, sign, 0)
    linear = (threshold == 0).unsqueeze(-1)
    first = _differences(values, g, side)
    ones = torch.ones_like(first)
    first = torch.where(linear, ones, first)
    a, b = (basis.mT @ _dilated(x) @ basis for x in (a, b))
    columns = []
    for k in range(m + n):  # one at a time: there are (m + n)^3 second differences
        second = _second_differences(values, side, first, k)
        second = second.masked_fill(linear, 0)
        # sum_j second[i, j] (a[i, j] b[j, k] + b[i, j] a[j, k])
        of_k = (second * a) @ b[..., k : k + 1] + (second * b) @ a[..., k : k + 1]
        columns.append(of_k)
    curved = basis @ torch.cat(columns, -1) @ basis.mT
    jumps = _differences(values, side, side)
    along = basis @ (jumps * a) @ basis.mT
    return curved[..., :m, m:], along[..., :m, m:]


def _dilated(w: Tensor) -> Tensor:
    """Return [[0, w], [w', 0]]."""
    m, n = w.shape[-2:]
    upper = torch.cat([w.new_zeros((*w.shape[:-1], m)), w], -1)
    lower = torch.cat([w.mT, w.new_zeros((*w.shape[:-2], n, n))], -1)
    return torch.cat([upper, lower], -2)


def _differences(x: Tensor, f: Tensor, side: Tensor) -> Tensor:
    """Return the divided differences of f, which is linear on each of three sides.

    Its slope is 1 where the side is not 0, or 0 if f is the side itself.
    """
    same = side.unsqueeze(-1) == side.unsqueeze(-2)
    distance = x.unsqueeze(-1) - x.unsqueeze(-2)
    quotient = (f.unsqueeze(-1) - f.unsqueeze(-2)) / distance.masked_fill(same, 1)
    slope = torch.zeros_like(side) if f is side else side.abs()
    return torch.where(same, slope.unsqueeze(-1), quotient)


def _second_differences(x: Tensor, side: Tensor, first: Tensor, k: int) -> Tensor:
    """Return the divided differences of x_i, x_j and x_k, from the first ones.

    They are divided by the distance of two that are on different sides of a kink, the two that are
    the farthest apart; where all are on one side they are 0.
    """
    x_i, x_j, x_k = torch.broadcast_tensors(x.unsqueeze(-1), x.unsqueeze(-2), x[..., k, None, None])
    of_ij = first
    of_ik, of_jk = torch.broadcast_tensors(
        first[..., :, k].unsqueeze(-1), first[..., :, k].unsqueeze(-2)
    )
    # Of the three pairs each is one's opposite: (first_ij - first_jk) / (x_i - x_k), and so on.
    distances = torch.stack([x_i - x_k, x_i - x_j, x_j - x_k])
    changes = torch.stack([of_ij - of_jk, of_ik - of_jk, of_ij - of_ik])
    widest = distances.abs().argmax(0, keepdim=True)
    distance = distances.gather(0, widest).squeeze(0)
    change = changes.gather(0, widest).squeeze(0)
    s_k = side[..., k, None, None]
    same = (side.unsqueeze(-1) == side.unsqueeze(-2)) & (side.unsqueeze(-1) == s_k)
    return (change / distance.masked_fill(distance == 0, 1)).masked_fill(same, 0)
