from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., None]


@pytest.fixture
def cifar_folder() -> Path:
    """12,000 photographs in train/ and val/, ten classes; not part of the repository."""
    folder = Path(__file__).parents[2] / "../shared/data/cifar10-images"
    if not folder.is_dir():
        pytest.skip("the folder of CIFAR-10 images is not on this machine")
    return folder


@pytest.fixture
def write_image() -> WriteImage:
    """Writes an image of one colour, (width, height), to a file whose folders it creates."""

    def write(path: Path, color=(10, 20, 30), size=(4, 4)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size[1], size[0], 3), color, dtype=np.uint8)).save(path)

    return write
