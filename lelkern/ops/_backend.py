"""Where each op is computed: the library of compiled kernels, if there is one, or the reference.

An op is defined in Python with its reference registered for every device. The compiled library
registers kernels for its device on top, and PyTorch's dispatcher picks.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from lelkern.ops._define import defined_ops

Device = Literal["cpu", "cuda"]

_PACKAGE = Path(__file__).resolve().parent.parent


class Implementation(NamedTuple):
    """What serves one op on one device, and why."""

    op: str
    device: Device
    implementation: Literal["compiled", "reference"]
    reason: str


class _Library:
    """The compiled library as it was found when the package was imported."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.reason = self._load()

    def _load(self) -> str:
        """Load the CPU kernels and return why they serve, or why not."""
        choice = os.environ.get("LELKERN_BACKEND", "auto")
        if choice not in ("auto", "reference"):
            raise ValueError(f"LELKERN_BACKEND must be auto or reference, got {choice}")
        if choice == "reference":
            return "LELKERN_BACKEND=reference"
        path = _PACKAGE / "_cpu.so"
        if not path.is_file():
            built = build_info().get("cpu", {})
            return "built without: " + built.get("reason", "no record of a build")
        try:
            torch.ops.load_library(path)
        except OSError as error:
            warnings.warn(f"lelkern uses its reference: {path.name}: {error}", stacklevel=2)
            return f"{path.name} does not load: {error}"
        self.path = path
        return f"loaded {path.name}"


def build_info() -> dict[str, dict[str, str]]:
    """Return what setup.py recorded of each library: what it was compiled with, or why not."""
    path = _PACKAGE / "_build_info.json"
    info: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.is_file() else {}
    return info


_library = _Library()


def library_path() -> Path | None:
    """Return the library of compiled CPU kernels in use, if any."""
    return _library.path


def implementations() -> list[Implementation]:
    """List what serves each op on each device, and why."""
    devices: tuple[Device, ...] = ("cpu", "cuda")
    return [_implementation(op, device) for op in defined_ops() for device in devices]


def _implementation(op: str, device: Device) -> Implementation:
    if torch._C._dispatch_has_kernel_for_dispatch_key(f"lelkern::{op}", device.upper()):
        return Implementation(op, device, "compiled", _library.reason)
    reason = _library.reason if device == "cpu" else "no CUDA kernel"
    return Implementation(op, device, "reference", reason)
