from copy import deepcopy

import pytest
import torch
from torch import nn

from lelkern.models import ResNetEncoderConfig, SplitBatchNorm, split_batch_norms

SHAPES = {
    "vectors": (12, 5),
    "signals": (12, 5, 3),
    "images": (12, 5, 4, 3),
    "one channel": (12, 1, 2, 2),
    "volumes": (12, 5, 2, 3, 2),
}
PLAIN = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_splits = pytest.mark.parametrize("splits", [1, 2, 3, 6])


def samples(shape, device, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    # Parts that differ, so that statistics over the whole batch would be noticed.
    return (x * torch.linspace(1, 3, shape[0]).view(-1, *[1] * (x.ndim - 1)) + 2).to(device)


def plain(shape, device, **options):
    norm = PLAIN[len(shape)](shape[1], **options).to(device)
    if norm.affine:
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.uniform_(norm.bias, -1, 1)
    return norm


def split_of(norm, splits):
    holder = nn.Sequential(deepcopy(norm))
    split_batch_norms(holder, splits)
    return holder[0]


@each_shape
@each_splits
@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_each_part_is_normalised_as_by_a_batchnorm_of_its_own(shape, splits, momentum, device):
    norm = plain(shape, device, momentum=momentum, eps=1e-3)
    split = split_of(norm, splits)
    alone = [deepcopy(norm) for _ in range(splits)]
    for batch in range(3):
        x = samples(shape, device, seed=batch)
        parts = [m(part) for m, part in zip(alone, x.chunk(splits), strict=True)]
        assert torch.equal(split(x), torch.cat(parts))
    for name in ("running_mean", "running_var"):
        mean = torch.stack([getattr(m, name) for m in alone]).mean(dim=0)
        # A mean of averages and an average of means: some roundings in another order.
        torch.testing.assert_close(getattr(split, name), mean, rtol=1e-5, atol=1e-6)
    assert split.num_batches_tracked == 3


@each_shape
@each_splits
def test_gradients_are_those_of_the_parts(shape, splits, device):
    norm = plain(shape, device)
    split, x = split_of(norm, splits), samples(shape, device)
    inputs, expected = (x.clone().requires_grad_() for _ in range(2))
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
    (split(inputs) * weight).sum().backward()
    (torch.cat([norm(part) for part in expected.chunk(splits)]) * weight).sum().backward()
    # Sums of 12 to 72 products, in another order.
    torch.testing.assert_close(inputs.grad, expected.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(split.weight.grad, norm.weight.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(split.bias.grad, norm.bias.grad, rtol=1e-5, atol=1e-5)


def test_two_passes_before_one_backward(device):
    split = split_of(plain((4, 3, 2, 2), device), 2)
    x = samples((4, 3, 2, 2), device).requires_grad_()
    (split(x) * split(x + 1)).sum().backward()
    assert x.grad.isfinite().all()


@each_shape
def test_evaluation_and_state_are_those_of_batchnorm(shape, device):
    norm = plain(shape, device)
    split = split_of(norm, 3)
    split(samples(shape, device))
    norm.load_state_dict(split.state_dict())
    x = samples((5, *shape[1:]), device, seed=1)  # of any number
    assert torch.equal(split.eval()(x), norm.eval()(x))
    again = SplitBatchNorm(shape[1], 3).to(device)
    again.load_state_dict(norm.state_dict())
    assert torch.equal(again.eval()(x), norm(x))


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}], ids=str)
def test_without_parameters_or_without_running_statistics(options, device):
    norm = plain((6, 4, 3, 3), device, **options)
    split, x = split_of(norm, 2), samples((6, 4, 3, 3), device)
    parts = torch.cat([norm(part) for part in x.chunk(2)])
    assert torch.equal(split(x), parts)
    if norm.running_mean is None:
        assert torch.equal(split.eval()(x), parts)
    assert split.state_dict().keys() == norm.state_dict().keys()


def test_channels_last_stays(device):
    split = split_of(plain((8, 3, 4, 4), device), 4)
    x = samples((8, 3, 4, 4), device)
    y = split(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    # Another order of 32 additions.
    torch.testing.assert_close(y, split(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_images_have_float32_statistics(dtype, device):
    split = SplitBatchNorm(3, 2).to(device)
    x = samples((8, 3, 4, 4), device).to(dtype)
    assert split(x).dtype == dtype
    mean = torch.stack([part.float().mean(dim=(0, 2, 3)) for part in x.chunk(2)]).mean(dim=0)
    assert split.running_mean.dtype == torch.float32
    torch.testing.assert_close(split.running_mean, 0.1 * mean, rtol=1e-4, atol=1e-5)


def test_double_precision(device):
    norm = plain((6, 4), device).double()
    split, x = split_of(norm, 2), samples((6, 4), device).double()
    assert torch.equal(split(x), torch.cat([norm(part) for part in x.chunk(2)]))
    assert split.running_var.dtype == torch.float64


def test_every_norm_of_a_network_is_split_and_keeps_its_tensors():
    network = ResNetEncoderConfig(name="resnet18").build()
    before = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    network.layers.layer1[0].bn1.eval()
    split_batch_norms(network, 2)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert {type(m) for m in norms} == {SplitBatchNorm}
    assert len(norms) == 20
    after = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert [m.training for m in norms].count(False) == 1
    assert network(torch.rand(4, 3, 8, 8)).shape == (4, 512)


@pytest.mark.parametrize("samples", [0, 1, 3, 5])
def test_batches_that_cannot_be_split(samples):
    message = f"input must have 2 equal parts, got {samples} samples"
    with pytest.raises(ValueError, match=message):
        SplitBatchNorm(3, 2)(torch.zeros(samples, 3, 2, 2))


def test_other_errors():
    with pytest.raises(ValueError, match="splits must be at least 1, got 0"):
        SplitBatchNorm(3, 0)
    with pytest.raises(ValueError, match=r"input must be \(N, C, ...\), got \(3,\)"):
        SplitBatchNorm(3, 1).eval()(torch.zeros(3))
    with pytest.raises(ValueError, match=r"input must be \(N, C, ...\), got \(3,\)"):
        SplitBatchNorm(3, 1)(torch.zeros(3))
