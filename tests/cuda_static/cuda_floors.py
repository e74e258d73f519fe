"""How long GPUs take at least for what main loops execute: the floors in docs/cuda.md.

docs/cuda.md says where each figure of a GPU comes from, and which are assumed.
"""

from typing import NamedTuple

from cuda_mix import Mix, work_of

MILLISECONDS = 1e3
ROWS = 8192  # compared with themselves
NUMBERS = 1e9  # that are averaged, mixed or moved
WARP = 32
MMA_FLOPS = 2 * 16 * 8 * 16 / WARP  # of a product on tensor cores, for each thread


class Gpu(NamedTuple):
    """What a GPU does: its multiprocessors in a cycle, unless it is said otherwise.

    Attributes:
        clock: in Hz.
        tensor_clock: the clock of the peak that is stated for tensor cores, likewise.
        tensor_flops: of 16 bits.
        fma: instructions of threads that multiply and add in float32.
        memory_bytes: of the whole GPU in a second.
        l2_bytes: of the whole GPU in a cycle.
        issued: instructions of threads, one of a warp by each of four schedulers.
        alu: those of integers and logic, comparisons, moves.
        special: exponentials, reciprocals, conversions.
    """

    name: str
    architecture: str
    multiprocessors: int
    clock: float
    tensor_clock: float
    tensor_flops: float
    fma: float
    memory_bytes: float
    l2_bytes: float = 5120
    issued: float = 4 * WARP
    alu: float = 64
    special: float = 16
    shared_bytes: float = 128


GPUS = (
    Gpu("A100", "sm_80", 108, 1.41e9, 1.41e9, 2048, 64, 2.04e12),
    Gpu("H100", "sm_90", 132, 1.98e9, 1.83e9, 4096, 128, 3.35e12),
    Gpu("B200", "sm_100", 148, 1.965e9, 1.86e9, 8192, 128, 8e12),
)

# Kernels whose similarities are of rows of 128 features, and of how many of all pairs they are.
SIMILARITIES = {
    "contrastive_forward<MmaTile<bfloat16>, false, false>": ("forward, bfloat16", 1),
    "contrastive_backward<MmaTile<bfloat16>, false>": ("backward, bfloat16", 1),
    "contrastive_forward<MmaTile<TwoTerms>, false, false>": ("forward, two terms", 1),
    "contrastive_backward<MmaTile<TwoTerms>, false>": ("backward, two terms", 1),
    "contrastive_forward<FmaTile<float>, false, false>": ("forward, float32", 1),
    "contrastive_backward<FmaTile<float>, false>": ("backward, float32", 1),
    "contrastive_symmetric<false>": ("backward of half of the tiles", 0.5),
    "siglip_forward<MmaTile<bfloat16>, false>": ("SigLIP forward, bfloat16", 1),
    "siglip_backward<MmaTile<bfloat16>, false>": ("SigLIP backward, bfloat16", 1),
}

# What else is counted, where numbers come from memory and go there.
NUMBER_KERNELS = (
    ("ema_update<false, 504>", "number of a float32 average, of float32"),
    ("ema_update<false, 504>", "number of a bfloat16 average, of bfloat16"),
    ("ema_update<true, 504>", "number of a bfloat16 average, of bfloat16"),
    ("mix_rows_kernel<float, float, false, 4>", "number of a mix"),
    ("mix_rows_kernel<float, float, true, 4>", "number of a mix"),
    ("mix_rows_kernel<bfloat16, bfloat16, false, 8>", "number of a mix"),
    ("soften_kernel<float, 4>", "number, with one threshold for all"),
    ("shrink_groups_kernel<float, NormTwo, NoStep, 24>", "number of a row that is kept"),
)


def cycles(gpu: Gpu, mix: Mix) -> dict[str, float]:
    """Return for how many cycles each unit of a multiprocessor is busy with a unit of work.

    ``products`` are busy the tensor cores, or where they are not used what multiplies and adds.
    """
    return {
        "products": _products(gpu, mix),
        "fma": mix.fma / gpu.fma,
        "alu": mix.alu / gpu.alu,
        "special": mix.special / gpu.special,
        "issue": mix.sum / gpu.issued,
        "shared memory": mix.shared_bytes / gpu.shared_bytes,
        "L2": mix.global_bytes * gpu.multiprocessors / gpu.l2_bytes,
    }


def _products(gpu: Gpu, mix: Mix) -> float:
    if mix.tensor:
        return mix.tensor * MMA_FLOPS / gpu.tensor_flops
    needed = (
        need.least / work.units
        for work in work_of(mix.kernel)
        for need in work.needs
        if need.codes == ("FFMA",)
    )
    return sum(needed) / gpu.fma


def as_markdown(mixes: list[Mix]) -> str:
    """Return both tables: of similarities, and of numbers."""
    by_name = {(mix.kernel, mix.unit, mix.architecture): mix for mix in mixes}
    return "\n".join([*_similarities(by_name), "", *_numbers(by_name), ""])


def _similarities(by_name: dict[tuple[str, str, str], Mix]) -> list[str]:
    lines = [
        "| M = 8,192, ms | GPU | products | fma | alu | special | issue | shared memory | L2"
        " | limit | of the products' peak |",
        "|---" * 11 + "|",
    ]
    for kernel, (title, share) in SIMILARITIES.items():
        for gpu in GPUS:
            mix = by_name[kernel, "similarity", gpu.architecture]
            clock = gpu.tensor_clock if mix.tensor else gpu.clock
            each = ROWS**2 * share / gpu.multiprocessors / clock * MILLISECONDS
            found = cycles(gpu, mix)
            cells, limit = _cells(tuple(found), found, each)
            fraction = f"{found['products'] / found[limit]:.0%}"
            lines.append(f"| {title} | {gpu.name} | {cells} | {limit} | {fraction} |")
    return lines


def _numbers(by_name: dict[tuple[str, str, str], Mix]) -> list[str]:
    lines = [
        "| 10⁹ numbers, ms | GPU | bytes | instructions | memory | fma | alu | special | issue"
        " | limit |",
        "|---" * 10 + "|",
    ]
    for kernel, unit in NUMBER_KERNELS:
        for gpu in GPUS:
            mix = by_name[kernel, unit, gpu.architecture]
            each = NUMBERS / gpu.multiprocessors / gpu.clock * MILLISECONDS
            memory = mix.global_bytes * NUMBERS / gpu.memory_bytes * MILLISECONDS
            found = {"memory": memory / each, **cycles(gpu, mix)}
            cells, limit = _cells(("memory", "fma", "alu", "special", "issue"), found, each)
            lines.append(
                f"| `{kernel}`, {unit} | {gpu.name} | {mix.global_bytes:.3g} | {mix.sum:.3g}"
                f" | {cells} | {limit} |"
            )
    return lines


def _cells(units: tuple[str, ...], found: dict[str, float], each: float) -> tuple[str, str]:
    """Return the cells of a table, the largest one bold, and which that is."""
    limit = max(units, key=lambda unit: found[unit])
    cells = (f"{found[unit] * each:.2g}" for unit in units)
    bold = (f"**{c}**" if u == limit else c for u, c in zip(units, cells, strict=True))
    return " | ".join(bold), limit
