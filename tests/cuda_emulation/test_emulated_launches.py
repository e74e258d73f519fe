"""How many kernels a loss and its gradients are, as docs/cuda.md says."""

from pathlib import Path

import emulated_contrastive
import emulated_siglip
import emulation
import pytest
import torch
from contrastive_paths import PATHS
from emulated_contrastive import Case

pytestmark = pytest.mark.slow

DOCUMENT = Path(__file__).parents[2] / "docs" / "cuda.md"
LOSSES = {
    "`nt_xent`": "nt_xent",
    "`sup_con`": "sup_con",
    "`info_nce`": "info_nce",
    "`info_nce`, symmetric": "symmetric",
    "`info_nce`, a queue without gradients": "queue",
    "`siglip`": "siglip",
}
N, D = 140, 8  # three tiles, and more


def documented() -> dict[str, tuple[int, int]]:
    """Return what the table of launches says, forward and backward."""
    rows = [line.split("|")[1:4] for line in DOCUMENT.read_text().splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in row] for row in rows]
    return {LOSSES[name]: (int(a), int(b)) for name, a, b in cells if name in LOSSES}


def test_the_document_has_all_losses() -> None:
    assert documented().keys() == set(LOSSES.values())


# With one multiprocessor float32 takes half of the similarities where rows are compared with
# themselves, with a hundred all of them.
@pytest.mark.parametrize("multiprocessors", [1, 100])
@pytest.mark.parametrize("path", ["float32", "bfloat16", "float32 as two bfloat16", "float64"])
@pytest.mark.parametrize("op", LOSSES.values())
def test_launches_are_as_many_as_documented(op, path, multiprocessors) -> None:
    dtype, terms, _ = PATHS[path]
    x, y, z = torch.randn(3, N, D, generator=torch.Generator().manual_seed(0)).to(dtype)
    options = {"multiprocessors": multiprocessors}
    grad = torch.ones(N, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    with emulation.settings(checked=False):
        if op == "siglip":
            scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
            pairs = emulated_siglip.Case(x, y, scale, bias)
            emulated_siglip.launches()
            _, slopes = emulated_siglip.forward(pairs, terms, **options)
            forward = emulated_siglip.launches()
            emulated_siglip.backward(pairs, terms, grad, slopes, **options)
            backward = emulated_siglip.launches()
        else:
            case = {
                "nt_xent": Case([x, y]),
                "sup_con": Case([x], labels=torch.arange(N) % 9),
                "info_nce": Case([x], y),
                "symmetric": Case([x], y, both=True),
                "queue": Case([x], z, given=y),
            }[op]
            temperature = torch.tensor(0.5)
            grad = grad[:1].expand(case.losses)
            emulated_contrastive.launches()
            found = emulated_contrastive.forward(case, temperature, terms, **options)
            forward = emulated_contrastive.launches()
            emulated_contrastive.backward(
                case, temperature, terms, grad, found, column_gradients=op != "queue", **options
            )
            backward = emulated_contrastive.launches()
    assert (forward, backward) == documented()[op]
