"""How many blocks of a kernel a multiprocessor holds at a time: CUDA's occupancy calculation."""

from typing import NamedTuple

WARP = 32
REGISTERS = 65_536  # of a multiprocessor, in four parts that each serve a quarter of its warps
PARTS = 4
REGISTER_UNIT = 256  # registers are given to a warp in whole units, and so is shared memory
SHARED_UNIT = 128
SHARED_RESERVED = 1024  # by the system, for each block


class Limits(NamedTuple):
    """What a multiprocessor has at most: the table of the CUDA Programming Guide."""

    warps: int
    blocks: int
    shared: int  # bytes


LIMITS = {
    "sm_80": Limits(64, 32, 164 * 1024),
    "sm_90": Limits(64, 32, 228 * 1024),
    "sm_100": Limits(64, 32, 228 * 1024),
    "sm_120": Limits(48, 24, 100 * 1024),
}


def blocks_per_multiprocessor(architecture: str, threads: int, registers: int, shared: int) -> int:
    """Return how many blocks fit, given registers of a thread and shared bytes of a block."""
    limits = LIMITS[architecture]
    warps = -(-threads // WARP)
    by_warps = limits.warps // warps
    registers_of_warp = _round_up(registers * WARP, REGISTER_UNIT)
    by_registers = REGISTERS // PARTS // registers_of_warp * PARTS // warps
    by_shared = limits.shared // _round_up(shared + SHARED_RESERVED, SHARED_UNIT)
    return min(by_warps, by_registers, by_shared, limits.blocks)


def occupancy(architecture: str, threads: int, blocks: int) -> float:
    """Return the share of the warps that a multiprocessor can hold."""
    return blocks * -(-threads // WARP) / LIMITS[architecture].warps


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
