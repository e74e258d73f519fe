"""Augmentations against kornia's, and what they are of a step of SimCLR, on one thread.

    pytest benchmarks/bench_augment.py --benchmark-group-by=group

One thread is what a worker of a study has. The providers of a group are measured in turn, on the
same 128 images of color-digits, two views of a batch of 64.
"""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

import timing
from cases import Provider
from lelkern.augment import Augment, Augmentation, Blur, Color, Crop, Flip
from lelkern.data.color_digits import color_digits
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive import simclr
from lelkern.runtime import RuntimeConfig
from stopwatch import Stopwatch

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

CPU = torch.device("cpu")
STEPS = 40
BY_DEFAULT = simclr.SimCLRConfig().augment


class KorniaAugment(nn.Module):
    """The same augmentations by kornia."""

    def __init__(self, config: tuple[Augmentation, ...], size: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(*(kornias(one, size) for one in config))

    def forward(self, images: Tensor) -> Tensor:
        """Augment images (B, 3, H, W)."""
        return self.steps(images).clamp(0, 1)


def kornias(one: Augmentation, size: int) -> nn.Module:
    """Return kornia's module for an augmentation."""
    K = importlib.import_module("kornia.augmentation")
    made: nn.Module
    if isinstance(one, Crop):
        scale, ratio = (one.min_scale, one.max_scale), (one.min_aspect, one.max_aspect)
        made = K.RandomResizedCrop((size, size), scale=scale, ratio=ratio)
    elif isinstance(one, Color):
        ranges = (one.strength * r for r in (one.brightness, one.contrast, one.saturation, one.hue))
        made = nn.Sequential(K.ColorJitter(*ranges, p=one.p), K.RandomGrayscale(p=one.grey_p))
    elif isinstance(one, Blur):
        made = K.RandomGaussianBlur((3, 3), sigma=(one.min_sigma, one.max_sigma), p=one.p)
    else:
        assert isinstance(one, Flip)
        made = K.RandomHorizontalFlip(p=one.p)
    return made


LELKERN = Provider("lelkern", lambda *_: torch.empty(0), threads=1, devices=("cpu",))
KORNIA = Provider(
    "kornia", lambda *_: torch.empty(0), threads=1, devices=("cpu",), peer=("kornia", "kornia")
)
MODULES: dict[Provider, Callable[[tuple[Augmentation, ...], int], nn.Module]] = {
    LELKERN: Augment,
    KORNIA: KorniaAugment,
}


@dataclass(frozen=True)
class Case:
    """Augmentations that are timed by themselves.

    Attributes:
        op: as in the CSV file.
        augment: in their order.
        size: images.
        features: numbers an image.
    """

    op: str
    augment: tuple[Augmentation, ...]
    size: int = 128
    features: int = 3 * 24 * 24

    def call_of(self, provider: Provider) -> Callable[[], object]:
        """Return what is timed, once it has been seen to give images of about the same grey."""
        images = to_unit(color_digits().train_images[: self.size])
        module = MODULES[provider](self.augment, images.shape[-1])
        want = torch.stack([Augment(self.augment, images.shape[-1])(images) for _ in range(20)])
        found = torch.stack([module(images) for _ in range(20)])
        assert found.shape == want.shape
        torch.testing.assert_close(found.mean(), want.mean(), atol=0.03, rtol=0)
        return functools.partial(module, images)


@dataclass(frozen=True)
class Training:
    """A training of SimCLR with augmentations of either; ``size`` and ``features`` of a batch."""

    op: str = "SimCLR"
    size: int = 64
    features: int = 3 * 24 * 24

    def call_of(self, provider: Provider) -> Callable[[], object]:
        """Return what is timed."""
        config = simclr.SimCLRConfig(steps=STEPS)
        runtime, images = RuntimeConfig(device="cpu", threads=1), color_digits().train_images

        def train() -> None:
            with mock.patch.object(simclr, "Augment", MODULES[provider]):
                simclr.train(config, images, 0, runtime)

        train()
        return train


CASES = (
    Case("crop", BY_DEFAULT[:1]),
    Case("color", BY_DEFAULT[1:]),
    Case("blur", (Blur(p=1.0),)),
    Case("flip", (Flip(),)),
    Case("crop and color", BY_DEFAULT),
    Training(),
)


@functools.lru_cache(maxsize=1)
def group(case: Case | Training) -> timing.Outcomes:
    samplers: dict[str, timing.Sampler] = {}
    for provider in MODULES:
        if not provider.why_not(case.size, CPU):
            with provider.settings():
                call = case.call_of(provider)
            samplers[str(provider)] = Stopwatch(call, CPU, provider.settings)
    return {**timing.in_turn(samplers, min_rounds=5)}


@pytest.mark.parametrize("provider", MODULES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.op)
def test_time(report_time: Callable[..., None], case: Case | Training, provider: Provider) -> None:
    if reason := provider.why_not(case.size, CPU):
        pytest.skip(reason)
    title = f"train SimCLR, {STEPS} steps" if isinstance(case, Training) else f"augment {case.op}"
    report_time(case, provider, "forward", group(case), title)
