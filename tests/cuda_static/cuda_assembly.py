"""Reads what the compiler made of each kernel: ptxas's report and nvdisasm's listing."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple


class Resources(NamedTuple):
    """What ptxas says of a kernel; sizes in bytes, of one thread or, if shared, of a block."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    static_shared: int


class Instructions(NamedTuple):
    """How often which instructions are in a kernel's code."""

    global_loads: int
    wide_global_loads: int  # of 16 bytes or more a thread
    tensor_core: int
    tensor_core_in_loops: int


def resources(report: str, architecture: str) -> dict[str, Resources]:
    """Return the resources of each kernel in what ptxas printed, by mangled name.

    Args:
        report: of one architecture after the other.
        architecture: which one is meant.
    """
    found = {}
    for heading, text in _parts(r"Compiling entry function '(\w+' for 'sm_\w+)'", report):
        name, _, compiled_for = heading.partition("' for '")
        if compiled_for != architecture:
            continue
        found[name] = Resources(
            *(
                sum(map(int, re.findall(rf"(\d+) {what}", text)))
                for what in (
                    "registers",
                    "bytes stack frame",
                    "bytes spill stores",
                    "bytes spill loads",
                    "bytes smem",
                )
            )
        )
    return found


def block_sizes(listing: str) -> dict[str, int]:
    """Return the threads of a block that each kernel was bounded to, by mangled name."""
    sizes = {}
    for name, text in _parts(r"^//-+ \.nv\.info\.(\w+) +-+$", listing):
        bound = re.search(r"EIATTR_MAX_THREADS$(?:.*\n)+?((?:.*\.word\t0x\w+\n)+)", text, re.M)
        assert bound is not None, f"{name} must have __launch_bounds__"
        sizes[name] = math.prod(int(word, 16) for word in re.findall(r"0x(\w{8})\n", bound[1]))
    return sizes


def instructions(listing: str) -> dict[str, Instructions]:
    """Count what is in the code of each kernel, by mangled name."""
    return {name: _count(text) for name, text in _parts(r"^//-+ \.text\.(\w+) +-+$", listing)}


def _count(text: str) -> Instructions:
    labels: dict[str, int] = {}
    codes: list[str] = []
    loops: list[range] = []
    for label, code, target in re.findall(
        r"^(\.L\w+):$|^\s+/\*\w+\*/\s+(?:@!?\w+ )?\s*([A-Z][\w.]*)(?:.*`\((\.L\w+)\))?", text, re.M
    ):
        if label:
            labels[label] = len(codes)
            continue
        if code.startswith("BRA") and target in labels:
            loops.append(range(labels[target], len(codes)))
        codes.append(code)
    loads = [code for code in codes if code.split(".")[0] in ("LD", "LDG", "LDGSTS")]
    tensor_core = [i for i, code in enumerate(codes) if code.split(".")[0].endswith("MMA")]
    return Instructions(
        len(loads),
        sum(bool({"128", "256"} & set(code.split("."))) for code in loads),
        len(tensor_core),
        sum(any(i in loop for loop in loops) for i in tensor_core),
    )


def _parts(heading: str, text: str) -> Iterator[tuple[str, str]]:
    """Cut a text at headings that have a name."""
    pieces = re.split(heading, text, flags=re.M)
    return zip(pieces[1::2], pieces[2::2], strict=True)
