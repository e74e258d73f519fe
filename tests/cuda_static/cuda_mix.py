"""How many instructions main loops have for each unit of their work, and what these ask for.

Run as a program, it prints that for one file and architecture:
python tests/cuda_static/cuda_mix.py csrc/contrastive/cuda/contrastive_forward.cu --arch 80
"""

import argparse
import functools
import os
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import cuda_flow
import cuda_path
from cuda_flow import Flow, Instruction

WORK = Path(__file__).with_name("work.toml")

# By what codes are called. What is of the uniform datapath, U before its name, is as the others.
CLASSES = {
    "tensor": "HMMA IMMA DMMA QMMA",
    "fp32": "FFMA FADD FMUL FMNMX FMNMX3 FCHK FSWZADD HADD2 HFMA2 HMUL2 F2FP I2FP",
    "fp64": "DFMA DADD DMUL DSETP DMNMX",
    "special": "MUFU F2F F2I I2F FRND",
    "shared": "LDS STS LDSM ATOMS",
    "global": "LDG STG LDGSTS LD ST RED REDG ATOM ATOMG LDL STL",
    "integer": "IADD IADD3 VIADD IMAD IABS IMNMX VIMNMX VIADDMNMX LEA SHF FLO POPC BMSK SGXT",
    "logic": "ISETP FSETP FSET FSEL SEL LOP3 PLOP3 VOTE VOTEU R2P P2R",
    "branch": "BRA BRX BRXU BSSY BSYNC BREAK CALL RET EXIT WARPSYNC JMP JMX",
    "move": "MOV PRMT SHFL S2R S2UR CS2R R2UR LDC LDCU",
    "barrier": "BAR DEPBAR LDGDEPBAR MEMBAR ERRBAR CCTL",
    "other": "NOP ENDCOLLECTIVE",
}
_CLASS_OF = {name: which for which, names in CLASSES.items() for name in names.split()}

# By which pipeline executes them, as Nsight Compute's profiling guide tells these apart. What is of
# the uniform datapath or of another pipeline is in neither.
PIPES = {
    "fma": "FFMA FADD FMUL IMAD",
    "alu": "FMNMX FMNMX3 FSETP FSET FSEL F2FP IADD IADD3 VIADD VIADDMNMX IMNMX VIMNMX IABS LEA SHF"
    " BMSK SGXT ISETP SEL LOP3 PRMT MOV",
}
_PIPE_OF = {name: which for which, names in PIPES.items() for name in names.split()}

_SHARED = ("LDS", "STS", "LDSM", "ATOMS", "LDGSTS")
_GLOBAL = ("LDG", "STG", "LD", "ST", "RED", "REDG", "ATOM", "ATOMG", "LDGSTS")
_SIZES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16, "256": 32}


class Work(NamedTuple):
    """What kernels do, and how to tell the path on which they do that.

    Attributes:
        kernels: patterns of their names.
        unit: what they do. Where several loops do their part of it one after the other, each is a
            work with the same unit, and what these have is added up.
        units: how many a thread does, between all threads of its warp, on the path.
        needs: what instructions are on the path.
        bytes: how many an instruction moves for each thread, on the average of a warp's or, of what
            is in global memory, a block's, where this is not what its code says, as where threads
            read the same. Of several that of the longest code holds, and that of its loop.
        whole: whether the path is a thread's whole life; otherwise it is one round of a loop.
    """

    kernels: list[str]
    unit: str
    units: float
    needs: list[cuda_path.Need]
    bytes: list[tuple[cuda_path.Need, float]]
    whole: bool = False


class Mix(NamedTuple):
    """A row of the table: instructions that a thread has for a unit.

    Those by classes are all of them; some are by their pipeline as well. Bytes are those that they
    move in shared memory, and in global memory or the caches before it.
    """

    kernel: str
    architecture: str
    unit: str
    tensor: float
    fp32: float
    fp64: float
    special: float
    shared: float
    global_: float
    integer: float
    logic: float
    branch: float
    move: float
    barrier: float
    other: float
    sum: float
    fma: float
    alu: float
    shared_bytes: float
    global_bytes: float


@functools.cache
def all_work() -> list[Work]:
    """Return what work.toml says."""
    return [
        Work(
            **{
                **each,
                "needs": [_need(*need) for need in each["needs"].items()],
                "bytes": [(_some(code), n) for code, n in each.get("bytes", {}).items()],
            }
        )
        for each in tomllib.loads(WORK.read_text())["work"]
    ]


def _some(code: str) -> cuda_path.Need:
    """Return any number of an instruction: ``2 LDS.128`` in loops that are two deep."""
    depth, _, name = code.rpartition(" ")
    return cuda_path.Need((name,), 0, cuda_path.MOST, int(depth) if depth else None)


def _need(name: str, number: int | list[int]) -> cuda_path.Need:
    parts = name.split()
    if parts[0].isdigit():
        assert isinstance(number, list)
        total, each = number
        return cuda_path.Need(tuple(parts[1:]), total, total, int(parts[0]), each)
    least, most = number if isinstance(number, list) else (number, number)
    return cuda_path.Need(tuple(parts), least, most)


def work_of(kernel: str) -> list[Work]:
    """Return what is known of what a kernel does, by its short name."""
    return [
        work for work in all_work() if any(fnmatchcase(kernel, pattern) for pattern in work.kernels)
    ]


def class_of(instruction: Instruction) -> str:
    """Return the class of an instruction."""
    name, code = instruction.name, instruction.code
    if instruction.guard == "!PT":
        return "other"  # it does nothing
    if code.startswith(("IMAD.MOV", "UIMAD.MOV")) or (
        name == "HFMA2" and instruction.operands.split(", ")[1:3] == ["-RZ", "RZ"]
    ):
        return "move"
    if name not in _CLASS_OF and name[0] == "U":
        name = name[1:]
    return _CLASS_OF[name]


def pipe_of(instruction: Instruction) -> str | None:
    """Return the pipeline of an instruction, if it is one of those that are told apart."""
    return None if instruction.guard == "!PT" else _PIPE_OF.get(instruction.name)


def size_of(instruction: Instruction) -> float:
    """Return how many bytes an instruction moves for each thread, by its code."""
    parts = instruction.code.split(".")
    if parts[0] == "LDSM":  # matrices of 8 rows of 16 bytes
        return 8 * 16 / 32 * (int(parts[-1]) if parts[-1].isdigit() else 1)
    return next((_SIZES[part] for part in parts if part in _SIZES), 4)


def mix(kernel: str, architecture: str, flow: Flow, work: Work) -> Mix:
    """Return how many instructions of which class a kernel has for a unit of its work."""
    number, pipes = Counter[str](), Counter[str]()
    times = cuda_path.counts(flow, work.needs, work.whole)
    for block, rounds in times.items():
        for instruction in flow.blocks[block]:
            number[class_of(instruction)] += rounds
            if pipe := pipe_of(instruction):
                pipes[pipe] += rounds
    row = [*(number[name] for name in CLASSES), number.total()]
    row += [*(pipes[name] for name in PIPES), *_moved(flow, work, times)]
    return Mix(kernel, architecture, work.unit, *(round(n / work.units, 2) for n in row))


def _moved(flow: Flow, work: Work, times: Counter[int]) -> tuple[float, float]:
    """Return how many bytes a thread moves on a path in shared memory, and in global memory.

    What predicates guard is on the path even where it is not done. Where the work has fewer of an
    instruction, these are the mean of those on the path.
    """
    depths = cuda_path.innermost(flow)
    number, shared, elsewhere = Counter[int](), Counter[int](), Counter[int]()  # by needs
    for block, rounds in times.items():
        for at in flow.blocks[block]:
            if at.guard == "!PT" or at.name not in _SHARED + _GLOBAL:
                continue
            told = [
                (len(some.codes[0]), some.depth is not None, size)
                for some, size in work.bytes
                if some.is_by(at) and some.depth in (None, depths.get(block))
            ]
            size = max(told)[-1] if told else size_of(at)
            need = next((k for k, need in enumerate(work.needs) if need.is_by(at)), -1)
            number[need] += rounds
            shared[need] += rounds * size * (at.name in _SHARED)
            elsewhere[need] += rounds * size * (at.name in _GLOBAL)
    share = {k: min(1, work.needs[k].most / n) if k >= 0 else 1 for k, n in number.items()}
    return (
        sum(share[k] * size for k, size in shared.items()),
        sum(share[k] * size for k, size in elsewhere.items()),
    )


def mixes(listing: str, architecture: str, names: dict[str, str]) -> list[Mix]:
    """Return that of all kernels in a listing whose work is known.

    Args:
        listing: what nvdisasm prints.
        architecture: of which one.
        names: short ones by mangled ones.
    """
    return [
        row
        for mangled, text in cuda_flow.sections(listing).items()
        for row in _mixes(names.get(mangled, ""), architecture, text)
    ]


def _mixes(kernel: str, architecture: str, text: str) -> list[Mix]:
    """Return that of each unit of a kernel's work, of which one loop after another does a part."""
    found: dict[str, Mix] = {}
    all_of_it = work_of(kernel)
    flow = cuda_flow.flow(text) if all_of_it else Flow()
    for work in all_of_it:
        part = mix(kernel, architecture, flow, work)
        whole = found.setdefault(work.unit, part)
        if whole is not part:
            numbers = zip(whole[3:], part[3:], strict=True)
            found[work.unit] = Mix(*whole[:3], *(round(a + b, 2) for a, b in numbers))
    return list(found.values())


def main() -> None:
    """Print the rows of a file's kernels."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("--arch", default="80", choices=["80", "90", "100", "120"])
    parser.add_argument("--kernel", default="*", help="a pattern of names")
    given = parser.parse_args()
    # Both that one translation serves.
    os.environ["TORCH_CUDA_ARCH_LIST"] = "8.0;9.0" if given.arch in ("80", "90") else "10.0;12.0"
    from cuda_compile import compile_all, demangle
    from cuda_table import short

    (compiled,) = (c for c in compile_all([given.source]) if c.architecture == f"sm_{given.arch}")
    texts = cuda_flow.sections(compiled.assembly)
    print("instructions for a unit", *Mix._fields[3:], sep="\t")
    for name, text in zip(map(short, demangle(list(texts))), texts.values(), strict=True):
        for work in work_of(name) if fnmatchcase(name, given.kernel) else []:
            try:
                row = mix(name, compiled.architecture, cuda_flow.flow(text), work)
            except cuda_path.NoWalkError as error:
                print(name, error, sep="\t")
            else:
                print(name, *row[2:], sep="\t")


if __name__ == "__main__":
    main()
