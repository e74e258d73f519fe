"""Reads the instructions of kernels from nvdisasm's listing, and which may follow which."""

import functools
import re
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ENTRY, OUTSIDE = 0, -1

_SECTION = re.compile(r"^//-+ \.text\.(\w+) +-+$", re.M)
_LINE = re.compile(
    r"^(?P<label>[.$]\S+):$|"
    r"^\s+/\*\w+\*/\s+(?:@(?P<guard>!?\w+)\s+)?(?P<code>[A-Z][\w.]*)\s*(?P<operands>[^;]*?)\s*;",
    re.M,
)
_LEAP = re.compile(r"(?:!?(?P<guard>\w+), )?`\((?P<label>\S+)\)")


class Instruction(NamedTuple):
    """One instruction: ``@guard code operands``, where the guard may be empty."""

    guard: str
    code: str
    operands: str

    @property
    def name(self) -> str:
        """``LDG`` of ``LDG.E.128``."""
        return self.code.split(".")[0]


class Loop(NamedTuple):
    """Blocks that reach each other, and how many loops they are in, with this one."""

    depth: int
    blocks: frozenset[int]


@dataclass
class Flow:
    """The control-flow graph of a kernel.

    Attributes:
        blocks: instructions of each basic block; the first is where a kernel begins.
        edges: from which block to which one may go, as from its end outside to its beginning.
    """

    blocks: list[list[Instruction]] = field(default_factory=list)
    edges: set[tuple[int, int]] = field(default_factory=set)

    @functools.cached_property
    def loops(self) -> list[Loop]:
        """All loops, outer ones first.

        A loop in another is what still reaches itself without the ways back to where the outer one
        is entered.
        """
        found: list[Loop] = []
        left = {edge for edge in self.edges if OUTSIDE not in edge}
        depth = 0
        while loops := self._reaching_themselves(left):
            depth += 1
            found += [Loop(depth, loop) for loop in loops]
            within = {(a, b) for a, b in left if any(a in loop and b in loop for loop in loops)}
            heads = {b for a, b in left - within} | {
                min(loop) for loop in loops if not any(b in loop for _, b in left - within)
            }
            left = {(a, b) for a, b in within if b not in heads}
        return found

    def _reaching_themselves(self, edges: set[tuple[int, int]]) -> list[frozenset[int]]:
        if not edges:
            return []
        pairs = np.array(sorted(edges))
        size = len(self.blocks)
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
        _, number = connected_components(graph, connection="strong")
        inside = sorted({number[a] for a, b in pairs if number[a] == number[b]})
        return [frozenset(np.flatnonzero(number == n).tolist()) for n in inside]


def sections(listing: str) -> dict[str, str]:
    """Return the code of each kernel in a listing, by mangled name."""
    pieces = _SECTION.split(listing)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def flow(text: str) -> Flow:
    """Return the control-flow graph of the code of one kernel.

    Calls of functions lead nowhere, for these are the rare cases of divisions and the like; nor do
    branches to addresses in registers.
    """
    made = Flow()
    labels: dict[str, int] = {}
    leaps: list[tuple[int, str]] = []
    falls, ended = False, True  # whether what comes next follows the last block, or begins one
    for line in _LINE.finditer(text):
        if label := line["label"]:
            labels[label], ended = len(made.blocks), True
            continue
        at = Instruction(line["guard"] or "", line["code"], line["operands"])
        if ended:
            made.blocks.append([])
            if falls:
                made.edges.add((len(made.blocks) - 2, len(made.blocks) - 1))
        made.blocks[-1].append(at)
        number, falls, ended = len(made.blocks) - 1, True, False
        if at.name not in ("BRA", "BRX", "BRXU", "CALL", "EXIT", "JMP", "JMX", "RET"):
            continue
        ended, leap = True, _LEAP.fullmatch(at.operands)
        falls = bool(at.guard) or ".DIV" in at.code or bool(leap and leap["guard"])
        if at.name == "EXIT":
            made.edges.add((number, OUTSIDE))
        elif leap and ".DIV" not in at.code:  # which is where threads of a warp part
            leaps.append((number, leap["label"]))
    made.edges |= {(number, labels[to]) for number, to in leaps if not to.startswith("$")}
    made.edges.add((OUTSIDE, ENTRY))
    return made
