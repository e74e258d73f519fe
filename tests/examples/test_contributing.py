"""CONTRIBUTING shows the examples as they are run here."""

from pathlib import Path

import pytest
from documented import code_blocks

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("topic", ["a method", "an augmentation", "a metric"])
def test_contributing_shows_the_example(topic):
    first, *_ = code_blocks("CONTRIBUTING.md", f"How to add {topic}")
    name = topic.split()[-1]
    assert first == (FOLDER / f"{name}.py").read_text(encoding="utf-8")
