"""NT-Xent, the contrastive loss of SimCLR: front door, schemas, shapes and gradients."""

import math
from typing import Any, Literal

import torch
from torch import Tensor

from lelkern.ops._define import cast_to_float32_under_autocast, define
from lelkern.ops._transforms import differentiated_by_tracing, in_float32_under_autocast
from lelkern.reference import nt_xent as reference

Reduction = Literal["none", "mean", "sum"]

_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def nt_xent(
    z1: Tensor,
    z2: Tensor,
    temperature: float | Tensor = 0.5,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Return the normalised-temperature cross entropy of N pairs of embeddings.

    With the 2N rows :math:`z = [z_1; z_2]`, their cosine similarities :math:`s_{ik}`, temperature
    :math:`\tau` and the other row of each pair :math:`p(i) = i \pm N`, the loss of row i is

    .. math::
        \ell_i = -\log \frac{\exp(s_{i,p(i)} / \tau)}{\sum_{k \ne i} \exp(s_{ik} / \tau)},

    a choice among 2N - 1 candidates: equation 1 of Chen et al., "A Simple Framework for
    Contrastive Learning of Visual Representations", ICML 2020; the mean over all rows is the loss
    of its Algorithm 1. The compiled kernel never stores the 2N x 2N similarities.

    Half dtypes are computed in float32 and give a float32 loss: rounding a loss near log(2N) to
    eight bits would hide whether training moves it. Under autocast the embeddings count as
    float32, as for PyTorch's own losses. A row with a norm below 1e-12 has similarity 0 to every
    row, and gradient 0. A nan or an infinity in any row makes every loss nan. One pair alone has
    no negatives: its losses are 0. No pairs give no losses: a sum of 0 and a mean of nan.
    ``torch.func.grad`` and its kin, and forward-mode differentiation, run the reference.

    Args:
        z1: (N, D) embeddings of the first views: float64, float32, bfloat16 or float16, with any
            strides.
        z2: (N, D) embeddings of the second views, of the same dtype and on the same device.
        temperature: a positive number, or a tensor with one element, which then gets a gradient.
            A tensor on a GPU is not looked at, nor is one inside ``torch.compile`` or
            ``torch.func.vmap``: there an invalid temperature makes every loss nan.
        reduction: ``"mean"`` or ``"sum"`` over the 2N rows, or ``"none"``.

    Returns:
        The loss in float32 (float64 for float64 embeddings): a scalar, or for ``"none"`` one loss
        a row, (2N,), those of ``z1`` first.

    Raises:
        TypeError: an embedding is no floating-point tensor, or the two differ in dtype.
        ValueError: shapes or devices do not match, the temperature is not a positive number, or
            the reduction is unknown.
    """
    _check_embeddings(z1, z2)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    tau = _temperature_tensor(temperature, z1)
    losses: Tensor
    if differentiated_by_tracing(z1, z2, tau):
        losses, _ = in_float32_under_autocast(reference.nt_xent, z1, z2, tau)
    else:
        losses, _ = torch.ops.lelkern.nt_xent(z1, z2, tau)
    if reduction == "mean":
        return losses.mean()
    return losses.sum() if reduction == "sum" else losses


def _check_embeddings(z1: Tensor, z2: Tensor) -> None:
    for name, z in (("z1", z1), ("z2", z2)):
        if not isinstance(z, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(z).__name__}")
        if z.dtype not in _DTYPES:
            raise TypeError(f"{name} must be float64, float32, bfloat16 or float16, got {z.dtype}")
        if z.dim() != 2:
            raise ValueError(f"{name} must be (N, D), got {tuple(z.shape)}")
    if z1.shape != z2.shape:
        raise ValueError(f"z2 must have the shape of z1, {tuple(z1.shape)}, got {tuple(z2.shape)}")
    if z1.device != z2.device:
        raise ValueError(f"z2 must be on the device of z1, {z1.device}, got {z2.device}")
    # Autocast makes one dtype of any two but float64, which it leaves alone.
    cast = torch.is_autocast_enabled(z1.device.type) and torch.float64 not in (z1.dtype, z2.dtype)
    if z1.dtype != z2.dtype and not cast:
        raise TypeError(f"z2 must have the dtype of z1, {z1.dtype}, got {z2.dtype}")


def _temperature_tensor(temperature: float | Tensor, z: Tensor) -> Tensor:
    """Return the temperature without dimensions on the device of ``z``, checked where it can be."""
    if not isinstance(temperature, Tensor):
        _check_temperature(temperature)
        return torch.full((), temperature, dtype=_computed_in(z), device=z.device)
    if temperature.numel() != 1:
        raise ValueError(f"temperature must have one element, got {tuple(temperature.shape)}")
    if temperature.dtype not in _DTYPES:
        raise TypeError(f"temperature must be floating point, got {temperature.dtype}")
    if temperature.device.type == "cpu" and not torch.compiler.is_compiling():
        try:
            value = temperature.item()
        except RuntimeError:
            pass  # under vmap it has many values
        else:
            _check_temperature(value)
    return temperature.reshape(()).to(z.device)


def _check_temperature(value: float) -> None:
    if not value > 0:
        raise ValueError(f"temperature must be > 0, got {value}")
    if value == math.inf:
        raise ValueError(f"temperature must be finite, got {value}")


def _computed_in(z: Tensor) -> torch.dtype:
    return torch.float64 if z.dtype == torch.float64 else torch.float32


def _fake(z1: Tensor, z2: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    rows = 2 * z1.shape[0]
    return (
        z1.new_empty(rows, dtype=_computed_in(z1)),
        z1.new_empty(rows, dtype=torch.float64),
    )


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    loss, log_sum_exp = output
    ctx.mark_non_differentiable(log_sum_exp)
    ctx.save_for_backward(*inputs, loss, log_sum_exp)


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
    return torch.ops.lelkern.nt_xent_backward(grad, *ctx.saved_tensors)


def _backward_reference(
    grad: Tensor,
    z1: Tensor,
    z2: Tensor,
    temperature: Tensor,
    loss: Tensor,
    log_sum_exp: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return reference.nt_xent_backward(grad, z1, z2, temperature)


def _backward_fake(
    grad: Tensor,
    z1: Tensor,
    z2: Tensor,
    temperature: Tensor,
    loss: Tensor,
    log_sum_exp: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return z1.new_empty(z1.shape), z2.new_empty(z2.shape), temperature.new_empty(())


def _backward_setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:4])


def _double_backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the reference: what forward saved is a function of its inputs there."""
    vjp = torch.func.vjp(reference.nt_xent_backward, *ctx.saved_tensors)[1]
    return (*vjp(grads), None, None)


define(
    "nt_xent",
    "(Tensor z1, Tensor z2, Tensor temperature) -> (Tensor loss, Tensor log_sum_exp)",
    reference=reference.nt_xent,
    fake=_fake,
    setup_context=_setup_context,
    backward=_backward,
)
define(
    "nt_xent_backward",
    "(Tensor grad, Tensor z1, Tensor z2, Tensor temperature, Tensor loss, Tensor log_sum_exp)"
    " -> (Tensor grad_z1, Tensor grad_z2, Tensor grad_temperature)",
    reference=_backward_reference,
    fake=_backward_fake,
    setup_context=_backward_setup_context,
    backward=_double_backward,
)
cast_to_float32_under_autocast("nt_xent")
