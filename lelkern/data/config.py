"""What a study can say about its data."""

from typing import Any, Self

from pydantic import Field, model_validator

from lelkern.config import Config

BUDGET = frozenset({"labels_per_class", "labels"})
"""The keys that say which labels a method sees, and nothing about the data itself."""

VARIED = BUDGET | {"samples_per_task", "noise", "overlap"}
"""The keys in which the arms of a study may differ."""


class DataConfig(Config):
    """Which data a trial learns from and is tested on, and how many of its labels it may see.

    Attributes:
        name: a data set's name, a folder of images or a file (see :mod:`lelkern.data`).
        image_size: pixels a side to bring every image to; by default its own.
        seed: of what is drawn: a generated data set, a split, the validation samples.
        test_fraction: share of the samples that is set aside to test where no split is given.
        val_fraction: share of the training samples, class by class, that is set aside to select
            models with; 0 for none. Their labels are seen, and no part of a label budget.
        labels_per_class: number of training labels of each class that a method may see; by default
            all.
        labels: number of training labels that a method may see, or, as a float, their share in
            (0, 1]; the same number of each class as far as that goes; by default all.
        target: the column of a ``.csv`` file, or the array of an ``.npz`` or ``.mat`` file, that is
            to be predicted; by default the last column, or the array ``y``.
        task: the column of a ``.csv`` file that names the task of each row, by text or whole
            numbers: the rows of a name are a regression task. By default the file is one table.
        samples_per_task: number of samples of each task that may be learned from, the validation
            samples among them; the same number of every task that has as many, and by default all.
            They are drawn with ``seed``, and a smaller number is a part of a larger one.
        noise: standard deviation of the noise in generated targets; by default that of the data
            set.
        overlap: share of the features that a generated task uses which all tasks use; by default
            that of the data set.
        redraw: whether every seed of a study has data of its own: ``seed`` plus the trial's seed
            then decides what is drawn.
    """

    name: str = "color-digits"
    image_size: int | None = Field(default=None, ge=8)
    seed: int = Field(default=0, ge=0)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    val_fraction: float = Field(default=0.0, ge=0, lt=1)
    labels_per_class: int | None = Field(default=None, ge=1)
    labels: int | float | None = None
    target: str | None = None
    task: str | None = None
    samples_per_task: int | None = Field(default=None, ge=1)
    noise: float | None = Field(default=None, ge=0)
    overlap: float | None = Field(default=None, ge=0, le=1)
    redraw: bool = False

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if self.labels is not None and self.labels_per_class is not None:
            raise ValueError(
                f"labels ({self.labels}) and labels_per_class ({self.labels_per_class}) "
                "exclude each other"
            )
        if isinstance(self.labels, float) and not 0 < self.labels <= 1:
            raise ValueError(f"labels as a share must be in (0, 1], got {self.labels}")
        if isinstance(self.labels, int) and self.labels < 1:
            raise ValueError(f"labels must be at least 1, got {self.labels}")
        return self

    def budget(self) -> dict[str, Any]:
        """Return the label budget; empty where all labels may be seen."""
        return self.model_dump(include=set(BUDGET), exclude_none=True)

    def reading_options(self) -> dict[str, Any]:
        """Return the options that may decide the data itself, which leaves out the label budget."""
        return self.model_dump(exclude={"name", "redraw", *BUDGET})

    def of_trial(self, seed: int) -> Self:
        """Return the configuration of the data of one trial of a study.

        Args:
            seed: of the trial.
        """
        if not self.redraw:
            return self
        return self.model_copy(update={"seed": self.seed + seed, "redraw": False})
