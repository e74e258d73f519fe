"""Data in memory, ready for a method: images, tables, regression tasks, families of functions.

A :class:`DataConfig` says which data, and how many of its labels a method may see; a
:class:`DataSource` reads it. What it reads is of one of five kinds, all of which describe, save and
load themselves (:class:`Data`):

===========================  =====================================================================
:class:`ImageData`           uint8 images (N, 3, H, W) and classes
:class:`ImageTaskData`       the same with labels of several tasks
:class:`TableData`           NumPy tables (N, D) with classes or targets, as scikit-learn takes them
:class:`TaskData`            several regression tasks
:class:`FunctionFamily`      functions that are drawn as they are needed
===========================  =====================================================================

and comes from a name in :data:`DATA_SETS` or from a path:

==============================  ==================================================================
``color-digits``                1,797 handwritten digits in random colours; built in
``color-digit-tasks``           the same with their colours and places as further tasks
``cifar10`` ...                 what torchvision reads: CIFAR-10/100, STL-10, SVHN, MNIST,
                                Fashion-MNIST
``iris`` ...                    scikit-learn's tables: iris, wine, breast-cancer, digits, diabetes,
                                linnerud
``planted-rows`` ...            linear tasks with something in common, drawn: planted-rows,
                                planted-rank, planted-clusters
``school``                      examination scores of 139 schools; a file
``sine-waves``                  the functions of MAML
a folder                        one folder of images per class
a ``.csv``, ``.npz``, ``.mat``  a table, or regression tasks
==============================  ==================================================================

:func:`load` is the short way to images. Whatever is wrong with the data is a :class:`DataError`,
whose one line names the file, the class or the folder.
"""

from typing import TYPE_CHECKING

from lelkern.lazy import attributes

if TYPE_CHECKING:
    from lelkern.data.budget import check_budget, visible_labels
    from lelkern.data.config import DataConfig
    from lelkern.data.errors import DataError
    from lelkern.data.form import DataForm
    from lelkern.data.function_family import FunctionFamily
    from lelkern.data.image_data import ImageData
    from lelkern.data.image_task_data import ImageTaskData
    from lelkern.data.kind import Data
    from lelkern.data.loading import DATA_SETS, fingerprint, load
    from lelkern.data.registry import register
    from lelkern.data.source import DataSource
    from lelkern.data.table_data import TableData
    from lelkern.data.task_data import Task, TaskData

__all__ = [
    "DATA_SETS",
    "Data",
    "DataConfig",
    "DataError",
    "DataForm",
    "DataSource",
    "FunctionFamily",
    "ImageData",
    "ImageTaskData",
    "TableData",
    "Task",
    "TaskData",
    "check_budget",
    "fingerprint",
    "load",
    "register",
    "visible_labels",
]

# Imported on use: most of it needs torch, which takes seconds, and a study that is only listed
# needs no more than DataConfig.
_HOME = {
    "DATA_SETS": "loading",
    "Data": "kind",
    "DataConfig": "config",
    "DataError": "errors",
    "DataForm": "form",
    "DataSource": "source",
    "FunctionFamily": "function_family",
    "ImageData": "image_data",
    "ImageTaskData": "image_task_data",
    "TableData": "table_data",
    "Task": "task_data",
    "TaskData": "task_data",
    "check_budget": "budget",
    "fingerprint": "loading",
    "load": "loading",
    "register": "registry",
    "visible_labels": "budget",
}


if not TYPE_CHECKING:  # for whom a name that is missing would be of any type
    __getattr__ = attributes(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
