"""How sizes of data are written in descriptions."""


def samples(train: int, val: int | None, test: int, noun: str) -> str:
    """Return such as ``1,000 training, 297 validation and 500 test images``."""
    parts = [f"{train:,} training", *([] if val is None else [f"{val:,} validation"])]
    return f"{', '.join(parts)} and {test:,} test {noun}"


def count(number: int, noun: str, plural: str) -> str:
    """Return such as ``1 class`` or ``10 classes``."""
    return f"{number:,} {noun if number == 1 else plural}"
