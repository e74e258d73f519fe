"""What a method is: settings, a kind of data, what it reports, and how it runs."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lelkern.config import Config
from lelkern.data.form import DataForm
from lelkern.data.kind import Data
from lelkern.methods.metric import Curve, Metric
from lelkern.runtime import Progress, RuntimeConfig
from lelkern.torch_settings import usual_settings

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Outcome:
    """What one run gives.

    Attributes:
        metrics: a number for every metric that the method declares; NaN where it has none.
        curves: the points (x, y) of every curve that the method declares, in their order.
        diverged_at: the step at which the training of a trial diverged, which was its last; None if
            it did not. A study says so of a trial, not a method.
        models: what was trained, by name: of a method that has ``build`` ``model``, the
            one to use, and such as ``average`` beside it; of another nothing.
        form: of the data that the models take. A study says so, not a method.
    """

    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    diverged_at: int | None = None
    models: Mapping[str, "nn.Module"] = field(default_factory=dict)
    form: DataForm | None = None


@dataclass(frozen=True)
class Blueprint:
    """What decides the form of a model that was stored, besides the configuration.

    Attributes:
        name: of the model: ``model``, or such as ``average``.
        form: of the data that it was trained on.
        runtime: the precision that it was trained with, and the device that it is loaded to.
        shapes: of its tensors, by their names in the ``state_dict``.
    """

    name: str
    form: DataForm
    runtime: RuntimeConfig
    shapes: Mapping[str, tuple[int, ...]]


def accept(config: Any, data: Any) -> None:
    """Take every configuration with any data: the check of a method that has none of its own."""


@dataclass(frozen=True)
class Method:
    """One recipe, as its file declares it in the constant ``METHOD``.

    Attributes:
        config: the type of its settings.
        data: the kind of data that it takes.
        metrics: what it reports, by name.
        run: trains and evaluates: (configuration, data, seed, runtime, progress) to the outcome.
            Everything random follows from the seed; global generators stay as they are. Called
            from here, it runs under :func:`~lelkern.torch_settings.usual_settings`.
        curves: the series of points that it reports, by name. The loss of every ``progress`` is
            recorded as the curve ``loss`` in any case.
        check: raises ValueError if a configuration does not fit the data, in a time that does not
            grow with training: (configuration, data).
        build: makes a model of the form of one that ``run`` trained, whose weights are then
            put into it: (configuration, blueprint). None if a run trains nothing to be kept.

    Raises:
        ValueError: there are no metrics, or a curve has the name ``loss``.
    """

    config: type[Config]
    data: type[Data]
    metrics: Mapping[str, Metric]
    run: Callable[[Any, Any, int, RuntimeConfig, Progress], Outcome]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    check: Callable[[Any, Any], None] = accept
    build: "Callable[[Any, Blueprint], nn.Module] | None" = None

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ValueError("metrics must hold at least one metric, got none")
        if "loss" in self.curves:
            raise ValueError("curves must not hold 'loss', which is recorded for every method")
        object.__setattr__(self, "run", usual_settings()(self.run))  # the class is frozen

    def confirm(self, outcome: Outcome) -> None:
        """Raise ValueError unless an outcome has what was declared, no less and no more.

        A metric must be a number, and may be NaN; a curve must be pairs of finite numbers; models
        have names that are words, ``model`` among them.
        """
        _same_names("metrics", outcome.metrics, self.metrics)
        _same_names("curves", outcome.curves, self.curves)
        for name, value in outcome.metrics.items():
            if not _is_number(value):
                raise ValueError(f"metric {name!r} must be a number, got {value!r}")
        for name, points in outcome.curves.items():
            for point in points:
                if len(point) != 2 or not all(_is_number(v) and math.isfinite(v) for v in point):
                    raise ValueError(
                        f"curve {name!r} must be pairs of finite numbers, got {point!r}"
                    )
        self._confirm_models(outcome.models)

    def _confirm_models(self, models: Mapping[str, "nn.Module"]) -> None:
        if self.build is None:
            if models:
                raise ValueError(
                    f"models must be none, as METHOD has no build, got {', '.join(models)}"
                )
            return
        check_model_names(models)


def check_model_names(models: Iterable[str]) -> None:
    """Raise ValueError unless names can be those of models, ``model`` among them."""
    from torch import nn

    names = list(models)
    if "model" not in names:
        raise ValueError(f"models must have one called 'model', got {names}")
    for name in names:
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ValueError(f"a model's name must be a word in lower case, got {name!r}")
        # They become attributes of a module, beside its configuration and its card.
        if hasattr(nn.Module, name) or name in ("card", "config"):
            raise ValueError(f"a model must not be called {name!r}, which means something else")


def _is_number(value: Any) -> bool:
    """Return whether JSON takes the value for a number: NumPy's float64 it does, a tensor not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same_names(what: str, given: Iterable[str], declared: Iterable[str]) -> None:
    missing, extra = sorted(set(declared) - set(given)), sorted(set(given) - set(declared))
    if missing or extra:
        raise ValueError(f"{what} must be those declared; missing: {missing}, undeclared: {extra}")
