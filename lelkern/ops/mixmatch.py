"""MixMatch: labels guessed, sharpened, and mixed with all that is there."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from lelkern.ops._dtypes import check_floating
from lelkern.ops._mix_labels import mix_labels
from lelkern.ops._mix_rows import mix_rows
from lelkern.ops._mixing import (
    arithmetic_of,
    as_rows,
    channel_values,
    check_images,
    checked_labels,
    lam_of_rows,
    permutation,
)
from lelkern.ops._mixing_values import check_values
from lelkern.ops.guess_labels import guess_labels
from lelkern.ops.mixup_lambda import sample_mixup_lambda


class MixMatchBatch(NamedTuple):
    """What MixMatch makes of N labelled images and K augmentations of B unlabelled ones.

    Attributes:
        images: (N + K B, ...) mixed images.
        targets: (N + K B, C) their distributions over the classes.
        labelled: (N + K B,) boolean: which rows are X', whose loss is the cross-entropy; the others
            are U', whose loss is the squared error.
        guesses: (B, C) labels of the unlabelled images before they were mixed.
    """

    images: Tensor
    targets: Tensor
    labelled: Tensor
    guesses: Tensor


def mixmatch(
    x: Tensor,
    y: Tensor,
    u: Tensor,
    logits_u: Tensor,
    *,
    temperature: float | Tensor = 0.5,
    alpha: float | Tensor = 0.75,
    lam: float | Tensor | None = None,
    perm: Tensor | None = None,
    per_sample: bool = True,
    interleave: bool = False,
    num_classes: int | None = None,
    scale: float | Tensor | None = None,
    offset: float | Tensor | None = None,
    dtype: torch.dtype | None = None,
    generator: Generator | None = None,
) -> MixMatchBatch:
    r"""Return a batch of MixMatch, given the logits of the unlabelled images.

    Algorithm 1 of Berthelot et al., "MixMatch: A Holistic Approach to Semi-Supervised Learning",
    NeurIPS 2019, from its line 7 on, to the letter, for any K, N and B:

    .. math::
        q_b &= \text{Sharpen}\Bigl(\tfrac1K \textstyle\sum_k \text{softmax}(z_{kb}), T\Bigr) \\
        \mathcal{W} &= \text{Shuffle}(\hat{\mathcal{X}} \cup \hat{\mathcal{U}}) \\
        \mathcal{X}' &= \text{MixUp}(\hat{\mathcal{X}}_i, \mathcal{W}_i), \qquad
        \mathcal{U}' = \text{MixUp}(\hat{\mathcal{U}}_i, \mathcal{W}_{i + |\hat{\mathcal{X}}|})

    where every augmentation of an image has the image's guess, and each mix a lambda of its own,
    folded so that it stays closer to its first operand. Each image is read once and each result
    written once: neither the union nor W is ever made. Images are mixed as
    :func:`lelkern.mixup` does it, to the bit; lambdas are those of
    :func:`lelkern.sample_mixup_lambda`. The guesses have no gradient (section 3.2: nothing goes
    through them to the network that guessed); images and targets have those of floating x, u, y
    and lam.

    Args:
        x: (N, ...) labelled images, augmented: float64, float32, bfloat16, float16 or uint8.
        y: (N,) whole numbers, their classes; or (N, C) floating point, distributions over them.
        u: (K, B, ...) the K augmentations of B unlabelled images, in the dtype of x.
        logits_u: (K, B, C) what the network makes of them, floating point. Logits for the guesses
            are best computed without changing the running statistics of BatchNorm.
        temperature: T of the sharpening, positive: a number or a tensor with one element.
        alpha: of lambda's Beta(alpha, alpha), positive: a number or a tensor with one element.
        lam: lambda instead, in [0, 1] and used as it is: a number, or a tensor with one element or
            of shape (N + K B,), first those of x, then those of u, augmentation by augmentation.
        perm: (N + K B,) int64: W_i is row perm[i] of x and u in that order; by default random.
        per_sample: draw a lambda for each mix, as Algorithm 1 does; otherwise one for all of them,
            as some code does.
        interleave: return labelled rows evenly spread among the others, so that consecutive batches
            of N rows have about as many each, as is needed where a network with BatchNorm sees them
            one batch at a time. By default X' comes first.
        num_classes: C, if it is to be checked.
        scale: x and u are multiplied by it on the way: a number, or (channels,), as 1/255.
        offset: likewise, added after that.
        dtype: of the images for uint8, by default float32.
        generator: of the permutation, which is drawn first, and lambda; one of the CPU gives the
            same on every device.

    Returns:
        A :class:`MixMatchBatch`: images in the memory format of x and in its dtype unless that is
        uint8; targets and guesses in float32, or in float64 if y (for targets) or the logits are.

    Raises:
        TypeError: an argument has a dtype that is not among the above.
        ValueError: an argument has another shape, or a value that is not among the above.
    """
    dtype = check_images("x", x, dtype)
    _check_unlabelled(x, u, logits_u, num_classes)
    n, (K, B, C) = x.shape[0], logits_u.shape
    total = n + K * B
    labels = checked_labels(y, n, C, x.device)
    partners = permutation(perm, total, x.device, generator)
    computed = arithmetic_of(x.dtype, dtype)
    if lam is None:
        draws = total if per_sample else 1
        weights = sample_mixup_lambda(
            draws, alpha, generator=generator, device=x.device, dtype=computed
        )
        weights = weights if per_sample else weights.expand(total)
    else:
        weights = lam_of_rows(lam, total, x.device)
    check_values(lam=lam, perm=perm, labels=labels)
    guesses = guess_labels(logits_u, temperature)
    order, labelled = _order(n, total, interleave, x.device)

    # Labels before images, as in mixup.
    targets = mix_labels(
        labels.values,
        C,
        arithmetic_of(labels.dtype, guesses.dtype),
        weights,
        partners,
        guesses=guesses,
        copies=K,
        order=order,
    )
    rows = as_rows(x)
    unlabelled = as_rows(u.flatten(0, 1), channels_last=rows.channels_last)
    images = mix_rows(
        rows.values,
        unlabelled.values,
        weights.to(computed),
        partners,
        order=order,
        scale=channel_values("scale", scale, rows, computed),
        offset=channel_values("offset", offset, rows, computed),
        inner=rows.inner,
        dtype=dtype,
    )
    return MixMatchBatch(rows.images(images), targets, labelled, guesses)


def _check_unlabelled(x: Tensor, u: Tensor, logits: Tensor, num_classes: int | None) -> None:
    if not isinstance(u, Tensor):
        raise TypeError(f"u must be a tensor, got {type(u).__name__}")
    check_floating("logits_u", logits)
    for name, value in (("u", u), ("logits_u", logits)):
        if value.device != x.device:
            raise ValueError(f"{name} must be on the device of x, {x.device}, got {value.device}")
    if u.dtype != x.dtype:
        raise TypeError(f"u must have the dtype of x, {x.dtype}, got {u.dtype}")
    if u.dim() != x.dim() + 1 or u.shape[2:] != x.shape[1:]:
        expected = ", ".join(("K", "B", *map(str, x.shape[1:])))
        raise ValueError(f"u must be ({expected}), images as in x, got {tuple(u.shape)}")
    if u.shape[0] < 1:
        raise ValueError("u must have at least one augmentation, K >= 1, got 0")
    if logits.dim() != 3 or logits.shape[:2] != u.shape[:2]:
        raise ValueError(
            f"logits_u must be (K, B, C) = ({u.shape[0]}, {u.shape[1]}, C), "
            f"got {tuple(logits.shape)}"
        )
    if num_classes not in (None, logits.shape[2]):
        raise ValueError(
            f"num_classes must be {logits.shape[2]}, as logits_u has it, got {num_classes}"
        )


def _order(
    n: int, total: int, interleave: bool, device: torch.device
) -> tuple[Tensor | None, Tensor]:
    """Return which row each row of the result is, None for the same, and which are labelled."""
    place = torch.arange(total, device=device)
    if not interleave:
        return None, place < n
    before = place * n // max(total, 1)  # labelled rows that come before
    labelled = (place + 1) * n // max(total, 1) > before
    return torch.where(labelled, before, n + place - before), labelled
