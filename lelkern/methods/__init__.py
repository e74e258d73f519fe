"""The training recipes, each a file of its own in the folder of its chapter.

A method is a file ``lelkern/methods/<chapter>/<method>.py`` that ends in ``METHOD = Method(...)``;
files whose names start with an underscore hold what methods share. Its name is the file's with
``-`` for ``_``: ``raw_pixels.py`` is ``raw-pixels``. Another package may install methods, by the
entry point group ``lelkern.methods``. A method may also lie anywhere else: then its name is the
absolute path of its file.

Nothing is imported to list the methods, neither PyTorch nor their files; :func:`get` imports one.
:func:`load` gives back what a trial of a study trained.
"""

from typing import TYPE_CHECKING

from lelkern.lazy import attributes
from lelkern.methods.method import Blueprint, Method, Outcome, accept
from lelkern.methods.method_file import MethodFile
from lelkern.methods.metric import Curve, Metric, percentage
from lelkern.methods.registry import CHAPTERS, available, find, get, problems, shipped

if TYPE_CHECKING:
    from lelkern.methods.model_file import ModelCard, ModelFileError, TrainedModel, load

_OF_MODELS = ("ModelCard", "ModelFileError", "TrainedModel", "load")
"""What is imported on use, since it needs PyTorch."""

__all__ = [
    "CHAPTERS",
    "Blueprint",
    "Curve",
    "Method",
    "MethodFile",
    "Metric",
    "ModelCard",
    "ModelFileError",
    "Outcome",
    "TrainedModel",
    "accept",
    "available",
    "find",
    "get",
    "load",
    "percentage",
    "problems",
    "shipped",
]


if not TYPE_CHECKING:  # for whom a name that is missing would be of any type
    __getattr__ = attributes(__name__, dict.fromkeys(_OF_MODELS, "model_file"))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
