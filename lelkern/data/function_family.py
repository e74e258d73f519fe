"""Families of functions: regression tasks that are drawn, not stored."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NoReturn, Self

import torch
from torch import Tensor

from lelkern.data.config import DataConfig
from lelkern.data.errors import DataError
from lelkern.data.form import UNCHANGED, DataForm
from lelkern.data.saving import load_content, save_content
from lelkern.torch_settings import usual_settings

Draw = Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]
"""Takes numbers of tasks T and samples S and a generator; returns x (T, S, D) and y (T, S, C)."""


@dataclass(frozen=True)
class FunctionFamily:
    """A distribution over functions from D to C numbers, each of which is a regression task.

    Nothing is split: training tasks and test tasks are two draws, and what a task is learned from
    and judged by are samples of one draw.

    Attributes:
        name: under which the family is registered.
        formula: what its functions are, in one line.
        inputs: D.
        outputs: C.
        draw: draws tasks and samples of each.
    """

    name: str
    formula: str
    inputs: int
    outputs: int
    draw: Draw

    kind: ClassVar[str] = "functions"
    options: ClassVar[frozenset[str]] = frozenset()

    @usual_settings()
    def sample(self, tasks: int, shots: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw functions, and samples of each.

        Args:
            tasks: T, at least 1.
            shots: S, the number of samples of each function, at least 1; they are independent, so
                that any of them can be kept for testing.
            generator: decides everything; on the CPU.

        Returns:
            x (T, S, D) and y (T, S, C), float32.

        Raises:
            ValueError: ``tasks`` or ``shots`` is less than 1.
        """
        for name, value in (("tasks", tasks), ("shots", shots)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        return self.draw(tasks, shots, generator)

    def form(self) -> DataForm:
        """Return the numbers from which and to which the functions lead."""
        values = tuple(f"value {i}" for i in range(self.outputs))
        return DataForm(kind=self.kind, sample=(self.inputs,), scale=UNCHANGED, tasks=values)

    def describe(self) -> str:
        """Return the formula."""
        return self.formula

    def labels(self) -> None:
        """Return None: the values of a function are no classes."""

    def with_labels(self, labels: Tensor) -> NoReturn:
        """Raise a DataError: the values of a function are no classes."""
        raise DataError(f"{self.name}: its functions have values rather than classes")

    def prepare(self, config: DataConfig) -> Self:
        """Return the family itself: it has nothing to set aside."""
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the name of the family; see :func:`lelkern.data.saving.save_content`.

        Raises:
            DataError: the family is not registered, so that nobody could load it.
        """
        _find(self.name)
        save_content(self, path, {"name": self.name})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by :meth:`save`.

        Raises:
            DataError: no such file, it is damaged or holds something else, or no family of that
                name is registered here.
        """
        family = load_content(cls, path, lambda content: _find(content["name"]), numpy=False)
        assert isinstance(family, cls)
        return family


def _find(name: str) -> FunctionFamily:
    """Return a registered family, whose reader takes no options."""
    # Imported here: it imports the families, which are made of this class.
    from lelkern.data.loading import DATA_SETS

    found = DATA_SETS.get(name)
    if found is None or found.kind is not FunctionFamily or found.options:
        raise DataError(f"no family of functions without options is registered as '{name}'")
    family = found.read()
    assert isinstance(family, FunctionFamily)
    return family
