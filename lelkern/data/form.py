"""The form of data: what a network that takes them must fit."""

from lelkern.config import Config


class DataForm(Config):
    """What decides the form of a network that takes some data, besides its configuration.

    Attributes:
        kind: of the data, such as ``images``.
        sample: shape of one sample: (3, H, W) of images, (D,) of tables; empty where tasks have
            samples of different shapes.
        scale: what the numbers of a sample are when a network sees them.
        tasks: names of what is predicted.
        classes: names of the classes of each task, in the order of the labels; empty where targets
            are predicted.
        features: names of the D columns of a table.
    """

    kind: str
    sample: tuple[int, ...]
    scale: str
    tasks: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...] = ()
    features: tuple[str, ...] = ()


UNIT = "from 0 to 1"
"""The scale of images: that of their bytes divided by 255."""

UNCHANGED = "as in the data"
"""The scale of everything else: where a method standardises features, its model has undone it."""
