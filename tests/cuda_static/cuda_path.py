"""Finds how often which part of a kernel runs while it does some work, by what the work needs.

This is implicit path enumeration (Li and Malik, 1995), as bounds on running times are found: how
often edges of a control-flow graph are taken are the counts of a walk if as many lead to each block
as away from it, and if they hang together. Of the walks that do the work that of the fewest
instructions is taken: the others ask more questions.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from cuda_flow import ENTRY, OUTSIDE, Flow, Instruction, Loop
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

MOST = 10_000  # times that an edge is taken


class Need(NamedTuple):
    """How many instructions a piece of work has.

    One that has a predicate may be one of these or not.

    Attributes:
        codes: of which code, like ``LDG`` or ``MUFU.EX2``, or of which ones.
        least: how many.
        most: likewise.
        depth: only those in loops that have none in them and are in so many, with themselves; or
            anywhere.
        each: in every one of these loops, how many of them for each time that it is entered.
    """

    codes: tuple[str, ...]
    least: int
    most: int
    depth: int | None = None
    each: int | None = None

    def is_by(self, instruction: Instruction) -> bool:
        """Return whether an instruction is of such a code."""
        code = f"{instruction.code}."
        return code.startswith(tuple(f"{each}." for each in self.codes))


class Found(NamedTuple):
    """How many instructions of a need each block has, and at the end the outside.

    Attributes:
        need: what is needed.
        sure: (blocks + 1,) those without a predicate.
        possible: (blocks + 1,) all.
    """

    need: Need
    sure: np.ndarray
    possible: np.ndarray


class NoWalkError(Exception):
    """No walk through a kernel does what is needed."""


def innermost(flow: Flow) -> dict[int, int]:
    """Return in how many loops each block is whose loop has none in it."""
    return {block: loop.depth for loop in _inner_loops(flow) for block in loop.blocks}


def _inner_loops(flow: Flow) -> list[Loop]:
    loops = flow.loops
    return [at for at in loops if not any(other.blocks < at.blocks for other in loops)]


def counts(flow: Flow, needs: Sequence[Need], whole: bool = False) -> Counter[int]:
    """Return how often each block runs on the shortest walk that does what is needed.

    Copies to shared memory are left out where there is nothing left to copy, so that as many of
    them are taken as can be.

    Args:
        flow: a kernel.
        needs: what has to be done.
        whole: whether the walk is from the kernel's beginning to its end; otherwise it is a circle.

    Raises:
        NoWalkError: there is none; it says without what there is one.
    """
    loops = [loop.blocks for loop in flow.loops if loop.depth == 1]
    inside = [{(a, b) for a, b in flow.edges if {a, b} <= loop} for loop in loops]
    regions = [sorted(edges) for edges in ([flow.edges] if whole else inside)]
    found = [Found(need, *_numbers(flow, need)) for need in needs]
    walk = _shortest(flow, found, regions)
    if walk is None:
        fewer = [[other for other in found if other.need != need] for need in needs]
        able = [n for n, f in zip(needs, fewer, strict=True) if _shortest(flow, f, regions)]
        raise NoWalkError(f"no walk has {list(needs)}, but without one of {able}")
    return walk


def _shortest(
    flow: Flow, needs: Sequence[Found], regions: list[list[tuple[int, int]]]
) -> Counter[int] | None:
    """Return the shortest walk in any of some parts of a graph, given by their edges."""
    found = [walk for edges in regions if (walk := _walk(flow, needs, edges))]
    return min(found, default=(0, None), key=lambda walk: walk[0])[1]


def _numbers(flow: Flow, need: Need) -> tuple[np.ndarray, np.ndarray]:
    """Return how many such instructions each block has, without a predicate and in all."""
    depths = innermost(flow)
    found = [
        [at for at in block if need.is_by(at)] if need.depth in (None, depths.get(b)) else []
        for b, block in enumerate(flow.blocks)
    ]
    sure = [sum(not at.guard for at in block) for block in found]
    return np.array([*sure, 0]), np.array([*map(len, found), 0])  # nothing is outside


def _walk(
    flow: Flow, needs: Sequence[Found], edges: list[tuple[int, int]]
) -> tuple[float, Counter[int]] | None:
    """Return what is minimal on a walk along edges, and the walk."""
    size = len(flow.blocks)
    reached = [b for _, b in edges]
    if any(possible[reached].sum() == 0 < need.least for need, _, possible in needs):
        return None
    # (blocks and the outside, edges)
    into, out_of = (lil_array((size + 1, len(edges))) for _ in range(2))
    for k, (a, b) in enumerate(edges):
        out_of[a, k] = into[b, k] = 1
    into, out_of = into.tocsr(), out_of.tocsr()
    rules = [LinearConstraint(into - out_of, 0, 0)]
    if (OUTSIDE, ENTRY) in edges:
        rules.append(LinearConstraint(into[[size]], 1, 1))
    cost = np.array([*map(len, flow.blocks), 0]) @ into + 1e-6
    for need, sure, possible in needs:
        rules.append(LinearConstraint((sure @ into)[None], -np.inf, need.most))
        rules.append(LinearConstraint((possible @ into)[None], need.least, np.inf))
        if "LDGSTS" in need.codes:
            cost -= MOST * (possible @ into)
        for loop in _inner_loops(flow) if need.each else []:
            inside = np.isin(np.arange(size + 1), list(loop.blocks))
            if (possible * inside).any():
                entered = [a not in loop.blocks and b in loop.blocks for a, b in edges]
                rule = (possible * inside) @ into - need.each * np.array(entered)
                rules.append(LinearConstraint(rule[None], 0, 0))
    while True:
        best = milp(
            cost, integrality=np.ones(len(edges)), bounds=Bounds(0, MOST), constraints=rules
        )
        if best.x is None:
            return None
        taken = np.round(best.x).astype(int)
        parts = _parts([edge for edge, n in zip(edges, taken, strict=True) if n])
        if len(parts) <= 1:
            times = (into @ taken)[:size]
            return best.fun, Counter({b: int(n) for b, n in enumerate(times) if n})
        for part in parts:  # what is walked in a part, is so after coming to it
            inside = np.array([a in part and b in part for a, b in edges])
            enters = np.array([a not in part and b in part for a, b in edges])
            rules.append(LinearConstraint((MOST * enters - inside)[None], 0, np.inf))


def _parts(edges: list[tuple[int, int]]) -> list[set[int]]:
    """Return the blocks of edges in sets that hang together."""
    parts: list[set[int]] = []
    for edge in edges:
        touched = [part for part in parts if part & {*edge}]
        parts = [part for part in parts if not part & {*edge}] + [set(edge).union(*touched)]
    return parts
