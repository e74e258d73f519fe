"""Projection heads g: representations h to the space in which the contrastive loss compares."""

from typing import Literal, Self

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

    @model_validator(mode="after")
    def _equal_heads_are_equal(self) -> Self:
        unused = {"none": ("width", "depth", "out"), "linear": ("width", "depth"), "nonlinear": ()}
        defaults = {name: type(self).model_fields[name].default for name in unused[self.kind]}
        # Of a frozen model only its own dictionary can be changed.
        self.__dict__.update(defaults)
        return self


class ProjectionHead(nn.Sequential):
    """z = g(h): (B, features) to (B, out), or to (B, features) for ``kind="none"``."""

    def __init__(self, config: HeadConfig, features: int) -> None:
        layers: list[nn.Module] = []
        if config.kind == "nonlinear":
            for _ in range(config.depth):
                layers += [nn.Linear(features, config.width), nn.ReLU(inplace=True)]
                features = config.width
        if config.kind != "none":
            layers.append(nn.Linear(features, config.out, bias=False))
        super().__init__(*layers)
