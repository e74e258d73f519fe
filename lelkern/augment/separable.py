"""Linear maps of images that treat rows and columns by themselves, another one for every image."""

from torch import Tensor


def separable(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    r"""Return every image with its rows and its columns weighted and summed.

    .. math:: y_{bcij} = \sum_{h,w} R_{bih} \, C_{bjw} \, x_{bchw}

    Bilinear crops and Gaussian blur are such maps; as products of matrices they take all images of
    a batch at once, each with parameters of its own.

    Args:
        images: x, (B, 3, H, W).
        rows: R, (B, I, H).
        columns: C, (B, J, W).

    Returns:
        (B, 3, I, J).
    """
    batch, channels, height, width = images.shape
    # One product an image, with the channels below each other, is faster than one a channel.
    tall = images.reshape(batch, channels * height, width)
    narrow = (tall @ columns.mT).view(batch, channels, height, columns.shape[1])
    return rows[:, None] @ narrow
