"""CUDA kernels on the CPU: compiled, run in several orders of their threads, and watched.

    module = emulation.load(Path("example_kernels.cpp"))
    with emulation.settings(order="reverse", checked=True):
        module.scale(x, out, 2.0, len(x))

Arrays are NumPy's, or tensors of PyTorch in the CPU's memory. They are copied into memory with a
margin on both sides, and what is not const is copied back. bfloat16 is a tensor, or NumPy's uint16.
"""

import functools
import importlib.util
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from building import BINDING, HERE, ROOT, binding_path, build

ORDERS = ("forward", "reverse", "random", "preempt")


class KernelError(Exception):
    """What a kernel did wrong; `reports` has one line for each thing found."""

    def __init__(self, function: str, reports: Sequence[str]) -> None:
        super().__init__(f"{function}:\n" + "\n".join(f"  {report}" for report in reports))
        self.reports = list(reports)


@dataclass(frozen=True)
class Settings:
    order: str = "forward"  # in which threads and blocks run: one of ORDERS
    checked: bool = True  # whether every access to memory is looked at
    seed: int = 0  # of the orders random and preempt
    workers: int = len(os.sched_getaffinity(0))  # blocks that run at a time
    without: str | None = None  # a barrier or wait, "file:line", to run as if it were not there
    barriers: set[str] | None = None  # where to note which barriers and waits ran


_settings = Settings()


@contextmanager
def settings(**changes: Any) -> Iterator[Settings]:
    """How kernels run inside a `with` block: fields of Settings."""
    global _settings
    before = _settings
    _settings = replace(before, **changes)
    if _settings.order not in ORDERS:
        raise ValueError(f"order is {_settings.order!r}, not one of {ORDERS}")
    try:
        yield _settings
    finally:
        _settings = before


class Module:
    """A module, compiled when it is used. What it exports are methods that return a cudaError_t."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._libraries: dict[Path, Any] = {}

    def __getattr__(self, function: str) -> Callable[..., int]:
        path = build(self._source, "checked" if _settings.checked else "fast")
        if path not in self._libraries:
            self._libraries[path] = _binding().Library(str(ROOT / path))
        library = self._libraries[path]
        if not library.has(function):
            raise AttributeError(f"{self._source.stem} exports no {function}")
        return lambda *arguments: _call(library, ROOT / path, function, arguments)


def misaligned(array: Any, by: int) -> Any:
    """An array that begins so many bytes behind an address that is aligned to 4096."""
    return _binding().Misaligned(_numpy(array), by)


@functools.cache
def load(source: Path) -> Module:
    """Returns the module of a source file; what of it is out of date compiles when it is used."""
    return Module(source)


@functools.cache
def _binding() -> ModuleType:
    spec = importlib.util.spec_from_file_location(BINDING, ROOT / binding_path())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _call(library: Any, path: Path, function: str, arguments: Sequence[Any]) -> int:
    watched = _settings.without
    if watched is None and _settings.barriers is not None:
        watched = ""
    result, said, met = library.call(
        function,
        tuple(map(_numpy, arguments)),
        ORDERS.index(_settings.order),
        _settings.seed,
        _settings.workers,
        watched,
    )
    if _settings.barriers is not None:
        _settings.barriers.update(met.splitlines())
    if reports := _resolve(path, said):
        raise KernelError(function, reports)
    return result


def _numpy(argument: Any) -> Any:
    """A tensor as an array that shares its memory; anything else as it is."""
    if not isinstance(argument, torch.Tensor):
        return argument
    tensor = argument.detach()
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _resolve(path: Path, text: str) -> list[str]:
    """Reports, with addresses replaced by what a person knows them by."""
    lines = _lines(path, set(re.findall(r"\{([0-9a-f]+)\}", text)))
    text = re.sub(r"\{([0-9a-f]+)\}", lambda match: lines[match[1]], text)
    variables = _shared_variables(path) if "{shared " in text else []
    text = text.replace(f"{ROOT}/", "")

    def variable(match: re.Match[str]) -> str:
        offset = int(match[1], 16)
        for begin, size, name in variables:
            if begin <= offset < begin + size:
                return f"byte {offset - begin} of the {size} bytes of {name}"
        return "shared memory between variables"

    return re.sub(r"\{shared ([0-9a-f]+)\}", variable, text).splitlines()


def _lines(path: Path, offsets: set[str]) -> dict[str, str]:
    """The file and line of the kernel that each offset into the module's code is in."""
    if not offsets:
        return {}
    command = ["addr2line", "-e", str(path), "-i", "-a", *(f"0x{offset}" for offset in offsets)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    frames: dict[str, list[str]] = {}
    for line in output.splitlines():
        if line.startswith("0x"):
            here = frames.setdefault(format(int(line, 16), "x"), [])
        else:
            here.append(line.split(" (discriminator")[0])
    headers = str(HERE / "include"), "/nvidia/"
    # Innermost first; what CUDA's and our headers do, a kernel asked them to.
    own = {
        offset: [frame for frame in all_ if not any(header in frame for header in headers)]
        for offset, all_ in frames.items()
    }
    return {offset: (own[offset] or frames[offset])[0] for offset in frames}


def _shared_variables(path: Path) -> list[tuple[int, int, str]]:
    """Where each variable in shared memory begins, its size and its name."""
    command = ["readelf", "--syms", "--wide", "--demangle", str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=7) for line in output.splitlines()]
    # Num: Value Size Type Bind Vis Ndx Name; "kernel(...)::name"
    return [
        (int(row[1], 16), int(row[2], 0), row[7].split("::")[-1])
        for row in rows
        if len(row) == 8 and row[3] == "TLS"
    ]


def in_every_order(run: Callable[[], Any], seeds: int = 2, **changes: Any) -> Any:
    """What run() returns, once it was seen to be the same bit for bit in every order, checked.

    run() returns arrays or tensors, or a sequence of them; a fresh one each time.
    """
    first: list[bytes] | None = None
    result = None
    for order in ORDERS:
        for seed in range(seeds if order in ("random", "preempt") else 1):
            with settings(order=order, seed=seed, **changes):
                out = run()
            bits = [_bytes(array) for array in (out if isinstance(out, list | tuple) else [out])]
            if first is None:
                first, result = bits, out
            elif bits != first:
                raise AssertionError(f"order {order} (seed {seed}) gives another result")
    return result


def barriers_of(run: Callable[[], Any]) -> list[str]:
    """The __syncthreads, __syncwarp and cp_async_wait that run() comes by: "file:line" of each."""
    found: set[str] = set()
    with settings(barriers=found):
        run()
    return sorted(found)


def noticed_without(run: Callable[[], Any], barrier: str) -> bool:
    """Whether a detector speaks in any order when run() lacks one of its barriers."""
    for order in ORDERS:
        try:
            with settings(order=order, checked=True, without=barrier):
                run()
        except KernelError:
            return True
    return False


def _bytes(array: Any) -> bytes:
    if isinstance(array, torch.Tensor):
        array = array.detach().contiguous().view(torch.uint8).numpy()
    return np.asarray(array).tobytes()


__all__ = [
    "ORDERS",
    "KernelError",
    "Module",
    "barriers_of",
    "in_every_order",
    "load",
    "misaligned",
    "noticed_without",
    "settings",
]
