"""What the pages of docs/coming-from put side by side gives the same numbers.

The two columns of a table begin with the same names and the same state of the random generators;
what both assign, or change in place, is compared.
"""

import random
import re

import numpy as np
import pytest
import torch
from documented import PAGES, ROOT, Block, blocks_of

COLUMNS = re.compile(r"<table>.*?</table>", re.DOTALL)


def comparisons():
    """Return the first block of each page with both columns of each of its tables."""
    found = []
    for page in PAGES:
        if page.startswith("docs/coming-from/"):
            text = (ROOT / page).read_text(encoding="utf-8")
            for table in COLUMNS.finditer(text):
                begin = text.count("\n", 0, table.start())
                columns = blocks_of(page, "\n" * begin + table[0], "python")
                first = blocks_of(page, text, "python")[0]
                found.append(pytest.param(first, columns, id=f"{page}:{begin + 1}"))
    return found


@pytest.mark.slow  # peers take seconds to import
@pytest.mark.parametrize(("shared", "columns"), comparisons())
def test_both_columns_give_the_same(shared, columns):
    for package in re.findall(r"^(?:from|import) (\w+)", columns[0].code, re.MULTILINE):
        pytest.importorskip(package)
    compare(shared, *columns)


def compare(shared, theirs, ours):
    """Run what columns share and each of them, and compare what both assign or change."""
    before, left, right = (numbers_after(shared, *side) for side in ([], [theirs], [ours]))
    in_common = [
        key
        for key in left.keys() & right.keys()
        if not any(same(side[key], before.get(key)) for side in (left, right))
    ]
    assert in_common, "the columns have no number in common"
    for key in in_common:
        # The tolerance is PyTorch's own for the narrower dtype, float32.
        torch.testing.assert_close(
            left[key], right[key], check_dtype=False, msg=lambda text, of=key[0]: f"{of}: {text}"
        )


def numbers_after(*code):
    """Run blocks, and return the numbers of every name that has some, by name and module class."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002, which peers draw from
    names = {"__name__": "page"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for block in code:
            block.run(names)
    return {
        (name, type(value) if isinstance(value, torch.nn.Module) else None): found
        for name, value in names.items()
        if (found := numbers(value))
    }


def numbers(value):
    """Return the floating-point numbers of a value as a flat list of tensors, in its order."""
    if isinstance(value, torch.nn.Module):
        return numbers(value.state_dict())
    if isinstance(value, dict):
        return [x for _, part in sorted(value.items()) for x in numbers(part)]
    if isinstance(value, list | tuple):
        return [x for part in value for x in numbers(part)]
    if isinstance(value, float | np.ndarray | np.floating):
        value = torch.as_tensor(value)
    is_number = isinstance(value, torch.Tensor) and value.is_floating_point()
    return [value.detach().clone()] if is_number else []


def same(one, other):
    """Whether two lists of tensors are equal to the bit."""
    return other is not None and all(map(torch.equal, one, other))


PAGE = """
<table><tr><td>

```python
{theirs}
```

</td><td>

```python
{ours}
```

</td></tr></table>
"""
SHARED = Block("page.md", 1, "python", "import torch\nw, unused = torch.rand(3), 1.0", "", False)


@pytest.mark.parametrize(
    ("theirs", "ours", "error"),
    [
        ("loss = 2.0", "loss = 2.0", None),
        ("loss = 2.0", "loss = 2.1", "loss: "),
        ("a = 2.0", "b = 2.0", "no number in common"),
        ("w.add_(1)", "w.add_(1)", None),
        ("w.add_(1)", "w.add_(2)", "w: "),
        ("loss = torch.rand(3)", "loss = torch.rand(3)", None),
        ("loss = {'a': w}", "loss = {'a': w + 1}", "loss: "),
    ],
)
def test_columns_that_differ_are_told(theirs, ours, error):
    columns = blocks_of("page.md", PAGE.format(theirs=theirs, ours=ours), "python")
    if error is None:
        compare(SHARED, *columns)
    else:
        with pytest.raises(AssertionError, match=error):
            compare(SHARED, *columns)
