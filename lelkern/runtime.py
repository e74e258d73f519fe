"""Where and how precisely a method computes, and how it tells how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

from pydantic import Field

from lelkern.config import Config, ConfigError

Progress = Callable[[int, float | None], None]
"""Called after each step with the number of steps done, and the loss, or None if it has none."""


def silent(step: int, loss: float | None) -> None:
    """Report nothing."""


class RuntimeConfig(Config):
    """Device, precision and threads of one training run.

    They are part of a trial's identity, since they decide the last bits of its result.

    Attributes:
        device: ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.
        precision: of the encoder's convolutions: ``float32``, ``bfloat16`` (autocast), or
            ``auto``: bfloat16 where the hardware multiplies it natively.
        threads: CPU threads of the run. One by default, so that results do not depend on how many
            trials share the machine.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = Field(default=1, ge=1)

    def resolve(self) -> "RuntimeConfig":
        """Return the configuration with every ``auto`` decided for this machine.

        Raises:
            ConfigError: a GPU is asked for and there is none.
        """
        import torch  # not needed to read a configuration

        device = self.device
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("runtime.device: must be cpu, since PyTorch sees no GPU, got cuda")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = self.precision
        if precision == "auto":
            precision = "bfloat16" if _native_bfloat16(device) else "float32"
        return RuntimeConfig(device=device, precision=precision, threads=self.threads)

    def autocast(self, device: str) -> AbstractContextManager[None]:
        """Return the context in which encoders run.

        Args:
            device: type of the one that they are on, which need not be where they were trained.
        """
        import torch

        precision = self.precision
        enabled = _native_bfloat16(device) if precision == "auto" else precision == "bfloat16"
        return torch.autocast(device, torch.bfloat16, enabled=enabled)


def _native_bfloat16(device: str) -> bool:
    import torch

    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    # The query is newer than the oldest torch that is supported; without it, float32 is safe.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
