"""Weighted k-nearest-neighbour classification: features judged without learning anything."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.evaluate.checks import check_classification, positive_count, positive_number
from lelkern.evaluate.unit_rows import unit_rows
from lelkern.reference.precision import widened
from lelkern.torch_settings import usual_settings


@usual_settings()
def knn(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    chunk_size: int = 1024,
) -> float:
    r"""Return the test accuracy of the weighted k-NN classifier of Wu et al. (2018).

    The k training samples of largest cosine similarity s to a test sample vote for their class
    with weight exp(s / temperature):

    .. math:: w_c = \sum_{i \in N_k} \exp(s_i / \tau) \, [y_i = c]

    Source: Wu, Xiong, Yu & Lin, "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", Section 3.4, where k = 200 on ImageNet; 20 suits sets of a few thousand.

    Ties are broken by position: of equally similar training samples the first are neighbours, of
    classes with equal votes the lowest wins.

    Args:
        train_x: (N, D) floating point; rows need not have unit norm. A zero row has similarity 0.
        train_y: (N,) integer.
        test_x: (M, D) floating point.
        test_y: (M,) integer. A class that the training set lacks counts as wrong.
        k: number of neighbours; all N where there are fewer.
        temperature: the weights' temperature.
        chunk_size: test samples at a time; memory is (chunk_size, N), besides the features at
            norm 1.

    Returns:
        Accuracy in [0, 1].

    Raises:
        ValueError: an argument has another shape or dtype, is not finite or not positive.
    """
    train_x, train_y, test_x, test_y = check_classification(train_x, train_y, test_x, test_y)
    k = positive_count("k", k)
    temperature = positive_number("temperature", temperature)
    chunk_size = positive_count("chunk_size", chunk_size)
    k = min(k, len(train_x))
    bank = unit_rows(train_x).T  # (D, N)
    y = train_y.long()
    correct = 0
    for x, label in zip(
        torch.split(test_x, chunk_size), torch.split(test_y, chunk_size), strict=True
    ):
        similarity = unit_rows(x) @ bank  # (B, N)
        s, neighbour = _first_largest(similarity, k)  # (B, k)
        # Relative to the nearest: the same classification, and no temperature overflows.
        weight = ((s - s[:, :1]) / temperature).exp()
        correct += int((_elected(y[neighbour], weight) == label).sum())
    return correct / len(test_x)


def _elected(labels: Tensor, weight: Tensor) -> Tensor:
    """Return the label (B,) with the most votes among (B, k), the lowest of several.

    Memory is (B, k), however many classes there are.
    """
    labels, order = labels.sort(dim=1, stable=True)
    begins = labels[:, 1:] != labels[:, :-1]
    place = F.pad(begins.cumsum(dim=1), (1, 0))  # (B, k): of a label among those of its row
    # In float64, where it is, equal votes are equal in whatever order a GPU adds them up.
    weight = widened(weight).gather(1, order)
    votes = torch.zeros_like(weight).scatter_add_(1, place, weight)
    candidates = torch.zeros_like(labels).scatter_(1, place, labels)
    return candidates.gather(1, votes.argmax(dim=1, keepdim=True))[:, 0]


def _first_largest(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row in descending order, equal ones in order of position."""
    values, index = x.topk(k, dim=1)
    # topk promises no order among equals. Sorting all rows would cost ten times as much, so only
    # rows are sorted where a tie touches the k largest, that is, rarely.
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1) | ((x >= values[:, -1:]).sum(dim=1) > k)
    if tied.any():
        v, i = x[tied].sort(dim=1, descending=True, stable=True)
        values[tied], index[tied] = v[:, :k], i[:, :k]
    return values, index
