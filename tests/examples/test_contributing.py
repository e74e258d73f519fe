"""CONTRIBUTING shows the examples as they are run here."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
CONTRIBUTING = FOLDER.parents[1] / "CONTRIBUTING.md"


@pytest.mark.parametrize("topic", ["method", "augmentation", "metric"])
def test_contributing_shows_the_example(topic):
    text = CONTRIBUTING.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    (section,) = [s for s in sections if re.match(rf"How to add an? {topic}\n", s)]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert blocks[0] == (FOLDER / f"{topic}.py").read_text(encoding="utf-8")
