"""Projection heads g: representations h to the space in which the contrastive loss compares."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator
from torch import nn

from lelkern.config import Config


class HeadConfig(Config):
    """The projection head of SimCLR (Chen et al. 2020, Section 4.2).

    What a kind has no use for is kept at its default, so that equal heads are equal configurations.

    Attributes:
        kind: ``none``: z = h. ``linear``: z = W h. ``nonlinear``: z = W2 ReLU(W1 h).
        width: units of each hidden layer of a nonlinear head.
        depth: number of hidden layers of a nonlinear head.
        out: length of z for a linear or nonlinear head.
    """

    kind: Literal["none", "linear", "nonlinear"] = "nonlinear"
    width: int = Field(default=128, ge=1)
    depth: int = Field(default=1, ge=1)
    out: int = Field(default=64, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _equal_heads_are_equal(cls, data: Any) -> Any:
        unused = {"none": ("width", "depth", "out"), "linear": ("width", "depth")}
        if not isinstance(data, Mapping):
            return data
        ignored = unused.get(str(data.get("kind")), ())
        return {key: value for key, value in data.items() if key not in ignored}


class ProjectionHead(nn.Sequential):
    """z = g(h): (B, features) to (B, out).

    Attributes:
        out: length of z; that of h for ``kind="none"``.
    """

    def __init__(self, config: HeadConfig, features: int) -> None:
        layers: list[nn.Module] = []
        if config.kind == "nonlinear":
            for _ in range(config.depth):
                layers += [nn.Linear(features, config.width), nn.ReLU(inplace=True)]
                features = config.width
        if config.kind != "none":
            layers.append(nn.Linear(features, config.out, bias=False))
            features = config.out
        super().__init__(*layers)
        self.out = features
