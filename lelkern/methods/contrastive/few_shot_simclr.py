"""Few-shot learning with SimCLR: classes that it never saw are told by a few images of each.

An encoder is pre-trained on images of the base classes. Episodes of the novel classes then say how
good its representation is: of each class K images are shown, the support, and others, the queries,
are to be classified. The classifier is the nearest centroid of Prototypical Networks (Snell,
Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, equations 1 and 2),
over a representation that is frozen and was not trained for it, scaled to unit length.

Pre-training is SimCLR (Chen et al. 2020), without labels; or supervised, by the labels of the base
classes; or there is none, and images are told by their pixels. ``steps = 0`` leaves a random
encoder.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.data import ImageData
from lelkern.data.draw import stream
from lelkern.evaluate import extract
from lelkern.evaluate.checks import check_features
from lelkern.evaluate.unit_rows import unit_rows
from lelkern.methods.contrastive._novel_classes import (
    NovelClassesConfig,
    check_classes,
    new_encoder,
    pretrain,
    split_classes,
)
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.runtime import Progress, RuntimeConfig

SHOTS = (1, 5)
"""K: images of each novel class that are shown."""

METRICS: Mapping[str, Metric] = {
    "accuracy_1": percentage("1-shot accuracy"),
    "accuracy_5": percentage("5-shot accuracy"),
}


class FewShotConfig(NovelClassesConfig):
    """Everything that decides a run besides the images and the seed.

    Attributes:
        pretrain: ``simclr``; ``supervised``, with a linear classifier of the base classes above the
            encoder, and ``batch_size`` images a step as well, of which it sees one view; or
            ``pixels``, which trains nothing.
        episodes: of which accuracies are means; each has all novel classes.
        queries: images of each class that are classified in an episode.
    """

    pretrain: Literal["simclr", "supervised", "pixels"] = "simclr"
    episodes: int = Field(default=200, ge=1)
    queries: int = Field(default=15, ge=1)


class Episode(NamedTuple):
    """Which images an episode consists of.

    Attributes:
        support: what may be shown, (N classes, largest K); with fewer shots the first of them.
        queries: what is to be classified, (N classes, Q); none of them is in the support.
    """

    support: Tensor
    queries: Tensor


def draw_episodes(config: FewShotConfig, labels: Tensor, seed: int) -> Iterator[Episode]:
    """Yield the indices of every episode: as many images of each class, all different.

    Args:
        config: how many episodes and queries.
        labels: of all images, (M,), with at least K + Q of each of N classes.
        seed: decides the draw, which is the same for all representations.
    """
    generator = stream("episodes", seed)
    members = [(labels == c).nonzero()[:, 0] for c in range(int(labels.max()) + 1)]
    sizes = [max(SHOTS), config.queries]
    for _ in range(config.episodes):
        drawn = torch.stack(
            [m[torch.randperm(len(m), generator=generator)[: sum(sizes)]] for m in members]
        )
        yield Episode(*drawn.split(sizes, dim=1))


def prototype_accuracy(support: Tensor, queries: Tensor) -> float:
    r"""Return the share of queries that are nearest to the prototype of their own class.

    .. math:: c_k = \frac1{|S_k|} \sum_{x \in S_k} f(x), \qquad
              \hat y(x) = \arg\min_k \lVert f(x) - c_k \rVert^2

    Args:
        support: f of what is shown, (N, K, D), a class a row.
        queries: f of what is to be classified, (N, Q, D), likewise.
    """
    prototypes = support.mean(dim=1)  # (N, D)
    distances = (queries[:, :, None] - prototypes).square().sum(dim=-1)  # (N, Q, N)
    return float(
        (distances.argmin(dim=-1) == torch.arange(len(prototypes))[:, None]).double().mean()
    )


def evaluate(
    config: FewShotConfig, encoder: nn.Module, novel: ImageData, seed: int
) -> dict[str, float]:
    """Return the mean accuracy over episodes of test images, by name, for every number of shots."""
    (h,) = extract([encoder], novel.test_images)
    h = unit_rows(check_features("h", h)).double()
    found: dict[str, list[float]] = {f"accuracy_{shots}": [] for shots in SHOTS}
    for episode in draw_episodes(config, novel.test_labels, seed):
        for shots in SHOTS:
            accuracy = prototype_accuracy(h[episode.support[:, :shots]], h[episode.queries])
            found[f"accuracy_{shots}"].append(accuracy)
    return {name: sum(values) / len(values) for name, values in found.items()}


def run(
    config: FewShotConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Learn from the base classes, then classify images of the novel ones."""
    base, novel = split_classes(config, data, seed)
    encoder = pretrain(config.pretrain, config, base, seed, runtime, progress)
    return Outcome(evaluate(config, encoder, novel, seed), models={"model": encoder})


def build(config: FewShotConfig, blueprint: Blueprint) -> nn.Module:
    """Make an encoder of the form of one that was trained."""
    return new_encoder(config.pretrain, config)


def check(config: FewShotConfig, data: ImageData) -> None:
    """Raise ValueError if there are too few images or classes to learn from or to be judged by."""
    check_classes(config.pretrain, config, data, least_test=max(SHOTS) + config.queries)


METHOD = Method(
    config=FewShotConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
