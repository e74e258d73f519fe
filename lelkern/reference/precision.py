"""Precision beyond that of the inputs, where the device has it."""

from torch import Tensor


def widened(x: Tensor) -> Tensor:
    """Return x in float64; in float32 on a device without float64 (Apple's MPS, Intel's Arc)."""
    try:
        return x.double()
    except (TypeError, RuntimeError):  # which of them is the device's choice
        return x.float()
