import hashlib

import pytest
import torch
from torch import nn

from lelkern.evaluate import extract


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.AvgPool2d(4)
    )


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (11, 3, 6, 6), generator=generator).to(torch.uint8)


def digest(module):
    """Hash of all weights and buffers, bit for bit."""
    state = hashlib.sha256()
    for name, value in module.state_dict().items():
        state.update(name.encode() + value.contiguous().numpy().tobytes())
    return state.hexdigest()


def test_features_are_those_of_evaluation_mode(encoder, images):
    encoder.train()
    encoder(images.float())  # running statistics that differ from those of any batch
    (h,) = extract([encoder], images, batch_size=4)
    assert h.dtype == torch.float32
    assert h.shape == (11, 4)
    assert not h.requires_grad
    encoder.eval()
    for i in range(11):
        expected = encoder(images[i : i + 1] / 255).flatten().detach()
        torch.testing.assert_close(h[i], expected)


def test_nothing_about_the_network_changes(encoder, images):
    encoder.train()
    encoder[1].eval()  # a frozen BatchNorm in a model that trains
    flags = [module.training for module in encoder.modules()]
    before = digest(encoder)
    extract([encoder], images, batch_size=4)
    assert digest(encoder) == before
    assert [module.training for module in encoder.modules()] == flags
    assert all(parameter.grad is None for parameter in encoder.parameters())
    # The hash would notice: one batch in training mode moves BatchNorm's statistics.
    encoder.train()
    encoder(images.float())
    assert digest(encoder) != before


def test_flags_come_back_after_an_error_too(encoder, images):
    encoder.train()
    encoder[3].eval()
    with pytest.raises(RuntimeError):
        extract([encoder, nn.Linear(5, 2)], images)
    assert [module.training for module in encoder] == [True, True, True, False, True]


def test_flags_come_back_past_an_overridden_train(images):
    class Frozen(nn.Flatten):
        def train(self, mode=True):
            return super().train(False)

    frozen = Frozen()
    model = nn.Sequential(frozen)
    assert frozen.training
    extract([model], images)
    assert frozen.training
    assert model.training


def test_a_head_takes_what_the_encoder_gives(encoder, images):
    encoder.append(nn.Flatten())
    head = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))
    h, z = extract([encoder, head], images, batch_size=3)
    assert h.shape == (11, 4)
    assert z.shape == (11, 2)
    torch.testing.assert_close(z, head.eval()(h).detach())
    assert head.training is False  # by the line above
    assert encoder.training


def test_features_can_be_trained_on(encoder, images):
    (h,) = extract([encoder], images)
    nn.Linear(4, 1)(h).sum().backward()


def test_a_module_that_caches_can_be_trained_afterwards(images):
    class Caching(nn.Flatten):
        def __init__(self):
            super().__init__()
            self.weight, self.cache = nn.Parameter(torch.ones(108)), None

        def forward(self, x):
            if self.cache is None:
                self.cache = torch.arange(108.0)
            return super().forward(x) * (self.weight * self.cache)

    module = Caching()
    extract([module], images)
    module(images / 255).sum().backward()  # autograd would refuse an inference tensor


def test_the_batch_size_does_not_matter(encoder, images):
    (whole,) = extract([encoder], images)
    for batch_size in (1, 3, 11, 100):
        (h,) = extract([encoder], images, batch_size=batch_size)
        torch.testing.assert_close(h, whole)


def test_preprocess_gets_bytes_and_replaces_the_scaling(images):
    seen = []

    def preprocess(batch):
        seen.append((batch.dtype, len(batch)))
        return batch.double() - 128

    (h,) = extract([nn.Flatten()], images, batch_size=8, preprocess=preprocess)
    assert seen == [(torch.uint8, 8), (torch.uint8, 3)]
    assert torch.equal(h, images.flatten(1).float() - 128)


def test_raw_pixels_need_no_encoder(images):
    (h,) = extract([nn.Flatten()], images)
    assert torch.equal(h, images.flatten(1) / 255)


def test_the_global_generator_is_left_alone(encoder, images):
    before = torch.get_rng_state()
    extract([encoder], images)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda(encoder, images):
    (expected,) = extract([encoder], images)
    (h,) = extract([encoder.cuda()], images)
    assert h.device.type == "cpu"
    torch.testing.assert_close(h, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modules": []}, "modules must hold at least one module"),
        ({"images": torch.zeros(2, 3, 4, 4)}, r"images must be uint8 .* got torch.float32"),
        ({"images": torch.zeros(3, 4, 4).byte()}, r"images must be .* \(3, 4, 4\)"),
        ({"images": torch.zeros(0, 3, 4, 4).byte()}, r"images must be .* \(0, 3, 4, 4\)"),
        ({"batch_size": 0}, "batch_size must be > 0, got 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"modules": [nn.Flatten()], "images": torch.zeros(2, 3, 4, 4).byte(), **change}
    with pytest.raises(ValueError, match=message):
        extract(**arguments)
