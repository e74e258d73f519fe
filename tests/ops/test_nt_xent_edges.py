"""What NT-Xent does with the smallest, the degenerate and the wrong inputs."""

import math

import pytest
import torch
from contrastive_samples import pairs

import lelkern

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def run(z1, z2, temperature=0.5, reduction="sum"):
    """The loss, and the gradients of z1, z2 and the temperature."""
    z1, z2 = z1.detach().requires_grad_(), z2.detach().requires_grad_()
    tau = torch.tensor(temperature, requires_grad=True)
    loss = lelkern.nt_xent(z1, z2, tau, reduction=reduction)
    return loss, torch.autograd.grad(loss.sum(), (z1, z2, tau))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_half_embeddings_give_a_float32_loss_and_half_gradients(dtype, device):
    z1, z2 = (z.to(device, dtype).requires_grad_() for z in pairs(4, 3))
    temperature = torch.tensor(0.5, dtype=torch.bfloat16, device=device, requires_grad=True)
    loss = lelkern.nt_xent(z1, z2, temperature)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    loss.backward()
    assert z1.grad.dtype == z2.grad.dtype == dtype
    assert temperature.grad.dtype == torch.bfloat16


def test_one_pair_has_no_negatives(device):
    loss, grads = run(*(z.to(device) for z in pairs(1, 4)), reduction="none")
    assert loss.tolist() == [0, 0]
    assert all((grad == 0).all() for grad in grads)


def test_no_pairs(device):
    z = torch.empty(0, 4, device=device)
    assert run(z, z, reduction="none")[0].shape == (0,)
    loss, grads = run(z, z, reduction="sum")
    assert loss == 0
    assert grads[0].shape == (0, 4)
    assert grads[2] == 0
    assert run(z, z, reduction="mean")[0].isnan()


def test_no_features_make_every_candidate_alike(device):
    z = torch.empty(3, 0, device=device)
    loss, grads = run(z, z, reduction="none")
    torch.testing.assert_close(loss, torch.full_like(loss, math.log(5)))
    assert grads[0].shape == (3, 0)
    assert grads[2] == 0


@pytest.mark.parametrize("size", [0.0, 1e-13, 1e-30])
def test_a_zero_row_is_similar_to_nothing(size, device):
    z1, z2 = (z.to(device) for z in pairs(5, 4))
    z1[2] = size
    loss, grads = run(z1, z2, 0.2, reduction="none")
    torch.testing.assert_close(loss[2], torch.tensor(math.log(9), device=device).double())
    assert (grads[0][2] == 0).all()
    assert all(grad.isfinite().all() and (grad != 0).any() for grad in grads)


def test_the_norm_from_which_a_row_counts(device):
    z1, z2 = (z.to(device) for z in pairs(5, 4))
    want = lelkern.nt_xent(z1, z2)
    small = z1 / z1.norm(dim=1, keepdim=True) * 1.1e-12
    torch.testing.assert_close(lelkern.nt_xent(small, z2), want)
    losses = lelkern.nt_xent(small * 0.9, z2, reduction="none")[:5]
    torch.testing.assert_close(losses, torch.full_like(losses, math.log(9)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_squares_of_large_numbers_do_not_overflow(dtype, device):
    z1, z2 = (z.to(device, dtype) for z in pairs(5, 4))
    want = run(z1.double(), z2.double())
    loss, grads = run(z1 * 2.0**100, z2 * 2.0**100)
    torch.testing.assert_close(loss, want[0].float())
    assert grads[0].isfinite().all()
    assert run(pairs(5, 4)[0] * 1e200, pairs(5, 4)[1])[
        0
    ].isnan()  # in float64 they do: never silent


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("N", [1, 4, 70])
@pytest.mark.parametrize("temperature", [0.5, 0.001])
def test_one_bad_number_makes_every_loss_nan(value, N, temperature, device):
    z1, z2 = (z.to(device) for z in pairs(N, 4))
    z2[N - 1, 1] = value
    loss, grads = run(z1, z2, temperature, reduction="none")
    assert loss.isnan().all()
    assert all(grad.isnan().all() for grad in grads)


@pytest.mark.parametrize("sizes", [((3,), (3,)), ((2, 3, 4), (2, 3, 4))])
def test_embeddings_must_be_matrices(sizes):
    with pytest.raises(ValueError, match=r"z1 must be \(N, D\), got \(.*3.*\)"):
        lelkern.nt_xent(torch.ones(sizes[0]), torch.ones(sizes[1]))


def test_embeddings_must_match():
    z = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"z2 must have the shape of z1, \(3, 4\), got \(3, 5\)"):
        lelkern.nt_xent(z, torch.ones(3, 5))
    with pytest.raises(TypeError, match=r"z2 must have the dtype of z1, torch.float32, got .*64"):
        lelkern.nt_xent(z, z.double())
    with pytest.raises(ValueError, match="z2 must be on the device of z1, cpu, got meta"):
        lelkern.nt_xent(z, z.to("meta"))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_embeddings_must_be_floating_point(dtype):
    z = torch.ones(3, 4, dtype=dtype)
    with pytest.raises(TypeError, match=f"z1 must be float64, .* got {dtype}"):
        lelkern.nt_xent(z, z)
    with pytest.raises(TypeError, match="z2 must be a tensor, got list"):
        lelkern.nt_xent(torch.ones(3, 4), [[1.0] * 4] * 3)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("value", [-0.1, 0.0, math.nan])
def test_temperature_must_be_positive(value, as_tensor):
    z = torch.ones(3, 4)
    temperature = torch.tensor(value, dtype=torch.float64) if as_tensor else value
    with pytest.raises(ValueError, match=f"temperature must be > 0, got {value}"):
        lelkern.nt_xent(z, z, temperature)


def test_temperature_must_be_one_finite_number():
    z = torch.ones(3, 4)
    with pytest.raises(ValueError, match="temperature must be finite, got inf"):
        lelkern.nt_xent(z, z, math.inf)
    with pytest.raises(ValueError, match=r"temperature must have one element, got \(2,\)"):
        lelkern.nt_xent(z, z, torch.ones(2))
    with pytest.raises(TypeError, match=r"temperature must be floating point, got torch.int64"):
        lelkern.nt_xent(z, z, torch.tensor(1))


@pytest.mark.parametrize("temperature", [-0.1, 0.0, math.nan, math.inf])
@pytest.mark.parametrize("N", [1, 3])
def test_where_the_temperature_is_not_looked_at_a_wrong_one_gives_nan(temperature, N, device):
    z1, z2 = (z.to(device) for z in pairs(N, 4))
    tau = torch.tensor(temperature, device=device)
    losses, *_ = torch.ops.lelkern.nt_xent(z1, z2, tau, None, True, False, 0, False, False, 0)
    assert losses.isnan().all()


def test_a_temperature_of_one_element_keeps_its_shape_and_gets_a_gradient(device):
    z1, z2 = pairs(5, 4)
    for shape in ((), (1,), (1, 1)):
        temperature = torch.full(shape, 0.3, dtype=torch.float64, requires_grad=True)
        lelkern.nt_xent(z1.to(device), z2.to(device), temperature).backward()
        assert temperature.grad.shape == shape
        assert temperature.grad.abs().sum() > 0


def test_reduction_must_be_known():
    z = torch.ones(3, 4)
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'max'"):
        lelkern.nt_xent(z, z, reduction="max")


def test_the_op_itself_refuses_what_is_outside_its_memory():
    z = torch.ones(3, 4)
    tau = torch.tensor(0.5)
    rest = (None, True, False, 0)
    hints = (False, True, 0)
    loss, *saved, _ = torch.ops.lelkern.nt_xent(z, z, tau, *rest, *hints)
    with pytest.raises((RuntimeError, ValueError)):
        torch.ops.lelkern.nt_xent(z, torch.ones(2, 5), tau, *rest, *hints)
    with pytest.raises((RuntimeError, ValueError)):
        torch.ops.lelkern.nt_xent(z, z, tau, torch.zeros(2).long(), *rest[1:], *hints)
    with pytest.raises((RuntimeError, ValueError)):
        torch.ops.lelkern.nt_xent_backward(torch.ones(5), z, z, tau, *rest, loss, *saved)
