"""The exponential moving average of a model's parameters: front door, schema and checks."""

from collections.abc import Iterable, Sequence
from numbers import Integral

import torch
from torch import Generator, Tensor

from lelkern.number import number_or_tensor
from lelkern.ops._casts import forget_casts
from lelkern.ops._define import define
from lelkern.ops._dtypes import DTYPES
from lelkern.ops._ema import check_decay, check_lists, local_shards
from lelkern.ops._memory import check_memory
from lelkern.ops._number import tensor_of
from lelkern.reference import ema as reference


def ema_update_(
    ema: Iterable[Tensor],
    params: Iterable[Tensor],
    decay: float | Tensor,
    *,
    stochastic_rounding: bool = False,
    generator: Generator | None = None,
    seed: int | Tensor | None = None,
) -> None:
    r"""Move averages towards parameters, all of them at once and in place.

    .. math:: \text{ema}_t \leftarrow d\,\text{ema}_t + (1 - d)\,\text{params}_t

    for every t: the momentum encoder of MoCo (He et al., "Momentum Contrast for Unsupervised Visual
    Representation Learning", CVPR 2020, equation 2), the target network of BYOL, the teacher of
    Mean Teacher, and the averaged weights of Polyak.

    Computed in float32, or float64 for a float64 average, as heavy + w (light - heavy), where heavy
    is whichever of the two weighs more and w = min(d, 1 - d), in float64 before it is rounded. So
    an average that equals its parameter stays what it is, for every d; d = 1 leaves the average
    alone and d = 0 copies the parameter, each whatever the other holds. An infinite parameter makes
    its element of the average infinite, and then nan, as ``torch.lerp`` does. Results have the same
    bits on every device and for any number of threads.

    **Averages of 16 bits.** An average moves by (1 - d) of its distance to the parameter, and not
    at all where that is less than half the distance to its nearest neighbour: with d = 0.999 a
    bfloat16 average stalls wherever the parameter is within about twice the average's size. Keep
    the average in float32, which costs 10 bytes of traffic for a bfloat16 parameter; or use
    ``stochastic_rounding``: each result becomes one of its two neighbours, the likelier the nearer,
    and is right on average (to 2**-16 of the distance between them). The noise is a function of a
    seed, which is given, or drawn from ``generator`` in each call, the number of the tensor in the
    list, and the place of the element in memory, counted from the average's first (Philox4x32-10,
    Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011;
    ``lelkern/reference/ema.py`` has the layout).

    Gradients are not recorded: averages may be parameters, as for an optimiser. Of a DTensor
    (FSDP2, tensor parallelism) each process updates the part that it holds, and nothing is sent;
    its parameter must be placed likewise. For ``stochastic_rounding`` processes that hold copies of
    one part must have the same seeds: give the number of the update.

    Args:
        ema: averages, of any number, shapes, strides and floating-point dtypes (float64, float32,
            bfloat16, float16), on one device.
        params: for each average what it is moved towards: of its shape and on its device, in any
            of these dtypes.
        decay: d in [0, 1]; or a tensor with one element, which may change in a CUDA graph. Both
            may change between calls of a compiled function. A tensor on a GPU is not looked at, nor
            is one inside ``torch.compile``: there what is not in [0, 1] makes every average nan.
            For d near 1 give a float or float64: 0.9999 in float32 is 0.99989998.
        stochastic_rounding: round averages in bfloat16 and float16 stochastically; those in float32
            and float64 are rounded to nearest all the same.
        generator: of the noise's seed, on the device of the tensors; by default PyTorch's own.
        seed: the noise's seed itself, another one for every call; an int, or an int64 tensor with
            one element, which may change in a CUDA graph. Not with a generator.

    Raises:
        TypeError: a list holds something else than dense floating-point tensors, or decay is no
            number.
        ValueError: seed and generator are both given, or seed is no whole number; lengths, shapes,
            devices or placements do not match; decay is not in [0, 1]; an average has two elements
            in one place, or one in common with another average or a parameter. Nothing has been
            changed then. Tensors may share storage otherwise.
    """
    # Tuples: what another thread does to a list must not show in the middle of an update.
    averages, parameters = tuple(ema), tuple(params)
    if not averages and not parameters:
        return
    if not (averages and isinstance(averages[0], Tensor)):
        check_lists(averages, parameters)
    device = averages[0].device
    number, tensor = _split_decay(decay, device)
    noise_seed = _noise_seed(stochastic_rounding, generator, seed, device)
    if torch.compiler.is_compiling():
        shards, parameter_shards = local_shards(averages, parameters)
        _update(shards, parameter_shards, number, tensor, noise_seed)
        forget_casts(shards)
        return
    forget_casts(averages)
    try:
        _update(averages, parameters, number, tensor, noise_seed)
    except RuntimeError:
        # What is wrong is looked for only now: looking at every tensor costs as much as the update.
        shards, parameter_shards = local_shards(averages, parameters)
        check_lists(shards, parameter_shards)
        check_memory({"ema": shards}, {"params": parameter_shards})
        if shards is averages:
            raise
        _update(shards, parameter_shards, number, tensor, noise_seed)
    torch.autograd.graph.increment_version(averages)


def _update(
    ema: Sequence[Tensor],
    params: Sequence[Tensor],
    decay: float,
    decay_tensor: Tensor | None,
    seed: Tensor | None,
) -> None:
    with torch.no_grad():
        torch.ops.lelkern.ema_update_(ema, params, decay, decay_tensor, seed)


def _noise_seed(
    stochastic_rounding: bool,
    generator: Generator | None,
    seed: int | Tensor | None,
    device: torch.device,
) -> Tensor | None:
    """Return the seed as the op takes it, an int64 without dimensions; None to round to nearest."""
    if seed is not None and generator is not None:
        raise ValueError("seed must be None with a generator, which draws it")
    if not stochastic_rounding:
        return None
    if seed is None:
        return torch.randint(2**63 - 1, (), device=device, generator=generator)
    if not isinstance(seed, Tensor):
        if not isinstance(seed, Integral | torch.SymInt):
            raise ValueError(f"seed must be one whole number, got {seed!r}")
        return tensor_of(seed, dtype=torch.int64, device=device)
    if seed.numel() != 1 or seed.is_floating_point() or seed.is_complex():
        raise ValueError(
            f"seed must be one whole number, got {seed.dtype} of shape {tuple(seed.shape)}"
        )
    return seed.detach().reshape(()).to(device, torch.int64)


def _split_decay(decay: float | Tensor, device: torch.device) -> tuple[float, Tensor | None]:
    """Return decay as the op takes it, a number or a tensor instead, checked where it can be."""
    decay = number_or_tensor("decay", decay)
    if isinstance(decay, Tensor):
        if decay.numel() != 1:
            raise ValueError(f"decay must have one element, got {tuple(decay.shape)}")
        if decay.dtype not in DTYPES:
            raise TypeError(f"decay must be floating point, got {decay.dtype}")
        if decay.device.type != "cpu" or torch.compiler.is_compiling():
            return 0.0, decay.detach().reshape(()).to(device)
        decay = decay.item()
    check_decay(decay)
    if torch.compiler.is_compiling():
        return 0.0, tensor_of(decay, dtype=torch.float64, device=device)
    return float(decay), None


def _reference(
    ema: Sequence[Tensor],
    params: Sequence[Tensor],
    decay: float,
    decay_tensor: Tensor | None,
    seed: Tensor | None,
) -> None:
    check_lists(ema, params)
    check_memory({"ema": ema}, {"params": params})
    if decay_tensor is None:
        decay_tensor = torch.tensor(decay, dtype=torch.float64, device="cpu")
    reference.ema_update_(ema, params, decay_tensor, seed)


def _fake(
    ema: Sequence[Tensor],
    params: Sequence[Tensor],
    decay: float,
    decay_tensor: Tensor | None,
    seed: Tensor | None,
) -> None:
    check_lists(ema, params)


define(
    "ema_update_",
    "(Tensor(a!)[] ema, Tensor[] params, float decay, Tensor? decay_tensor, Tensor? seed) -> ()",
    reference=_reference,
    fake=_fake,
)
