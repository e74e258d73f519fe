"""Python on the pages runs, top to bottom, as a reader would run it."""

import pytest
import torch
from documented import PAGES, blocks, blocks_of

# Tests of their own run these: tests/examples, test_recipes.py, test_walkthroughs.py.
SHOWN_ELSEWHERE = {"CONTRIBUTING.md", "docs/recipes.md"} | {
    page for page in PAGES if page.startswith("docs/walkthroughs/")
}
PYTHON = {page: blocks(page, "python") for page in PAGES if page not in SHOWN_ELSEWHERE}
IN_ORDER = [p for p, found in PYTHON.items() if found and not p.startswith("docs/coming-from/")]


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """What blocks write lies in a folder of its own, and what they draw is the same every time."""
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("page", IN_ORDER)  # but where columns are alternatives
def test_blocks_run_in_order(page):
    names = {"__name__": "page"}
    for block in PYTHON[page]:
        if not (block.slow or block.elsewhere or block.needs):
            block.run(names)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{page}:{block.line}")
        for page, found in PYTHON.items()
        for block in found
        if block.slow
    ],
)
def test_slow_blocks_run_by_themselves(block):
    block.run({"__name__": "page"})


TEXT = """
# A page

<!-- setup
before = 1
-->

```python
after = before + 1
```

```
lelkern studies
```

<!-- slow -->
```python
# needs a GPU
```
"""


def test_blocks_are_found_with_their_setup_and_marks():
    first, second = blocks_of("page.md", TEXT, "python")
    assert first.line == 9
    assert not first.slow
    names = {}
    first.run(names)
    assert names["after"] == 2
    assert second.slow
    assert second.needs == "a GPU"
    assert [block.code for block in blocks_of("page.md", TEXT, "")] == ["lelkern studies\n"]


def test_an_error_names_the_line_of_the_page():
    (block,) = blocks_of("page.md", "```python\n\nraise ValueError\n```\n", "python")
    with pytest.raises(ValueError) as caught:  # noqa: PT011, of the page
        block.run({})
    assert caught.traceback[-1].frame.code.raw.co_filename == "page.md"
    assert caught.traceback[-1].lineno + 1 == 3
