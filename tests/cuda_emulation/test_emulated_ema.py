"""The CUDA kernel of moving averages, run on the CPU: the same bits as the reference."""

import math
from collections.abc import Sequence

import emulated_ema as emulated
import emulation
import pytest
import torch
from covering import covering
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lelkern.reference.ema import ema_update_

pytestmark = pytest.mark.slow

DTYPES = emulated.ELEMENTS
CHUNK = 4096  # numbers that a block updates
SEED = torch.tensor(-0x123456789ABCDEF)


def draw(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors in copies of their storages, each of which is copied once."""
    storages: dict[int, torch.UntypedStorage] = {}
    found = []
    for tensor in tensors:
        storage = tensor.untyped_storage()
        own = storages.setdefault(storage.data_ptr(), storage.clone())
        place = tensor.storage_offset(), tensor.shape, tensor.stride()
        found.append(torch.empty(0, dtype=tensor.dtype).set_(own, *place))
    return found


def storages_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return all the bytes of the storages of the tensors."""
    return [torch.empty(0, dtype=torch.uint8).set_(x.untyped_storage()) for x in tensors]


def same_numbers(x: Tensor, y: Tensor) -> bool:
    """Whether the numbers have the same bits, or are both nan."""
    bits = {8: torch.int64, 4: torch.int32, 2: torch.int16}[x.element_size()]
    same = x.contiguous().view(bits) == y.contiguous().view(bits)
    return bool((same | (x.isnan() & y.isnan())).all())


def check(
    ema: Sequence[Tensor],
    params: Sequence[Tensor],
    decay: float | Tensor = 0.9,
    seed: Tensor | None = None,
    *,
    large_parameters: bool = True,
) -> list[Tensor]:
    """Update copies, compare with the reference, bytes beside the averages included, and return."""
    found, given = copies([*ema, *params]), copies([*ema, *params])
    found, found_params = found[: len(ema)], found[len(ema) :]
    want, want_params = given[: len(ema)], given[len(ema) :]
    emulated.update_(found, found_params, decay, seed, large_parameters=large_parameters)
    as_tensor = torch.as_tensor(decay, dtype=None if isinstance(decay, Tensor) else torch.float64)
    ema_update_(want, want_params, as_tensor, seed)
    results = [x.clone() for x in found]
    for i, (x, y) in enumerate(zip(found, want, strict=True)):
        assert same_numbers(x, y), i
        x.zero_()
        y.zero_()
    for x, y in zip(
        storages_of([*found, *found_params]), storages_of([*want, *want_params]), strict=True
    ):
        assert torch.equal(x, y)
    return results


def layouts(dtype: torch.dtype, generator: torch.Generator) -> list[Tensor]:
    """Return tensors in many layouts, of which pairs of any two types and layouts can be made."""

    def new(*shape: int) -> Tensor:
        return draw(shape, dtype, generator)

    channels_last = new(3, 5, 4, 7).contiguous(memory_format=torch.channels_last)
    return [
        new(0),
        new(),
        new(1),
        new(67)[3:],  # at odd addresses
        new(CHUNK - 1),
        new(CHUNK),
        new(CHUNK + 1),
        new(2 * CHUNK + 17)[1:],
        new(3, 0, 2),
        new(13, 11).T,
        new(9, 16)[:, 2:11],  # gaps
        new(5, 6, 7)[::2, :, 1::3],
        channels_last,
        new(3, 4, 7, 5).permute(0, 3, 1, 2),
        new(70, 70)[:, :69],
    ]


def pairs(
    ema_dtype: torch.dtype, param_dtype: torch.dtype, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Return averages in many layouts, with parameters in the same one and in another."""
    generator = torch.Generator().manual_seed(seed)
    ema, params = [], []
    for average, alike in zip(
        layouts(ema_dtype, generator), layouts(param_dtype, generator), strict=True
    ):
        ema += [average, average.clone()]
        params += [alike, alike.contiguous()]
        if average.dim() > 1:
            ema.append(draw(average.shape, ema_dtype, generator))
            params.append(alike.clone())
    one = draw((), param_dtype, generator)
    return [*ema, draw((40, 3), ema_dtype, generator)], [*params, one.expand(40, 3)]


@pytest.mark.parametrize(
    ("ema_dtype", "param_dtype", "order", "seed", "decay"),
    covering(DTYPES, DTYPES, emulation.ORDERS, [None, SEED], [0.9, 0.3]),
    ids=lambda value: "stochastic" if value is SEED else str(value),
)
def test_same_bits_as_the_reference_in_every_type_and_layout(
    ema_dtype, param_dtype, order, seed, decay
) -> None:
    turn = DTYPES.index(ema_dtype) + DTYPES.index(param_dtype)
    with emulation.settings(order=order, seed=turn):
        check(*pairs(ema_dtype, param_dtype, turn), decay, seed)


@pytest.mark.parametrize("seed", [None, SEED], ids=["nearest", "stochastic"])
def test_one_list_of_all_types_in_every_order(seed) -> None:
    generator = torch.Generator().manual_seed(0)
    ema, params = [], []
    for i, ema_dtype in enumerate(DTYPES):
        for j, param_dtype in enumerate(DTYPES):
            shape = [(130,), (17, 9), (CHUNK + 40,)][(i + j) % 3]
            average, parameter = (
                draw(shape, dtype, generator) for dtype in (ema_dtype, param_dtype)
            )
            ema.append(average.T if average.dim() == 2 else average)
            params.append(parameter.T.contiguous() if parameter.dim() == 2 else parameter)
    emulation.in_every_order(lambda: check(ema, params, 0.99, seed))


@given(
    sizes=st.lists(st.integers(0, 9), max_size=4),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    offsets=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    dtypes=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    permuted=st.randoms(use_true_random=False),
    noise=st.none() | st.integers(-(2**63), 2**63 - 1),
    decay=st.floats(0, 1),
)
@settings(max_examples=40, deadline=None)
def test_any_view(sizes, steps, offsets, dtypes, permuted, noise, decay) -> None:
    generator = torch.Generator().manual_seed(len(sizes))

    def view(dtype: torch.dtype, step: int, offset: int) -> Tensor:
        order = list(range(len(sizes)))
        permuted.shuffle(order)
        strides, stride = [0] * len(sizes), step
        for d in order:
            strides[d] = stride
            stride *= sizes[d] + step - 1
        base = draw([offset + max(stride, 1) + 1], dtype, generator)
        return base.as_strided(sizes, strides, offset)

    average, parameter = (
        view(dtype, step, offset)
        for dtype, step, offset in zip(dtypes, steps, offsets, strict=True)
    )
    check([average], [parameter], decay, None if noise is None else torch.tensor(noise))


@pytest.mark.parametrize("dtype", DTYPES)
def test_loads_stay_within_a_tensor_at_any_address(dtype) -> None:
    # A list of one has nothing before and behind it but what may not be read.
    generator = torch.Generator().manual_seed(0)
    for count in (1, 2, 7, 8, 9, 31, 33):
        for by in range(3):
            whole = draw((count + by,), dtype, generator)
            check([whole[by:]], [draw((count,), dtype, generator)])
            check([whole[by:]], [whole[by:].clone()], 0.9, SEED)


@pytest.mark.parametrize("large", [True, False])
def test_a_long_list_takes_several_launches(large) -> None:
    room = emulated.module().pairs_of_a_launch(large)
    assert room == (817 if large else 100)
    generator = torch.Generator().manual_seed(0)
    # Each emulated thread copies its parameters: of large ones, one list is enough.
    for count in (room + 3,) if large else (room, room + 1, 2 * room + 3):
        ema = [draw((1 + i % 3,), DTYPES[i % 4], generator) for i in range(count)]
        # The longest shapes that there are, between.
        ema[50] = draw((2,) + (1,) * 62 + (3,), torch.float32, generator).transpose(0, 63)
        params = [draw(x.shape, DTYPES[i % 3], generator) for i, x in enumerate(ema)]
        check(ema, params, 0.5, SEED, large_parameters=large)


def test_many_dimensions_and_no_room_left_for_them() -> None:
    # Nine dimensions, none of which can be joined, fill a table of 504 words before 100 pairs do.
    generator = torch.Generator().manual_seed(0)
    shape, strides = (2,) * 9, [3**d for d in range(9)]
    ema = [
        draw((3**9,), torch.float32, generator).as_strided(
            shape, strides[i % 9 :] + strides[: i % 9]
        )
        for i in range(20)
    ]
    params = [draw(shape, torch.bfloat16, generator) for _ in ema]
    check(ema, params, large_parameters=False)


def test_parameters_fit_what_a_driver_takes() -> None:
    assert emulated.module().bytes_of_parameters(False) <= 4096
    assert emulated.module().bytes_of_parameters(True) <= 32764


def test_nothing_to_do() -> None:
    check([], [])
    check([torch.empty(0)], [torch.empty(0)])


@pytest.mark.parametrize("seed", [None, SEED], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_decay_on_the_device(dtype, seed) -> None:
    generator = torch.Generator().manual_seed(0)
    ema = [draw((77,), x, generator) for x in DTYPES]
    params = [draw((77,), torch.float32, generator) for _ in DTYPES]
    for value in (0.0, 0.25, 0.996, 1.0):
        check(ema, params, torch.tensor(value, dtype=dtype), seed)


@pytest.mark.parametrize("decay", [-0.1, 1.5, math.nan, math.inf])
def test_a_decay_that_is_none_gives_nan(decay) -> None:
    ema = [torch.ones(5, dtype=dtype) for dtype in DTYPES]
    for found in check(ema, ema, decay) + check(ema, ema, torch.tensor(decay), SEED):
        assert found.isnan().all()


@pytest.mark.parametrize("seed", [None, SEED], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_number(dtype, seed) -> None:
    info = torch.finfo(dtype)
    kinds = [0.0, -0.0, 1.0, info.max, -info.max, info.tiny, -info.tiny, info.tiny * info.eps]
    kinds += [math.inf, -math.inf, math.nan, 65519.0, 65520.0, 65536.0, 2.0**-14, 2.0**-25, 3e38]
    x = torch.tensor(kinds, dtype=torch.float64)
    average, parameter = (v.reshape(-1).contiguous() for v in torch.meshgrid(x, x, indexing="ij"))
    for decay in (0.0, 1e-60, 1e-30, 0.25, 0.5, 0.9999, 1.0):
        for of_parameter in (torch.float64, dtype):
            check([average.to(dtype)], [parameter.to(of_parameter)], decay, seed)


@pytest.mark.parametrize("seed", [None, SEED], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_no_nan_becomes_a_number(dtype, seed) -> None:
    # The first is a GPU's own, which a carry would turn into zero; of the second, the bits that
    # are kept are those of infinity.
    bits = torch.tensor([0x7FFFFFFF, 0x7F800001, -1], dtype=torch.int32).repeat(3)
    found = check([torch.zeros(9, dtype=dtype)], [bits.view(torch.float32)], 0.0, seed)
    assert found[0].isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_averages_of_16_bits_are_right_on_average(dtype) -> None:
    # Between 1 and the next number, 2^-7 or 2^-10 away, 0.3 of the way: of n trials of which a
    # share p goes up, p is off by sqrt(p (1 - p) / n) at a time; six of these happen once in 10^8.
    n, p = 20_000, 0.3
    gap = torch.finfo(dtype).eps
    ema, parameter = torch.ones(n, dtype=dtype), torch.full((n,), 1 + 10 * p * gap)
    emulated.update_([ema], [parameter], 0.9, SEED)
    up = ema == 1 + gap
    assert (up | (ema == 1)).all()
    assert up.double().mean().item() == pytest.approx(p, abs=6 * math.sqrt(p * (1 - p) / n))
