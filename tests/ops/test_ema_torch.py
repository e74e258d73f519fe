"""ema_update_ among PyTorch's own machinery: opcheck, compile, autograd, DTensor, graphs."""

import pytest
import torch
from ema_samples import DTYPES, check, clones, normals, reversed_dimensions, tensor
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import lelkern


def sample(device):
    ema = [normals(3, 4).to(device), tensor(normals(5, 2).to(device, torch.bfloat16),
           reversed_dimensions), torch.zeros(0, device=device)]  # fmt: skip
    params = [normals(3, 4, seed=1).to(device, torch.float16), normals(5, 2).to(device),
              torch.zeros(0, device=device)]  # fmt: skip
    return ema, params


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_opcheck(stochastic, as_tensor, device):
    decay = torch.tensor(0.5, dtype=torch.float64, device=device) if as_tensor else None
    seed = torch.tensor(3, device=device) if stochastic else None
    torch.library.opcheck(
        torch.ops.lelkern.ema_update_.default, (*sample(device), 0.9, decay, seed)
    )


@pytest.mark.slow
def test_a_compiled_momentum_may_change(device):
    step = torch.compile(lelkern.ema_update_, fullgraph=True, backend="aot_eager")
    ema, params = sample(device)
    want = clones(ema)
    for i, decay in enumerate((0.5, 0.9, 0.99, 0.0)):
        number = torch.tensor(decay, device=device)
        with torch._dynamo.config.patch(error_on_recompile=i > 0):
            step(ema, params, number)
        lelkern.ema_update_(want, params, number)
        assert all(torch.equal(x, y) for x, y in zip(ema, want, strict=True))


@pytest.mark.slow
def test_compiled_with_a_number_and_stochastic_rounding(device):
    @torch.compile(fullgraph=True)
    def step(ema, params):
        lelkern.ema_update_(ema, params, 0.75, stochastic_rounding=True)

    ema = [torch.ones(5000, dtype=torch.bfloat16, device=device)]
    step(ema, [torch.full_like(ema[0], 1 + 2.0**-7)])
    share = (ema[0] > 1).double().mean()
    assert abs(share - 0.25) < 6 * (0.25 * 0.75 / 5000) ** 0.5


@pytest.mark.slow
def test_compiled_with_wrong_lists(device):
    @torch.compile(fullgraph=True, backend="aot_eager")
    def step(ema, params):
        lelkern.ema_update_(ema, params, 0.75)

    with pytest.raises(Exception, match=r"params\[0\] must have the shape of ema\[0\]"):
        step([torch.zeros(3, device=device)], [torch.zeros(4, device=device)])


def test_autograd_sees_that_averages_change(device):
    weight = torch.ones(3, device=device)
    x = torch.ones(3, device=device, requires_grad=True)
    loss = (weight * x).sum()
    lelkern.ema_update_([weight], [torch.zeros(3, device=device)], 0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_autograd_sees_no_update_that_is_refused(device):
    weight = torch.ones(3, device=device)
    x = torch.ones(3, device=device, requires_grad=True)
    loss = (weight * x).sum()
    with pytest.raises(ValueError, match="must have the same length"):
        lelkern.ema_update_([weight], [], 0.5)
    loss.backward()
    assert torch.equal(x.grad, weight)


def test_subclasses_are_told_of_updates(device):
    class Told(torch.Tensor):
        functions = ()

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            cls.functions += (str(function),)
            return super().__torch_function__(function, types, args, kwargs or {})

    parameter = torch.ones(4, device=device).as_subclass(Told)
    lelkern.ema_update_([torch.zeros(4, device=device)], [parameter], 0.5)
    assert "lelkern.ema_update_" in Told.functions


def test_what_watches_ops_sees_updates(device):
    class Seen(TorchDispatchMode):
        ops = ()

        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            self.ops += (str(op),)
            return op(*args, **(kwargs or {}))

    ema, params = sample(device)
    with Seen() as seen, torch.profiler.profile() as profile:
        lelkern.ema_update_(ema, params, 0.5)
    assert "lelkern.ema_update_.default" in seen.ops
    assert "lelkern::ema_update_" in {event.key for event in profile.key_averages()}


@pytest.mark.parametrize("compiled", [False, True])
def test_autocast_sees_that_averages_change(compiled, device):
    layer = nn.Linear(4, 4, bias=False).to(device)
    x = torch.randn(2, 4, device=device)
    update = lelkern.ema_update_
    if compiled:
        update = torch.compile(update, backend="aot_eager", fullgraph=True)
    with torch.autocast(device, torch.bfloat16):
        before = layer(x)  # after which autocast keeps the weight in bfloat16
        update([layer.weight], [2 * layer.weight.detach()], 0.0)
        assert torch.equal(layer(x), 2 * before)


def test_averages_may_be_parameters(device):
    average, parameter = (
        nn.Parameter(torch.zeros(3, device=device)),
        nn.Parameter(torch.ones(3, device=device)),
    )
    lelkern.ema_update_([average], [parameter], 0.25)
    assert torch.equal(average, torch.full_like(average, 0.75))
    assert average.grad_fn is None
    assert average.is_leaf
    assert average.requires_grad


def test_inference_tensors(device):
    with torch.inference_mode():
        ema = torch.zeros(3, device=device)
        lelkern.ema_update_([ema], [torch.ones(3, device=device)], 0.25)
        assert torch.equal(ema, torch.full_like(ema, 0.75))


def test_each_process_updates_its_shards(mesh):
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    average = nn.Parameter(distribute_tensor(normals(4, 3), mesh, [Shard(0)]))
    parameter = nn.Parameter(distribute_tensor(normals(4, 3, seed=1), mesh, [Shard(0)]))
    plain, before = normals(5), normals(4, 3)
    version = average._version
    lelkern.ema_update_([average, plain], [parameter, normals(5, seed=1)], 0.9)
    check(average.detach().to_local(), before, normals(4, 3, seed=1), 0.9)
    check(plain, normals(5), normals(5, seed=1), 0.9)
    assert average._version > version
    replicated = distribute_tensor(normals(4, 3), mesh, [Replicate()])
    with pytest.raises(ValueError, match=r"params\[0\] must be placed as ema\[0\], .*Shard.*Repl"):
        lelkern.ema_update_([average], [replicated], 0.9)
    with pytest.raises(ValueError, match=r"params\[1\] must be placed as ema\[1\], .*got None"):
        lelkern.ema_update_([plain, average], [normals(5), normals(4, 3)], 0.9)
    with pytest.raises(ValueError, match=r"params\[0\] must have the shape"):
        lelkern.ema_update_([average], [distribute_tensor(normals(2, 3), mesh, [Shard(0)])], 0.9)


def test_a_sharded_model(mesh):
    from torch.distributed.fsdp import fully_shard

    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    fully_shard(model, mesh=mesh)
    average = [torch.zeros_like(p) for p in model.parameters()]
    lelkern.ema_update_(average, list(model.parameters()), 0.25)
    for x, p in zip(average, model.parameters(), strict=True):
        torch.testing.assert_close(x.to_local(), 0.75 * p.detach().to_local())


def test_momentum_changes_inside_a_cuda_graph(device):
    if device != "cuda":
        pytest.skip("graphs are CUDA's")
    ema = [torch.zeros(1000, dtype=dtype, device=device) for dtype in DTYPES]
    params = [torch.ones_like(x) for x in ema]
    decay = torch.tensor(0.5, device=device)
    lelkern.ema_update_(clones(ema), params, decay, stochastic_rounding=True)  # warm-up
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        lelkern.ema_update_(ema, params, decay, stochastic_rounding=True)
    graph.replay()
    decay.fill_(0.0)
    graph.replay()
    assert all((x == 1).all() for x in ema)
