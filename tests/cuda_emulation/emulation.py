"""CUDA kernels on the CPU: compiled, run in several orders of their threads, and watched.

    module = emulation.load("example", [Path("example.cpp")])
    with emulation.settings(order="reverse", checked=True):
        module.scale(x, out, 2.0, len(x))

Arrays are NumPy's, or tensors of PyTorch in the CPU's memory. They are copied into memory with a
margin on both sides, and what is not const is copied back. bfloat16 is a tensor, or NumPy's uint16.
"""

import ctypes
import functools
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from building import HERE, ROOT, build, module_path

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


@dataclass(frozen=True)
class Misaligned:
    """An array that begins so many bytes behind an address that is aligned to 4096."""

    array: Any
    by: int


class _Library:
    """One variant of a module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()  # settings, buffers and reports are the library's
        self.handle = ctypes.CDLL(str(path))
        for name, result, arguments in (
            ("functions", ctypes.c_char_p, []),
            ("watch", None, [ctypes.c_int, ctypes.c_char_p]),
            ("sites", ctypes.c_char_p, []),
            ("set", None, [ctypes.c_int, ctypes.c_uint64, ctypes.c_int]),
            ("take_buffer", ctypes.c_void_p, [ctypes.c_uint64, ctypes.c_uint64]),
            ("give_buffers_back", ctypes.c_int, []),
            ("call", ctypes.c_int64, [ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64)]),
            ("reports", ctypes.c_char_p, []),
        ):
            function = getattr(self.handle, f"lelkern_emulation_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        lines = self.functions().decode().splitlines()
        names = [line.split(":") for line in lines]
        self.signatures = {
            name: (i, parameters.split(",") if parameters else [])
            for i, (name, parameters) in enumerate(names)
        }


class Module:
    """A compiled module. Each function that it exports is a method, and returns a cudaError_t."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._libraries: dict[str, _Library] = {}

    def _library(self) -> _Library:
        variant = "checked" if _settings.checked else "fast"
        if variant not in self._libraries:
            self._libraries[variant] = _Library(module_path(self._name, variant))
        return self._libraries[variant]

    def __getattr__(self, function: str) -> Callable[..., int]:
        if function.startswith("_") or function not in self._library().signatures:
            raise AttributeError(f"{self._name} exports no {function}")

        def call(*arguments: Any) -> int:
            return _call(self._library(), function, arguments)

        return call


def load(name: str, sources: Sequence[Path], defines: Sequence[str] = ()) -> Module:
    """Compiles what is out of date and returns the module; in one process only once."""
    return _load(name, tuple(sources), tuple(defines))


@functools.cache
def _load(name: str, sources: tuple[Path, ...], defines: tuple[str, ...]) -> Module:
    build(name, sources, defines)
    return Module(name)


def _call(library: _Library, function: str, arguments: Sequence[Any]) -> int:
    index, parameters = library.signatures[function]
    seen = [parameter for parameter in parameters if parameter != "stream"]
    if len(seen) != len(arguments):
        raise TypeError(f"{function} takes {len(seen)} arguments ({', '.join(seen)})")
    with library.lock:
        slots, outputs = [], []
        given = iter(arguments)
        try:
            for parameter in parameters:
                if parameter == "stream":
                    slots.append(0)
                    continue
                argument = next(given)
                if not parameter.endswith("*") or argument is None:
                    slots.append(_number(parameter, argument))
                    continue
                array, misaligned = _array(parameter, argument)
                at = library.take_buffer(array.nbytes, misaligned)
                if at is None:
                    raise MemoryError(f"{function}: more than a gigabyte of arrays")
                ctypes.memmove(at, array.ctypes.data, array.nbytes)
                slots.append(at)
                if not parameter.startswith("const "):
                    outputs.append((array, at))
            watched = _settings.without is not None or _settings.barriers is not None
            without = str(ROOT / _settings.without) if _settings.without is not None else ""
            library.watch(watched, without.encode())
            library.set(ORDERS.index(_settings.order), _settings.seed, _settings.workers)
            result = library.call(index, (ctypes.c_uint64 * len(slots))(*slots))
            for array, at in outputs:
                ctypes.memmove(array.ctypes.data, at, array.nbytes)
        finally:
            intact = library.give_buffers_back()
        if _settings.barriers is not None:
            places = library.sites().decode().replace(f"{ROOT}/", "")
            _settings.barriers.update(places.splitlines())
        reports = _resolve(library.path, library.reports().decode())
        if not intact:
            reports.append(f"out of bounds: {function} wrote next to one of its arrays")
    if reports:
        raise KernelError(function, reports)
    return result


def _number(parameter: str, value: Any) -> int:
    if value is None:
        return 0  # a null pointer
    if parameter.startswith("float"):
        size = int(parameter.removeprefix("float")) // 8
        return int.from_bytes(np.dtype(f"f{size}").type(value).tobytes(), "little")
    dtype = np.dtype(parameter)
    return int.from_bytes(np.array(value, dtype).tobytes(), "little")


def _array(parameter: str, argument: Any) -> tuple[np.ndarray, int]:
    """The argument as an array that shares its memory, and how it is to be aligned."""
    misaligned = 0
    if isinstance(argument, Misaligned):
        argument, misaligned = argument.array, argument.by
    if isinstance(argument, torch.Tensor):
        given = str(argument.dtype).removeprefix("torch.")
        if given == "bfloat16":
            argument = argument.detach().view(torch.uint16)
        array = argument.detach().numpy()
    else:
        array = argument
        given = str(array.dtype)
    wanted = parameter.removeprefix("const ").removesuffix("*")
    alike = {"bfloat16": {"uint16"}, "void": {given}}
    if given != wanted and given not in alike.get(wanted, set()):
        raise TypeError(f"an array of {given} for a parameter {parameter}")
    if not array.flags.c_contiguous:
        raise TypeError("an array that is not contiguous")
    return array, misaligned


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
    "Misaligned",
    "Module",
    "barriers_of",
    "in_every_order",
    "load",
    "noticed_without",
    "settings",
]
