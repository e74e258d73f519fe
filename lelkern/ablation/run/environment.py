"""Where something ran: versions, machine and device."""

import platform


def environment(device: str) -> dict[str, str]:
    """Return the versions, machine and device on which results may depend, for people to read.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    import torch

    import lelkern

    return {
        "python": platform.python_version(),
        "lelkern": lelkern.__version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
    }
