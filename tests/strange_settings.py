"""PyTorch set to what nothing expects, as a caller may have set it for a purpose of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def strange_settings() -> Iterator[None]:
    """Make float64 tensors on no real device, without gradients, and cast products to bfloat16.

    Afterwards, and whenever the block is left, everything must be as it was set here: what a call
    changed and did not put back is an error.
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            before = _state()
            yield
            assert _state() == before
    finally:
        torch.set_default_dtype(dtype)


def _state() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_cache_enabled(),
    )
