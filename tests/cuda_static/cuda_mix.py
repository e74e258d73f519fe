"""How many instructions of which class main loops have for each unit of their work.

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


class Work(NamedTuple):
    """What kernels do, and how to tell the path on which they do that.

    Attributes:
        kernels: patterns of their names.
        unit: what they do.
        units: how many a thread does, between all threads of its warp, on the path.
        needs: what instructions are on the path.
        whole: whether the path is a thread's whole life; otherwise it is one round of a loop.
    """

    kernels: list[str]
    unit: str
    units: float
    needs: list[cuda_path.Need]
    whole: bool = False


class Mix(NamedTuple):
    """A row of the table: instructions that a thread has for a unit."""

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


@functools.cache
def all_work() -> list[Work]:
    """Return what work.toml says."""
    return [
        Work(**{**each, "needs": [_need(*need) for need in each["needs"].items()]})
        for each in tomllib.loads(WORK.read_text())["work"]
    ]


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
    return [w for w in all_work() if any(fnmatchcase(kernel, p) for p in w.kernels)]


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


def mix(kernel: str, architecture: str, flow: Flow, work: Work) -> Mix:
    """Return how many instructions of which class a kernel has for a unit of its work."""
    number = Counter[str]()
    for block, times in cuda_path.counts(flow, work.needs, work.whole).items():
        for instruction in flow.blocks[block]:
            number[class_of(instruction)] += times
    each = [round(number[name] / work.units, 2) for name in CLASSES]
    return Mix(kernel, architecture, work.unit, *each, round(number.total() / work.units, 2))


def mixes(listing: str, architecture: str, names: dict[str, str]) -> list[Mix]:
    """Return that of all kernels in a listing whose work is known.

    Args:
        listing: what nvdisasm prints.
        architecture: of which one.
        names: short ones by mangled ones.
    """
    return [
        mix(names[mangled], architecture, cuda_flow.flow(text), work)
        for mangled, text in cuda_flow.sections(listing).items()
        for work in work_of(names.get(mangled, ""))
    ]


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
    print("instructions for a unit", *CLASSES, "sum", sep="\t")
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
