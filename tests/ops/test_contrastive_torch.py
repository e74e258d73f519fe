"""The contrastive family among PyTorch's own machinery: autograd, compile, vmap, memory."""

import subprocess
import sys
from itertools import cycle
from typing import Any

import pytest
import torch
from contrastive_samples import Sample, classes, info_nce, normals, nt_xent, pairs, sup_con
from covering import covering
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import lelkern
from lelkern.ops import library_path

N = 6

# One of each kind: all arguments that are tensors, and every way through the engine.
WAYS = [
    nt_xent("plain", pairs(N, 4), 0.3),
    nt_xent("ids", pairs(N, 4), 0.3, ids=classes(N, 3)),
    nt_xent("dot products", pairs(N, 4), 2.0, normalize=False),
    info_nce("plain", pairs(N, 4), 0.3),
    info_nce("symmetric", pairs(N, 4), 0.3, symmetric=True, ids=classes(N, 3)),
    info_nce("queue", pairs(N, 4), 0.3, normals(5, 4)),
    info_nce(
        "queue ids",
        pairs(N, 4),
        0.01,
        normals(5, 4),
        ids=classes(N, 3),
        negative_ids=classes(5, 4),
    ),
    sup_con("plain", normals(N, 4), torch.tensor([0, 1, 1, 2, 0, 0]), 0.3),
    sup_con("ids", normals(N, 4), classes(N, 3), 0.3, ids=classes(N, 3, 1)),
]

OPS = ["nt_xent", "info_nce", "queue", "sup_con"]

each_way = pytest.mark.parametrize("sample", WAYS, ids=str)
FEW_WAYS = [WAYS[1], WAYS[4], WAYS[6], WAYS[8]]
few_ways = pytest.mark.parametrize("sample", FEW_WAYS, ids=str)


def leaves(sample: Sample, device: str, dtype=torch.float64):
    return {name: z.clone().requires_grad_() for name, z in sample.inputs(dtype, device).items()}


def parameter(value: float, device: str, dtype=torch.float64):
    return torch.tensor(value, dtype=dtype, device=device, requires_grad=True)


@pytest.mark.parametrize(
    ("sample", "reduction"),
    [*((way, "none") for way in WAYS), (WAYS[4], "mean"), (WAYS[8], "mean")],
    ids=str,
)
def test_gradcheck(sample: Sample, reduction, device):
    embeddings = leaves(sample, device)

    def loss(temperature, *z):
        return sample.losses(
            dict(zip(embeddings, z, strict=True)), temperature, reduction=reduction
        )

    # At a temperature of 0.01 finite differences are no judge of second derivatives.
    inputs = (parameter(max(sample.temperature, 0.2), device), *embeddings.values())
    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


@few_ways
def test_a_loss_that_nothing_depends_on(sample: Sample, device):
    class Constant(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return None

    embeddings = leaves(sample, device)
    losses = sample.losses(embeddings, sample.temperature, reduction="none")
    total = Constant.apply(losses).sum() + sum(z.sum() for z in embeddings.values())
    total.backward()
    assert all((z.grad == 1).all() for z in embeddings.values())


def test_gradgradcheck_of_what_needs_no_gradient(device):
    q, k = (z.to(device).requires_grad_() for z in pairs(4, 3))
    for fixed in ({"negatives": normals(5, 3).to(device)}, {}):
        keys = k if fixed else k.detach()

        def loss(*z, keys=keys, fixed=fixed):
            return lelkern.info_nce(z[0], z[1] if len(z) > 1 else keys, temperature=0.3, **fixed)

        assert torch.autograd.gradgradcheck(loss, (q, k) if fixed else (q,))


def opcheck(sample: Sample, dtype: torch.dtype, kept: int, device: str, *test_utils: str) -> None:
    """Ask PyTorch to check what an op and its backward say of themselves."""
    op = getattr(torch.ops.lelkern, sample.op).default
    backward = getattr(torch.ops.lelkern, f"{sample.op}_backward").default
    codes = {name: x.to(device) for name, x in sample.codes.items()}
    arguments = {**leaves(sample, device, dtype), **codes, **sample.options}
    arguments["temperature"] = parameter(sample.temperature, device, torch.float32)
    names = [a.name for a in op._schema.arguments]
    options = {"normalize": True, "symmetric": False, "bf16_terms": int(dtype == torch.bfloat16)}
    forward = [
        {**options, "stats": True, "with_slope": True, "kept": 0, **arguments}.get(name)
        for name in names
    ]
    torch.library.opcheck(op, tuple(forward), test_utils=test_utils)
    detached = [x.detach() if isinstance(x, torch.Tensor) else x for x in forward]
    outputs = [output.name for output in op._schema.returns]
    given = dict(zip(outputs, op(*detached[:-1], kept), strict=True))
    loss = given["loss"]
    given |= {
        "keys_need_grad": True,
        **options,
        **dict(zip(names, forward, strict=True)),
        "grad": torch.ones_like(loss),
    }
    inputs = tuple(given.get(a.name) for a in backward._schema.arguments)
    torch.library.opcheck(backward, inputs, test_utils=test_utils)


# Dtypes take turns, and so does what is kept for backward: a tile is 96 x 96 here.
@pytest.mark.parametrize(
    ("sample", "dtype", "kept"),
    list(zip(WAYS, cycle([torch.float64, torch.bfloat16]), cycle([0, 40000, 40000]))),
    ids=str,
)
def test_what_schemas_and_fake_functions_say(sample: Sample, dtype, kept, device):
    said = ("test_schema", "test_autograd_registration", "test_faketensor")
    opcheck(sample, dtype, kept, device, *said)


# Tracing sees schemas and fake functions, the same for every implementation behind.
@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "dtype"),
    list(zip(FEW_WAYS, cycle([torch.float64, torch.bfloat16]))),
    ids=str,
)
def test_traced_for_any_sizes(sample: Sample, dtype, device):
    opcheck(sample, dtype, 40000, device, "test_aot_dispatch_dynamic")


def test_what_is_kept_changes_nothing(device):
    if library_path() is None:
        pytest.skip("only the kernels keep anything")
    for sample in (nt_xent("", pairs(150, 7), 0.2), nt_xent("", pairs(150, 7), 0.01)):
        z = sample.inputs(torch.float32, device)
        rest = (torch.tensor(sample.temperature, device=device), None, True, False, 0)
        grad = torch.linspace(1, 2, 300, device=device)
        results = []
        for kept in (0, 96 * 96, 5 * 96 * 96 + 1, 100000):  # of 10 tiles none, one, five, all
            *saved, _ = torch.ops.lelkern.nt_xent(*z.values(), *rest, False, True, kept)
            assert saved[-1].shape == (kept,)
            results.append(torch.ops.lelkern.nt_xent_backward(grad, *z.values(), *rest, *saved))
        for result in results[1:]:
            for x, y in zip(result, results[0], strict=True):
                assert torch.equal(x, y)


# Schemas and fake functions are the same for every compiler behind. That the one that is behind by
# default takes the other ops, test_numbers sees.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "dynamic", "temperature", "backend"),
    [
        *covering(OPS, [False, True], ["float", "parameter"], ["aot_eager"]),
        ("queue", True, "parameter", "inductor"),
    ],
)
def test_compile_without_graph_breaks(op, dynamic, temperature, backend, device):
    def step(sample, embeddings, temperature):
        doubled = {name: z * 2 for name, z in embeddings.items()}
        loss, stats = sample.losses(doubled, temperature, reduction="mean", return_stats=True)
        return loss * 3, stats.accuracy, stats.entropy

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=dynamic, backend=backend)
    for rows in (5, 9):
        z = pairs(rows, 4)
        sample = {
            "nt_xent": nt_xent("", z, ids=torch.arange(rows) // 2),
            "info_nce": info_nce("", z, symmetric=True),
            "queue": info_nce("", z, 0.5, normals(3 + rows, 4)),
            "sup_con": sup_con("", z[0], torch.arange(rows) // 2),
        }[op]
        results = []
        for function in (step, compiled):
            embeddings = leaves(sample, device, torch.float32)
            tau = parameter(0.2, device, torch.float32)
            loss, *stats = function(sample, embeddings, 0.2 if temperature == "float" else tau)
            loss.backward()
            results.append([loss, *stats, tau.grad, *(z.grad for z in embeddings.values())])
        torch.testing.assert_close(*results)


@pytest.mark.slow
def test_a_wrong_temperature_inside_compile_gives_nan():
    compiled = torch.compile(lelkern.nt_xent, fullgraph=True, backend="aot_eager")
    assert compiled(*pairs(3, 4), torch.tensor(-1.0)).isnan()


@few_ways
def test_vmap(sample: Sample, device):
    embeddings = {
        name: torch.stack([z, 2 + z.flip(1), z * z, z - 0.5])
        for name, z in sample.inputs(torch.float64, device).items()
    }
    temperature = torch.tensor([0.1, 0.2, 0.3, 0.4], device=device)

    def loss(temperature, *z):
        return sample.losses(dict(zip(embeddings, z, strict=True)), temperature, reduction="mean")

    each = [loss(*x) for x in zip(temperature, *embeddings.values(), strict=True)]
    got = torch.func.vmap(loss)(temperature, *embeddings.values())
    torch.testing.assert_close(got, torch.stack(each))
    # Another dimension, and inputs shared by all.
    first, *others = embeddings.values()
    got = torch.func.vmap(loss, in_dims=(None, 1, *(None for _ in others)))(
        temperature[0], first.transpose(0, 1), *(z[0] for z in others)
    )
    each = [loss(temperature[0], z, *(z[0] for z in others)) for z in first]
    torch.testing.assert_close(got, torch.stack(each))


def test_vmap_over_no_batch(device):
    z = torch.zeros(0, 4, 3, device=device, requires_grad=True)
    losses = torch.func.vmap(lambda z: lelkern.nt_xent(z, z))(z)
    assert losses.shape == (0,)
    assert torch.autograd.grad(losses.sum(), z)[0].shape == z.shape


@few_ways
def test_gradients_through_vmap(sample: Sample, device):
    embeddings = {
        name: torch.stack([z, 2 + z.flip(1)]).requires_grad_()
        for name, z in sample.inputs(torch.float64, device).items()
    }

    def loss(*z):
        return sample.losses(dict(zip(embeddings, z, strict=True)), 0.2, reduction="mean")

    z = tuple(embeddings.values())
    got = torch.autograd.grad(torch.func.vmap(loss)(*z).sum(), z)
    one_by_one = sum(loss(*x) for x in zip(*z, strict=True))
    torch.testing.assert_close(got, torch.autograd.grad(one_by_one, z))


@few_ways
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_autocast_computes_in_float32(sample: Sample, dtype, device):
    embeddings = leaves(sample, device, dtype)
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = sample.losses(embeddings, 0.2, reduction="mean")
    loss.backward()
    # As for PyTorch's own losses, float64 stays what it is.
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert all(z.grad.dtype == dtype for z in embeddings.values())
    same = {
        name: z.detach() if dtype == torch.float64 else z.detach().float()
        for name, z in embeddings.items()
    }
    assert torch.equal(loss, sample.losses(same, 0.2, reduction="mean"))


class SeenOps(TorchDispatchMode):
    """Notes what the family's ops are called with, below autocast, by the names of arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, dict[str, Any]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "lelkern":
            declared = [argument.name for argument in func._schema.arguments]
            called = func._schema.name.removeprefix("lelkern::")
            self.calls[called] = dict(zip(declared, args, strict=False))
        return func(*args, **(kwargs or {}))


@pytest.mark.once
@pytest.mark.parametrize(("precision", "terms"), [("highest", 0), ("high", 2), ("medium", 1)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("op", ["nt_xent", "info_nce", "sup_con", "siglip"])
def test_autocast_multiplies_as_float32_is_multiplied(op, dtype, precision, terms, device):
    z1, z2 = (z.to(device, dtype).requires_grad_() for z in pairs(N, 4))
    second = classes(N, 3).to(device) if op == "sup_con" else z2
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with SeenOps() as seen:
            with torch.autocast(device, torch.bfloat16):
                loss = getattr(lelkern, op)(z1, second)
            loss.backward()
    finally:
        torch.set_float32_matmul_precision(before)
    # The gradient of the op is in float32 as well; behind it that of the cast rounds.
    assert seen.calls.keys() == {op, f"{op}_backward"}
    for given in seen.calls.values():
        assert given["bf16_terms"] == terms
        matrices = [x for x in given.values() if isinstance(x, torch.Tensor) and x.dim() == 2]
        assert {x.dtype for x in matrices} == {torch.float32}
    assert loss.dtype == torch.float32
    assert z1.grad.dtype == dtype


@pytest.mark.once
@pytest.mark.skipif(library_path("cuda") is None, reason="no kernels for GPUs")
@pytest.mark.parametrize(("op", "kept"), [("sup_con", N), ("nt_xent", 0)])
def test_a_gpu_keeps_how_many_positives_rows_have_by_label(op, kept):
    with FakeTensorMode(), SeenOps() as seen:
        z = torch.empty(N, 4, device="cuda", requires_grad=True)
        second = torch.empty(N, dtype=torch.int64, device="cuda") if op == "sup_con" else z
        getattr(lelkern, op)(z, second)
    assert seen.calls[op]["kept"] == kept


def test_autocast_accepts_one_half_and_one_float32_view(device):
    z1, z2 = (z.to(device, torch.float32).requires_grad_() for z in pairs(6, 4))
    half = z1.to(torch.bfloat16)
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = lelkern.nt_xent(half, z2, 0.2)
    assert torch.equal(loss, lelkern.nt_xent(half.float(), z2, 0.2))


def test_autocast_does_not_mix_float64_with_others(device):
    z = torch.randn(3, 2, device=device)
    with torch.autocast(device, torch.bfloat16), pytest.raises(TypeError, match="float64"):
        lelkern.nt_xent(z.double(), z)


def test_only_some_inputs_need_gradients(device):
    z1, z2 = (z.to(device).requires_grad_() for z in pairs(5, 3))
    want = torch.autograd.grad(lelkern.nt_xent(z1, z2), z1)[0]
    torch.testing.assert_close(torch.autograd.grad(lelkern.nt_xent(z1, z2.detach()), z1)[0], want)
    assert not lelkern.nt_xent(z1.detach(), z2.detach()).requires_grad


@each_way
def test_statistics_have_no_gradient(sample: Sample, device):
    loss, stats = sample.losses(leaves(sample, device), 0.2, return_stats=True)
    assert loss.requires_grad
    assert not stats.accuracy.requires_grad
    assert not stats.entropy.requires_grad


PEAKS = """
import resource, torch, lelkern
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
z1, z2 = (torch.randn(N, 8, requires_grad=True) for N in (8192, 8192))
calls = (
    lambda rows: lelkern.nt_xent(z1[:rows], z2[:rows]),
    lambda rows: lelkern.info_nce(z1[:rows], z2[:rows], symmetric=True),
    lambda rows: lelkern.info_nce(z1[:rows], z2[:rows], z2.detach()[:rows]),
    lambda rows: lelkern.sup_con(z1[:rows], torch.arange(rows) // 2),
    lambda rows: lelkern.siglip(z1[:rows], z2[:rows]),
)
for call in calls:
    call(64).backward()  # threads and code are in memory
before = peak()
for call in calls:
    call(8192).backward()
    print(peak() - before)
"""


@pytest.mark.skipif(library_path() is None, reason="promised of the compiled kernels only")
def test_memory_does_not_grow_with_the_square_of_the_batch():
    run = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    # 16384 x 16384 similarities would be 1 GiB, 8192 x 8192 are 256 MiB. At most 30 MiB are kept;
    # the rows are padded to a cache line and copied a few times, 1 MiB each. What one call has
    # given back serves the next.
    assert all(int(peak) < 64 * 1024 for peak in run.stdout.split())
    assert len(run.stdout.split()) == 5


@few_ways
def test_functional_and_forward_mode_derivatives(sample: Sample, device):
    embeddings = sample.inputs(torch.float64, device)
    z = tuple(embeddings.values())
    tangents = tuple(torch.cos(x) for x in z)

    def loss(*z):
        return sample.losses(dict(zip(embeddings, z, strict=True)), 0.3, reduction="mean")

    leaf = tuple(x.clone().requires_grad_() for x in z)
    want = torch.autograd.grad(loss(*leaf), leaf)
    every = tuple(range(len(z)))
    for got in (
        torch.func.grad(loss, argnums=every)(*z),
        torch.func.jacrev(loss, argnums=every)(*z),
        torch.func.jacfwd(loss, argnums=every)(*z),
    ):
        torch.testing.assert_close(got, want)
    along = sum((g * t).sum() for g, t in zip(want, tangents, strict=True))
    torch.testing.assert_close(torch.func.jvp(loss, z, tangents)[1], along)
    with torch.autograd.forward_ad.dual_level():
        dual = loss(*map(torch.autograd.forward_ad.make_dual, z, tangents))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, along)
    each = torch.func.vmap(torch.func.grad(loss))(*(x.expand(2, *x.shape) for x in z))
    torch.testing.assert_close(each, want[0].expand(2, *want[0].shape))


def test_functional_loss_under_autocast_is_in_float32(device):
    z1, z2 = torch.randn(2, 6, 4, device=device).bfloat16()
    with torch.autocast(device, torch.bfloat16):
        # Not the gradient: torch.func runs backward inside the context, in bfloat16.
        _, got = torch.func.grad_and_value(lambda z: lelkern.nt_xent(z, z2, 0.1))(z1)
    want = lelkern.nt_xent(z1.float(), z2.float(), 0.1)
    torch.testing.assert_close(got, want)  # to float32's last digits, bfloat16 keeps two
