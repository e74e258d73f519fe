"""SigLIP's loss: values, gradients, PyTorch's machinery and hostile inputs."""

import pytest
import torch
import torch.nn.functional as F
from contrastive_samples import classes, normals, pairs, upstream
from covering import covering
from siglip_samples import SAMPLES, Expected, Sample, expected, ids, rectangle
from torch import Tensor

import lelkern
from lelkern.nn import SigLIPLoss
from lelkern.ops import library_path
from lelkern.reference import siglip as reference

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
# One of each kind: all arguments that are tensors, and both ways to positives.
WAYS = [
    Sample("square", pairs(6, 4), 3.0, -1.0),
    Sample("more keys", rectangle(4, 7, 4), 3.0, -1.0),
    Sample("ids", rectangle(6, 5, 4), 3.0, -1.0, ids(6, 5, 3)),
    Sample("dot products", pairs(5, 4), 0.5, 0.3, {"normalize": False}),
]
each_way = pytest.mark.parametrize("sample", WAYS, ids=str)


def with_grads(sample: Sample, *inputs: Tensor, **more) -> tuple[Tensor, ...]:
    """Return the losses, and the gradients of queries, keys, scale and bias."""
    leaves = tuple(x.detach().requires_grad_() for x in inputs)
    losses = sample.losses(*leaves, **more)
    grads = torch.autograd.grad(losses, leaves, upstream(len(losses)).to(losses))
    return losses.detach(), *grads


def check(want: Expected, dtype: torch.dtype, got: tuple[Tensor, ...]) -> None:
    losses, *grads, by_scale, by_bias = (x.cpu().double() for x in got)
    on_gpu = got[0].is_cuda
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    ulp, tiny = torch.finfo(computed).eps, torch.finfo(computed).tiny
    # A row's sum of up to 1700 losses, a few of which each lane adds one after the other.
    assert ((losses - want.losses).abs() <= ulp * want.losses_off + 2000 * tiny).all()
    half_ulp = torch.finfo(dtype).eps / 2 if dtype in (torch.bfloat16, torch.float16) else 0.0
    for grad, right, off, weight in zip(
        grads, want.grads, want.grads_off, want.weight, strict=True
    ):
        tolerance = ulp * (off + 16 * weight) + 1e6 * tiny
        if half_ulp:  # the result is rounded, and the weights that rows are multiplied by may be
            info = torch.finfo(dtype)
            tolerance = tolerance + half_ulp * (right.abs() + weight)
            tolerance = tolerance + info.smallest_normal * info.eps
        if on_gpu and dtype == torch.float16:  # below 2^-37 of the largest upstream gradient, of 2
            tolerance = tolerance + 2**-36 * len(right)
        assert ((grad - right).abs() <= tolerance).all()
    assert abs(by_scale - want.by_scale) <= ulp * want.by_scale_off + 1e6 * tiny
    assert abs(by_bias - want.by_bias) <= ulp * want.by_bias_off + 1e6 * tiny


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_loops(sample: Sample, dtype: torch.dtype, device: str) -> None:
    if dtype == torch.float16 and not sample.options.get("normalize", True):
        sample = Sample(sample.name, tuple(z / 1e2 for z in sample.embeddings), *_rest(sample))
    check(expected(sample, dtype), dtype, with_grads(sample, *sample.inputs(dtype, device)))


def _rest(sample: Sample) -> tuple:
    return sample.scale, sample.bias, sample.options


def algorithm_1(query: Tensor, key: Tensor, log_scale: Tensor, bias: Tensor) -> Tensor:
    """As in the paper, in whose pseudocode n is the number of pairs (N, N)."""
    n = len(query)
    logits = F.normalize(query) @ F.normalize(key).T * log_scale.exp() + bias
    labels = 2 * torch.eye(n, dtype=query.dtype, device=query.device) - 1
    return -F.logsigmoid(labels * logits).sum() / n


def test_the_mean_is_algorithm_1_of_the_paper(device: str) -> None:
    query, key = (z.to(device).requires_grad_() for z in pairs(9, 5))
    module = SigLIPLoss().double().to(device)
    want = algorithm_1(query, key, module.log_scale, module.logit_bias)
    got = module(query, key)
    torch.testing.assert_close(got, want)
    leaves = (query, key, module.log_scale, module.logit_bias)
    torch.testing.assert_close(
        torch.autograd.grad(got, leaves), torch.autograd.grad(want, leaves), rtol=1e-10, atol=1e-12
    )


def test_shares_of_the_keys_add_up(device: str) -> None:
    """What a GPU sees of the others' keys it adds, without their own positives."""
    query, key = (z.to(device) for z in pairs(12, 5))
    of_pairs = torch.arange(12, device=device)
    want = lelkern.siglip(query, key, 7.0, -3.0, reduction="none")
    parts = [
        lelkern.siglip(query, some, 7.0, -3.0, reduction="none", ids=of_pairs, key_ids=codes)
        for some, codes in zip(key.split(5), of_pairs.split(5), strict=True)
    ]
    torch.testing.assert_close(torch.stack(parts).sum(0), want)


@each_way
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions(sample: Sample, reduction: str, device: str) -> None:
    inputs = sample.inputs(torch.float64, device)
    each = sample.losses(*inputs)
    got = sample.losses(*inputs, reduction=reduction)
    torch.testing.assert_close(got, getattr(each, reduction)())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bias", [-3e38, -1e30, -200.0, 200.0, 1e30, 3e38])
def test_no_logit_is_too_large(bias: float, dtype: torch.dtype, device: str) -> None:
    query, key = (z.to(device, dtype) for z in pairs(5, 4))
    sample = Sample("", (query, key))
    numbers = (torch.tensor(x, device=device, dtype=torch.float32) for x in (1e-3, bias))
    losses, *grads = with_grads(sample, query, key, *numbers)
    # The positive's -bias, or that of four negatives: a similarity of 1e-3 is none beside it.
    want = torch.full((5,), -bias if bias < 0 else 4 * bias, dtype=torch.float64)
    fits = want < torch.finfo(losses.dtype).max
    want = want.where(fits, torch.inf)
    torch.testing.assert_close(losses.cpu().double(), want, rtol=1e-4, atol=0)
    assert all(g.isfinite().all() for g in grads)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_with_its_row(value, normalize, device: str) -> None:
    query, key = (z.to(device, torch.float32) for z in pairs(99, 5))
    query[3, 2] = value
    losses = lelkern.siglip(query, key, reduction="none", normalize=normalize)
    assert not losses[3].isfinite()
    rest = torch.arange(99, device=device) != 3
    assert losses[rest].isfinite().all()
    key[7, 1] = value
    losses = lelkern.siglip(query, key, reduction="none", normalize=normalize)
    if normalize or value != value:  # an infinite similarity may also be a right decision
        assert losses.isnan().all()


def layouts(z: Tensor) -> list[Tensor]:
    N, D = z.shape
    wide = torch.zeros(2 * N, 3 * D, dtype=z.dtype, device=z.device)
    wide[::2, ::3] = z
    return [z.T.contiguous().T, wide[::2, ::3], torch.cat([z[:1], z])[1:]]


def test_layouts(device: str) -> None:
    sample = Sample("", rectangle(7, 9))
    inputs = sample.inputs(torch.float64, device)
    want = with_grads(sample, *inputs)
    for query, key in zip(*map(layouts, inputs[:2]), strict=True):
        got = with_grads(sample, query, key, *inputs[2:])
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-14)
    expanded = inputs[0][:1].expand(7, 5)
    torch.testing.assert_close(
        with_grads(sample, expanded, *inputs[1:]),
        with_grads(sample, expanded.contiguous(), *inputs[1:]),
    )


@pytest.mark.skipif(library_path() is None, reason="the reference is what this compares with")
@pytest.mark.parametrize(
    ("N", "M", "options"),
    [
        (1200, 1300, {}),  # beyond 1024 rows tiles are larger
        (1030, 400, {"ids": classes(1030, 300), "key_ids": classes(400, 300)}),
        (150, 6400, {}),
    ],
)
def test_many_tiles_are_the_reference(N: int, M: int, options: dict) -> None:
    query, key, scale, bias = Sample("", rectangle(N, M, 33)).inputs(torch.float64)
    got = with_grads(Sample("", (query, key), 10.0, -10.0, options), query, key, scale, bias)
    arguments = (query, key, scale, bias, options.get("ids"), options.get("key_ids"))
    losses, _ = reference.siglip(*arguments)
    grads = reference.siglip_backward(upstream(N), *arguments)
    torch.testing.assert_close(got, (losses, *grads), rtol=1e-10, atol=1e-12)


@pytest.fixture
def threads():
    """Set the number of threads, and set it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.once
@pytest.mark.skipif(library_path() is None, reason="plain PyTorch's products may split their sums")
@pytest.mark.parametrize(
    ("shape", "dtype"),
    covering([(1030, 1100), (100, 4000)], [torch.float64, torch.float32, torch.bfloat16]),
    ids=str,
)
def test_the_same_bits_for_any_number_of_threads(shape, dtype, threads) -> None:
    sample = Sample("", rectangle(*shape, 9))
    results = []
    for count in (1, 2, 5):
        threads(count)
        results.append(with_grads(sample, *sample.inputs(dtype)))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


@pytest.mark.skipif(library_path() is None, reason="only the kernels keep anything")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_kept_changes_nothing(dtype: torch.dtype) -> None:
    query, key = (z.to(dtype) for z in rectangle(150, 300, 7))
    rest = (torch.tensor(10.0), torch.tensor(-10.0), None, None, True, int(dtype == torch.bfloat16))
    grad = torch.linspace(1, 2, 150)
    results = []
    for kept in (0, 96 * 96, 5 * 96 * 96 + 1, 100000):  # of 8 tiles none, one, five, all
        loss, slopes, tiles = torch.ops.lelkern.siglip(query, key, *rest, kept)
        assert tiles.shape == (kept,)
        grads = torch.ops.lelkern.siglip_backward(grad, query, key, *rest, True, slopes, tiles)
        results.append((loss, slopes, *grads))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


@pytest.mark.skipif(library_path() is None, reason="the reference is plain PyTorch itself")
@pytest.mark.parametrize(
    ("kind", "N", "bias", "dtype"),
    covering(
        ["random", "clustered"],
        [(7, 7), (61, 61), (97, 300)],
        [-10.0, 0.0],
        [torch.float32, torch.bfloat16, torch.float16],
    ),
    ids=str,
)
def test_at_most_twice_the_error_of_plain_pytorch(kind, N, bias, dtype) -> None:
    """All results of eight draws together, as of few numbers luck decides."""

    def plain(query: Tensor, key: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        x = F.normalize(query) @ F.normalize(key).T * scale + bias
        labels = 2 * torch.eye(*x.shape, dtype=x.dtype) - 1
        return -F.logsigmoid(labels * x).sum(dim=1)

    def run(loss, *inputs: Tensor) -> list[Tensor]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        losses = loss(*leaves)
        grads = torch.autograd.grad(losses.sum(), leaves)
        return [losses.detach().double(), *(g.double() for g in grads)]

    def ours(*inputs: Tensor) -> Tensor:
        return lelkern.siglip(*inputs, reduction="none")

    errors = torch.zeros(5, 3, dtype=torch.float64)
    for seed in range(8):
        query, key = pairs(max(N), 16, seed=seed)
        if kind == "clustered":
            query, key = 1 + 1e-2 * query, 1 + 1e-2 * key
        inputs = (query[: N[0]].to(dtype), key[: N[1]].to(dtype))
        numbers = (torch.tensor(10.0 + seed / 7), torch.tensor(bias))
        truth = run(plain, *(x.double() for x in (*inputs, *numbers)))
        found = zip(truth, run(ours, *inputs, *numbers), run(plain, *inputs, *numbers), strict=True)
        for k, (right, by_us, by_plain) in enumerate(found):
            # Half a unit in the last place is the rounding of the result itself.
            info = torch.finfo(dtype if k in (1, 2) else torch.float32)
            floor = info.eps / 2 * right.norm() + info.tiny
            errors[k] += torch.stack([(by_us - right).norm(), (by_plain - right).norm(), floor])
    by_us, by_plain, floor = errors.T
    assert (by_us <= 2 * by_plain + floor).all(), errors


@pytest.mark.once
@each_way
def test_gradcheck(sample: Sample, device: str) -> None:
    inputs = tuple(x.requires_grad_() for x in sample.inputs(torch.float64, device))
    assert torch.autograd.gradcheck(sample.losses, inputs)
    assert torch.autograd.gradgradcheck(sample.losses, inputs)


@each_way
def test_only_some_inputs_need_gradients(sample: Sample, device: str) -> None:
    inputs = sample.inputs(torch.float64, device)
    want = with_grads(sample, *inputs)[1:]
    for k in range(4):
        leaves = [x.detach().requires_grad_(i == k) for i, x in enumerate(inputs)]
        losses = sample.losses(*leaves)
        grads = torch.autograd.grad(losses, leaves[k], upstream(len(losses)).to(losses))
        torch.testing.assert_close(grads[0], want[k])
    assert not sample.losses(*inputs).requires_grad


# Dtypes take turns, and so does what is kept for backward: a tile is 96 x 96 here.
@pytest.mark.once
@pytest.mark.parametrize(
    ("sample", "dtype", "kept"),
    list(zip(WAYS, [torch.float64, torch.bfloat16] * 2, [0, 40000, 40000, 0], strict=True)),
    ids=str,
)
def test_what_schemas_and_fake_functions_say(sample: Sample, dtype, kept, device: str) -> None:
    said = ("test_schema", "test_autograd_registration", "test_faketensor")
    inputs = sample.inputs(dtype, device)
    leaves = tuple(x.requires_grad_() for x in inputs)
    codes = tuple(
        x if x is None else x.to(device) for x in map(sample.options.get, ("ids", "key_ids"))
    )
    rest = (*codes, sample.options.get("normalize", True), int(dtype == torch.bfloat16))
    torch.library.opcheck(torch.ops.lelkern.siglip.default, (*leaves, *rest, kept), test_utils=said)
    detached = tuple(x.detach() for x in inputs)
    loss, slopes, tiles = torch.ops.lelkern.siglip(*detached, *rest, kept)
    arguments = (torch.ones_like(loss), *leaves, *rest, True, slopes, tiles)
    torch.library.opcheck(torch.ops.lelkern.siglip_backward.default, arguments, test_utils=said)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "dynamic", "numbers"),
    [("square", True, "parameters"), ("ids", False, "floats")],
)
def test_compile_without_graph_breaks(kind, dynamic, numbers, device: str) -> None:
    def step(query, key, scale, bias, **codes):
        return 3 * lelkern.siglip(2 * query, key, scale, bias, **codes)

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for rows in (5, 9):
        codes = ids(rows, rows, 3) if kind == "ids" else {}
        codes = {name: x.to(device) for name, x in codes.items()}
        results = []
        for function in (step, compiled):
            inputs = Sample("", pairs(rows, 4), 5.0, -2.0).inputs(torch.float32, device)
            leaves = [x.requires_grad_() for x in inputs]
            given = leaves if numbers == "parameters" else [*leaves[:2], 5.0, -2.0]
            loss = function(*given, **codes)
            loss.backward()
            results.append([loss, *(x.grad for x in leaves)])
        torch.testing.assert_close(*results)


@pytest.mark.once
@each_way
def test_vmap(sample: Sample, device: str) -> None:
    inputs = [
        torch.stack([x, x + 0.5, 2 * x.abs() + 0.1]) for x in sample.inputs(torch.float64, device)
    ]
    inputs[2] = inputs[2].abs()

    def loss(*inputs: Tensor) -> Tensor:
        return sample.losses(*inputs, reduction="mean")

    leaves = [x.requires_grad_() for x in inputs]
    each = torch.stack([loss(*x) for x in zip(*leaves, strict=True)])
    got = torch.func.vmap(loss)(*leaves)
    torch.testing.assert_close(got, each)
    want = torch.autograd.grad(each.sum(), leaves)
    torch.testing.assert_close(torch.autograd.grad(got.sum(), leaves), want)
    empty = torch.func.vmap(loss)(*(x[:0] for x in leaves))
    assert empty.shape == (0,)


@pytest.mark.once
@each_way
def test_functional_and_forward_mode_derivatives(sample: Sample, device: str) -> None:
    inputs = sample.inputs(torch.float64, device)

    def loss(*inputs: Tensor) -> Tensor:
        return sample.losses(*inputs, reduction="mean")

    leaves = tuple(x.detach().requires_grad_() for x in inputs)
    want = torch.autograd.grad(loss(*leaves), leaves)
    for derive in (torch.func.grad, torch.func.jacfwd):
        torch.testing.assert_close(derive(loss, argnums=(0, 1, 2, 3))(*inputs), want)
    tangents = tuple(torch.cos(x) for x in inputs)
    along = sum((g * t).sum() for g, t in zip(want, tangents, strict=True))
    torch.testing.assert_close(torch.func.jvp(loss, inputs, tangents)[1], along)


@pytest.mark.once
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_autocast_computes_in_float32(dtype: torch.dtype, device: str) -> None:
    sample = WAYS[0]
    inputs = sample.inputs(dtype, device)
    leaves = [x.requires_grad_() for x in inputs]
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = sample.losses(*leaves, reduction="mean")
    loss.backward()
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert all(x.grad.dtype == x.dtype for x in leaves)
    same = [x.detach() if dtype == torch.float64 else x.detach().float() for x in inputs]
    assert torch.equal(loss, sample.losses(*same, reduction="mean"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_scale_and_bias_of_any_dtype(dtype: torch.dtype, device: str) -> None:
    query, key = (z.to(device) for z in pairs(6, 5))
    want = with_grads(WAYS[0], query, key, *(torch.tensor(x).double() for x in (8.0, -4.0)))
    numbers = (torch.tensor([x], dtype=dtype, device=device) for x in (8.0, -4.0))
    got = with_grads(WAYS[0], query, key, *numbers)
    assert got[3].dtype == got[4].dtype == dtype
    torch.testing.assert_close(got[:3], want[:3])
    for x, y in zip(got[3:], want[3:], strict=True):
        torch.testing.assert_close(x.cpu().squeeze(0), y.to(dtype))


@pytest.mark.once
def test_what_does_not_fit_is_refused() -> None:
    query, key = pairs(3, 5)
    codes = torch.arange(3)
    for message, call in {
        r"key must have as many features as query, 5, got 4": lambda: (query, key[:, :4]),
        r"query must be \(N, D\), got \(5,\)": lambda: (query[0], key),
        r"key must have a row for each of the 3 queries, or ids .* got 2 rows": lambda: (
            query,
            key[:2],
        ),
        "logit_scale must be > 0, got 0": lambda: (query, key, 0),
        "logit_scale must be > 0, got -1.0": lambda: (query, key, torch.tensor(-1.0)),
        "logit_scale must be finite, got inf": lambda: (query, key, torch.inf),
        r"logit_scale must have one element, got \(2,\)": lambda: (query, key, torch.ones(2)),
        "logit_bias must be finite, got nan": lambda: (query, key, 1.0, torch.nan),
        "logit_bias must be finite, got -inf": lambda: (query, key, 1.0, torch.tensor(-torch.inf)),
    }.items():
        with pytest.raises(ValueError, match=message):
            lelkern.siglip(*call())
    for message, options in {
        "key_ids must be given with ids, got ids None": {"key_ids": codes},
        r"ids must be \(3,\), one a row, got \(2,\)": {"ids": codes[:2]},
        r"key_ids must be \(3,\), one a row, got \(4,\)": {
            "ids": codes,
            "key_ids": torch.arange(4),
        },
        "reduction must be 'none', 'mean' or 'sum', got 'max'": {"reduction": "max"},
    }.items():
        with pytest.raises(ValueError, match=message):
            lelkern.siglip(query, key, **options)
    with pytest.raises(ValueError, match="key_ids must be given with ids where 2 keys are not as"):
        lelkern.siglip(query, key[:2], ids=codes)
    for message, call in {
        "key must have the dtype of query": lambda: (query, key.float()),
        "logit_scale must be a number or a tensor, got str": lambda: (query, key, "10"),
        "logit_bias must be floating point, got torch.int64": lambda: (query, key, 1.0, codes[0]),
    }.items():
        with pytest.raises(TypeError, match=message):
            lelkern.siglip(*call())


def test_a_wrong_scale_that_nobody_looks_at_gives_nan() -> None:
    query, key = pairs(3, 4)
    for value in (0.0, -1.0, torch.inf, torch.nan):
        scale = torch.tensor(value, dtype=torch.float64)
        loss, _, _ = torch.ops.lelkern.siglip(
            query, key, scale, torch.tensor(-10.0), None, None, True, 0, 0
        )
        assert loss.isnan().all()


@pytest.mark.skipif(library_path() is None, reason="the reference's errors are PyTorch's")
def test_a_direct_call_stays_inside_its_memory() -> None:
    query, key = pairs(3, 4)
    rest = (torch.tensor(1.0), torch.tensor(0.0), None, None, True, 0)
    _, slopes, tiles = torch.ops.lelkern.siglip(query, key, *rest, 0)
    backward = torch.ops.lelkern.siglip_backward
    with pytest.raises(RuntimeError, match="grad must have one number for each loss"):
        backward(torch.ones(2).double(), query, key, *rest, True, slopes, tiles)
    with pytest.raises(RuntimeError, match="slopes and kept must be as forward returned them"):
        backward(torch.ones(3).double(), query, key, *rest, True, slopes[:1], tiles)
    with pytest.raises(RuntimeError, match="ids and key_ids go together"):
        torch.ops.lelkern.siglip(query, key, *rest[:2], torch.arange(3), None, True, 0, 0)
    with pytest.raises(RuntimeError, match="key must be"):
        torch.ops.lelkern.siglip(query, key[:, :2], *rest, 0)


def test_no_queries_and_no_keys(device: str) -> None:
    for N, M in ((0, 0), (0, 5), (4, 0)):
        query, key = (normals(n, 3).to(device).requires_grad_() for n in (N, M))
        codes = {"ids": torch.zeros(N).long(), "key_ids": torch.zeros(M).long()}
        codes = {name: x.to(device) for name, x in codes.items()}
        losses = lelkern.siglip(query, key, reduction="none", **codes)
        assert losses.shape == (N,)
        assert (losses == 0).all()
        losses.sum().backward()
        assert query.grad.shape == (N, 3)
        assert (query.grad == 0).all()
        assert (key.grad == 0).all()
        mean = lelkern.siglip(query, key, **codes)
        assert mean.isnan() if N == 0 else mean == 0


def test_the_module_learns_scale_and_bias_from_where_the_paper_begins() -> None:
    module = SigLIPLoss()
    assert sorted(module.state_dict()) == ["log_scale", "logit_bias"]
    assert module.log_scale.item() == pytest.approx(2.302585)  # log 10
    assert module.logit_bias.item() == -10
    query, key = (z.float() for z in pairs(8, 5))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    before = module(query, key).item()
    for _ in range(20):
        optimizer.zero_grad()
        module(query, key).backward()
        optimizer.step()
    assert module(query, key).item() < before
    assert module.logit_scale > 0


def test_the_module_is_the_function() -> None:
    query, key = pairs(6, 4)
    codes = ids(6, 6, 3)
    for learnable in (False, True):
        options = {"reduction": "none", "normalize": False}
        module = SigLIPLoss(3.0, -1.0, learnable=learnable, **options).double()
        want = lelkern.siglip(query, key, 3.0, -1.0, **codes, **options)
        # float32's log of the scale
        torch.testing.assert_close(module(query, key, **codes), want, rtol=1e-6, atol=0)
        assert len(list(module.parameters())) == 2 * learnable
    assert repr(SigLIPLoss(3.0, -1.0, learnable=False, normalize=False)) == (
        "SigLIPLoss(logit_scale=3, logit_bias=-1, reduction='mean', learnable=False, "
        "normalize=False)"
    )
    for wrong, name in (((0.0,), "logit_scale"), ((1.0, torch.nan), "logit_bias")):
        with pytest.raises(ValueError, match=f"{name} must be"):
            SigLIPLoss(*wrong)
