"""What every kind of data can do."""

import os
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

if TYPE_CHECKING:
    from torch import Tensor

    from lelkern.data.config import DataConfig
    from lelkern.data.form import DataForm


class Data(Protocol):
    """Data of some kind, whole and in memory.

    Attributes:
        kind: what the kind is called: ``images``, ``image tasks``, ``table``, ``tasks`` or
            ``functions``.
        options: keys of :class:`~lelkern.data.config.DataConfig` that mean something for any data
            of this kind; what reads the data may take more.
    """

    kind: ClassVar[str]
    options: ClassVar[frozenset[str]]

    @property
    def name(self) -> str:
        """What the data is called in results and plots."""

    def describe(self) -> str:
        """Return one line with the sizes of the data, such as ``10 classes, 1,297 training``."""

    def form(self) -> "DataForm":
        """Return the form of the data, which a network that takes them must fit."""

    def prepare(self, config: "DataConfig") -> Self:
        """Return the data as ``options`` of the configuration want it, labels aside."""

    def labels(self) -> "Tensor | None":
        """Return the class of every training sample, (N,) int64, -1 where hidden.

        None for data without classes.
        """

    def with_labels(self, labels: "Tensor") -> Self:
        """Return the same data with other training labels.

        Args:
            labels: (N,) int64, -1 where hidden.

        Raises:
            DataError: the labels don't fit, or the data has no classes.
        """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the data to one file, whole or not at all; the folder is made if it is missing."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: no such file, or it is damaged or holds something else.
        """
