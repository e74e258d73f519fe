"""Floors, of instructions and GPUs that are made up."""

from cuda_floors import GPUS, ROWS, Gpu, as_markdown, cycles
from cuda_mix import Mix
from cuda_table import mixes

SMALL = Gpu("small", "sm_80", 10, 1e9, 1e9, 1024, 64, 1e12, l2_bytes=1280)
FORWARD = "contrastive_forward<FmaTile<float>, false, false>"


def mix(kernel: str = "k", **numbers: float) -> Mix:
    none = dict.fromkeys(Mix._fields[3:], 0.0)
    return Mix(kernel, "sm_80", "similarity", **{**none, **numbers})


def test_each_unit_takes_its_time() -> None:
    row = mix(sum=256, fma=64, alu=32, special=4, shared_bytes=512, global_bytes=256, tensor=2)
    assert cycles(SMALL, row) == {
        "products": 2 * 2 * 16 * 8 * 16 / 32 / 1024,
        "fma": 1,
        "alu": 0.5,
        "special": 0.25,
        "issue": 2,
        "shared memory": 4,
        "L2": 256 / 128,
    }


def test_products_in_float32_are_what_the_work_needs() -> None:
    assert cycles(SMALL, mix(FORWARD, fma=150))["products"] == 128 / 64
    assert cycles(SMALL, mix("contrastive_symmetric<false>"))["products"] == 3 * 128 / 64


def test_rows_are_compared_at_the_clock_of_what_is_used() -> None:
    lines = as_markdown(mixes()).splitlines()
    for title, kernel, share, tensor in (
        ("forward, float32", FORWARD, 1, False),
        ("backward of half of the tiles", "contrastive_symmetric<false>", 0.5, False),
        ("forward, bfloat16", "contrastive_forward<MmaTile<bfloat16>, false, false>", 1, True),
    ):
        for gpu in GPUS:
            (row,) = (m for m in mixes() if m[:2] == (kernel, gpu.architecture))
            limit, busy = max(cycles(gpu, row).items(), key=lambda of: of[1])
            clock = gpu.tensor_clock if tensor else gpu.clock
            took = busy * ROWS**2 * share / gpu.multiprocessors / clock * 1e3
            (line,) = (at for at in lines if at.startswith(f"| {title} | {gpu.name} |"))
            assert f"**{took:.2g}**" in line
            assert f"| {limit} |" in line
