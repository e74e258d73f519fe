"""What the ranges of augmentations have in common."""


def check_order(name: str, low: float, high: float) -> None:
    """Raise ValueError if a range ends before it begins."""
    if low > high:
        raise ValueError(f"min_{name} must be at most max_{name}, {high}, got {low}")
