"""NT-Xent among PyTorch's own machinery: autograd, compile, vmap, autocast, memory."""

import subprocess
import sys

import pytest
import torch
from nt_xent_samples import SAMPLES, Sample, pairs

import lelkern

OPCHECK = [s for s in SAMPLES if s.name in ("N1", "N7", "a zero row")]


def embeddings(N, D, device, dtype=torch.float64):
    return [z.to(device, dtype).requires_grad_() for z in pairs(N, D)]


@pytest.mark.parametrize("N", [1, 2, 5])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradcheck(N, reduction, device):
    temperature = torch.tensor(0.3, dtype=torch.float64, device=device, requires_grad=True)
    inputs = (*embeddings(N, 3, device), temperature)
    assert torch.autograd.gradcheck(lambda *x: lelkern.nt_xent(*x, reduction=reduction), inputs)
    assert torch.autograd.gradgradcheck(lambda *x: lelkern.nt_xent(*x, reduction=reduction), inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sample", OPCHECK, ids=str)
def test_opcheck(sample: Sample, dtype, device):
    z = [x.requires_grad_() for x in sample.inputs(dtype, device)]
    temperature = torch.tensor(sample.temperature, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.lelkern.nt_xent.default, (*z, temperature))
    loss, log_sum_exp = torch.ops.lelkern.nt_xent(*(x.detach() for x in (*z, temperature)))
    grad = torch.ones_like(loss)
    torch.library.opcheck(
        torch.ops.lelkern.nt_xent_backward.default, (grad, *z, temperature, loss, log_sum_exp)
    )


@pytest.mark.slow
@pytest.mark.parametrize("temperature", ["float", "parameter"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_without_graph_breaks(dynamic, temperature, device):
    def step(z1, z2, temperature):
        return lelkern.nt_xent(z1 * 2, z2, temperature) * 3

    compiled = torch.compile(step, fullgraph=True, dynamic=dynamic)
    for N in (5, 9):
        results = []
        for function in (step, compiled):
            z1, z2 = embeddings(N, 4, device, torch.float32)
            tau = torch.tensor(0.2, device=device, requires_grad=True)
            loss = function(z1, z2, 0.2 if temperature == "float" else tau)
            loss.backward()
            results.append((loss, z1.grad, z2.grad, tau.grad))
        torch.testing.assert_close(*results)


@pytest.mark.slow
def test_a_wrong_temperature_inside_compile_gives_nan():
    compiled = torch.compile(lelkern.nt_xent, fullgraph=True)
    assert compiled(*pairs(3, 4), torch.tensor(-1.0)).isnan()


def test_vmap(device):
    z1, z2 = (torch.randn(4, 6, 3, device=device) for _ in range(2))
    temperature = torch.tensor([0.1, 0.2, 0.3, 0.4], device=device)
    want = torch.stack([lelkern.nt_xent(*x) for x in zip(z1, z2, temperature, strict=True)])
    torch.testing.assert_close(torch.func.vmap(lelkern.nt_xent)(z1, z2, temperature), want)
    # Other dimensions, and one input shared by all.
    got = torch.func.vmap(lelkern.nt_xent, in_dims=(1, None, None))(
        z1.transpose(0, 1), z2[0], temperature[0]
    )
    torch.testing.assert_close(
        got, torch.stack([lelkern.nt_xent(x, z2[0], temperature[0]) for x in z1])
    )


def test_gradients_through_vmap(device):
    z1, z2 = (torch.randn(4, 6, 3, device=device, requires_grad=True) for _ in range(2))
    got = torch.autograd.grad(torch.func.vmap(lelkern.nt_xent)(z1, z2).sum(), (z1, z2))
    one_by_one = sum(lelkern.nt_xent(*x) for x in zip(z1, z2, strict=True))
    torch.testing.assert_close(got, torch.autograd.grad(one_by_one, (z1, z2)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_autocast_computes_in_float32(dtype, device):
    z1, z2 = embeddings(6, 4, device, dtype)
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = lelkern.nt_xent(z1, z2, 0.2)
    loss.backward()
    # As for PyTorch's own losses, float64 stays what it is.
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert z1.grad.dtype == dtype
    with torch.no_grad():
        assert torch.equal(loss, lelkern.nt_xent(z1, z2, 0.2))


def test_autocast_accepts_one_half_and_one_float32_view(device):
    z1, z2 = embeddings(6, 4, device, torch.float32)
    half = z1.to(torch.bfloat16)
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = lelkern.nt_xent(half, z2, 0.2)
    assert torch.equal(loss, lelkern.nt_xent(half.float(), z2, 0.2))


def test_only_some_inputs_need_gradients(device):
    z1, z2 = embeddings(5, 3, device)
    want = torch.autograd.grad(lelkern.nt_xent(z1, z2), z1)[0]
    torch.testing.assert_close(torch.autograd.grad(lelkern.nt_xent(z1, z2.detach()), z1)[0], want)
    assert not lelkern.nt_xent(z1.detach(), z2.detach()).requires_grad


PEAK = """
import resource, torch, lelkern
z1, z2 = (torch.randn(N, 8, requires_grad=True) for N in (8192, 8192))
lelkern.nt_xent(z1[:64], z2[:64]).backward()  # threads and code are in memory
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lelkern.nt_xent(z1, z2).backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_square_of_the_batch():
    if lelkern.ops.library_path() is None:
        pytest.skip("promised of the compiled kernel only")
    run = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    # 16384 x 16384 similarities would be 1 GiB; the rows are padded to 64 features and copied
    # a few times, 4 MiB each, so 64 MiB leaves room for the allocator.
    assert int(run.stdout) < 64 * 1024


@pytest.mark.parametrize("temperature", [0.2, torch.tensor(0.3, dtype=torch.float64)])
def test_functional_and_forward_mode_derivatives(device, temperature):
    z1, z2, t1, t2 = torch.randn(4, 5, 3, dtype=torch.float64, device=device)

    def loss(z1, z2):
        return lelkern.nt_xent(z1, z2, temperature)

    a, b = z1.clone().requires_grad_(), z2.clone().requires_grad_()
    want = torch.autograd.grad(loss(a, b), (a, b))
    for got in (
        torch.func.grad(loss, argnums=(0, 1))(z1, z2),
        torch.func.jacrev(loss, argnums=(0, 1))(z1, z2),
        torch.func.jacfwd(loss, argnums=(0, 1))(z1, z2),
    ):
        torch.testing.assert_close(got, want)
    along = (want[0] * t1).sum() + (want[1] * t2).sum()
    torch.testing.assert_close(torch.func.jvp(loss, (z1, z2), (t1, t2))[1], along)
    with torch.autograd.forward_ad.dual_level():
        dual = loss(
            torch.autograd.forward_ad.make_dual(z1, t1), torch.autograd.forward_ad.make_dual(z2, t2)
        )
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, along)
    each = torch.func.vmap(torch.func.grad(loss))(z1.expand(2, -1, -1), z2.expand(2, -1, -1))
    torch.testing.assert_close(each, want[0].expand(2, -1, -1))


def test_functional_loss_under_autocast_is_in_float32(device):
    z1, z2 = torch.randn(2, 6, 4, device=device).bfloat16()
    with torch.autocast(device, torch.bfloat16):
        # Not the gradient: torch.func runs backward inside the context, in bfloat16.
        _, got = torch.func.grad_and_value(lambda z: lelkern.nt_xent(z, z2, 0.1))(z1)
    want = lelkern.nt_xent(z1.float(), z2.float(), 0.1)
    torch.testing.assert_close(got, want)  # to float32's last digits, bfloat16 keeps two


def test_autocast_does_not_mix_float64_with_others(device):
    z = torch.randn(3, 2, device=device)
    with torch.autocast(device, torch.bfloat16), pytest.raises(TypeError, match="float64"):
        lelkern.nt_xent(z.double(), z)
