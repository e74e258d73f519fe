"""The tables of what the compiler makes of the kernels; run as a program, it writes them.

kernels.csv has a row for each kernel and architecture, and docs/cuda.md a summary, a line a kernel.
Threads are those that the kernel is bounded to. Loads are instructions, not executions.
instructions.csv says how many of which class main loops execute for a unit of their work, and
docs/cuda.md what follows from these.
"""

import csv
import io
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import cuda_assembly
import cuda_floors
import cuda_flow
import cuda_mix
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
from cuda_mix import Mix

TABLE = Path(__file__).with_name("kernels.csv")
MIXES = Path(__file__).with_name("instructions.csv")
LAUNCHES = Path(__file__).with_name("dynamic_shared.csv")
DOCUMENT = ROOT / "docs" / "cuda.md"
BEGIN, END = "<!-- kernels: written by make cuda-table -->\n", "<!-- end of kernels -->\n"
BEGIN_MIXES = "<!-- instructions: written by make cuda-table -->\n"
END_MIXES = "<!-- end of instructions -->\n"
BEGIN_FLOORS, END_FLOORS = (
    "<!-- floors: written by make cuda-table -->\n",
    "<!-- end of floors -->\n",
)


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


def measure_mixes(sources: list[Path]) -> list[Mix]:
    """Compile files likewise and return what main loops have of which instructions."""
    found = []
    for compiled in compile_all(sources):
        mangled = list(cuda_flow.sections(compiled.assembly))
        names = dict(zip(mangled, map(short, demangle(mangled)), strict=True))
        found += cuda_mix.mixes(compiled.assembly, compiled.architecture, names)
    return sorted(found, key=lambda m: (m.kernel, m.unit, ARCHITECTURES.index(m.architecture)))


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


Row = TypeVar("Row", Kernel, Mix)


def table() -> list[Kernel]:
    """Return what kernels.csv says of all architectures."""
    return _rows(TABLE, Kernel)


def mixes() -> list[Mix]:
    """Return what instructions.csv says of all architectures."""
    return _rows(MIXES, Mix)


def _rows(path: Path, kind: type[Row]) -> list[Row]:
    types = kind.__annotations__
    with path.open() as file:
        return [
            kind(**{name: types[name](value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


def as_csv(rows: Sequence[Kernel] | Sequence[Mix]) -> str:
    """Return a table as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0]._fields)
    writer.writerows(rows)
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


def mixes_as_markdown(rows: list[Mix]) -> str:
    """Return a line for each kind of work: numbers for one architecture after the other."""
    names = [name.rstrip("_").replace("_", " ") for name in Mix._fields[3:]]
    lines = [f"| kernel, for each | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for (name, unit), group in groupby(rows, key=lambda row: (row.kernel, row.unit)):
        numbers = zip(*(row[3:] for row in group), strict=True)
        cells = [[f"{number:.3g}" for number in each] for each in numbers]
        one = (c[0] if len(set(c)) == 1 else " / ".join(c) for c in cells)
        lines.append(f"| `{name}`, {unit} | {' | '.join(one)} |")
    return "\n".join([*lines, ""])


def with_markdown(document: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """Return a document with a table in its place."""
    before, found, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    assert found
    assert found_end
    return f"{before}{begin}\n{table}\n{end}{after}"


def document(kernels: list[Kernel], of_loops: list[Mix]) -> str:
    """Return the document with these tables."""
    text = with_markdown(DOCUMENT.read_text(), as_markdown(kernels))
    text = with_markdown(text, mixes_as_markdown(of_loops), BEGIN_MIXES, END_MIXES)
    return with_markdown(text, cuda_floors.as_markdown(of_loops), BEGIN_FLOORS, END_FLOORS)


def main() -> None:
    """Write the tables and their summaries."""
    assert len(ARCHITECTURES) == len(setup_cuda.ARCHITECTURES), f"only for {ASKED}"
    kernels, of_loops = measure(SOURCES, launched_with()), measure_mixes(SOURCES)
    TABLE.write_text(as_csv(kernels))
    MIXES.write_text(as_csv(of_loops))
    DOCUMENT.write_text(document(kernels, of_loops))


if __name__ == "__main__":
    main()
