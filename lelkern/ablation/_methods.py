"""The methods that the engine knows, with what it asks of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.methods import moco, pretraining, raw_pixels, simclr
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


METHODS = {
    "raw-pixels": Method(raw_pixels.RawPixelsConfig, raw_pixels.run),
    "simclr": Method(simclr.SimCLRConfig, simclr.run, pretraining.check, pretraining.untrained),
    "moco": Method(moco.MoCoConfig, moco.run, pretraining.check, pretraining.untrained),
}
"""Every recipe by name."""
