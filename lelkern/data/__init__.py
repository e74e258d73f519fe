"""Images and labels in memory, ready for a training run.

One call, :func:`load`, takes the name of a data set or the path of a folder and returns an
:class:`ImageData`: uint8 images (N, 3, H, W) and int64 labels (N,), split into train and test.

=====================  ==========================================================================
``color-digits``       1,797 handwritten digits in random colours; built in, nothing to download
``cifar10`` ...        what torchvision reads: CIFAR-10/100, STL-10, SVHN, MNIST, Fashion-MNIST
a path                 a folder with one folder of images per class
=====================  ==========================================================================

:func:`fingerprint` names the same data by a hash without reading the images, so that a cache or
a results file can tell when the data changed. Whatever is wrong with the data is a
:class:`DataError`, whose one line names the file, the class or the folder.
"""

from lelkern.data.errors import DataError
from lelkern.data.image_data import ImageData
from lelkern.data.registry import DATA_SETS, fingerprint, load

__all__ = ["DATA_SETS", "DataError", "ImageData", "fingerprint", "load"]
