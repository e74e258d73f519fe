"""Augmentations against kornia's, and what they are of a step of SimCLR, on one thread.

``pytest benchmarks/bench_augment.py --benchmark-group-by=group``; one thread is what a worker of a
study has. Both go through the same 128 images of color-digits, two views of a batch of 64.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from lelkern.augment import Augment, Augmentation, Blur, Color, Crop, Flip
from lelkern.data import ImageData
from lelkern.data.color_digits import color_digits
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive import simclr
from lelkern.runtime import RuntimeConfig

OF_SIMCLR = simclr.SimCLRConfig().augment
CASES: dict[str, tuple[Augmentation, ...]] = {
    "crop": (OF_SIMCLR[0],),
    "color": (OF_SIMCLR[1],),
    "blur": (Blur(p=1.0),),
    "flip": (Flip(),),
    "SimCLR's": OF_SIMCLR,
}
STEPS = 40


@pytest.fixture(scope="module")
def data() -> ImageData:
    return color_digits()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    K = pytest.importorskip("kornia.augmentation", reason="kornia is not installed")
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


PROVIDERS: dict[str, Callable[[tuple[Augmentation, ...], int], nn.Module]] = {
    "lelkern": Augment,
    "kornia": KorniaAugment,
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("case", CASES)
def test_augment(benchmark: BenchmarkFixture, data: ImageData, case: str, provider: str) -> None:
    benchmark.group = f"augment {case}, 128 images"
    augment = PROVIDERS[provider](CASES[case], data.train_images.shape[-1])
    images = to_unit(data.train_images[:128])
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        augment, args=(images,), rounds=50, warmup_rounds=5
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_training(
    benchmark: BenchmarkFixture, data: ImageData, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.group = f"train SimCLR, {STEPS} steps"
    monkeypatch.setattr(simclr, "Augment", PROVIDERS[provider])
    config = simclr.SimCLRConfig(steps=STEPS)
    runtime = RuntimeConfig(device="cpu", threads=1)
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        simclr.train, args=(config, data.train_images, 0, runtime), rounds=5, warmup_rounds=1
    )
