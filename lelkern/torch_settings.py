"""What PyTorch is set to around a call, which must not decide what the call computes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def usual_settings() -> Iterator[None]:
    """Compute inside a ``with`` block, or a decorated function, as a fresh process would.

    New tensors are float32 on the CPU unless they say otherwise, gradients are recorded, and
    nothing is cast to bfloat16 but by an autocast inside the block. Whatever the caller had set by
    ``torch.set_default_dtype``, ``torch.set_default_device``, ``torch.no_grad``,
    ``torch.inference_mode`` or ``torch.autocast`` is so again afterwards.
    """
    import torch  # a module that declares a method or a kind of data need not wait for it

    with ExitStack() as stack:
        if (dtype := torch.get_default_dtype()) != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        # Only where it is needed: inside, every call of PyTorch goes through Python once more.
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if device == "cpu" or torch.is_autocast_enabled(device):
                # The cache lives until the outermost autocast ends: inside another one, a network
                # that is trained would go on with the weights that were cast at its first step.
                stack.enter_context(torch.autocast(device, enabled=False, cache_enabled=False))
        yield
