"""The metrics that methods report: how each is named and written, and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """How a person reads one metric.

    Attributes:
        label: its name in tables and on axes.
        better: which way is better; ``neither`` where that depends on the question.
        unit: written after the number; a fraction is shown in percent.
        digits: decimals of the number as shown.
    """

    label: str
    better: Literal["higher", "lower", "neither"] = "neither"
    unit: str = ""
    digits: int = 3

    @property
    def is_fraction(self) -> bool:
        """Whether values lie in [0, 1] and are shown in percent."""
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

    def difference(self, value: float) -> str:
        """Write a signed difference; of two percentages it is in points: ``+8.3 points``."""
        unit = "points" if self.is_fraction else self.unit
        return f"{self.shown(value):+,.{self.digits}f} {unit}".rstrip()


def _fraction(label: str) -> Metric:
    return Metric(label, better="higher", unit="%", digits=1)


METRICS: Mapping[str, Metric] = {
    "linear_probe": _fraction("linear probe"),
    "linear_probe_projection": _fraction("linear probe on projection"),
    "knn": _fraction("k-NN"),
    "knn_projection": _fraction("k-NN on projection"),
    "contrastive_accuracy": _fraction("contrastive accuracy"),
    "contrastive_entropy": Metric("contrastive entropy", unit="nats", digits=2),
    "alignment": Metric("alignment", better="lower"),
    "uniformity": Metric("uniformity", better="lower", unit="nats", digits=2),
    "tolerance": Metric("tolerance"),
    "parameters": Metric("encoder parameters", digits=0),
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}
