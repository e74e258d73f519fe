"""Two moons: interleaved half circles, which no straight line separates."""

from sklearn.datasets import make_moons

from lelkern.data import TableData, register


@register("two-moons", TableData, summary="400 points on two half circles", version=1)
def two_moons(seed: int, test_fraction: float) -> TableData:
    """Return the points with the test samples drawn."""
    x, y = make_moons(400, noise=0.15, random_state=seed)
    return TableData.from_arrays(
        "two-moons", x, y, test_fraction=test_fraction, seed=seed, classes=("upper", "lower")
    )
