"""What a method reports: how a metric or a curve is named and written, and which way is better."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """How a person reads one metric.

    Attributes:
        label: its name in tables and on axes.
        better: which way is better; ``neither`` where that depends on the question.
        unit: written after the number; a fraction, whose unit is ``%``, is shown in percent.
        digits: decimals of the number as shown.
        signed: whether it is a difference, such as that of two shares, which lies in [-1, 1].
    """

    label: str
    better: Literal["higher", "lower", "neither"] = "neither"
    unit: str = ""
    digits: int = 3
    signed: bool = False

    @property
    def is_fraction(self) -> bool:
        """Whether values lie in [0, 1], or [-1, 1] if signed, and are shown in percent."""
        return self.unit == "%"

    @property
    def axis_label(self) -> str:
        """The label with its unit: ``linear probe (%)``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def shown(self, value: float) -> float:
        """Return the value in the unit that is shown."""
        return 100 * value if self.is_fraction else value

    def number(self, value: float) -> str:
        """Write a value without its unit: ``93.1``."""
        return f"{self.shown(value):,.{self.digits}f}"

    def format(self, value: float) -> str:
        """Write a value with its unit: ``93.1 %``."""
        return f"{self.number(value)} {self.unit}".rstrip()

    def interval(self, mean: float, half_width: float | None) -> str:
        """Write a mean and what it may be off by, if anything: ``93.1 ± 1.2``."""
        return (
            f"{self.number(mean)} ± {self.number(half_width)}" if half_width else self.number(mean)
        )

    def difference(self, value: float) -> str:
        """Write a signed difference; of two percentages it is in points: ``+8.3 points``."""
        unit = "points" if self.is_fraction else self.unit
        return f"{self.shown(value):+,.{self.digits}f} {unit}".rstrip()


def percentage(label: str) -> Metric:
    """Return the metric of a share in [0, 1], such as an accuracy, of which more is better."""
    return Metric(label, better="higher", unit="%", digits=1)


@dataclass(frozen=True)
class Curve:
    """How a person reads a series of points (x, y): accuracy against labels bought, for example.

    Attributes:
        x: what runs along the horizontal axis.
        y: what is measured there.
    """

    x: Metric
    y: Metric
