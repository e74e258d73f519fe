"""The table of what the compiler makes of every kernel; run as a program, it writes the table.

kernels.csv has a row for each kernel and architecture, and docs/cuda.md a summary, a line a kernel.
Threads are those that the kernel is bounded to. Loads are instructions, not executions.
"""

import csv
import io
import re
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import cuda_assembly
import cuda_occupancy
from cuda_compile import (
    ARCHITECTURES,
    ASKED,
    ROOT,
    SOURCES,
    Compiled,
    compile_all,
    demangle,
    setup_cuda,
)

TABLE = Path(__file__).with_name("kernels.csv")
LAUNCHES = Path(__file__).with_name("dynamic_shared.csv")
DOCUMENT = ROOT / "docs" / "cuda.md"
BEGIN, END = "<!-- kernels: written by make cuda-table -->\n", "<!-- end of kernels -->\n"


class Kernel(NamedTuple):
    """A row of the table: a kernel for an architecture. Sizes are in bytes."""

    kernel: str
    architecture: str
    threads: int
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    static_shared: int
    dynamic_shared: int
    blocks_per_multiprocessor: int
    occupancy: str
    global_loads: int
    wide_global_loads: int
    tensor_core: int
    tensor_core_in_loops: int


def measure(sources: list[Path], dynamic_shared: dict[str, int]) -> list[Kernel]:
    """Compile files for all that is asked for and return what became of their kernels.

    Args:
        sources: CUDA files.
        dynamic_shared: bytes of shared memory that kernels are given at the launch, by patterns of
            their names as they are in the table. What no pattern matches is given none.
    """
    compiled = compile_all(sources)
    kernels = [kernel for each in compiled for kernel in inspect(each, dynamic_shared)]
    return sorted(kernels, key=lambda k: (k.kernel, ARCHITECTURES.index(k.architecture)))


def inspect(compiled: Compiled, dynamic_shared: dict[str, int]) -> list[Kernel]:
    """Return what became of the kernels of one file for one architecture."""
    resources = cuda_assembly.resources(compiled.resources, compiled.architecture)
    threads = cuda_assembly.block_sizes(compiled.assembly)
    instructions = cuda_assembly.instructions(compiled.assembly)
    assert resources.keys() == threads.keys() == instructions.keys()
    kernels = []
    for mangled, name in zip(resources, demangle(list(resources)), strict=True):
        kernel, architecture, used = short(name), compiled.architecture, resources[mangled]
        shared = sum(n for pattern, n in dynamic_shared.items() if fnmatchcase(kernel, pattern))
        blocks = cuda_occupancy.blocks_per_multiprocessor(
            architecture, threads[mangled], used.registers, used.static_shared + shared
        )
        occupancy = cuda_occupancy.occupancy(architecture, threads[mangled], blocks)
        row = (*used, shared, blocks, f"{occupancy:.0%}", *instructions[mangled])
        kernels.append(Kernel(kernel, architecture, threads[mangled], *row))
    return kernels


def launched_with() -> dict[str, int]:
    """Return the bytes of shared memory that kernels are given at the launch, by patterns."""
    with LAUNCHES.open() as file:
        return {row["kernels"]: int(row["bytes"]) for row in csv.DictReader(file)}


def short(name: str) -> str:
    """Return ``kernel<half>`` for ``void lelkern::ema::cuda::kernel<__half>(int)``."""
    name = re.sub(r"\w+::|\(anonymous namespace\)::", "", name.removeprefix("void "))
    name = name.replace("__nv_bfloat16", "bfloat16").replace("__half", "half").replace("> >", ">>")
    depth = 0
    for i, character in enumerate(name):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "(" and depth == 0:
            return name[:i]
    return name


def table() -> list[Kernel]:
    """Return what kernels.csv says of all architectures."""
    with TABLE.open() as file:
        types = Kernel.__annotations__
        return [
            Kernel(**{name: types[name](value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


def as_csv(kernels: list[Kernel]) -> str:
    """Return the table as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Kernel._fields)
    writer.writerows(kernels)
    return text.getvalue()


def as_markdown(kernels: list[Kernel]) -> str:
    """Return a line a kernel: numbers for one architecture after the other where they differ."""
    lines = [
        "| kernel | threads | registers | shared memory (KiB) | occupancy | 16-byte loads"
        " | tensor-core instructions |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in groupby(kernels, key=lambda kernel: kernel.kernel):
        row = list(rows)
        cells = [
            [str(k.threads) for k in row],
            [str(k.registers) for k in row],
            [f"{(k.static_shared + k.dynamic_shared) / 1024:.3g}" for k in row],
            [k.occupancy for k in row],
            [f"{k.wide_global_loads} of {k.global_loads}" for k in row],
            [str(k.tensor_core) for k in row],
        ]
        one = (c[0] if len(set(c)) == 1 else " / ".join(c) for c in cells)
        lines.append(f"| `{name}` | {' | '.join(one)} |")
    return "\n".join([*lines, ""])


def with_markdown(document: str, table: str) -> str:
    """Return a document with the table in its place."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin
    assert end
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> None:
    """Write the table and its summary."""
    assert len(ARCHITECTURES) == len(setup_cuda.ARCHITECTURES), f"only for {ASKED}"
    kernels = measure(SOURCES, launched_with())
    TABLE.write_text(as_csv(kernels))
    DOCUMENT.write_text(with_markdown(DOCUMENT.read_text(), as_markdown(kernels)))


if __name__ == "__main__":
    main()
