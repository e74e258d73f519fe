"""A recipe with one setting that the fake method lacks, and one metric of those it has."""

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Method, Outcome, percentage


class ConstantConfig(Config):
    """What it can be told.

    Attributes:
        value: its accuracy.
    """

    value: float = 0.25


def run(config, data, seed, runtime, progress):
    return Outcome({"accuracy": config.value})


METHOD = Method(
    config=ConstantConfig, data=TableData, metrics={"accuracy": percentage("accuracy")}, run=run
)
