"""How long GPUs take at least for what main loops execute: the floors in docs/cuda.md.

What GPUs do is what NVIDIA's whitepapers of A100, H100 and Blackwell say of SXM boards, at their
boost clocks. Two figures are assumed: the L2 cache of H100 and B200 reads as much a cycle as that
of A100, which alone NVIDIA states, and B200's clock, which follows from its peak.
"""

from typing import NamedTuple

from cuda_mix import Mix

MILLISECONDS = 1e3
ROWS = 8192  # compared with themselves
NUMBERS = 1e9  # that are averaged, mixed or moved


class Gpu(NamedTuple):
    """What a GPU does: its multiprocessors in a cycle, unless it is said otherwise."""

    name: str
    architecture: str
    multiprocessors: int
    clock: float  # Hz
    tensor_flops: float  # of 16 bits
    fp32_instructions: float  # of threads
    l2_bytes: float  # of the whole GPU in a cycle
    memory_bytes: float  # likewise, a second
    issued: float = 4 * 32  # instructions of threads: one of a warp by each of four schedulers
    special: float = 16  # exponentials, reciprocals, conversions
    shared_bytes: float = 128


GPUS = (
    Gpu("A100", "sm_80", 108, 1.41e9, 2048, 64, 5120, 2.04e12),
    Gpu("H100", "sm_90", 132, 1.83e9, 4096, 128, 5120, 3.35e12),
    Gpu("B200", "sm_100", 148, 1.86e9, 8192, 128, 5120, 8e12),
)


class Work(NamedTuple):
    """What a kernel asks of a GPU for a similarity of rows of 128 features, besides instructions.

    Attributes:
        products: of 128 numbers; on tensor cores of pairs of terms.
        shared_bytes: that shared memory has to find, where lanes that read the same merge.
        l2_bytes: that come from the L2 cache or are added in it.
        share: of all pairs of rows, for how many it is computed.
    """

    title: str
    products: int
    shared_bytes: float
    l2_bytes: float
    share: float = 1


# ldmatrix: 40 of 512 bytes for 16 x 64 similarities forward and 32 more backward, twice as many
# with two terms. Those of FmaTile are estimates of how reads of half a warp merge.
SIMILARITIES = {
    "contrastive_forward<MmaTile<bfloat16>, false, false>": Work("forward, bfloat16", 1, 20, 4),
    "contrastive_backward<MmaTile<bfloat16>, false>": Work("backward, bfloat16", 2, 36, 8),
    "contrastive_forward<MmaTile<TwoTerms>, false, false>": Work("forward, two terms", 3, 40, 16),
    "contrastive_backward<MmaTile<TwoTerms>, false>": Work("backward, two terms", 6, 72, 24),
    "contrastive_forward<FmaTile<float>, false, false>": Work("forward, float32", 1, 96, 16),
    "contrastive_backward<FmaTile<float>, false>": Work("backward, float32", 2, 240, 24),
    "contrastive_symmetric<false>": Work("backward of half of the tiles", 3, 400, 24, 0.5),
    "siglip_forward<MmaTile<bfloat16>, false>": Work("SigLIP forward, bfloat16", 1, 20, 4),
    "siglip_backward<MmaTile<bfloat16>, false>": Work("SigLIP backward, bfloat16", 2, 36, 8),
}

# What else is counted, and the bytes of a number that go to and from memory.
BYTES = {
    ("ema_update<false, 504>", "number of a float32 average, of float32"): 12,
    ("ema_update<false, 504>", "number of a bfloat16 average, of bfloat16"): 6,
    ("ema_update<true, 504>", "number of a bfloat16 average, of bfloat16"): 6,
    ("mix_rows_kernel<float, float, true, 4>", "number of a mix"): 12,
    ("mix_rows_kernel<bfloat16, bfloat16, false, 8>", "number of a mix"): 6,
    ("soften_kernel<float, 4>", "number, with one threshold for all"): 8,
}


def floors(gpu: Gpu, mix: Mix, work: Work) -> dict[str, float]:
    """Return how many milliseconds each unit of a GPU takes for M = 8,192, by its name."""
    tensor = mix.tensor > 0
    cycles = {
        "products": work.products * 256 / gpu.tensor_flops
        if tensor
        else work.products * 128 / gpu.fp32_instructions,
        "issue": mix.sum / gpu.issued,
        "special": mix.special / gpu.special,
        "shared memory": work.shared_bytes / gpu.shared_bytes,
        "L2": work.l2_bytes * gpu.multiprocessors / gpu.l2_bytes,
    }
    each = ROWS**2 * work.share / gpu.multiprocessors / gpu.clock * MILLISECONDS
    return {name: number * each for name, number in cycles.items()}


def as_markdown(mixes: list[Mix]) -> str:
    """Return both tables: of similarities, and of numbers."""
    by_name = {(mix.kernel, mix.unit, mix.architecture): mix for mix in mixes}
    lines = [
        "| M = 8,192, ms | GPU | products | issue | special | shared memory | L2 | limit"
        " | of the products' peak |",
        "|---" * 9 + "|",
    ]
    for kernel, work in SIMILARITIES.items():
        for gpu in GPUS:
            found = floors(gpu, by_name[kernel, "similarity", gpu.architecture], work)
            limit = max(found, key=lambda name: found[name])
            cells = [f"**{n:.2g}**" if name == limit else f"{n:.2g}" for name, n in found.items()]
            share = f"{found['products'] / found[limit]:.0%}"
            lines.append(f"| {work.title} | {gpu.name} | {' | '.join(cells)} | {limit} | {share} |")
    lines += [
        "",
        "| 10⁹ numbers, ms | bytes | GPU | instructions | memory | issue | limit |",
        "|---" * 7 + "|",
    ]
    for (kernel, unit), size in BYTES.items():
        for gpu in GPUS:
            number = by_name[kernel, unit, gpu.architecture].sum
            memory = NUMBERS * size / gpu.memory_bytes * MILLISECONDS
            issue = NUMBERS * number / gpu.issued / gpu.multiprocessors / gpu.clock * MILLISECONDS
            limit = "memory" if memory > issue else "issue"
            lines.append(
                f"| `{kernel}`, {unit} | {size} | {gpu.name} | {number:.3g} | {memory:.2g}"
                f" | {issue:.2g} | {limit} |"
            )
    return "\n".join([*lines, ""])
