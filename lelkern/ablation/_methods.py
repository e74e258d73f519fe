"""The methods that the engine knows, with what it asks of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.methods import available
from lelkern.runtime import Progress, RuntimeConfig


@dataclass(frozen=True)
class Method:
    """One recipe.

    Attributes:
        config: the type of its configuration.
        run: trains and evaluates: (configuration, data, seed, runtime, progress) to metrics.
        check: raises ValueError if the configuration does not fit the images.
        untrained: returns the same configuration without any training.
    """

    config: type[Config]
    run: Callable[[Any, ImageData, int, RuntimeConfig, Progress], dict[str, float]]
    check: Callable[[Any, ImageData], None] = lambda config, data: None
    untrained: Callable[[Any], Config] = lambda config: config


def _known(name: str) -> Method:
    method = available()[name].load()

    def run(*arguments: Any) -> dict[str, float]:
        metrics = method.run(*arguments).metrics
        return {name: value for name, value in metrics.items() if value == value}  # without NaN

    def untrained(config: Config) -> Config:
        update = {"steps": 0} if "steps" in method.config.model_fields else {}
        return config.model_copy(update=update)

    return Method(method.config, run, method.check, untrained)


METHODS = {name: _known(name) for name in available()}
"""Every recipe by name."""
