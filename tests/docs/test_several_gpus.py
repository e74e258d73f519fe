"""The recipe for several GPUs, in two processes, against one process with the whole batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from towers import batch, gradients, same_towers

import lelkern

pytestmark = pytest.mark.slow

BOTH = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def of_both(tmp_path_factory):
    """What each of two processes has found: {name: (loss, gradients)}."""
    folder = tmp_path_factory.mktemp("processes")
    subprocess.run([sys.executable, str(BOTH)], cwd=folder, check=True, timeout=300)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def clip(z1, z2, temperature, labels):
    return lelkern.info_nce(z1, z2, None, temperature, symmetric=True)


def simclr(z1, z2, temperature, labels):
    return lelkern.nt_xent(z1, z2, temperature)


def total(z1, z2, temperature, labels):
    return lelkern.info_nce(z1, z2, None, temperature, reduction="sum")


def sup_con(z1, z2, temperature, labels):
    return lelkern.sup_con(torch.cat([z1, z2]), labels.repeat(2), temperature)


@pytest.mark.parametrize(
    ("name", "loss_of"),
    [("clip", clip), ("simclr", simclr), ("sum", total), ("sup_con", sup_con), ("added up", clip)],
)
def test_two_processes_have_the_loss_and_the_gradients_of_one(of_both, name, loss_of):
    model = same_towers()
    x, y, labels = batch()
    loss = loss_of(*model(x, y), labels)
    loss.backward()
    losses = [found[name][0] for found in of_both]
    if name != "added up":  # whose loss is that of "clip"
        # Sums in float64, in another order.
        assert sum(losses) / 2 == pytest.approx(loss.item(), rel=1e-12)
    for found in of_both:
        torch.testing.assert_close(found[name][1], gradients(model), rtol=1e-10, atol=1e-12)
