"""A model whose parameters are the moving averages of another's."""

import copy
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.utils._pytree import tree_map

from lelkern.nn._module_tensors import Buffers, Pairing, Selection, unwrapped
from lelkern.number import number_or_tensor
from lelkern.ops import ema_update_
from lelkern.ops._casts import forget_casts
from lelkern.ops._ema import check_decay
from lelkern.ops._memory import is_dense
from lelkern.ops._number import tensor_of

Decay = float | Tensor


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
    point, and such buffers, are copied, never averaged. A model inside ``torch.compile``,
    DataParallel or DistributedDataParallel is the model itself, here and in every method.

    Calls numbered t = 0, 1, ... of :meth:`update` work as follows. Before ``update_after_step``
    each makes the average a copy of the model. From there on every ``update_every``-th call
    averages, the first of them among these; the others do nothing but count.

    Args:
        model: what is averaged. Its copy keeps its mode (train or eval) and needs no gradients.
        decay: d in [0, 1]; or a tensor with one element, which may be changed in place, also on a
            GPU without a synchronisation; or a function from the number of the update to either,
            such as :func:`lelkern.nn.cosine_momentum` with its totals bound.
        dtype: of the averages and floating-point buffers of the copy, whatever the model's are; by
            default, ``"auto"``, each one's own but at least float32; None keeps each one's.
            Averages of 16 bits stall (see :func:`lelkern.ema_update_`).
        device: where the average is kept, if not with the model; updates send it the parameters.
        buffers: ``"copy"`` the model's at every update, ``"average"`` them like parameters, or
            ``"skip"`` them: they stay what they were, whatever becomes of the model's.
        exclude: names of parameters, buffers or submodules, or patterns such as ``"*.bias"``, that
            are copied at every update instead of averaged.
        update_after_step: number of the first update that averages.
        update_every: average at every so-manieth update only.
        warmup: with averaging number t, counted from 0, use at most (1 + t) / (10 + t), as
            TensorFlow's ``tf.train.ExponentialMovingAverage`` does with ``num_updates``, so that
            the first parameters, which are random, are soon forgotten.
        stochastic_rounding: round averages in bfloat16 and float16 stochastically. The noise is a
            function of the number of the update, the same in every process.
        generator: of the noise instead, on the device of the average.

    Attributes:
        module: the average, a module like the model.
        steps: number of updates that were done; part of the ``state_dict``.

    Raises:
        TypeError: a parameter is complex, or dtype is not floating point.
        ValueError: decay is a number outside [0, 1], buffers is unknown, exclude names nothing, or
            update_after_step or update_every is too small.
    """

    def __init__(
        self,
        model: nn.Module,
        decay: Decay | Callable[[int], Decay] = 0.9999,
        *,
        dtype: torch.dtype | Literal["auto"] | None = "auto",
        device: torch.device | str | None = None,
        buffers: Buffers = "copy",
        exclude: Iterable[str] = (),
        update_after_step: int = 0,
        update_every: int = 1,
        warmup: bool = False,
        stochastic_rounding: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        model = unwrapped(model)
        if not callable(decay):
            decay = _checked(decay)
        if buffers not in ("copy", "average", "skip"):
            raise ValueError(f"buffers must be 'copy', 'average' or 'skip', got {buffers!r}")
        _check_dtype(dtype)
        if update_after_step < 0:
            raise ValueError(f"update_after_step must be at least 0, got {update_after_step}")
        if update_every < 1:
            raise ValueError(f"update_every must be at least 1, got {update_every}")
        for name, parameter in model.named_parameters():
            if parameter.is_complex():
                raise TypeError(f"{name} must not be complex, got {parameter.dtype}")
        names = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        selection = Selection(buffers, names)
        selection.check_exclude(model)
        self.decay = decay
        self.update_after_step = update_after_step
        self.update_every = update_every
        self.warmup = warmup
        self.stochastic_rounding = stochastic_rounding
        self.generator = generator
        # A tensor, which unlike an int makes no compiled update hold for one number only; on the
        # CPU wherever the model is, where reading it waits for nothing.
        self._steps = torch.zeros((), dtype=torch.int64, device="cpu")
        # The same where the average is, as the seed of its noise: a CUDA graph counts on.
        self._seed = self._steps.clone() if stochastic_rounding else None
        self.module = copy.deepcopy(model).requires_grad_(False)
        self._widened = _prepare(self.module, dtype)
        self._is_apart = device is not None
        if device is not None:
            self.module.to(device)
        self._model: weakref.ref[nn.Module] | None = weakref.ref(model)
        self._pairs = Pairing(selection)
        self._stored: list[Tensor] | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the average, with inputs in a dtype of the model widened as the average was."""
        if self._widened:
            args, kwargs = tree_map(self._widen, (args, kwargs))
        return self.module(*args, **kwargs)

    def _widen(self, x: Any) -> Any:
        return x.to(self._widened[x.dtype]) if _dtype_of(x) in self._widened else x

    @property
    def steps(self) -> int:
        """The number of updates that were done."""
        return int(self._steps)

    @steps.setter
    def steps(self, value: int) -> None:
        for count in (self._steps, self._seed):
            if count is not None:
                count.fill_(value)

    @property
    def buffer_mode(self) -> Buffers:
        """What happens to buffers."""
        return self._pairs.selection.buffers

    def averaged_names(self) -> set[str]:
        """Return the names in the ``state_dict`` of ``module`` of what is averaged, not copied."""
        pairs = Pairing(self._pairs.selection)(self.module, self.module)
        averaged = {id(x) for x in pairs.averaged[0]}
        state = self.module.state_dict(keep_vars=True)
        return {name for name, x in state.items() if id(x) in averaged}

    def momentum(self, step: int) -> Decay:
        """Return the decay d of update number ``step``, with warm-up; 0 where it copies."""
        if step < self.update_after_step:
            return 0.0
        decay = _checked(self.decay(step)) if callable(self.decay) else self.decay
        if not self.warmup:
            return decay
        number = (step - self.update_after_step) // self.update_every
        most = (1 + number) / (10 + number)
        return decay.clamp(max=most) if isinstance(decay, Tensor) else min(decay, most)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int | None = None) -> None:
        """Move the averages towards the parameters of a model.

        Args:
            model: the one that is averaged, or one like it, on the device of the average unless
                that has one of its own.
            step: number of this update, from 0, if it is not :attr:`steps`; the next one follows.
                Give it inside ``torch.compile(fullgraph=True)`` if decay is a function, or there
                are warm-up, update_after_step or update_every, for which it has to be known.

        Raises:
            TypeError: decay gives something that is no number.
            ValueError: the model has other parameters or buffers than the average, or other shapes,
                or is on another device; or decay is not in [0, 1]. Nothing has been changed then.
        """
        if callable(self.decay) or self.warmup or self.update_after_step or self.update_every > 1:
            number = self.steps if step is None else step
            since = number - self.update_after_step
            if since > 0 and since % self.update_every:
                self._count(step)
                return
            decay = self.momentum(number)
        else:
            decay = self.decay
        self._average(unwrapped(model), decay)
        self._count(step)

    def _average(self, model: nn.Module, decay: Decay) -> None:
        pairs = self._pairs(model, self.module)
        averages, parameters = pairs.averaged
        copies, originals = pairs.copied
        for x, y in zip(copies, originals, strict=True):
            if x.shape != y.shape or (x.device != y.device and not self._is_apart):
                self._explain(model)
        if self._is_apart:
            parameters = [p.to(x.device) for x, p in zip(averages, parameters, strict=True)]
        try:
            ema_update_(
                averages,
                parameters,
                decay,
                stochastic_rounding=self.stochastic_rounding,
                generator=self.generator,
                seed=self._seed_on(averages),
            )
        except (TypeError, ValueError):
            self._explain(model)
            raise
        _copy(copies, originals)

    def _explain(self, model: nn.Module) -> None:
        """Raise ValueError, with names, if the model is not like its average."""
        selection = self._pairs.selection
        selection.check_alike(model, self.module)
        if not self._is_apart:
            selection.check_devices(model, self.module)

    def _seed_on(self, averages: Sequence[Tensor]) -> Tensor | None:
        if self._seed is None or self.generator is not None or not averages:
            return None
        self._seed = self._seed.to(averages[0].device)
        return self._seed

    def _count(self, step: int | None) -> None:
        for count in (self._steps, self._seed):
            if count is not None:
                if step is not None:
                    count.copy_(tensor_of(step, dtype=torch.int64, device=count.device))
                count.add_(1)

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
        model = self._given(model)
        averages, values = self._both(model)
        before = _clones(values)
        try:
            _copy(values, averages)
            yield model
        finally:
            _copy(values, before)

    def copy_to(self, model: nn.Module | None = None) -> None:
        """Put the average into a model, in its dtypes, for good or until :meth:`restore`.

        Args:
            model: by default the one that this average was made of.

        Raises:
            ValueError: as :meth:`swap`.
        """
        averages, values = self._both(self._given(model))
        _copy(values, averages)

    def store(self, model: nn.Module | None = None) -> None:
        """Remember what a model's parameters and buffers are, in the place of what was stored.

        Args:
            model: by default the one that this average was made of.

        Raises:
            ValueError: as :meth:`swap`.
        """
        _, values = self._both(self._given(model))
        self._stored = _clones(values)

    def restore(self, model: nn.Module | None = None) -> None:
        """Give a model back what :meth:`store` remembered, and forget it.

        Args:
            model: by default the one that this average was made of.

        Raises:
            ValueError: as :meth:`swap`, or nothing is stored.
        """
        if self._stored is None:
            raise ValueError("restore must follow store: nothing is stored")
        _, values = self._both(self._given(model))
        _copy(values, self._stored)
        self._stored = None

    def _given(self, model: nn.Module | None) -> nn.Module:
        if model is None:
            model = self._model() if self._model is not None else None
            if model is None:
                raise ValueError("model must be given: the one that was averaged is gone")
        return unwrapped(model)

    def _both(self, model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        """Return the tensors of the average, and those of a model like it, in the same order."""
        pairs = self._pairs(model, self.module)
        self._pairs.selection.check_alike(model, self.module)
        return [*pairs.averaged[0], *pairs.copied[0]], [*pairs.averaged[1], *pairs.copied[1]]

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
        pairs = Pairing(self._pairs.selection)
        return {**self.__dict__, "_model": None, "_pairs": pairs}


def _check_dtype(dtype: object) -> None:
    if dtype is None or dtype == "auto":
        return
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be floating point, 'auto' or None, got {dtype}")


def _dtype_of(x: object) -> torch.dtype | None:
    return x.dtype if isinstance(x, Tensor) else None


def _clones(values: Sequence[Tensor]) -> list[Tensor]:
    return [value.detach().clone() for value in values]


def _copy(to: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        if to:
            torch._foreach_copy_(list(to), list(values))
    forget_casts(to)


def _prepare(
    module: nn.Module, dtype: torch.dtype | Literal["auto"] | None
) -> dict[torch.dtype, torch.dtype]:
    """Give the tensors of a copy their dtypes, and each element a place of its own.

    What is shared stays shared. Returns to which dtypes floating-point ones were widened.
    """
    widened: dict[torch.dtype, torch.dtype] = {}

    def prepared(x: Tensor) -> Tensor:
        y = x
        if x.is_floating_point() and dtype is not None:
            to = torch.promote_types(x.dtype, torch.float32) if dtype == "auto" else dtype
            y = x.to(to)
            if torch.promote_types(x.dtype, to) == to != x.dtype:
                widened[x.dtype] = to
        # An expanded tensor cannot be written to.
        return y if y.layout != torch.strided or is_dense(y) else y.contiguous()

    for parameter in module.parameters():
        parameter.data = prepared(parameter.data)
    buffers: dict[int, Tensor] = {}
    for child in module.modules():
        for name, buffer in child._buffers.items():
            if buffer is not None:
                child._buffers[name] = buffers.setdefault(id(buffer), prepared(buffer))
    return widened


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
        stochastic_rounding: round averages in bfloat16 and float16 stochastically. The noise is a
            function of how many updates there were, the same in every process.

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
            seed = num_averaged if stochastic_rounding else None
            ema_update_(ema, params, decay, stochastic_rounding=stochastic_rounding, seed=seed)

    return update
