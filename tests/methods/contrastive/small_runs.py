"""Contrastive runs of a second, and how to compare what they leave."""

import torch

from lelkern.runtime import RuntimeConfig

SMALL = {
    "encoder": {"width": 4, "depth": 1},
    "head": {"width": 16, "out": 8},
    "batch_size": 32,
    "steps": 6,
}
FLOAT32 = RuntimeConfig(device="cpu", precision="float32")


def same(a, b):
    """Whether two dictionaries have the same tensors, bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
