"""Images that are trained on and tested on: what is then measured is partly memory."""

import hashlib
from collections.abc import Callable, Iterator

from torch import Tensor

from lelkern.data.sizes import count


def trained_and_tested_on(
    train: Tensor, test: Tensor, name_train: Callable[[int], str], name_test: Callable[[int], str]
) -> Iterator[str]:
    """Yield a remark if test images are training images: the same pixels, from whatever files.

    Args:
        train: (N, 3, H, W) uint8.
        test: (M, 3, H, W) uint8.
        name_train: what a training image is called, by its index.
        name_test: likewise.
    """
    known = {digest: i for i, digest in enumerate(_digests(train))}
    both = [(i, known[digest]) for i, digest in enumerate(_digests(test)) if digest in known]
    if both:
        what = count(len(both), "test image is a training image", "test images are training images")
        one, other = both[0]
        yield f"{what} as well, such as {name_test(one)}, which is {name_train(other)}"


def _digests(images: Tensor) -> Iterator[bytes]:
    """Yield 16 bytes an image that two images have in common if they are equal."""
    for image in images.numpy():
        yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()
