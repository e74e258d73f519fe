"""What computes each op: a device's library of compiled kernels, or the reference.

An op is defined in Python with its reference registered for every device. A compiled library
registers kernels for its device on top, and PyTorch's dispatcher picks. Kernels of GPUs look
whether they have code for the one that they are called on, and if not call the reference
(csrc/shared/cuda/register.h).
"""

import json
import os
import warnings
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from lelkern.errors import UserError
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
    """The compiled kernels of a device as they were found when the package was imported."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.path: Path | None = None
        self.reason = self._load()

    def _load(self) -> str:
        """Load the kernels and return why they serve, or why not."""
        choice = os.environ.get("LELKERN_BACKEND", "auto")
        if choice not in ("auto", "reference"):
            raise UserError(f"LELKERN_BACKEND must be auto or reference, got {choice}")
        if choice == "reference":
            return "LELKERN_BACKEND=reference"
        path = _PACKAGE / f"_{self.device}.so"
        built = build_info().get(self.device, {})
        if not path.is_file():
            return "built without: " + built.get("reason", "no record of a build")
        if self.device == "cuda" and (mismatch := _cuda_mismatch(built)):
            return mismatch
        try:
            torch.ops.load_library(path)
        except OSError as error:
            warnings.warn(f"lelkern uses its reference: {path.name}: {error}", stacklevel=2)
            return f"{path.name} does not load: {error}"
        self.path = path
        return f"loaded {path.name}"


def _cuda_mismatch(built: dict[str, str]) -> str | None:
    """Return why this PyTorch cannot use kernels that were built for CUDA, if it cannot."""
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA"
    compiled_for = built.get("cuda", torch.version.cuda)
    if compiled_for.split(".")[0] == torch.version.cuda.split(".")[0]:
        return None
    return f"compiled with CUDA {compiled_for}, and this PyTorch is with CUDA {torch.version.cuda}"


def build_info() -> dict[str, dict[str, str]]:
    """Return the record of the build: what each library was compiled with, or why it was not."""
    path = _PACKAGE / "_build_info.json"
    info: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.is_file() else {}
    return info


_libraries: dict[Device, _Library] = {"cpu": _Library("cpu"), "cuda": _Library("cuda")}


def library_path(device: Device = "cpu") -> Path | None:
    """Return the path of the compiled kernels in use for a device, None if there are none."""
    return _libraries[device].path


def serves(device: torch.device) -> bool:
    """Whether there are compiled kernels for devices of its type."""
    return any(x.device == device.type and x.path is not None for x in _libraries.values())


def implementations() -> list[Implementation]:
    """Return the implementation of each op on each device, and the reason for it."""
    return [
        _implementation(op, _libraries[device])
        for op, devices in defined_ops().items()
        for device in _libraries
        if device in devices
    ]


def _implementation(op: str, library: _Library) -> Implementation:
    device, reason = library.device, library.reason
    if not torch._C._dispatch_has_kernel_for_dispatch_key(f"lelkern::{op}", device.upper()):
        why_not = reason if library.path is None else f"{library.path.name} has no kernel of it"
        return Implementation(op, device, "reference", why_not)
    if device == "cuda":
        return _on_gpus(op, reason)
    return Implementation(op, device, "compiled", reason)


def _on_gpus(op: str, reason: str) -> Implementation:
    """Return what serves an op that has kernels on the GPUs of this machine."""
    if not torch.cuda.is_available():
        return Implementation(op, "cuda", "compiled", f"{reason}; no GPU")
    gpus = range(torch.cuda.device_count())
    without, exceptions = {}, []
    for gpu in gpus:
        try:
            if not torch.ops.lelkern.has_code_for(gpu):
                without[gpu] = _why_not_on(gpu)
                exceptions.append(f"; cuda:{gpu} has the reference: {without[gpu]}")
        except RuntimeError as error:  # in use by others, or without memory
            exceptions.append(f"; cuda:{gpu} does not answer: {str(error).splitlines()[0]}")
    if len(without) == len(gpus):
        return Implementation(op, "cuda", "reference", "; ".join(dict.fromkeys(without.values())))
    return Implementation(op, "cuda", "compiled", reason + "".join(exceptions))


def _why_not_on(gpu: int) -> str:
    major, minor = torch.cuda.get_device_capability(gpu)
    compiled_for = build_info().get("cuda", {}).get("architectures", "others")
    return (
        f"{torch.cuda.get_device_name(gpu)} has compute capability {major}.{minor}, and the "
        f"kernels are compiled for {compiled_for}"
    )
