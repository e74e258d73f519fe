"""A trial: one frozen configuration and one seed, and what running it means."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

import lelkern
from lelkern.ablation._methods import METHODS
from lelkern.config import Config, ConfigError, nearest
from lelkern.data import ImageData, fingerprint, load
from lelkern.ops import library_path
from lelkern.runtime import Progress, RuntimeConfig


class DataConfig(Config):
    """Which images a trial learns from and is tested on.

    Attributes:
        name: a data set's name or a folder (see :mod:`lelkern.data`).
        image_size: pixels a side to bring every image to; by default its own.
        seed: of the generator of ``color-digits``, or of a folder's split.
        test_fraction: share of a folder without ``train`` and ``val`` that is set aside to test.
    """

    name: str = "color-digits"
    image_size: int | None = Field(default=None, ge=8)
    seed: int = Field(default=0, ge=0)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)


@dataclass(frozen=True)
class DataSource:
    """A data configuration and where this machine keeps it.

    Attributes:
        config: what decides the images.
        root: folder of a named data set's files.
        download: whether a missing data set may be fetched.
    """

    config: DataConfig
    root: Path | None = None
    download: bool = False

    def load(self) -> ImageData:
        """Read or generate the images; see :func:`lelkern.data.load`."""
        return load(self.config.name, **self._arguments())

    @cached_property
    def fingerprint(self) -> str:
        """A hash that changes when the images do; see :func:`lelkern.data.fingerprint`."""
        return fingerprint(self.config.name, **self._arguments())

    def _arguments(self) -> dict[str, Any]:
        options = self.config.model_dump(exclude={"name"})
        return {"root": self.root, "download": self.download, **options}


@dataclass(frozen=True)
class Trial:
    """One training run of a study.

    Attributes:
        arm: label of the arm or the baseline that it belongs to.
        method: name of the recipe.
        config: the recipe's configuration.
        runtime: device, precision and threads, with nothing left to decide.
        data: fingerprint of the images.
        seed: decides everything random.
    """

    arm: str
    method: str
    config: Config
    runtime: RuntimeConfig
    data: str
    seed: int

    @cached_property
    def identity(self) -> str:
        """A hash of all that decides the result, code and PyTorch included, but of no label."""
        content = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Return what the identity is made of, as plain data."""
        return {
            "code": code_fingerprint(),
            "torch": torch.__version__,
            "method": self.method,
            "config": self.config.model_dump(mode="json"),
            "runtime": self.runtime.model_dump(mode="json"),
            "data": self.data,
            "seed": self.seed,
        }

    def run(self, data: ImageData, progress: Progress) -> dict[str, float]:
        """Train and evaluate; return the metrics."""
        torch.set_num_threads(self.runtime.threads)
        run = METHODS[self.method].run
        return run(self.config, data, self.seed, self.runtime, progress)


@cache
def code_fingerprint() -> str:
    """Return a hash of the code that computes results: lelkern's own, and its kernels in use.

    Commands, studies and plots are left out: they decide what is run and shown, not what it gives.
    """
    package = Path(lelkern.__file__).parent
    files = [
        path
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).parts[0] not in ("ablation", "cli", "__main__.py")
    ]
    library = library_path()
    digest = hashlib.sha256()
    for path in (*files, *([library] if library else [])):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def parse_recipe(
    method: str, settings: Mapping[str, Any], source: str
) -> tuple[Config, DataConfig, RuntimeConfig]:
    """Split settings into the recipe's own, those under ``data`` and those under ``runtime``.

    Raises:
        ConfigError: an unknown method or key, a wrong type or a value out of range.
    """
    if method not in METHODS:
        raise ConfigError(f"{source}: unknown method {method!r}; {nearest(method, METHODS)}")
    own = dict(settings)
    data = own.pop("data", {})
    runtime = own.pop("runtime", {})
    return (
        METHODS[method].config.parse(own, source),
        DataConfig.parse(data, f"{source}: data"),
        RuntimeConfig.parse(runtime, f"{source}: runtime"),
    )
