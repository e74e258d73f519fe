"""MixUp of a batch and its labels, lambda and permutation drawn: lelkern against its peers.

    pytest benchmarks/bench_mixup.py --benchmark-group-by=group --csv

The providers of a group are measured in turn. Peers draw one lambda for the batch, kornia and
lelkern one a sample.
"""

import functools
import importlib
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

import lelkern
import timing
from cases import Provider
from mixing import BYTES, CLASSES, MODE, SHAPE, Case, Mix, bytes_of, images, provider, verify_cut

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

ALPHA = 0.75


def composed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return what plain PyTorch makes of it, as the reference does."""
    n = len(x)
    lam = torch.distributions.Beta(ALPHA, ALPHA).sample((n,)).to(x.device)
    perm = torch.randperm(n, device=x.device)
    targets = one_hot(y, CLASSES).float()
    weight, of_images = lam.reshape(-1, 1), lam.reshape(-1, 1, 1, 1)
    return (
        of_images * x + (1 - of_images) * x[perm],
        weight * targets + (1 - weight) * targets[perm],
    )


def composed_cut(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return what plain PyTorch makes of CutMix with a box for each image."""
    (n, _, height, width), device = x.shape, x.device
    perm = torch.randperm(n, device=device)
    side = (1 - torch.rand(n, device=device)).sqrt()  # of which the square is Beta(1, 1)'s 1 - lam
    inside = []
    for size in (height, width):
        half = (side * size).int() // 2
        centre = torch.randint(size, (n,), device=device)
        low, high = (centre - half).clamp(min=0), (centre + half).clamp(max=size)
        place = torch.arange(size, device=device)
        inside.append((place >= low.unsqueeze(1)) & (place < high.unsqueeze(1)))
    box = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)
    kept = 1 - box.float().mean((1, 2)).unsqueeze(1)
    targets = one_hot(y, CLASSES).float()
    return (
        torch.where(box.unsqueeze(1), x[perm], x),
        kept * targets + (1 - kept) * targets[perm],
    )


def ours(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    lam = lelkern.sample_mixup_lambda(len(x), ALPHA, device=x.device)
    return lelkern.mixup(x, y, lam, num_classes=CLASSES)


def build(size: int, device: torch.device) -> tuple[Mapping[str, Mix], Tensor, Tensor]:
    x = images(size, device)
    y = torch.arange(size, device=device) % CLASSES
    compiled = torch.compile(composed)
    mixes: dict[str, Mix] = {
        "lelkern": lambda: ours(x, y),
        "pytorch": lambda: composed(x, y),
        "pytorch-compiled": lambda: compiled(x, y),
        "timm": timm(x, y),
        "torchvision": torchvision(x, y),
        "kornia": kornia(x, y),
        **bytes_of((x,)),
    }
    return mixes, x.clone(), one_hot(y, CLASSES)


def timm(x: Tensor, y: Tensor) -> Mix:
    """Return timm's Mixup, which changes its batch in place: every time the same one, once more."""
    batch = x.clone()
    made: list[Callable[..., tuple[Tensor, Tensor]]] = []

    def mix() -> tuple[Tensor, Tensor]:
        if not made:
            mixup = importlib.import_module("timm.data.mixup").Mixup
            made.append(mixup(mixup_alpha=ALPHA, label_smoothing=0.0, num_classes=CLASSES))
        return made[0](batch, y)

    return mix


def torchvision(x: Tensor, y: Tensor) -> Mix:
    mixup = importlib.import_module("torchvision.transforms.v2").MixUp(
        alpha=ALPHA, num_classes=CLASSES
    )
    return lambda: mixup(x, y)


def kornia(x: Tensor, y: Tensor) -> Mix:
    """Return kornia's RandomMixUpV2, whose lambda is uniform and whose labels are not mixed."""
    mixup = importlib.import_module("kornia.augmentation").RandomMixUpV2(
        data_keys=["input", "class"]
    )
    return lambda: (mixup(x, y)[0], None)


def bytes_build(size: int, device: torch.device) -> tuple[Mapping[str, Mix], Tensor, Tensor]:
    """As of a data set that is kept in 8 bits: scaled to [0, 1] on the way."""
    x = (images(size, device) * 255).byte()
    y = torch.arange(size, device=device) % CLASSES
    compiled = torch.compile(lambda x, y: composed(x.float().mul_(1 / 255), y))

    def own() -> tuple[Tensor, Tensor]:
        lam = lelkern.sample_mixup_lambda(len(x), ALPHA, device=x.device)
        return lelkern.mixup(x, y, lam, num_classes=CLASSES, scale=1 / 255)

    mixes: dict[str, Mix] = {
        "lelkern": own,
        "pytorch": lambda: composed(x.float().mul_(1 / 255), y),
        "pytorch-compiled": lambda: compiled(x, y),
    }
    return mixes, x.float() / 255, one_hot(y, CLASSES)


def cut_build(size: int, device: torch.device) -> tuple[Mapping[str, Mix], Tensor, Tensor]:
    """CutMix; torchvision pastes one box for the batch, lelkern one an image or one for all."""
    x = (torch.arange(size, device=device) / size).reshape(-1, 1, 1, 1).expand(-1, *SHAPE)
    x = x.contiguous()
    y = torch.arange(size, device=device) % CLASSES
    peer = importlib.import_module("torchvision.transforms.v2").CutMix(num_classes=CLASSES)
    compiled = torch.compile(composed_cut)

    def drawn(count: int) -> Tensor:
        lam = lelkern.sample_mixup_lambda(count, 1.0, fold=False, device=device)
        return lelkern.sample_cutmix_boxes(count, 32, 32, lam)

    mixes: dict[str, Mix] = {
        "lelkern": lambda: lelkern.cutmix(x, y, drawn(size), num_classes=CLASSES),
        "lelkern-one-box": lambda: lelkern.cutmix(x, y, drawn(1)[0], num_classes=CLASSES),
        "pytorch": lambda: composed_cut(x, y),
        "pytorch-compiled": lambda: compiled(x, y),
        "torchvision": lambda: peer(x, y),
        **bytes_of((x,)),
    }
    return mixes, x, one_hot(y, CLASSES)


PLAIN = (provider("lelkern"), provider("pytorch"), provider("pytorch-compiled", compiled=True))
ONE_BOX = provider("lelkern-one-box")
TORCHVISION = provider("torchvision", peer=("torchvision", "torchvision"))
PEERS = (
    provider("timm", peer=("timm", "timm")),
    TORCHVISION,
    provider("kornia", peer=("kornia", "kornia")),
)
CASES = (
    *(Case("mixup", size, build, (*PLAIN, *PEERS, *BYTES)) for size in (256, 1024)),
    Case("mixup uint8", 256, bytes_build, tuple(
        provider(p.name, "float32-of-uint8", compiled=p.compiled) for p in PLAIN)),
    Case("cutmix", 256, cut_build, (*PLAIN, ONE_BOX, TORCHVISION, *BYTES), verify=verify_cut),
)  # fmt: skip


@functools.lru_cache(maxsize=1)
def group(case: Case, device: torch.device) -> timing.Outcomes:
    return case.time(device)


@pytest.mark.parametrize(
    ("case", "provider"),
    [
        pytest.param(case, provider, id=f"{case.op}-{case.size}-{provider}")
        for case in CASES
        for provider in case.providers
    ],
)
def test_time(
    report_time: Callable[..., None], device: torch.device, case: Case, provider: Provider
) -> None:
    if reason := provider.why_not(0, device):
        pytest.skip(reason)
    report_time(case, provider, MODE, group(case, device), f"{case.op}, {case.size} images")
