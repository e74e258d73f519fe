"""A model whose parameters are the moving averages of another's."""

import copy
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from lelkern.ops import ema_update_
from lelkern.ops._casts import forget_casts
from lelkern.ops._ema import check_decay
from lelkern.ops._number import number_or_tensor, tensor_of

Decay = float | Tensor
Buffers = Literal["copy", "average", "skip"]


class ModelEMA(nn.Module):
    r"""An exponential moving average of a model: a momentum encoder, a teacher, final weights.

    .. math:: \theta_\text{ema} \leftarrow d\,\theta_\text{ema} + (1 - d)\,\theta

    for all parameters at once (:func:`lelkern.ema_update_`), starting from a copy of the model::

        ema = ModelEMA(model, decay=0.999)
        for batch in batches:
            ...
            optimizer.step()
            ema.update(model)
        with ema.swap():
            evaluate(model)

    A parameter that the model uses in several places counts once. Parameters that are no floating
    point, and such buffers, are copied, never averaged.

    Args:
        model: what is averaged. Its copy keeps its mode (train or eval) and needs no gradients.
        decay: d in [0, 1]; or a tensor with one element, which may be changed in place, also on a
            GPU without a synchronisation; or a function from the number of the update to either,
            such as :func:`lelkern.nn.cosine_momentum` with its totals bound.
        dtype: of the averages and floating-point buffers of the copy, whatever the model's are;
            None keeps each one's. Averages of 16 bits stall (see :func:`lelkern.ema_update_`).
        buffers: ``"copy"`` the model's at every update, ``"average"`` them like parameters, or
            ``"skip"`` them: they stay what they were.
        warmup: with update number t, counted from 0, use at most (1 + t) / (10 + t), as
            TensorFlow's ``tf.train.ExponentialMovingAverage`` does with ``num_updates``, so that
            the first parameters, which are random, are soon forgotten.
        stochastic_rounding: round averages in bfloat16 and float16 stochastically.
        generator: of the noise, on the device of the model.

    Attributes:
        module: the average, a module like the model.
        steps: number of updates that were done; part of the ``state_dict``.

    Raises:
        TypeError: a parameter is complex, or dtype is not floating point.
        ValueError: decay is a number outside [0, 1], or buffers is unknown.
    """

    def __init__(
        self,
        model: nn.Module,
        decay: Decay | Callable[[int], Decay] = 0.9999,
        *,
        dtype: torch.dtype | None = torch.float32,
        buffers: Buffers = "copy",
        warmup: bool = False,
        stochastic_rounding: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if not callable(decay):
            decay = _checked(decay)
        if buffers not in ("copy", "average", "skip"):
            raise ValueError(f"buffers must be 'copy', 'average' or 'skip', got {buffers!r}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"dtype must be floating point, got {dtype}")
        for name, parameter in model.named_parameters():
            if parameter.is_complex():
                raise TypeError(f"{name} must not be complex, got {parameter.dtype}")
        self.decay = decay
        self.buffer_mode: Buffers = buffers
        self.warmup = warmup
        self.stochastic_rounding = stochastic_rounding
        self.generator = generator
        # A tensor, which unlike an int makes no compiled update hold for one number only; on the
        # CPU wherever the model is, where reading it waits for nothing.
        self._steps = torch.zeros((), dtype=torch.int64, device="cpu")
        self.module = copy.deepcopy(model).requires_grad_(False)
        if dtype is not None:
            _cast(self.module, dtype)
        self._model: weakref.ref[nn.Module] | None = weakref.ref(model)
        self._known: _Known | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the average."""
        return self.module(*args, **kwargs)

    @property
    def steps(self) -> int:
        """The number of updates that were done."""
        return int(self._steps)

    @steps.setter
    def steps(self, value: int) -> None:
        self._steps.fill_(value)

    def momentum(self, step: int) -> Decay:
        """Return the decay d of update number ``step``, with warm-up."""
        decay = self.decay(step) if callable(self.decay) else self.decay
        if not self.warmup:
            return decay
        most = (1 + step) / (10 + step)
        return decay.clamp(max=most) if isinstance(decay, Tensor) else min(decay, most)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int | None = None) -> None:
        """Move the averages towards the parameters of a model.

        Args:
            model: the one that is averaged, or one like it, on the device of the average.
            step: number of this update, from 0, if it is not :attr:`steps`; the next one follows.
                Give it inside ``torch.compile(fullgraph=True)`` if decay is a function or there is
                warm-up, for which the number has to be known.

        Raises:
            ValueError: the model has other parameters or buffers than the average, or other shapes,
                or is on another device; or decay is not in [0, 1]. Nothing has been changed then.
        """
        if callable(self.decay) or self.warmup:
            decay = self.momentum(self.steps if step is None else step)
        else:
            decay = self.decay
        pairs = self._pairs(model)
        averages, parameters = pairs.averaged
        try:
            ema_update_(
                averages,
                parameters,
                decay,
                stochastic_rounding=self.stochastic_rounding,
                generator=self.generator,
            )
        except (TypeError, ValueError):
            _check_alike(model, self.module)  # which knows names
            raise
        copies, originals = pairs.copied
        _copy(copies, originals)
        if step is not None:
            self._steps.copy_(tensor_of(step, dtype=torch.int64, device=self._steps.device))
        self._steps.add_(1)

    @contextmanager
    def swap(self, model: nn.Module | None = None) -> Iterator[nn.Module]:
        """Put the average into a model, in its dtypes, until the end of a ``with`` block.

        Parameters and buffers stay where they are in memory and get their values back, whatever
        happens in the block; what it does to them is lost. It may be inside an autocast region.

        Args:
            model: by default the one that this average was made of.

        Raises:
            ValueError: the model has other parameters or buffers than the average, or it is not
                given and the first one exists no more, or is unknown after unpickling.
        """
        if model is None:
            model = self._model() if self._model is not None else None
            if model is None:
                raise ValueError("model must be given: the one that was averaged is gone")
        pairs = self._pairs(model)
        _check_alike(model, self.module)
        averages = [*pairs.averaged[0], *pairs.copied[0]]
        values = [*pairs.averaged[1], *pairs.copied[1]]
        before = [value.detach().clone() for value in values]
        try:
            _copy(values, averages)
            yield model
        finally:
            _copy(values, before)

    def get_extra_state(self) -> Tensor:
        """Return the number of updates, which the ``state_dict`` has beyond the average."""
        return self._steps.clone()

    def set_extra_state(self, state: Tensor) -> None:
        """Take the number of updates from a ``state_dict``."""
        self.steps = int(state)

    def extra_repr(self) -> str:
        """Describe the settings."""
        return f"decay={self.decay}, buffers={self.buffer_mode!r}, warmup={self.warmup}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_known": None}

    def _pairs(self, model: nn.Module) -> "_Pairs":
        """Return the tensors that belong together, comparing names if the model has other ones."""
        theirs, ours = _tensors(model), _tensors(self.module)
        identities = [list(map(id, theirs)), list(map(id, ours))]
        known = self._known
        if known is None or known.identities != identities:
            averaged, copied = _places(model, self.module, self.buffer_mode)
            known = self._known = _Known(identities, averaged, copied)
        return _Pairs(
            ([ours[i] for i in known.averaged], [theirs[i] for i in known.averaged]),
            ([ours[i] for i in known.copied], [theirs[i] for i in known.copied]),
        )


class _Known(NamedTuple):
    """The places, among the tensors of two modules, of those that belong together.

    It holds no tensors, which would keep a model alive.
    """

    identities: list[list[int]]
    averaged: list[int]
    copied: list[int]


class _Pairs(NamedTuple):
    """Tensors of the average with those of the model, in the same order."""

    averaged: tuple[list[Tensor], list[Tensor]]
    copied: tuple[list[Tensor], list[Tensor]]


class _Named(NamedTuple):
    """A parameter or buffer under one of its names."""

    name: str
    tensor: Tensor
    is_buffer: bool


def _tensors(module: nn.Module) -> list[Tensor]:
    """Return all parameters and buffers, those with several names several times."""
    found: list[Tensor] = []

    def visit(module: nn.Module) -> None:
        found.extend(x for x in module._parameters.values() if x is not None)
        found.extend(x for x in module._buffers.values() if x is not None)
        for child in module._modules.values():
            if child is not None:
                visit(child)

    visit(module)
    return found


def _named_tensors(module: nn.Module, prefix: str = "") -> list[_Named]:
    """Return the same with names, in the same order."""
    found = [
        _Named(prefix + name, x, is_buffer)
        for is_buffer, group in ((False, module._parameters), (True, module._buffers))
        for name, x in group.items()
        if x is not None
    ]
    for name, child in module._modules.items():
        if child is not None:
            found += _named_tensors(child, f"{prefix}{name}.")
    return found


def _places(model: nn.Module, average: nn.Module, buffers: Buffers) -> tuple[list[int], list[int]]:
    """Return the places of the tensors that are averaged, and that are copied, each once."""
    _check_alike(model, average)
    averaged: list[int] = []
    copied: list[int] = []
    partners: dict[int, Tensor] = {}
    both = zip(_named_tensors(model), _named_tensors(average), strict=True)
    for i, (theirs, ours) in enumerate(both):
        if id(ours.tensor) in partners:
            if partners[id(ours.tensor)] is not theirs.tensor:
                raise ValueError(f"{theirs.name} of the model shares no tensor, its average does")
            continue
        partners[id(ours.tensor)] = theirs.tensor
        if theirs.is_buffer and buffers == "skip":
            continue
        is_averaged = not theirs.is_buffer or buffers == "average"
        (averaged if is_averaged and ours.tensor.is_floating_point() else copied).append(i)
    return averaged, copied


def _check_alike(model: nn.Module, average: nn.Module) -> None:
    """Raise ValueError unless a model has the names, shapes and devices of its average."""
    theirs, ours = _named_tensors(model), _named_tensors(average)
    names, known = [x.name for x in theirs], [x.name for x in ours]
    if names != known:
        new = [name for name in names if name not in known]
        missing = [name for name in known if name not in names]
        raise ValueError(
            "model must have the parameters and buffers of its average; "
            f"new: {new}, missing: {missing}"
        )
    for mine, average_of_mine in zip(theirs, ours, strict=True):
        x, y = mine.tensor, average_of_mine.tensor
        if x.shape != y.shape:
            raise ValueError(
                f"{mine.name} of the model must have the shape of its average, {tuple(y.shape)}, "
                f"got {tuple(x.shape)}"
            )
        if x.device != y.device:
            raise ValueError(
                f"{mine.name} of the model must be on the device of its average, {y.device}, got "
                f"{x.device}: move the average there with .to({str(x.device)!r})"
            )


def _copy(to: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        if to:
            torch._foreach_copy_(list(to), list(values))
    forget_casts(to)


def _cast(module: nn.Module, dtype: torch.dtype) -> None:
    """Give floating-point parameters and buffers a dtype, and leave those shared that are."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    cast: dict[int, Tensor] = {}
    for child in module.modules():
        for name, buffer in child._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                child._buffers[name] = cast.setdefault(id(buffer), buffer.to(dtype))


def _checked(decay: Decay) -> Decay:
    """Return a decay, checked if it is a number."""
    decay = number_or_tensor("decay", decay)
    if not isinstance(decay, Tensor):
        check_decay(decay)
    return decay


def get_ema_multi_avg_fn(
    decay: Decay = 0.999, *, stochastic_rounding: bool = False
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return the update function for ``torch.optim.swa_utils.AveragedModel``.

    It is :func:`lelkern.ema_update_`, and takes the place of PyTorch's function of this name::

        AveragedModel(model, multi_avg_fn=lelkern.nn.get_ema_multi_avg_fn(0.999))

    Args:
        decay: in [0, 1], or a tensor with one element.
        stochastic_rounding: round averages in bfloat16 and float16 stochastically.

    Returns:
        A function of averages, parameters, and how many updates there were, which changes the
        averages. Those that are not floating point (buffers, with ``use_buffers=True``) are copied.

    Raises:
        ValueError: decay is a number outside [0, 1].
    """
    decay = _checked(decay)

    def update(ema: Sequence[Tensor], params: Sequence[Tensor], num_averaged: Tensor | int) -> None:
        if ema and not ema[0].is_floating_point():  # a list has one dtype
            _copy(ema, params)
        else:
            ema_update_(ema, params, decay, stochastic_rounding=stochastic_rounding)

    return update
