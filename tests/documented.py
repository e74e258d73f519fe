"""Code that pages of the documentation show, for tests that run it as it stands there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def code_blocks(page: str, section: str) -> list[str]:
    """Return the Python code of the section with this title on a page such as ``docs/cuda.md``."""
    text = (ROOT / page).read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    (found,) = [s for s in sections if s.partition("\n")[0] == section]
    return re.findall(r"^```python\n(.*?)^```$", found, re.MULTILINE | re.DOTALL)
