import contextlib
import itertools
import sys
import threading

import hypothesis.strategies as st
import pytest
import torch
from covering import covering
from ema_samples import (
    DTYPES,
    LAYOUTS,
    around,
    check,
    clones,
    compiled,
    contiguous,
    every_third,
    misaligned,
    normals,
    reversed_dimensions,
    rows_with_gaps,
    same_bits,
    tensor,
)
from hypothesis import given, settings

import lelkern
from lelkern.reference import ema as reference

# Nothing, one, primes, and around the vectors and pieces of the kernels.
SHAPES = [(), (0,), (1,), (7,), (16,), (31, 33), (511,), (512,), (513,), (3, 0, 2), (5, 3, 3, 3),
          (2, 64, 5), (1, 40, 1, 17)]  # fmt: skip
DECAYS = [0.0, 0.3, 0.5, 0.999, 1.0]

pairs_of_dtypes = pytest.mark.parametrize(
    ("ema_dtype", "dtype"), list(itertools.product(DTYPES, DTYPES)), ids=str
)


def update_and_check(ema, params, decay):
    before, surroundings = clones(ema), [around(x) for x in ema]
    parameters = [x.clone() for x in params]
    assert lelkern.ema_update_(ema, params, decay) is None
    for x, old, parameter, surrounding in zip(ema, before, params, surroundings, strict=True):
        check(x, old, parameter, decay)
        assert torch.equal(around(x), surrounding)
    assert all(same_bits(x, y) for x, y in zip(params, parameters, strict=True))


@pytest.mark.parametrize(("ema_dtype", "dtype", "decay"), covering(DTYPES, DTYPES, DECAYS), ids=str)
def test_all_shapes_in_one_list(ema_dtype, dtype, decay, device):
    ema = [normals(*shape, seed=i).to(device, ema_dtype) for i, shape in enumerate(SHAPES)]
    params = [normals(*shape, seed=-1 - i).to(device, dtype) for i, shape in enumerate(SHAPES)]
    update_and_check(ema, params, decay)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ema_layout", LAYOUTS)
def test_all_layouts(ema_layout, layout, device):
    shapes = [shape for shape in SHAPES if 0 not in shape]
    ema = [tensor(normals(*shape).to(device), ema_layout) for shape in shapes]
    params = [tensor(normals(*shape, seed=1).to(device), layout) for shape in shapes]
    update_and_check(ema, params, 0.9)


def test_expanded_parameters(device):
    ema = [normals(4, 40).to(device), normals(4, 40).t().to(device)]
    params = [normals(40).to(device).expand(4, 40), normals(1, 4).to(device).expand(40, 4)]
    update_and_check(ema, params, 0.9)


@st.composite
def lists(draw):
    """Up to six averages and parameters of any shapes, dtypes and layouts."""
    pairs = []
    for seed in range(draw(st.integers(0, 6))):
        shape = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
        values = [normals(*shape, seed=2 * seed + i).to(draw(st.sampled_from(DTYPES)))
                  for i in (0, 1)]  # fmt: skip
        pairs.append([tensor(x, draw(st.sampled_from(LAYOUTS))) for x in values])
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@settings(max_examples=100, deadline=None)
@given(lists(), st.floats(0, 1))
def test_any_lists(pair, decay):
    update_and_check(*pair, decay)


@pytest.mark.once
@settings(max_examples=50, deadline=None)
@given(lists(), st.floats(0, 1), st.booleans(), st.integers(-(2**63), 2**63 - 1))
def test_kernels_and_reference_agree_to_the_bit(pair, decay, stochastic, seed):
    if not compiled("cpu"):
        pytest.skip("no kernel to compare")
    ema, params = pair
    others = clones(ema)
    number = torch.tensor(seed) if stochastic else None
    torch.ops.lelkern.ema_update_(ema, params, decay, None, number)
    reference.ema_update_(others, params, torch.tensor(decay, dtype=torch.float64), number)
    assert all(same_bits(x, y) for x, y in zip(ema, others, strict=True))


@pairs_of_dtypes
@pytest.mark.parametrize("stochastic", [False, True])
def test_every_magnitude_to_the_bit(ema_dtype, dtype, stochastic, device):
    if not compiled(device):
        pytest.skip("no kernel to compare")
    exponents = torch.arange(8192) % 60 - 40
    seed = torch.tensor(987654321012345678, device=device) if stochastic else None
    for decay in (*DECAYS, float("nan"), -0.1, 1.1):
        values = [normals(8192, seed=s) * 2.0**exponents for s in (0, 1)]
        special = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, -0.0, 3e38, -3e38, 65519])
        values[0][:800] = special.double().repeat(100)
        values[1][:800] = special.double().repeat_interleave(100)
        ema, param = values[0].to(device, ema_dtype), values[1].to(device, dtype)
        want = ema.clone()
        torch.ops.lelkern.ema_update_([ema], [param], decay, None, seed)
        number = torch.tensor(decay, dtype=torch.float64, device=device)
        reference.ema_update_([want], [param], number, seed)
        assert same_bits(ema, want)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("decay", [*DECAYS, 1 - 1e-9, 1e-9])
def test_what_is_equal_stays(decay, dtype, device):
    x = (normals(1000) * 1000).to(device, dtype)
    ema = x.clone()
    lelkern.ema_update_([ema], [x], decay)
    assert torch.equal(ema, x)


def test_momentum_of_one_and_zero_choose_exactly(device):
    finite = normals(3).to(device)
    others = torch.tensor([torch.nan, torch.inf, -torch.inf], dtype=torch.float64, device=device)
    ema = finite.clone()
    lelkern.ema_update_([ema], [others], 1.0)
    assert torch.equal(ema, finite)
    ema = others.clone()
    lelkern.ema_update_([ema], [finite], 0.0)
    assert torch.equal(ema, finite)


def test_one_minus_momentum_is_exact(device):
    ema, one = torch.zeros(5, device=device), torch.ones(5, device=device)
    lelkern.ema_update_([ema], [one], 0.9999)
    # float32(0.9999) would give 1.0001659e-4.
    torch.testing.assert_close(ema, torch.full_like(ema, 1e-4), rtol=1e-7, atol=0)


def test_tensors_may_share_storage(device):
    storage = normals(100).to(device)
    rows = storage[:40].view(2, 20)
    ema = [rows[:, :7], rows[:, 7:10], storage[50:60]]
    params = [rows[:, 10:17], rows[:, 17:20], storage[60:70]]
    befores, parameters = clones(ema), clones(params)
    lelkern.ema_update_(ema, params, 0.9)
    for average, before, parameter in zip(ema, befores, parameters, strict=True):
        check(average, before, parameter, 0.9)


def test_parameters_may_be_one_tensor(device):
    x = normals(9).to(device)
    ema = [torch.zeros_like(x), torch.ones_like(x)]
    update_and_check(ema, [x, x], 0.9)


def test_interleaved_views_of_one_storage(device):
    storage = normals(30).to(device)
    before = storage.clone()
    lelkern.ema_update_([storage[::3], storage[1::3]], [storage[2::3], storage[2::3]], 0.75)
    check(storage[::3], before[::3], before[2::3], 0.75)
    check(storage[1::3], before[1::3], before[2::3], 0.75)
    assert torch.equal(storage[2::3], before[2::3])


@pytest.mark.once
@pytest.mark.parametrize("layout", [contiguous, misaligned, reversed_dimensions, rows_with_gaps])
def test_any_number_of_threads_gives_the_same_bits(layout):
    shapes = [(300, 301), (64,), (100_000,), (3,), (257, 129)]
    results = []
    threads = torch.get_num_threads()
    for count in (1, 2, 3):
        ema = [tensor(normals(*shape).bfloat16(), layout) for shape in shapes]
        params = [tensor(normals(*shape, seed=1).float(), layout) for shape in shapes]
        torch.set_num_threads(count)
        try:
            torch.ops.lelkern.ema_update_(ema, params, 0.9, None, torch.tensor(5))
        finally:
            torch.set_num_threads(threads)
        results.append(ema)
    for others in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], others, strict=True))


def test_empty_lists_and_other_iterables(device):
    lelkern.ema_update_([], [], 0.5)
    model = torch.nn.Linear(3, 2).to(device)
    average = torch.nn.Linear(3, 2).to(device)
    before = clones([p.detach() for p in average.parameters()])
    lelkern.ema_update_(average.parameters(), model.parameters(), 0.9)
    for x, old, p in zip(average.parameters(), before, model.parameters(), strict=True):
        check(x.detach(), old, p.detach(), 0.9)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_momentum_may_be_a_tensor(dtype, device):
    decay = torch.tensor(0.75, dtype=dtype, device=device)
    for number in (decay, decay.reshape(1, 1), decay.cpu()):
        ema = normals(40).to(device)
        before = ema.clone()
        lelkern.ema_update_([ema], [normals(40, seed=1).to(device)], number)
        check(ema, before, normals(40, seed=1).to(device), 0.75)


def test_a_momentum_that_nobody_could_check_gives_nan(device):
    for decay in (-0.1, 1.5, torch.nan):
        ema = [torch.zeros(20, dtype=dtype, device=device) for dtype in DTYPES]
        number = torch.tensor(decay, device=device)
        params = [torch.ones_like(x) for x in ema]
        torch.ops.lelkern.ema_update_(ema, params, 0.5, number, None)
        assert all(x.isnan().all() for x in ema)


def moved(x):
    x.data = x.data.clone()


def of_another_dtype(x):
    x.data = x.data.half()


def in_inverse_order(x):
    storage = torch.zeros(100, dtype=x.dtype, device=x.device)
    x.data = storage[: x.numel()].view(*x.shape[::-1]).t()


@pytest.mark.parametrize("of_averages", [True, False])
@pytest.mark.parametrize("change", [moved, of_another_dtype, in_inverse_order])
def test_a_tensor_is_what_it_is_now(change, of_averages, device):
    ema = [normals(3, 4).to(device), normals(7, 2).to(device, torch.bfloat16)]
    params = [torch.nn.Parameter(normals(*x.shape, seed=1).to(device)) for x in ema]
    lelkern.ema_update_(ema, params, 0.5)
    change((ema if of_averages else params)[0])
    update_and_check(ema, [p.detach() for p in params], 0.75)


def test_tensors_may_be_swapped(device):
    ema, params = ([normals(5, seed=seed).to(device)] for seed in (0, 1))
    for lists in (ema, params):
        torch.utils.swap_tensors(lists[0], normals(5, seed=5).to(device))
        update_and_check(ema, params, 0.75)


def test_a_lazy_clone_keeps_its_values(device):
    ema = [normals(4, 4).to(device)]
    clone, values = torch._lazy_clone(ema[0]), ema[0].clone()
    lelkern.ema_update_(ema, [normals(4, 4, seed=1).to(device)], 0.75)
    assert torch.equal(clone, values)


def test_a_view_of_the_negative(device):
    x = normals(4, seed=1).to(device)
    ema = [normals(4).to(device)]
    update_and_check(ema, [x], 0.75)
    update_and_check(ema, [x._neg_view()], 0.75)
    with pytest.raises(RuntimeError, match="negation"):  # PyTorch's own word: it passes none on
        lelkern.ema_update_([ema[0]._neg_view()], [x], 0.75)


def test_a_list_that_is_shorter_than_it_says(device):
    class First(list):
        def __iter__(self):
            return iter(self[:1])

    ema, params = ([normals(5, seed=seed).to(device) for _ in range(2)] for seed in (0, 1))
    lelkern.ema_update_(First(ema), First(params), 0)
    assert torch.equal(ema[0], params[0])
    assert not torch.equal(ema[1], params[1])


def test_lists_may_change_in_another_thread(device):
    ema, params = ([normals(5, seed=seed).to(device) for _ in range(3)] for seed in (0, 1))
    done = threading.Event()

    def change():
        while not done.is_set():
            for lists in (ema, params):
                lists.append(lists.pop())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2000):
            with contextlib.suppress(ValueError):  # of different lengths
                lelkern.ema_update_(ema, params, 0.75)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    update_and_check(ema, params, 0.75)


def zeros(*shape, **options):
    return torch.zeros(shape, **options)


def overlapping():
    return torch.zeros(10).as_strided((4, 4), (2, 1))


_ONE = zeros(6)
WRONG_VALUES = [
    ("length", [zeros(2)], [], "ema and params must have the same length, got 1 and 0"),
    ("nothing", [], [zeros(2)], "ema and params must have the same length, got 0 and 1"),
    ("shape", [_ONE, zeros(2, 3)], [zeros(6), zeros(3, 2)],
     r"params\[1\] must have the shape of ema\[1\], \(2, 3\), got \(3, 2\)"),
    ("dimensions", [zeros(1, 2)], [zeros(2)], r"params\[0\] must have the shape of ema\[0\]"),
    ("device", [zeros(2)], [zeros(2, device="meta")],
     r"params\[0\] must be on the device of ema\[0\], cpu, got meta"),
    ("devices", [zeros(2), zeros(2, device="meta")], [zeros(2)] * 2, r"ema\[1\] must be on"),
    ("its parameter", [zeros(3), _ONE], [zeros(3), _ONE],
     r"ema\[1\] must not share memory with params\[1\]"),
    ("a view of it", [_ONE[:3]], [_ONE[2:5]], r"ema\[0\] must not share memory with params\[0\]"),
    ("another's", [zeros(6), _ONE], [_ONE[:], zeros(6)],
     r"ema\[1\] must not share memory with params\[0\]"),
    ("two averages", [_ONE[:4], _ONE[3:]], [zeros(4), zeros(3)],
     r"ema\[0\] must not share memory with ema\[1\]"),
    ("an average twice", [_ONE, _ONE], [zeros(6)] * 2, r"must not share memory"),
    ("with gaps", [_ONE[::2], _ONE[::3]], [zeros(3), zeros(2)], r"must not share memory"),
    ("bytes", [_ONE.view(torch.bfloat16)[1::2]], [_ONE],
     r"ema\[0\] must not share memory with params\[0\]"),
    ("expanded", [zeros(2), zeros(1).expand(3)], [zeros(2), zeros(3)],
     r"ema\[1\] must have an element of its own in every place, got \(3,\) with strides \(0,\)"),
    ("overlapping", [overlapping()], [zeros(4, 4)], r"ema\[0\] must have an element of its own"),
]  # fmt: skip
WRONG_TYPES = [
    ("integers", [zeros(2)], [zeros(2, dtype=torch.int64)],
     r"params\[0\] must be float64, float32, bfloat16 or float16, got torch.int64"),
    ("complex", [zeros(2), zeros(2, dtype=torch.complex64)], [zeros(2)] * 2, r"ema\[1\] must be"),
    ("sparse", [zeros(2, 2)], [zeros(2, 2).to_sparse()], r"params\[0\] must be dense"),
    ("a number", [zeros(2), 3.0], [zeros(2)] * 2, r"ema\[1\] must be a tensor, got float"),
    ("no tensor first", ["x"], [zeros(2)], r"ema\[0\] must be a tensor, got str"),
    ("no parameter", [zeros(2)], [None], r"params\[0\] must be a tensor, got NoneType"),
]  # fmt: skip
WRONG = [(ValueError, *w) for w in WRONG_VALUES] + [(TypeError, *w) for w in WRONG_TYPES]


@pytest.mark.once
@pytest.mark.parametrize(("error", "name", "ema", "params", "message"), WRONG)
def test_wrong_lists_are_refused_before_any_work(error, name, ema, params, message):
    before = [x.clone() for x in ema if isinstance(x, torch.Tensor)]
    with pytest.raises(error, match=message):
        lelkern.ema_update_(ema, params, 0.5)
    for x, old in zip((x for x in ema if isinstance(x, torch.Tensor)), before, strict=True):
        if x.device.type != "meta":
            assert torch.equal(x, old)


@pytest.mark.once
@pytest.mark.parametrize(
    ("decay", "error", "message"),
    [
        (-0.1, ValueError, r"decay must be in \[0, 1\], got -0.1"),
        (1.5, ValueError, r"decay must be in \[0, 1\], got 1.5"),
        (float("nan"), ValueError, r"decay must be in \[0, 1\], got nan"),
        (torch.tensor(2.0), ValueError, r"decay must be in \[0, 1\], got 2.0"),
        (torch.zeros(2), ValueError, r"decay must have one element, got \(2,\)"),
        (torch.tensor(1), TypeError, "decay must be floating point, got torch.int64"),
        ("0.5", TypeError, "decay must be a number or a tensor, got str"),
    ],
)
def test_wrong_momentum_is_refused(decay, error, message):
    x = torch.zeros(3)
    with pytest.raises(error, match=message):
        lelkern.ema_update_([x], [torch.ones(3)], decay)
    assert not x.any()


def test_seeds():
    def rounded(**options):
        x = torch.ones(1000, dtype=torch.bfloat16)
        lelkern.ema_update_([x], [torch.full((1000,), 1.02)], 0.9, **options)
        return x

    one = rounded(stochastic_rounding=True, seed=5)
    assert torch.equal(one, rounded(stochastic_rounding=True, seed=torch.tensor([5])))
    assert not torch.equal(one, rounded(stochastic_rounding=True, seed=6))
    with pytest.raises(ValueError, match="seed must be None with a generator"):
        rounded(stochastic_rounding=True, seed=5, generator=torch.Generator())
    with pytest.raises(ValueError, match=r"seed must be one whole number, got 0.5"):
        rounded(stochastic_rounding=True, seed=0.5)
    with pytest.raises(ValueError, match=r"seed must be one whole number, got torch.float32"):
        rounded(stochastic_rounding=True, seed=torch.tensor(5.0))


def test_a_large_strided_member_touches_nothing_else(device):
    x = tensor(normals(37, 41).to(device, torch.float32), every_third)
    update_and_check([x], [normals(37, 41, seed=1).to(device)], 0.5)
