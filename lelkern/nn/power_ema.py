"""Averages of a model whose length can be chosen after the training."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from lelkern.nn._module_tensors import Buffers
from lelkern.nn._power_profiles import Profile, combine, sigma_rel_to_gamma
from lelkern.nn.model_ema import ModelEMA
from lelkern.nn.momentum import power_momentum


class Synthesis(NamedTuple):
    """An average that was made of snapshots.

    Attributes:
        state_dict: of the averaged model.
        error: distance of its profile from the one that was asked for, over the norm of that one.
            A value differs by at most error * sqrt(sum_s (theta(s) - c)^2 / n) from the average
            that an update at every step would have made, where n = (2 gamma + 1) t / (gamma + 1)^2
            is the number of updates that it is effectively of, and c any constant.
    """

    state_dict: dict[str, Any]
    error: float


class PowerEMA(nn.Module):
    r"""Power-function averages of a model, from which those of other lengths are made later.

    .. math:: \hat\theta_\gamma(t) = \beta_\gamma(t)\,\hat\theta_\gamma(t - 1)
        + (1 - \beta_\gamma(t))\,\theta(t), \quad \beta_\gamma(t) = (1 - 1/t)^{\gamma + 1}

    after update number t = 1, 2, ...: the weighted mean of all models so far, with weights that
    grow as :math:`t^\gamma`, so that the first ones are forgotten however long the training is.
    ``sigma_rel`` is its width as a share of the training. Of several such averages, as they were at
    several times, the average of any other width is very nearly a linear combination, so that the
    best one is found without training again::

        ema = PowerEMA(model, sigma_rel=(0.05, 0.10))
        for step, batch in enumerate(batches, start=1):
            ...
            ema.update(model)
            if step % 1000 == 0:
                torch.save(ema.snapshot(), f"{step}.pt")

        snapshots = [torch.load(path, mmap=True) for path in paths]
        model.load_state_dict(ema.synthesise(snapshots, sigma_rel=0.15).state_dict)

    Source: Karras, Aittala, Lehtinen, Hellsten, Aila & Laine, "Analyzing and Improving the Training
    Dynamics of Diffusion Models", CVPR 2024, Section 3 and Appendix C.

    Each average is a :class:`ModelEMA`, whose methods work as ever, and takes one pass over the
    parameters.

    Args:
        model: what is averaged.
        sigma_rel: the width of each average, in (0, 0.2886...]; see
            :func:`lelkern.nn.sigma_rel_to_gamma`. Two are enough, such as the default.
        dtype: of the averages, as for :class:`ModelEMA`.
        device: where they are kept, if not with the model.
        buffers: ``"copy"`` the model's at every update, ``"average"`` or ``"skip"`` them.
        exclude: names of what is copied instead of averaged, as for :class:`ModelEMA`.

    Attributes:
        sigma_rel: the widths.
        averages: the :class:`ModelEMA` of each width, in the same order.

    Raises:
        TypeError: as :class:`ModelEMA`; or sigma_rel holds something that is no number.
        ValueError: a width is out of its range, or there is none; or as :class:`ModelEMA`.
    """

    def __init__(
        self,
        model: nn.Module,
        sigma_rel: float | Sequence[float] = (0.05, 0.10),
        *,
        dtype: torch.dtype | Literal["auto"] | None = "auto",
        device: torch.device | str | None = None,
        buffers: Buffers = "copy",
        exclude: Iterable[str] = (),
    ) -> None:
        super().__init__()
        widths = sigma_rel if isinstance(sigma_rel, Sequence) else (sigma_rel,)
        if isinstance(sigma_rel, str) or not widths:
            raise ValueError(f"sigma_rel must be one or more numbers, got {sigma_rel!r}")
        gammas = [sigma_rel_to_gamma(width) for width in widths]
        self.sigma_rel = tuple(map(float, widths))
        names = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        self.averages = nn.ModuleList(
            ModelEMA(
                model,
                partial(power_momentum, gamma=gamma),
                dtype=dtype,
                device=device,
                buffers=buffers,
                exclude=names,
            )
            for gamma in gammas
        )

    @property
    def steps(self) -> int:
        """The number of updates that were done."""
        return self._each[0].steps

    @property
    def _each(self) -> list[ModelEMA]:
        return cast("list[ModelEMA]", list(self.averages))

    def update(self, model: nn.Module, step: int | None = None) -> None:
        """Move all averages towards the parameters of a model.

        Args:
            model: the one that is averaged, or one like it.
            step: number of this update, from 0, as for :meth:`ModelEMA.update`.

        Raises:
            ValueError: as :meth:`ModelEMA.update`; nothing has been changed then.
        """
        for average in self._each:
            average.update(model, step)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the ``state_dict`` on the CPU, for :meth:`synthesise`.

        It holds nothing but tensors, if the model's does: ``torch.save`` and safetensors store it,
        and ``load_state_dict`` goes on from it.
        """
        return {name: _copied(x) for name, x in self.state_dict().items()}

    def synthesise(
        self,
        snapshots: Sequence[Mapping[str, Any]],
        sigma_rel: float,
        *,
        step: int | None = None,
    ) -> Synthesis:
        r"""Return the average of another width, made of snapshots of one training.

        It is :math:`\sum_i x_i \hat\theta_i`, where :math:`x` minimises the integral of
        :math:`(p - \sum_i x_i p_i)^2`, with the profiles p that the averages have and the one that
        they should have, and with :math:`\sum_i x_i = 1`, so that what never changed stays what it
        is. It is summed in float64. What is not averaged is that of the last snapshot up to
        ``step``. A width that the snapshots have at that step comes out as it
        is in them, and the best are those between their widths, at a step with a snapshot.

        Args:
            snapshots: what :meth:`snapshot` returned, or any ``state_dict`` of such averages. They
                are read one tensor at a time: load files with ``mmap=True``.
            sigma_rel: the width, in (0, 0.2886...].
            step: after how many updates, from those of the first snapshot to those of the last,
                which is the default.

        Returns:
            The ``state_dict`` of a model like the one that is averaged, in the dtypes and on the
            device of its averages, and how far its profile is from the one that was asked for.

        Raises:
            ValueError: there are no snapshots; one is no ``state_dict`` of such averages of such a
                model, was taken before the first update, or lies in the memory of another; or
                sigma_rel or step is out of its range.
        """
        gamma = sigma_rel_to_gamma(sigma_rel)
        taken = [_profiles(snapshot, i) for i, snapshot in enumerate(snapshots)]
        if not taken:
            raise ValueError("snapshots must be one or more, got none")
        steps = [profiles[0].step for profiles in taken]
        step = max(steps) if step is None else step
        if not min(steps) <= step <= max(steps):
            raise ValueError(
                f"step must be from {min(steps)} to {max(steps)}, where there are snapshots, "
                f"got {step}"
            )
        profiles = [profile for several in taken for profile in several]
        sources = [
            (snapshot, f"averages.{k}.module.")
            for snapshot, several in zip(snapshots, taken, strict=True)
            for k in range(len(several))
        ]
        found = combine(profiles, Profile(step, gamma))
        others = snapshots[steps.index(max(s for s in steps if s <= step))]
        module, averaged = self._each[0].module, self._each[0].averaged_names()
        result: dict[str, Any] = {}
        for name, like in module.state_dict().items():
            if name not in averaged:
                result[name] = _entry(others, f"averages.0.module.{name}", like)
                continue
            parts = [_entry(snapshot, prefix + name, like) for snapshot, prefix in sources]
            _check_apart(parts, name)
            total = torch.zeros(like.shape, dtype=torch.float64, device="cpu")
            for part, coefficient in zip(parts, found.coefficients, strict=True):
                total.add_(part.detach().to("cpu", torch.float64), alpha=coefficient)
            result[name] = total.to(like.device, like.dtype)
        return Synthesis(result, found.error)

    def get_extra_state(self) -> Tensor:
        """Return the widths, which the ``state_dict`` has beyond the averages."""
        return torch.tensor(self.sigma_rel, dtype=torch.float64, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Raise ValueError unless a ``state_dict`` is of averages of these widths."""
        if tuple(state.tolist()) != self.sigma_rel:
            raise ValueError(
                f"sigma_rel must be that of the state, {state.tolist()}, got {list(self.sigma_rel)}"
            )

    def extra_repr(self) -> str:
        """Describe the widths."""
        return f"sigma_rel={self.sigma_rel}"


def _copied(x: Any) -> Any:
    if not isinstance(x, Tensor):  # what a module of the model has for its extra state
        return copy.deepcopy(x)
    return x.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _profiles(snapshot: Mapping[str, Any], i: int) -> list[Profile]:
    """Return the profile of each average in snapshot number i."""
    try:
        widths = snapshot["_extra_state"].tolist()
        steps = [int(snapshot[f"averages.{k}._extra_state"]) for k in range(len(widths))]
    except (AttributeError, KeyError, TypeError):
        raise ValueError(
            f"snapshots[{i}] must be what snapshot() returned, or a state_dict of PowerEMA"
        ) from None
    if min(steps) < 1:
        raise ValueError(f"snapshots[{i}] must be from after the first update")
    return [Profile(n, sigma_rel_to_gamma(width)) for n, width in zip(steps, widths, strict=True)]


def _entry(snapshot: Mapping[str, Any], name: str, like: Any) -> Any:
    """Return the entry of a snapshot, checked to be like that of the average."""
    if name not in snapshot:
        raise ValueError(f"snapshots must be of such a model, got none with {name}")
    value = snapshot[name]
    if isinstance(like, Tensor) and value.shape != like.shape:
        raise ValueError(
            f"{name} of a snapshot must be {tuple(like.shape)}, got {tuple(value.shape)}"
        )
    return value


def _check_apart(parts: Sequence[Tensor], name: str) -> None:
    places = [x.data_ptr() for x in parts if x.numel()]
    if len(set(places)) < len(places):
        raise ValueError(
            f"snapshots must have memory of their own, got {name} in one place twice: take "
            "snapshot(), a state_dict goes on changing"
        )
